import { expect, test } from 'vitest'
import { toHex } from '../../wire/bytes.ts'
import { createTimestamp, isAfter } from './timestamp.ts'

const MS = 1_700_000_000_000

test('[WG-1.10] known answer; sub-millisecond clocks and the low 24 bits', () => {
  expect(toHex(createTimestamp(MS + 123.456, undefined))).toBe('400000006553f10a07000000')
  expect(toHex(createTimestamp(MS + 123.999, undefined))).toBe('400000006553f10a07000000')
  expect(toHex(createTimestamp(0, undefined))).toBe('400000000000000a00000000')
  expect(toHex(createTimestamp(-5, undefined))).toBe('400000000000000a00000000')
  for (let ms = 0; ms < 1000; ms += 7) {
    expect(toHex(createTimestamp(MS + ms, undefined)).slice(-6)).toBe('000000')
  }
})
test('[WG-1.10] seconds past 2^32, and carrying into the high word', () => {
  expect(toHex(createTimestamp(2 ** 32 * 1000, undefined))).toBe('400000010000000a00000000')
  expect(toHex(createTimestamp((2 ** 32 - 5) * 1000, undefined))).toBe('400000010000000500000000')
})
test('[WG-1.10] rises though the clock stands or steps back', () => {
  let last = createTimestamp(MS, undefined)
  for (let i = 0; i < 200; i++) {
    const next = createTimestamp(MS - i * 1000, last)
    expect(isAfter(next, last)).toBe(true)
    last = next
  }
  // 60 ticks make a second; the nanoseconds stay below 10^9
  expect(toHex(last)).toBe('400000006553f10d14000000')
  expect(toHex(createTimestamp(MS + 60_000, last))).toBe('400000006553f14600000000')
})
test('[WG-1.6] order', () => {
  const a = createTimestamp(MS, undefined)
  expect(isAfter(a, a)).toBe(false)
  expect(isAfter(createTimestamp(MS + 17, undefined), a)).toBe(true)
  expect(isAfter(a, createTimestamp(MS + 17, undefined))).toBe(false)
  expect(isAfter(createTimestamp(MS + 1000, undefined), createTimestamp(MS + 999, undefined))).toBe(true)
})
