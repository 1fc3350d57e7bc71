import { describe, expect, test } from 'vitest'
import { emptyPlan } from './plan.ts'
import { CHECK_EVERY_MS, checkDomain, FIRST_AFTER_MS, type LookUp, PATIENCE_MS, SystemCheck } from './system-check.ts'

/** A system that asks us or somebody else, on a clock that jumps. */
class World {
  now = 0
  labels = 0
  asked: { readonly atMs: number; readonly name: string }[] = []
  readonly check = new SystemCheck({ randomLabel: () => `${++this.labels}` })
  /** `hangs`: the other one says nothing for a minute. */
  system: 'asks us' | 'asks others' | 'hangs' = 'asks us'
  #ends: { readonly atMs: number; readonly lookUp: LookUp }[] = []

  runUntil(untilMs: number): void {
    for (;;) {
      const next = Math.min(this.check.nextWake() ?? Number.POSITIVE_INFINITY, ...this.#ends.map(({ atMs }) => atMs))
      if (next > untilMs) break
      this.now = Math.max(this.now, next)
      for (const { lookUp } of this.#ends.filter(({ atMs }) => atMs <= this.now)) this.check.handleEnd(lookUp, this.now)
      this.#ends = this.#ends.filter(({ atMs }) => atMs > this.now)
      const lookUp = this.check.wake(this.now)
      if (lookUp === undefined) continue
      this.asked.push({ atMs: this.now, name: lookUp.name })
      if (this.system === 'asks us') this.check.handleQuestion(lookUp.name.slice(0, -1), this.now + 1)
      this.#ends.push({ atMs: this.now + (this.system === 'hangs' ? 60_000 : 5), lookUp })
    }
    this.now = untilMs
  }
}

describe('[DNS-15] does the system ask us', () => {
  test('it does: known after a second, looked at every five minutes, each time by another name', () => {
    const world = new World()
    world.check.follow('tail.example', 0)
    expect(world.check.verdict).toBe('unknown')
    world.runUntil(CHECK_EVERY_MS * 2)
    expect(world.check.verdict).toBe('asks us')
    expect(world.asked).toEqual([
      { atMs: FIRST_AFTER_MS, name: 'check-1.tail.example.' },
      { atMs: FIRST_AFTER_MS + 1 + CHECK_EVERY_MS, name: 'check-2.tail.example.' },
    ])
  })
  test('it asks others: told after the second time, asked again ever more rarely, and mended by itself', () => {
    const world = new World()
    world.system = 'asks others'
    world.check.follow('tail.example', 0)
    world.runUntil(2_000)
    expect([world.asked.length, world.check.verdict]).toEqual([1, 'unknown'])
    world.runUntil(5_000)
    expect([world.asked.length, world.check.verdict]).toEqual([2, 'asks others'])
    world.runUntil(3_600_000)
    expect(world.asked.length).toBeLessThan(40)
    world.system = 'asks us'
    world.runUntil(3_600_000 + 121_000)
    expect(world.check.verdict).toBe('asks us')
  })
  test('the other one says nothing: no longer waited for than need be, and never two look-ups at once', () => {
    const world = new World()
    world.system = 'hangs'
    world.check.follow('tail.example', 0)
    world.runUntil(FIRST_AFTER_MS + PATIENCE_MS + 40_000)
    expect([world.asked.length, world.check.verdict]).toEqual([1, 'unknown'])
    world.runUntil(200_000)
    expect(world.check.verdict).toBe('asks others')
    for (const [i, { atMs }] of world.asked.entries())
      if (i > 0) expect(atMs - world.asked[i - 1]!.atMs).toBeGreaterThan(59_000)
  })
  test('a change asks soon, keeps what was known, and one failure after it says nothing', () => {
    const world = new World()
    world.check.follow('tail.example', 0)
    world.runUntil(60_000)
    world.system = 'asks others'
    world.check.again(60_000)
    world.runUntil(62_000)
    expect([world.asked.length, world.check.verdict]).toEqual([2, 'asks us'])
    world.system = 'asks us'
    world.runUntil(70_000)
    expect([world.asked.length, world.check.verdict]).toEqual([3, 'asks us'])
  })
  test('another domain, or none: nothing is known, and nothing is asked', () => {
    const world = new World()
    world.check.follow('tail.example', 0)
    world.runUntil(60_000)
    world.check.follow(undefined, 60_000)
    expect([world.check.verdict, world.check.nextWake()]).toEqual(['unknown', undefined])
    world.runUntil(3_600_000)
    expect(world.asked).toHaveLength(1)
  })
  test('another question, or the end of an older look-up, is no answer', () => {
    const check = new SystemCheck({ randomLabel: () => 'x' })
    check.follow('tail.example', 0)
    const lookUp = check.wake(FIRST_AFTER_MS)!
    check.handleQuestion('nas.tail.example', 2_000)
    expect([check.verdict, check.isWaiting]).toEqual(['unknown', true])
    check.follow('other.example', 2_000)
    check.handleEnd(lookUp, 2_500)
    expect(check.wake(3_000)).toEqual({ domain: 'other.example', name: 'check-x.other.example.' })
  })
})

test('[DNS-15] asked for below the domain of short names, else any of ours, never a reverse zone', () => {
  const plan = { ...emptyPlan, localDomains: new Set(['64.100.in-addr.arpa', 'z.example', 'b.example']) }
  expect(checkDomain({ ...plan, searchDomains: ['old.example', 'z.example'] })).toBe('z.example')
  expect(checkDomain(plan)).toBe('b.example')
  expect(checkDomain({ ...plan, localDomains: new Set(['64.100.in-addr.arpa']) })).toBe(undefined)
})
