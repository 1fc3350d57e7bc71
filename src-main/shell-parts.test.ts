import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { callNames } from '../src-contract/bridge.ts'
import type { PingResult } from '../src-contract/localapi/ping.ts'
import { callInputs } from './bridge-inputs.ts'
import { parseFlags } from './flags.ts'
import { mayOpenSignIn, pingAnswer } from './ping-and-sign-in.ts'
import { parseSettings, SettingsFile } from './settings-file.ts'

describe('flags', () => {
  test('the last word wins, the environment is the fall-back, nonsense is dropped', () => {
    const flags = parseFlags(['app', '--socket=/a', '--socket=/b', '--hidden', '--lang=zh-tw', '--inspect=0'], {
      PINTAIL_SOCKET: '/env',
    })
    expect(flags).toMatchObject({ socketPath: '/b', isHidden: true, language: 'zh-TW', destroyWindowAfterMs: 60_000 })
    expect(parseFlags([], { PINTAIL_SOCKET: '/env' }).socketPath).toBe('/env')
    expect(parseFlags(['--lang=xx', '--socket='], {})).toMatchObject({ language: undefined, socketPath: undefined })
  })
})

describe('settings file', () => {
  test('each unreadable part falls back alone', () => {
    const defaults = { language: 'system', theme: 'system', trayStyle: 'colour', whenClosed: 'ask', recentExits: [] }
    expect(parseSettings('{}')).toEqual(defaults)
    expect(parseSettings('{"theme":"dark","language":7,"window":{"width":"x"},"other":1}')).toEqual({
      ...defaults,
      theme: 'dark',
    })
    for (const text of ['', '[]', 'null', '{"theme":', '7']) expect(parseSettings(text)).toEqual(defaults)
  })

  test('written beside and renamed, read back', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pintail-settings-'))
    const path = join(folder, 'deep', 'settings.json')
    new SettingsFile(path).set({ theme: 'light', window: { width: 800, height: 600 } })
    expect(new SettingsFile(path).settings).toMatchObject({ theme: 'light', window: { width: 800, height: 600 } })
    expect(JSON.parse(readFileSync(path, 'utf8')).theme).toBe('light')
    writeFileSync(path, '\u0000')
    expect(new SettingsFile(path).settings.theme).toBe('system')
    rmSync(folder, { recursive: true })
  })
})

describe('bridge inputs', () => {
  test('every call has a schema; those without input take none', () => {
    for (const name of callNames) expect(callInputs[name].safeParse({ surprise: 1 }).success, name).toBe(false)
  })

  test.each([
    ['connection.set', { on: true }, true],
    ['connection.set', { on: 1 }, false],
    ['signIn.key', { controlUrl: '', key: 'k' }, true],
    ['signIn.key', { controlUrl: 'https://x', key: '' }, false],
    ['signIn.browser', { controlUrl: 'javascript:alert(1)' }, false],
    ['signIn.browser', { controlUrl: 'http://10.0.0.1:8080' }, true],
    ['device.ping', { id: 'n1', type: 'disco' }, true],
    ['device.ping', { id: 'n1', type: 'smoke' }, false],
    ['settings.set', { theme: 'dark' }, true],
    ['state.watch', undefined, true],
  ] as const)('%s %j → %s', (name, input, isTaken) => {
    expect(callInputs[name].safeParse(input).success).toBe(isTaken)
  })
})

test('only web pages open, in clear only when the server is', () => {
  expect(mayOpenSignIn('https://a.example/x', 'https://b')).toBeUndefined()
  expect(mayOpenSignIn('http://a.example/x', 'http://a.example')).toBeUndefined()
  for (const url of ['http://a.example/x', 'file:///etc/passwd', 'javascript:alert(1)', 'smb://x', '', 'x'])
    expect(mayOpenSignIn(url, 'https://b')?.code).toBe('not-allowed')
})

test('how a ping came', () => {
  const result: PingResult = {
    IP: '',
    NodeIP: '',
    NodeName: '',
    Err: '',
    LatencySeconds: 0.002,
    Endpoint: '',
    PeerRelay: '',
    DERPRegionID: 0,
    DERPRegionCode: '',
  }
  expect(pingAnswer({ ...result, Endpoint: '1.2.3.4:5' })).toEqual({
    latencyMs: 2,
    via: { kind: 'direct', endpoint: '1.2.3.4:5', relay: '' },
  })
  expect(pingAnswer({ ...result, DERPRegionID: 4, DERPRegionCode: 'fra' }).via).toEqual({
    kind: 'relay',
    endpoint: '',
    relay: 'fra',
  })
  expect(pingAnswer({ ...result, PeerRelay: 'x', Endpoint: 'y' }).via.kind).toBe('peer-relay')
  expect(pingAnswer({ ...result, IsLocalIP: true }).via.kind).toBe('here')
  expect(pingAnswer(result).via.kind).toBe('unknown')
})
