import { beforeEach, describe, expect, test } from 'vitest'
import type { RegisterResponse } from '../../src-contract/control/register.ts'
import { nodeCrypto } from '../crypto/node-crypto.ts'
import { type LoginEffect, LoginMachine, type LoginReply, type LoginStart } from './login.ts'

const current = new Uint8Array(32).fill(1)
const previous = new Uint8Array(32).fill(2)
const plain: LoginStart = {
  nodeKey: current,
  oldNodeKey: undefined,
  isExpired: false,
  authKey: '',
  isInteractive: false,
}
const response = (more: RegisterResponse): LoginReply => ({ kind: 'response', response: more })
const success = response({ MachineAuthorized: true, AuthURL: '', Error: '', NodeKeyExpired: false })

let machine: LoginMachine
let resets: number
let waits: number
beforeEach(() => {
  resets = 0
  waits = 0
  const retry = { next: () => 1000 * ++waits, reset: () => void resets++ }
  let made = 0
  const crypto = { ...nodeCrypto, newPrivateKey: () => new Uint8Array(32).fill(0x80 + made++) }
  machine = new LoginMachine({ crypto, retry, random01: () => 0.5 })
})

/** Effects with the request shortened to what matters. */
const brief = (effects: LoginEffect[]) =>
  effects.map((effect) => {
    switch (effect.kind) {
      case 'send': {
        const { nodeKey, oldNodeKey, authKey, followup } = effect.request
        return ['send', nodeKey[0], oldNodeKey?.[0] ?? 0, authKey, followup].filter((part) => part !== '').join(' ')
      }
      case 'saveKey':
        return `save ${effect.nodeKey[0]} ${effect.oldNodeKey?.[0] ?? 0}`
      case 'done':
        return `done ${effect.nodeKey[0]} ${effect.isNewKey ? 'new' : 'known'}`
      case 'authUrl':
        return `url ${effect.url}`
      case 'refused':
        return `refused ${effect.text}${effect.isFinal ? ' for good' : ''}`
      case 'needsLogin':
        return `needs login: ${effect.reason}`
      case 'serverTrouble':
        return `trouble ${effect.status}`
      default:
        return effect.kind
    }
  })

/** Plays replies to the newest attempt. */
let newest = 0
function play(effects: LoginEffect[]): string[] {
  for (const effect of effects) if (effect.kind === 'send') newest = effect.attempt
  return brief(effects)
}
const reply = (r: LoginReply, now = 0) => play(machine.handleReply(newest, r, now))

describe('which key', () => {
  test('[CTL-3.1] a restart registers the same key again and is done', () => {
    expect(play(machine.start({ ...plain, oldNodeKey: previous }))).toEqual(['send 1 2'])
    expect(reply(success)).toEqual(['done 1 known'])
    expect(machine.isActive).toBe(false)
  })
  test('[CTL-3.1] no key: a fresh one, stored before the server hears of it', () => {
    expect(play(machine.start({ ...plain, nodeKey: undefined, authKey: 'k' }))).toEqual(['save 128 0', 'send 128 0 k'])
    expect(reply(success)).toEqual(['done 128 new'])
  })
  test('[CTL-3.1] an expired key is replaced', () => {
    expect(play(machine.start({ ...plain, isExpired: true, authKey: 'k' }))).toEqual(['save 128 1', 'send 128 1 k'])
  })
  test('[CTL-3.1] NodeKeyExpired: a fresh key, once; unattended it is told', () => {
    play(machine.start(plain))
    expect(reply(response({ NodeKeyExpired: true }))).toEqual(['needs login: key-expired', 'save 128 1', 'send 128 1'])
    expect(reply(response({ AuthURL: 'https://x/1' }))).toContain('url https://x/1')
  })
  test('[CTL-3.3] NodeKeyExpired for a fresh key ends the login', () => {
    play(machine.start({ ...plain, nodeKey: undefined }))
    expect(reply(response({ NodeKeyExpired: true }))).toEqual(['refused the server calls a new key expired for good'])
    expect(machine.isActive).toBe(false)
  })
  test('[CTL-3.5] a person asks while the key is good: a new key, stored only when it is accepted', () => {
    expect(play(machine.start({ ...plain, isInteractive: true }))).toEqual(['send 1 0'])
    expect(reply(success)).toEqual(['send 128 1'])
    expect(reply(response({ AuthURL: 'https://x/1' }))).toEqual(['url https://x/1', 'send 128 1 https://x/1'])
    expect(reply(success)).toEqual(['save 128 1', 'done 128 new'])
  })
  test('[CTL-3.1] a person asks with a key the server does not know: that key is used', () => {
    play(machine.start({ ...plain, isInteractive: true }))
    expect(reply(response({ AuthURL: 'https://x/1' }))).toEqual(['url https://x/1', 'send 1 0 https://x/1'])
    expect(reply(success)).toEqual(['done 1 known'])
  })
})

