import { expect, test } from 'vitest'
import { fromHex, toHex } from './bytes.ts'
import { displayText, parseUtf8, utf8 } from './text.ts'

test('round trip, byte order mark included', () => {
  for (const text of ['', 'abc', '網路', '\u{1f426}', '\uFEFFx', 'a\0b']) {
    expect(parseUtf8(utf8(text))).toEqual({ ok: true, value: text })
  }
})
test('lone surrogates become U+FFFD', () => {
  expect(toHex(utf8('\ud800'))).toBe('efbfbd')
})
test('invalid sequences are refused: overlong, cut, surrogate, stray continuation', () => {
  for (const hex of ['c080', 'e7b6', 'eda080', '80', 'f8808080', 'ff']) {
    expect(parseUtf8(fromHex(hex))).toEqual({ ok: false, reason: 'utf8' })
  }
})
test('text to show survives anything', () => {
  expect(displayText(fromHex('41ff42'), 10)).toBe('A\ufffdB')
  expect(displayText(utf8('abcdef'), 3)).toBe('abc')
})
