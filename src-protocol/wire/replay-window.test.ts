import { describe, expect, test } from 'vitest'
import { REPLAY_WINDOW, ReplayWindow } from './replay-window.ts'

const LAST = Number.MAX_SAFE_INTEGER

function windowAfter(...counters: number[]): ReplayWindow {
  const window = new ReplayWindow()
  for (const counter of counters) window.accept(counter)
  return window
}

describe('[WG-5.1] replay window', () => {
  test('each counter once, in order', () => {
    const window = new ReplayWindow()
    for (let counter = 0; counter < 3 * 8192; counter++) {
      expect(window.accept(counter)).toBe(true)
      expect(window.accept(counter)).toBe(false)
    }
  })
  test('counter 0 first, later, and twice', () => {
    expect(windowAfter().accept(0)).toBe(true)
    expect(windowAfter(0).accept(0)).toBe(false)
    expect(windowAfter(5).accept(0)).toBe(true)
    expect(windowAfter(5, 0).accept(0)).toBe(false)
  })
  test('8128 behind the newest is in, 8129 is out', () => {
    expect(REPLAY_WINDOW).toBe(8128)
    for (const newest of [8128, 8129, 8191, 8192, 8193, 100_000, 2 ** 32, 2 ** 32 + 31, LAST]) {
      const window = windowAfter(newest)
      expect(window.take(newest - 8128).ok).toBe(true)
      expect(window.take(newest - 8128)).toEqual({ ok: false, reason: 'replay-seen' })
      if (newest > 8128) expect(window.take(newest - 8129)).toEqual({ ok: false, reason: 'replay-old' })
    }
  })
  test('backwards through the whole window', () => {
    const window = windowAfter(20_000)
    for (let counter = 19_999; counter >= 20_000 - 8128; counter--) expect(window.accept(counter)).toBe(true)
    for (let counter = 20_000; counter >= 20_000 - 8128; counter--) expect(window.accept(counter)).toBe(false)
    expect(window.accept(20_000 - 8129)).toBe(false)
  })
  test('what was seen stays seen when the window moves on within itself', () => {
    for (const step of [1, 31, 32, 33, 63, 64, 65, 4096, 8127, 8128]) {
      const window = windowAfter(10_000)
      expect(window.accept(10_000 + step)).toBe(true)
      expect(window.take(10_000)).toEqual({ ok: false, reason: 'replay-seen' })
    }
  })
  test('a jump past the window forgets everything behind, and old bits do not shine through', () => {
    for (const jump of [8129, 8159, 8160, 8191, 8192, 8193, 16_384, 16_385, 1_000_000, 2 ** 40]) {
      const window = new ReplayWindow()
      for (let counter = 0; counter <= 9_000; counter++) window.accept(counter)
      const newest = 9_000 + jump
      expect(window.accept(newest)).toBe(true)
      expect(window.take(9_000).ok).toBe(false)
      for (let counter = newest - 8128; counter < newest; counter++) {
        expect(window.accept(counter)).toBe(counter > 9_000)
      }
    }
  })
  test('edges of the number range', () => {
    const window = windowAfter()
    for (const counter of [-1, -0.5, 1.5, LAST + 1, 2 ** 64, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(window.take(counter)).toEqual({ ok: false, reason: 'counter-range' })
    }
    expect(window.accept(0)).toBe(true) // and none of them moved the window
    expect(windowAfter(LAST).accept(LAST)).toBe(false)
    expect(windowAfter(LAST - 1).accept(LAST)).toBe(true)
  })
  test('agrees with a set of everything seen, over random reordering, loss and duplicates', () => {
    const seed = Date.now() % 2 ** 31
    let state = seed
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      return Math.floor((state / 2 ** 31) * below)
    }
    const window = new ReplayWindow()
    const seen = new Set<number>()
    let newest = 0
    for (let i = 0; i < 200_000; i++) {
      const kind = random(1000)
      const counter =
        kind === 0 ? newest + random(30_000) : kind < 600 ? newest + random(8) : Math.max(0, newest - random(9_000))
      newest = Math.max(newest, counter)
      const expected = !seen.has(counter) && newest - counter <= 8128
      if (window.accept(counter) !== expected) throw new Error(`seed ${seed}, step ${i}, counter ${counter}`)
      if (expected) seen.add(counter)
    }
  })
})
