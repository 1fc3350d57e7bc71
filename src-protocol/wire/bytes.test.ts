import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, equalBytes, fromHex, isAllZero, parseBase64, parseHex, toBase64, toHex, viewOf } from './bytes.ts'

const bytes = fc.uint8Array({ maxLength: 100 })

describe('hexadecimal', () => {
  test('both cases are read, lower case is written', () => {
    expect(parseHex('00fF')).toEqual({ ok: true, value: Uint8Array.of(0, 255) })
    expect(toHex(Uint8Array.of(0, 10, 255))).toBe('000aff')
    expect(toHex(fromHex('dead beef\n01'))).toBe('deadbeef01')
  })
  test('odd lengths and other characters are refused', () => {
    for (const text of ['0', '0g', ' 00', '0x', '٠٠', '00 ', '-1']) expect(parseHex(text).ok, text).toBe(false)
    expect(() => fromHex('0')).toThrow(TypeError)
  })
  test('round trip', () => {
    fc.assert(fc.property(bytes, (b) => equalBytes(fromHex(toHex(b)), b)))
  })
})

describe('base64', () => {
  test('RFC 4648 §10', () => {
    const texts = ['', 'Zg==', 'Zm8=', 'Zm9v', 'Zm9vYg==', 'Zm9vYmE=', 'Zm9vYmFy']
    for (const [i, text] of texts.entries()) {
      const raw = new TextEncoder().encode('foobar'.slice(0, i))
      expect(toBase64(raw)).toBe(text)
      expect(parseBase64(text)).toEqual({ ok: true, value: raw })
    }
  })
  test('same as Node for everything', () => {
    fc.assert(
      fc.property(bytes, (b) => {
        expect(toBase64(b)).toBe(Buffer.from(b).toString('base64'))
        expect(parseBase64(toBase64(b))).toEqual({ ok: true, value: Uint8Array.from(b) })
      }),
    )
  })
  test('other alphabets, missing or inner padding and stray bits are refused', () => {
    for (const text of ['Zg', 'Zg=', 'Zg===', 'Z===', '====', 'Zh==', 'Zm9=', 'Zm-_', 'Z=9v', 'Zm9v\n', 'Zm9é']) {
      expect(parseBase64(text).ok, text).toBe(false)
    }
  })
})

test('concat, compare, zero, views of slices', () => {
  const whole = concat(Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3, 4))
  expect(whole).toEqual(Uint8Array.of(1, 2, 3, 4))
  expect(equalBytes(whole, Uint8Array.of(1, 2, 3, 5))).toBe(false)
  expect(equalBytes(whole, whole.subarray(1))).toBe(false)
  expect(isAllZero(new Uint8Array(3))).toBe(true)
  expect(isAllZero(Uint8Array.of(0, 1))).toBe(false)
  expect(viewOf(whole.subarray(1, 3)).getUint16(0)).toBe(0x0203)
})
