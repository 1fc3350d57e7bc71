/**
 * How much may be under way: slow start, then CUBIC, and no slower than Reno where round trips are short.
 * [RFC 5681 §3.1; RFC 9438 §4]
 */
import type { Ms } from '../../../src-contract/ids.ts'

const FIRST_SEGMENTS = 10
const C = 0.4
const BETA = 0.7
const RENO_GAIN = (3 * (1 - BETA)) / (1 + BETA)

export class Congestion {
  readonly #mss: number
  #windowBytes: number
  #threshold = Number.POSITIVE_INFINITY
  /** Segments at the last loss. */
  #before = 0
  #epochMs: Ms | undefined
  #kMs: Ms = 0
  #renoSegments = 0

  constructor(mss: number) {
    this.#mss = mss
    this.#windowBytes = FIRST_SEGMENTS * mss
  }

  get windowBytes(): number {
    return this.#windowBytes
  }

  /** New bytes were acknowledged while the window was in use. */
  acknowledged(bytes: number, smoothedMs: Ms, now: Ms): void {
    if (this.#windowBytes < this.#threshold) {
      this.#windowBytes += bytes
      return
    }
    const segments = this.#windowBytes / this.#mss
    if (this.#epochMs === undefined) {
      this.#epochMs = now
      this.#before = Math.max(this.#before, segments)
      this.#kMs = Math.cbrt((this.#before - segments) / C) * 1000
      this.#renoSegments = segments
    }
    this.#renoSegments += (RENO_GAIN * (bytes / this.#mss)) / segments
    const seconds = (now - this.#epochMs + smoothedMs - this.#kMs) / 1000
    const cubic = Math.min(C * seconds ** 3 + this.#before, segments * 1.5)
    const share = bytes / this.#mss / segments
    const grown = cubic > segments ? segments + (cubic - segments) * share : segments
    this.#windowBytes = Math.max(grown, this.#renoSegments) * this.#mss
  }

  /** A segment was lost, others still arrive. */
  lost(): void {
    this.#reduce()
    this.#windowBytes = this.#threshold
  }

  /** Nothing arrives. */
  timedOut(): void {
    this.#reduce()
    this.#windowBytes = this.#mss
  }

  #reduce(): void {
    const segments = this.#windowBytes / this.#mss
    this.#before = segments < this.#before ? (segments * (1 + BETA)) / 2 : segments // fast convergence
    this.#threshold = Math.max(this.#windowBytes * BETA, 2 * this.#mss)
    this.#epochMs = undefined
  }
}
