import { expect, test } from 'vitest'
import { ControlRetry } from './control-retry.ts'

test('[CTL-6.2] n² · 10 ms up to 30 s, spread by half', () => {
  const retry = new ControlRetry()
  expect([retry.next(0.5), retry.next(0.5), retry.next(0), retry.next(1)]).toEqual([10, 40, 45, 240])
  for (let i = 0; i < 100; i++) retry.next(0.5)
  expect([retry.next(0), retry.next(0.5), retry.next(1)]).toEqual([15_000, 30_000, 45_000])
  retry.reset()
  expect(retry.next(0.5)).toBe(10)
})
