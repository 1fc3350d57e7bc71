import { expect, test } from 'vitest'
import { BLOCK_BYTES, decodeBlock, encodeBlock, parseRange } from './block-hashes.ts'

const sha256Hex = 'ab'.repeat(32)

test('[TD-4] a block as it goes over the wire', () => {
  expect(encodeBlock({ sha256Hex, size: BLOCK_BYTES })).toBe(
    `{"checksum":"${sha256Hex}","algo":"sha256","size":65536}\n`,
  )
  expect(decodeBlock(encodeBlock({ sha256Hex, size: 1 }))).toEqual({ ok: true, value: { sha256Hex, size: 1 } })
})

test.each([
  ['{', 'not-json'],
  ['[]', 'unknown-algorithm'],
  ['null', 'not-an-object'],
  ['7', 'not-an-object'],
  [`{"checksum":"${sha256Hex}","algo":"md5","size":1}`, 'unknown-algorithm'],
  [`{"checksum":"${sha256Hex.slice(1)}","algo":"sha256","size":1}`, 'bad-checksum'],
  [`{"checksum":"${sha256Hex}","algo":"sha256","size":0}`, 'bad-size'],
  [`{"checksum":"${sha256Hex}","algo":"sha256","size":65537}`, 'bad-size'],
  [`{"checksum":"${sha256Hex}","algo":"sha256","size":1.5}`, 'bad-size'],
  [`{"checksum":"${sha256Hex}","algo":"sha256","size":"1"}`, 'bad-size'],
  [`${' '.repeat(600)}{}`, 'too-long'],
])('[TD-4] %s is none: %s', (line, reason) => {
  expect(decodeBlock(line)).toEqual({ ok: false, reason })
})

test('[TD-4] ranges: open-ended ones from a place that exists', () => {
  expect([undefined, '', 'bytes=0-', 'bytes=65536-', 'bytes=9007199254740-'].map((text) => parseRange(text))).toEqual(
    [0, 0, 0, 65536, 9007199254740].map((value) => ({ ok: true, value })),
  )
  for (const text of [
    'bytes=1-2',
    'bytes=-5',
    'bytes=1-,3-',
    'bytes=',
    'bytes=9999999999999999-',
    'x=1-',
    'bytes=1e3-',
  ])
    expect(parseRange(text), text).toEqual({ ok: false, reason: 'bad-range' })
})
