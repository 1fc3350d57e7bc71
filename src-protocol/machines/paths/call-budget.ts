/** How many calls (call-me-maybe) of one peer are followed: a few at once, then one each interval. Each costs us many pings. */
import type { Ms } from '../../../src-contract/ids.ts'
import { CALL_INTERVAL_MS, CALLS_AT_ONCE } from './constants.ts'

export class CallBudget {
  #left = CALLS_AT_ONCE
  /** As of then. */
  #atMs: Ms = 0

  take(now: Ms): boolean {
    const calls = Math.min(CALLS_AT_ONCE, this.#left + (now - this.#atMs) / CALL_INTERVAL_MS)
    this.#left = calls >= 1 ? calls - 1 : calls
    this.#atMs = now
    return calls >= 1
  }
}
