/**
 * How long a control client waits after n failures in a row: n² · 10 ms, at most 30 s, times 0.5 to 1.5. It is quick at
 * first, because most failures are a server that restarts.                                  [control.md §6.1; CTL-6.2]
 */
import type { Ms } from '../../src-contract/ids.ts'
import type { Retry } from './login.ts'

const STEP_MS = 10
const MAX_MS = 30_000

export class ControlRetry implements Retry {
  #failures = 0
  next(random01: number): Ms {
    this.#failures++
    return Math.min(this.#failures ** 2 * STEP_MS, MAX_MS) * (0.5 + random01)
  }
  reset(): void {
    this.#failures = 0
  }
}
