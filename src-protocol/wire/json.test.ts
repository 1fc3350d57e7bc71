import { describe, expect, test } from 'vitest'
import { isJsonObject, parseJson, writeJson } from './json.ts'
import { Secret } from './keys.ts'

describe('exact JSON', () => {
  test('[CTL-1.2] integers beyond 2^53 are exact, the others stay numbers', () => {
    const text =
      '{"ID":9223372036854775807,"n":[-9007199254740993,9007199254740991,1e300,1.5],"s":"9223372036854775807"}'
    const parsed = parseJson(text)
    expect(parsed).toEqual({
      ok: true,
      value: {
        ID: 9223372036854775807n,
        n: [-9007199254740993n, 9007199254740991, 1e300, 1.5],
        s: '9223372036854775807',
      },
    })
    if (parsed.ok) expect(writeJson(parsed.value)).toBe(text.replace('1e300', '1e+300'))
  })
  test('[CTL-1.2] wherever the integer stands', () => {
    const big = 9223372036854775807n
    for (const [text, value] of [
      ['9223372036854775807', big],
      ['-9223372036854775807', -big],
      ['[1,9223372036854775807]', [1, big]],
      ['{"a": 9223372036854775807 }', { a: big }],
      ['{"a":\n9223372036854775807\n}', { a: big }],
      ['{"a":[[9223372036854775807]]}', { a: [[big]] }],
      ['"9223372036854775807"', '9223372036854775807'],
    ] as const) {
      expect(parseJson(text)).toEqual({ ok: true, value })
    }
  })
  test('[CTL-1.2] long fractions are ordinary numbers', () => {
    expect(parseJson('[0.1234567890123456]')).toEqual({ ok: true, value: [0.1234567890123456] })
  })
  test('written forms', () => {
    expect(writeJson({ a: [1n, { b: 2n }], c: undefined })).toBe('{"a":[1,{"b":2}]}')
    expect(writeJson({ a: 1n }, '  ')).toBe('{\n  "a": 1\n}')
    expect(writeJson(undefined)).toBe('null')
    expect(writeJson({ key: new Secret(Uint8Array.of(1)) })).toBe('{"key":"[secret]"}')
  })
  test('what is no JSON is refused', () => {
    for (const text of ['', '{', '{"a":}', "{'a':1}", '[1,]', 'undefined', '1 2', '{"a":99999999999999999999']) {
      expect(parseJson(text)).toEqual({ ok: false, reason: 'json' })
    }
  })
  test('depth beyond any stack is an answer, not a crash', () => {
    const deep = '['.repeat(200_000)
    expect(parseJson(deep).ok).toBe(false)
    expect(parseJson(`{"id":99999999999999999999,"x":${deep}${']'.repeat(200_000)}}`).ok).toBe(false)
  })
  test('__proto__ is a member like any other', () => {
    for (const id of ['1', '9223372036854775807']) {
      const parsed = parseJson(`{"__proto__":{"admin":true},"id":${id}}`)
      if (!parsed.ok) throw new Error(parsed.reason)
      expect((parsed.value as { admin?: boolean }).admin).toBeUndefined()
    }
  })
  test('objects are neither null nor lists', () => {
    expect([{}, [], null, 'x', 1].map(isJsonObject)).toEqual([true, false, false, false, false])
  })
})
