/** How long to wait after failures in a row: doubling from a base to a cap, spread over half to one and a half times that. */
import type { Ms } from '../../src-contract/ids.ts'

export class Backoff {
  readonly #baseMs: Ms
  readonly #capMs: Ms
  #failures = 0

  constructor({ baseMs, capMs }: { readonly baseMs: Ms; readonly capMs: Ms }) {
    this.#baseMs = baseMs
    this.#capMs = capMs
  }

  /** One more failure; answers the wait. `random01` is in [0, 1). */
  next(random01: number): Ms {
    const wait = Math.min(this.#capMs, this.#baseMs * 2 ** Math.min(this.#failures, 30))
    this.#failures++
    return Math.min(this.#capMs, wait * (0.5 + random01))
  }

  reset(): void {
    this.#failures = 0
  }
}
