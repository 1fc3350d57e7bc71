import { expect, test } from 'vitest'
import { isFinal, QUEUE_EXPIRY_MS, type QueuedFile, retryAfterMs, stepQueue } from './queue.ts'

const NOW = 1_000_000_000_000
const file = (id: string, change: Partial<QueuedFile> = {}): QueuedFile => ({
  ...{ id, peer: 'n2', createdMs: NOW, attempts: 0, triedMs: 0, isSending: false },
  ...change,
})
const online = (nowMs = NOW) => ({ nowMs, isOnline: () => true })

test('[TD-9] goes at once to a device that is there, two at a time, in order', () => {
  const files = [file('a'), file('b'), file('c'), file('d', { peer: 'n3' })]
  expect(stepQueue(files, online()).start).toEqual(['a', 'b', 'd'])
  expect(stepQueue([file('a', { isSending: true }), file('b'), file('c')], online()).start).toEqual(['b'])
})

test('[TD-9] waits for one that is offline or gone, and wakes only to give up', () => {
  for (const state of [false, undefined])
    expect(stepQueue([file('a')], { nowMs: NOW, isOnline: () => state })).toEqual({
      start: [],
      expired: [],
      wakeAtMs: NOW + QUEUE_EXPIRY_MS,
    })
})

test('[TD-9] tries again later and later', () => {
  expect([1, 2, 3, 7, 100].map(retryAfterMs)).toEqual([15_000, 30_000, 60_000, 600_000, 600_000])
  const tried = file('a', { attempts: 2, triedMs: NOW })
  expect(stepQueue([tried], online(NOW + 29_999))).toMatchObject({ start: [], wakeAtMs: NOW + 30_000 })
  expect(stepQueue([tried], online(NOW + 30_000)).start).toEqual(['a'])
})

test('[TD-9] expires after a week, though not in the midst of being sent', () => {
  const old = { createdMs: NOW - QUEUE_EXPIRY_MS }
  expect(stepQueue([file('a', old), file('b', { ...old, isSending: true })], online()).expired).toEqual(['a'])
})

test('[TD-9] a clock that was set back: no file waits for ever, none is tried never again', () => {
  expect(stepQueue([file('a', { createdMs: NOW + QUEUE_EXPIRY_MS + 1 })], online()).expired).toEqual(['a'])
  const tried = file('a', { createdMs: NOW + 1000, attempts: 1, triedMs: NOW + 1e9 })
  expect(stepQueue([tried], online()).wakeAtMs).toBe(NOW + 15_000)
})

test('[TD-9] which answers of the peer are its last', () => {
  expect([200, 400, 403, 404].every(isFinal)).toBe(true)
  expect([409, 416, 500, 502, 507].some(isFinal)).toBe(false)
})
