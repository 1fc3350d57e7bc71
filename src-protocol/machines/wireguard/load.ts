/**
 * When handshakes cost too much: `LoadMeter` says that we are under load, `RateLimiter` how much one address may ask for
 * even with a cookie.                                                                                  [WireGuard §5.3]
 *
 * The reference watches its queue of 1024 handshake messages and is under load from an eighth on. Here messages are handled
 * as they come, so the meter counts them into a queue that drains at the rate we are willing to work: the same threshold on
 * the same backlog, and the same answer whatever the clock of the machine that runs it.
 */
import type { Ms } from '../../../src-contract/ids.ts'
import {
  HANDSHAKE_BURST_PER_IP,
  HANDSHAKES_PER_SECOND_PER_IP,
  LOAD_BACKLOG,
  LOAD_HOLD_MS,
  RATE_ENTRIES,
  RATE_ENTRY_LIFE_MS,
} from './constants.ts'

export class LoadMeter {
  readonly #drainPerMs: number
  #backlog = 0
  #at: Ms = 0
  #loadedUntil: Ms = Number.NEGATIVE_INFINITY

  constructor(handshakesPerSecond: number) {
    this.#drainPerMs = handshakesPerSecond / 1000
  }

  /** Counts a message that would cost a handshake. */
  arrived(now: Ms): void {
    this.#backlog = Math.max(0, this.#backlog - Math.max(0, now - this.#at) * this.#drainPerMs)
    // what is refused for load is not worked on: a flood may not fill the queue for longer than the hold time
    this.#backlog = Math.min(this.#backlog + 1, LOAD_BACKLOG)
    this.#at = now
    if (this.#backlog >= LOAD_BACKLOG) this.#loadedUntil = now + LOAD_HOLD_MS
  }

  isLoaded(now: Ms): boolean {
    return now < this.#loadedUntil
  }
}

interface Bucket {
  tokens: number
  at: Ms
}

/** A token bucket per address: 20 a second, 5 at once. */
export class RateLimiter {
  /** In order of last use, so that what has expired stands at the front. */
  readonly #buckets = new Map<string, Bucket>()

  get size(): number {
    return this.#buckets.size
  }

  allows(address: string, now: Ms): boolean {
    const bucket = this.#buckets.get(address) ?? { tokens: HANDSHAKE_BURST_PER_IP, at: now }
    this.#buckets.delete(address)
    this.#forget(now)
    if (this.#buckets.size >= RATE_ENTRIES) return false
    this.#buckets.set(address, bucket)
    const earned = (Math.max(0, now - bucket.at) * HANDSHAKES_PER_SECOND_PER_IP) / 1000
    bucket.tokens = Math.min(HANDSHAKE_BURST_PER_IP, bucket.tokens + earned)
    bucket.at = now
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }

  #forget(now: Ms): void {
    for (const [address, bucket] of this.#buckets) {
      if (now - bucket.at < RATE_ENTRY_LIFE_MS) return
      this.#buckets.delete(address)
    }
  }
}
