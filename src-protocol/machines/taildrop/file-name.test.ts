import fc from 'fast-check'
import { expect, test } from 'vitest'
import { escapeName, nameOfPartial, numberedName, parseEscapedName, parseFileName, partialName } from './file-name.ts'

const digest = (text: string) => `${text.length}`.padStart(64, '0')

test.each([
  'a',
  '.bashrc',
  '..x',
  'a b.txt',
  'naïve ünïcode 日本語.txt',
  'e\u0301.txt',
  '👩‍🚀'.replace('\u200d', ''),
  "it's #1 (100%) & more; really?.txt",
  '-rf',
  'CON',
  'x'.repeat(255),
])('[TD-1] %j is a name', (name) => {
  expect(parseFileName(name)).toEqual({ ok: true, value: name })
  expect(parseEscapedName(escapeName(name))).toEqual({ ok: true, value: name })
})

test.each([
  ['', 'empty'],
  ['.', 'empty'],
  ['..', 'empty'],
  ['../x', 'forbidden-character'],
  ['/etc/passwd', 'forbidden-character'],
  ['a\\b', 'forbidden-character'],
  ['C:x', 'forbidden-character'],
  ['a*', 'forbidden-character'],
  ['a"b', 'forbidden-character'],
  ['a<b', 'forbidden-character'],
  ['a|b', 'forbidden-character'],
  [' a', 'blank-around'],
  ['a\u00a0', 'blank-around'],
  ['a\n', 'blank-around'],
  ['a\0b', 'not-graphic'],
  ['a\u001b[2Jb', 'not-graphic'],
  ['gpj\u202e.exe', 'not-graphic'],
  ['a\u200bb', 'not-graphic'],
  ['a\ue000b', 'not-graphic'],
  ['\ud800', 'not-utf8'],
  ['x.partial', 'reserved-ending'],
  ['x.deleted', 'reserved-ending'],
  ['x'.repeat(256), 'too-long'],
  ['é'.repeat(128), 'too-long'],
])('[TD-1] %j is none: %s', (name, reason) => {
  expect(parseFileName(name)).toEqual({ ok: false, reason })
})

test.each(['%', '%zz', '%ff', 'a%2Fb', 'a%5cb', '%2e%2e', 'a%00'])('[TD-1] escaped %s is none', (escaped) => {
  expect(parseEscapedName(escaped).ok).toBe(false)
})

test('[TD-3] the part of a file: its own for each sender, and never too long', () => {
  expect(partialName('a.txt', 'nABC', digest)).toBe('a.txt.nABC.partial')
  expect(nameOfPartial('a.txt.nABC.partial', 'nABC')).toBe('a.txt')
  expect(nameOfPartial('a.txt.nABC.partial', 'nABD')).toBeUndefined()
  expect(partialName('x'.repeat(250), 'n1', digest)).toBe(`${'0'.repeat(32)}.n1.partial`)
  expect(partialName('a', '../../etc', digest)).toBe('a.______etc.partial')
  expect(nameOfPartial('.n1.partial', 'n1')).toBeUndefined()
})

test.each([
  ['a.txt', 'a (2).txt'],
  ['a.tar.gz', 'a (2).tar.gz'],
  ['report v1.2', 'report v1.2 (2)'],
  ['backup.2024.zip', 'backup.2024 (2).zip'],
  ['a.verylongending', 'a.verylongending (2)'],
  ['.bashrc', '.bashrc (2)'],
  ['.config.json', '.config (2).json'],
  ['noending', 'noending (2)'],
  ['song.mp3', 'song (2).mp3'],
])('[TD-5] %s, taken: %s', (name, expected) => {
  expect(numberedName(name, 0)).toBe(name)
  expect(numberedName(name, 2)).toBe(expected)
})

test('[TD-1] whatever comes, a name that passes stays in its folder, and so do its other names', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.integer({ min: 0, max: 10 }), (text, number) => {
      const parsed = parseFileName(text)
      if (!parsed.ok) return
      for (const name of [numberedName(text, number), partialName(text, text, digest)]) {
        expect(name).not.toMatch(/[/\\\0]/)
        expect(['', '.', '..']).not.toContain(name)
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255)
      }
      expect(parseFileName(numberedName(text, number)).ok).toBe(true)
    }),
  )
})
