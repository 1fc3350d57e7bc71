/**
 * How long to wait for an acknowledgement. [RFC 6298]
 * Deviation: the RFC's lower bound is one second; like every common stack we go down to 200 ms.
 */
import type { Ms } from '../../../src-contract/ids.ts'

const FIRST_RTO_MS: Ms = 1_000
const MIN_RTO_MS: Ms = 200
const MAX_RTO_MS: Ms = 60_000
/** What the clock can tell apart. */
const GRANULARITY_MS: Ms = 1

export class RoundTrip {
  #smoothedMs: Ms | undefined
  #variationMs: Ms = 0
  #rtoMs: Ms = FIRST_RTO_MS
  #backoff = 0

  get smoothedMs(): Ms | undefined {
    return this.#smoothedMs
  }

  get rtoMs(): Ms {
    return Math.min(this.#rtoMs * 2 ** this.#backoff, MAX_RTO_MS)
  }

  /** A segment that was sent once was acknowledged. */
  measured(tookMs: Ms): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = tookMs
      this.#variationMs = tookMs / 2
    } else {
      this.#variationMs += (Math.abs(this.#smoothedMs - tookMs) - this.#variationMs) / 4
      this.#smoothedMs += (tookMs - this.#smoothedMs) / 8
    }
    this.#rtoMs = Math.max(MIN_RTO_MS, this.#smoothedMs + Math.max(GRANULARITY_MS, 4 * this.#variationMs))
  }

  expired(): void {
    if (this.#backoff < 10) this.#backoff++
  }

  /** Something new was acknowledged. */
  progressed(): void {
    this.#backoff = 0
  }
}
