import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { NodeKeyText } from '../../src-contract/ids.ts'
import { fromHex } from './bytes.ts'
import {
  discoKeyText,
  isZeroKey,
  machineKeyText,
  nodeKeyText,
  parseDiscoKey,
  parseMachineKey,
  parseNodeKey,
  parsePrivateKey,
  privateKeyText,
  Secret,
  shortDiscoKey,
  shortNodeKey,
  ZERO_DISCO_KEY,
  ZERO_MACHINE_KEY,
  ZERO_NODE_KEY,
} from './keys.ts'

const hex = 'd89e3bad79437dbed9f843418304f460ff05c7fe81fe4a9577a804cb9367ff66'
const raw = fromHex(hex)

describe('key texts', () => {
  test('[CTL-1.1] prefix and lower-case digits, both cases read', () => {
    const kinds = [
      ['nodekey:', nodeKeyText, parseNodeKey],
      ['mkey:', machineKeyText, parseMachineKey],
      ['discokey:', discoKeyText, parseDiscoKey],
      ['privkey:', privateKeyText, parsePrivateKey],
    ] as const
    for (const [prefix, write, parse] of kinds) {
      expect(write(raw)).toBe(prefix + hex)
      expect(parse(prefix + hex)).toEqual({ ok: true, value: raw })
      expect(parse(prefix + hex.toUpperCase())).toEqual({ ok: true, value: raw })
      for (let i = 0; i < prefix.length + hex.length; i++) expect(parse((prefix + hex).slice(0, i)).ok).toBe(false)
      expect(parse(`${prefix + hex}00`).ok).toBe(false)
      expect(parse(`other:${hex}`).ok).toBe(false)
      expect(parse(`${prefix}${hex.slice(0, -1)}g`).ok).toBe(false)
      expect(parse(undefined as unknown as string).ok).toBe(false)
      expect(() => write(raw.subarray(1))).toThrow(RangeError)
    }
  })
  test('[CTL-1.1] the zero key is none', () => {
    for (const zero of [ZERO_NODE_KEY, ZERO_DISCO_KEY, ZERO_MACHINE_KEY, undefined]) expect(isZeroKey(zero)).toBe(true)
    expect(isZeroKey(nodeKeyText(raw))).toBe(false)
    expect(parseNodeKey(ZERO_NODE_KEY).ok).toBe(true)
  })
  test('short forms', () => {
    expect(shortNodeKey(nodeKeyText(raw))).toBe('[2J47r]')
    expect(shortNodeKey(raw)).toBe('[2J47r]')
    expect(shortNodeKey(ZERO_NODE_KEY)).toBe('[-]')
    expect(shortNodeKey('junk' as NodeKeyText)).toBe('[-]')
    expect(shortDiscoKey(discoKeyText(raw))).toBe('d:d89e3bad79437dbe')
  })
})

test('[CTL-3.8] a secret does not print', () => {
  const secret = new Secret(raw)
  expect(secret.expose()).toBe(raw)
  const printed = [`${secret}`, JSON.stringify({ secret }), inspect(secret), inspect({ secret }), String([secret])]
  for (const text of printed) expect(text).toContain('[secret]')
  expect(printed.join()).not.toContain('d8')
})
