import { expect, test } from 'vitest'
import { ImpairedQueue, perfectLine } from './impairment.ts'

const frame = (n: number, length = 100) => new Uint8Array(length).fill(n)
/** A small seeded generator: the same dice in every run. */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
const drain = (queue: ImpairedQueue, now: number) => queue.due(now).map((bytes) => bytes[0])

test('a perfect line passes everything at once, in order', () => {
  const queue = new ImpairedQueue(perfectLine, dice(1))
  for (let n = 0; n < 5; n++) queue.put(frame(n), 0)
  expect(drain(queue, 0)).toEqual([0, 1, 2, 3, 4])
  expect(queue.nextDueMs()).toBeUndefined()
})

test('delay holds frames back exactly that long', () => {
  const queue = new ImpairedQueue({ ...perfectLine, delayMs: 20 }, dice(1))
  queue.put(frame(1), 100)
  expect(drain(queue, 119)).toEqual([])
  expect(queue.nextDueMs()).toBe(120)
  expect(drain(queue, 120)).toEqual([1])
})

test('jitter alone keeps the order; reordering does not', () => {
  const jittery = new ImpairedQueue({ ...perfectLine, delayMs: 20, jitterMs: 15 }, dice(2))
  for (let n = 0; n < 100; n++) jittery.put(frame(n), n)
  expect(drain(jittery, 1e9)).toEqual([...Array(100).keys()])
  const unruly = new ImpairedQueue({ ...perfectLine, delayMs: 20, reorderPercent: 20 }, dice(2))
  for (let n = 0; n < 100; n++) unruly.put(frame(n), n)
  expect(drain(unruly, 1e9)).not.toEqual([...Array(100).keys()])
})

test('loss and duplication happen about as often as asked', () => {
  const queue = new ImpairedQueue({ ...perfectLine, lossPercent: 10, duplicatePercent: 5 }, dice(3))
  for (let n = 0; n < 10_000; n++) queue.put(frame(1), 0)
  const out = queue.due(0).length
  expect(queue.counters.lost).toBeGreaterThan(850)
  expect(queue.counters.lost).toBeLessThan(1150)
  expect(out).toBe(queue.counters.out)
  expect(out).toBeGreaterThan(9_200)
  expect(out).toBeLessThan(9_700)
})

test('a rate spaces frames out and a full queue drops', () => {
  const queue = new ImpairedQueue({ ...perfectLine, rateMbit: 1, queueFrames: 10 }, dice(4))
  for (let n = 0; n < 50; n++) queue.put(frame(n, 1250), 0) // 10 ms each at 1 Mbit/s
  expect(queue.counters.overflow).toBeGreaterThan(30)
  expect(drain(queue, 10)).toEqual([0])
  expect(drain(queue, 30)).toEqual([1, 2])
})

test('packets over the size vanish, whatever else happens', () => {
  const queue = new ImpairedQueue({ ...perfectLine, maxPacketBytes: 1340 }, dice(5))
  queue.put(frame(1, 1340 + 14), 0)
  queue.put(frame(2, 1341 + 14), 0)
  expect(drain(queue, 0)).toEqual([1])
  expect(queue.counters.tooLarge).toBe(1)
})

test('a replay comes once more, later, and delays nothing', () => {
  const queue = new ImpairedQueue({ ...perfectLine, replayMs: 50 }, dice(1))
  queue.put(frame(1), 0)
  queue.put(frame(2), 10)
  expect(drain(queue, 10)).toEqual([1, 2])
  expect(drain(queue, 59)).toEqual([1])
  expect(drain(queue, 100)).toEqual([2])
})
