import { expect, test } from 'vitest'
import { ReadyAnswers } from './ready-answers.ts'

/** A question of `name.length` more bytes than its header. */
function question(id: number, name: string): Uint8Array {
  return Uint8Array.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...new TextEncoder().encode(name)])
}

test('[DNS-14] the same words with another id get the same bytes with that id; other words, another transport: nothing', () => {
  const ready = new ReadyAnswers()
  ready.put(question(1, 'nas'), 'udp', Uint8Array.of(0, 1, 9, 9))
  expect(ready.get(question(0x1234, 'nas'), 'udp')).toEqual(Uint8Array.of(0x12, 0x34, 9, 9))
  expect(ready.get(question(2, 'naS'), 'udp')).toBe(undefined)
  expect(ready.get(question(2, 'na'), 'udp')).toBe(undefined)
  expect(ready.get(question(2, 'nas'), 'stream')).toBe(undefined)
  expect(ready.get(question(2, 'nas').subarray(0, 11), 'udp')).toBe(undefined)
})

test('[DNS-14] what is kept is a copy', () => {
  const ready = new ReadyAnswers()
  const answer = Uint8Array.of(0, 1, 9)
  ready.put(question(1, 'nas'), 'udp', answer)
  answer[2] = 7
  expect(ready.get(question(1, 'nas'), 'udp')?.[2]).toBe(9)
})

test('[DNS-14] bounded: long questions are not kept, and many different ones make room', () => {
  const ready = new ReadyAnswers()
  const long = question(1, 'x'.repeat(117))
  ready.put(long, 'udp', long)
  expect(ready.get(long, 'udp')).toBe(undefined)
  for (let i = 0; i < 10_000; i++) ready.put(question(0, `${i}`), 'udp', Uint8Array.of(0, 0))
  const kept = Array.from({ length: 10_000 }, (_, i) => ready.get(question(0, `${i}`), 'udp')).filter(Boolean)
  expect(kept.length).toBeGreaterThan(0)
  expect(kept.length).toBeLessThanOrEqual(256)
  ready.clear()
  expect(ready.get(question(0, '9999'), 'udp')).toBe(undefined)
})
