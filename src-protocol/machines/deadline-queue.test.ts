import { expect, test } from 'vitest'
import { DeadlineQueue } from './deadline-queue.ts'

test('earliest first; moved, removed, bounded', () => {
  const queue = new DeadlineQueue<string>()
  expect(queue.next()).toBe(undefined)
  queue.set('a', 30)
  queue.set('b', 10)
  queue.set('c', 20)
  expect([queue.next(), queue.size]).toEqual([10, 3])
  queue.set('b', 40)
  queue.set('a', 5)
  expect(queue.next()).toBe(5)
  queue.set('a', undefined)
  queue.set('c', Number.POSITIVE_INFINITY)
  queue.set('nobody', undefined)
  expect([queue.next(), queue.size]).toEqual([40, 1])
  expect(queue.takeDue(39, 9)).toEqual([])
  queue.set('a', 40)
  queue.set('c', 1)
  expect(queue.takeDue(40, 1)).toEqual(['c'])
  expect(queue.takeDue(40, 9).sort()).toEqual(['a', 'b'])
  expect([queue.next(), queue.size]).toEqual([undefined, 0])
})

test('agrees with a sorted list over random changes', () => {
  const seed = Date.now() % 2 ** 31
  let state = seed
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return Math.floor((state / 2 ** 31) * below)
  }
  const queue = new DeadlineQueue<number>()
  const plain = new Map<number, number>()
  for (let i = 0; i < 20_000; i++) {
    const item = random(300)
    const at = random(10_000)
    if (random(4) === 0) {
      queue.set(item, undefined)
      plain.delete(item)
    } else {
      queue.set(item, at)
      plain.set(item, at)
    }
    if (random(50) === 0) {
      const due = queue.takeDue(at, 1_000)
      const expected = [...plain].filter(([, deadline]) => deadline <= at)
      const deadlines = due.map((taken) => plain.get(taken)!)
      expect([seed, deadlines]).toEqual([seed, [...deadlines].sort((a, b) => a - b)])
      expect([seed, [...due].sort()]).toEqual([seed, expected.map(([taken]) => taken).sort()])
      for (const taken of due) plain.delete(taken)
    }
    const least = plain.size === 0 ? undefined : Math.min(...plain.values())
    if (queue.next() !== least || queue.size !== plain.size) throw new Error(`seed ${seed}, step ${i}`)
  }
})
