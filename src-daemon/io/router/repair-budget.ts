/**
 * How often we put back what somebody else takes away: a burst, then now and then, so that two programs that disagree
 * do not keep the machine busy. Pure. [docs/rules/router.md RT-3]
 */
import type { Ms } from '../../../src-contract/ids.ts'

export const REPAIR_BURST = 10
export const REPAIR_EVERY_MS = 5_000

export class RepairBudget {
  #left = REPAIR_BURST
  #filledAt: Ms

  constructor(now: Ms) {
    this.#filledAt = now
  }

  /** 0 = now, and it is counted; else how long to wait before asking again. */
  take(now: Ms): Ms {
    const earned = Math.floor((now - this.#filledAt) / REPAIR_EVERY_MS)
    this.#left = Math.min(REPAIR_BURST, this.#left + earned)
    this.#filledAt += earned * REPAIR_EVERY_MS
    if (this.#left === 0) return this.#filledAt + REPAIR_EVERY_MS - now
    this.#left--
    return 0
  }
}