describe('the page', () => {
  test('[CTL-3.4] shown once, another one replaces it, the same one again waits', () => {
    play(machine.start(plain))
    expect(reply(response({ AuthURL: 'https://x/1' }))).toEqual([
      'needs login: not-registered',
      'url https://x/1',
      'send 1 0 https://x/1',
    ])
    expect(reply(response({ AuthURL: 'https://x/1' }), 10)).toEqual([])
    expect(machine.nextWake()).toBe(1010)
    expect(play(machine.wake(1010))).toEqual(['send 1 0 https://x/1'])
    expect(reply(response({ AuthURL: 'https://x/2' }))).toEqual(['url https://x/2', 'send 1 0 https://x/2'])
    expect(reply(success)).toEqual(['done 1 known'])
  })
  test('[CTL-3.4] a follow-up that is lost is repeated; 404, 410 and a refusal start over', () => {
    const lost: [LoginReply, string][] = [
      [{ kind: 'failed' }, 'send 1 0 https://x/1'],
      [{ kind: 'status', status: 410, text: 'auth path not found', retryAfterMs: undefined }, 'send 1 0'],
      [{ kind: 'status', status: 404, text: '', retryAfterMs: undefined }, 'send 1 0'],
      [response({ Error: 'registration timed out' }), 'send 1 0'],
    ]
    for (const [answer, next] of lost) {
      play(machine.start(plain))
      reply(response({ AuthURL: 'https://x/1' }))
      expect(reply(answer, 0)).toEqual([])
      expect(play(machine.wake(machine.nextWake()!))).toEqual([next])
    }
  })
})

describe('answers', () => {
  test('[CTL-3.2] 429 waits as told, at most an hour, by default some seconds', () => {
    const wait = (retryAfterMs: number | undefined) => {
      play(machine.start(plain))
      reply({ kind: 'status', status: 429, text: 'slow down', retryAfterMs }, 100)
      return machine.nextWake()! - 100
    }
    expect([wait(2000), wait(9e9), wait(undefined)]).toEqual([2000, 3_600_000, 7500])
  })
  test('[CTL-3.2] other statuses are trouble and are tried again; an old version is told and ends', () => {
    play(machine.start(plain))
    expect(reply({ kind: 'status', status: 502, text: 'bad gateway', retryAfterMs: undefined })).toEqual([
      'trouble 502',
    ])
    expect(play(machine.wake(1000))).toEqual(['send 1 0'])
    expect(
      reply({ kind: 'status', status: 400, text: 'unsupported client version: x (131)', retryAfterMs: undefined }),
    ).toEqual(['unsupportedVersion'])
    expect(machine.isActive).toBe(false)
  })
  test('[CTL-3.7] a bad auth key ends the login, a refused restart is tried again, not soon', () => {
    play(machine.start({ ...plain, authKey: 'k' }))
    expect(reply(response({ Error: 'authkey expired' }))).toEqual(['refused authkey expired for good'])
    expect([machine.isActive, machine.nextWake()]).toEqual([false, undefined])
    play(machine.start(plain))
    expect(reply(response({ Error: 'x'.repeat(500) }), 5)).toEqual([`refused ${'x'.repeat(200)}`])
    expect(machine.nextWake()).toBe(10_005)
  })
  test('[CTL-6.2] failures back off and are forgotten on success', () => {
    play(machine.start(plain))
    for (let i = 1; i <= 3; i++) {
      reply({ kind: 'failed' }, 0)
      expect(machine.nextWake()).toBe(1000 * i)
      expect(machine.wake(1000 * i - 1)).toEqual([])
      play(machine.wake(1000 * i))
    }
    const before = resets
    reply(success)
    expect(resets).toBe(before + 1)
  })
  test('stale answers and spurious wakes do nothing; starting again cancels', () => {
    const [sent] = machine.start(plain)
    if (sent?.kind !== 'send') throw new Error('no request')
    expect(brief(machine.start(plain))).toEqual(['cancel', 'send 1 0'])
    expect(machine.handleReply(sent.attempt, success, 0)).toEqual([])
    expect(machine.wake(1e9)).toEqual([])
    expect(brief(machine.stop())).toEqual(['cancel'])
    expect(machine.stop()).toEqual([])
  })
})
