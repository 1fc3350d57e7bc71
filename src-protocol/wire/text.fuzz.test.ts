/** Text forms: addresses, prefixes, keys, hexadecimal, base64, UTF-8, JSON. */
import { expect, test } from 'vitest'
import { parseBase64, parseHex, toBase64, toHex } from './bytes.ts'
import { expectReason, expectStable, fuzz, mutate, mutateText } from './fuzz-kit.lab.ts'
import { ipPort, ipText, parseIp, parseIpPort, parsePrefix, prefixContains, prefixText } from './ip.ts'
import { parseJson, writeJson } from './json.ts'
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
} from './keys.ts'
import { parseUtf8, utf8 } from './text.ts'

const ADDRESSES = [
  '1.2.3.4',
  '255.255.255.255',
  '0.0.0.0',
  '::',
  '::1',
  'fd7a:115c:a1e0::1',
  '1:2:3:4:5:6:7:8',
  '1:0:0:2:0:0:0:3',
  '::ffff:1.2.3.4',
  '64:ff9b::192.0.2.1',
  'fe80::1%eth0',
]
const ADDRESS_ALPHABET = '0123456789abcdefABCDEF.:/[]% x-\u0000\u0660'

test('addresses, pairs, prefixes: one text for each value', () => {
  fuzz(
    60_000,
    (random) => mutateText(random, ADDRESSES, ADDRESS_ALPHABET),
    (text) => {
      expectStable(text, parseIp, ipText)
    },
  )
  const pairs = ADDRESSES.map((text) => (text.includes(':') ? `[${text}]:41641` : `${text}:1`))
  fuzz(
    40_000,
    (random) => mutateText(random, pairs, ADDRESS_ALPHABET),
    (text) => {
      expectStable(text, parseIpPort, ({ ip, port }) => ipPort(ip, port))
    },
  )
  const prefixes = ADDRESSES.flatMap((text) => [`${text}/0`, `${text}/17`, `${text}/32`, `${text}/128`])
  fuzz(
    40_000,
    (random) => mutateText(random, prefixes, ADDRESS_ALPHABET),
    (text) => {
      const parsed = parsePrefix(text)
      if (!parsed.ok) return expectReason(parsed.reason)
      const canonical = prefixText(parsed.value)
      const again = parsePrefix(canonical)
      if (!again.ok || prefixText(again.value) !== canonical) throw new Error(`${canonical} is not canonical`)
      if (!prefixContains(again.value, parsed.value.ip)) throw new Error('a prefix contains its own address')
    },
  )
})

test('random addresses survive', () => {
  fuzz(
    20_000,
    (random) => {
      const ip = random.bytes(random.pick([4, 16]))
      for (let zeros = random.below(12); zeros > 0; zeros--) ip[random.below(ip.length)] = 0
      return ip
    },
    (ip) => {
      const parsed = parseIp(ipText(ip))
      if (!parsed.ok || toHex(parsed.value) !== toHex(ip)) throw new Error(ipText(ip))
    },
  )
})

test('keys', () => {
  const raw = Uint8Array.from({ length: 32 }, (_, i) => i * 5)
  const kinds = [
    [parseNodeKey, nodeKeyText],
    [parseMachineKey, machineKeyText],
    [parseDiscoKey, discoKeyText],
    [parsePrivateKey, privateKeyText],
  ] as const
  const samples = kinds.map(([, encode]) => encode(raw) as string)
  fuzz(
    20_000,
    (random) => mutateText(random, samples, '0123456789abcdefABCDEFnodekeymkeydiscokeyprivkey: g'),
    (text) => {
      const taken = kinds.filter(([parse, encode]) => expectStable<Uint8Array, string>(text, parse, encode))
      if (taken.length > 1) throw new Error('one text, two kinds of key')
      isZeroKey(text)
    },
  )
})

test('hexadecimal and base64', () => {
  fuzz(
    20_000,
    (random) => mutateText(random, ['', '00ff', 'DEADbeef'], '0123456789abcdefABCDEFg \u0130'),
    (text) => {
      expectStable(text, parseHex, toHex)
    },
  )
  fuzz(
    20_000,
    (random) => mutateText(random, ['', 'AA==', 'AAA=', '+/+/', 'SGVsbG8='], 'AQgw+/=-_ \n\u2028'),
    (text) => {
      const parsed = parseBase64(text)
      if (!parsed.ok) return expectReason(parsed.reason)
      expect(toBase64(parsed.value)).toBe(text)
    },
  )
  fuzz(
    5_000,
    (random) => random.bytes(random.below(100)),
    (bytes) => {
      expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
      expect(parseBase64(toBase64(bytes))).toEqual({ ok: true, value: bytes })
    },
  )
})

test('UTF-8', () => {
  const samples = ['plain', 'naïve', '漢字', '😀', '\ufeffmark', 'a\u0000b'].map(utf8)
  fuzz(
    20_000,
    (random) => mutate(random, samples),
    (bytes) => {
      const parsed = parseUtf8(bytes)
      if (parsed.ok) expect(toHex(utf8(parsed.value))).toBe(toHex(bytes))
      else expectReason(parsed.reason)
    },
  )
})

test('JSON: what parses is written and read back the same', () => {
  const samples = [
    '{"ID":9007199254740993,"Name":"a","List":[1,-2,3.5e10,null,true]}',
    '[18446744073709551615,-9223372036854775808,0,-0,1e400]',
    '"\\u0000\\ud83d\\ude00 9007199254740993"',
    '{"__proto__":{"a":1},"constructor":2}',
    '[[[[{}]]]]',
  ]
  let parsed = 0
  fuzz(
    40_000,
    (random) => mutateText(random, samples, '0123456789{}[]",:.eE+-\\untfalse \u2028'),
    (text) => {
      const value = parseJson(text)
      if (!value.ok) return expectReason(value.reason)
      parsed++
      const written = writeJson(value.value)
      const again = parseJson(written)
      if (!again.ok || writeJson(again.value) !== written) throw new Error(written)
    },
  )
  expect(parsed).toBeGreaterThan(1_000)
  expect(({} as { a?: number }).a).toBe(undefined)
})

test('JSON: depth and size that would break a parser are a refusal', () => {
  const deep = 200_000
  for (const text of ['['.repeat(deep), '{"a":'.repeat(deep), `${'['.repeat(deep)}${']'.repeat(deep)}`]) {
    const value = parseJson(text)
    if (!value.ok) expectReason(value.reason)
  }
})
