import { expect, test } from 'vitest'
import { Backoff } from './backoff.ts'

test('doubles up to the cap, never beyond it, and starts over after a success', () => {
  const backoff = new Backoff({ baseMs: 100, capMs: 5_000 })
  expect(Array.from({ length: 8 }, () => backoff.next(0.5))).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
  expect(backoff.next(0.999)).toBe(5_000)
  backoff.reset()
  expect(backoff.next(0)).toBe(50)
})
