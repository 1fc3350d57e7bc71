/** Whether a peer answers our pings over its relay: only then may a direct path be left for the relay alone.   [PATH-12] */
import type { Ms } from '../../../src-contract/ids.ts'
import { PING_TIMEOUT_MS, TRUST_MS } from './constants.ts'

export class RelayProof {
  readonly #sentMs = new Map<string, Ms>()
  #region = 0
  #untilMs: Ms | undefined

  handlePing(transaction: string, region: number, now: Ms): void {
    if (region !== this.#region) this.forget()
    this.#region = region
    for (const [old, sentMs] of this.#sentMs) if (now - sentMs > PING_TIMEOUT_MS) this.#sentMs.delete(old)
    this.#sentMs.set(transaction, now)
  }

  /** Answers whether it was one of ours. */
  handlePong(transaction: string, now: Ms): boolean {
    if (!this.#sentMs.delete(transaction)) return false
    this.#untilMs = now + TRUST_MS
    return true
  }

  holds(region: number, now: Ms): boolean {
    return region !== 0 && region === this.#region && this.#untilMs !== undefined && now < this.#untilMs
  }

  get untilMs(): Ms | undefined {
    return this.#untilMs
  }

  forget(): void {
    this.#sentMs.clear()
    this.#untilMs = undefined
  }
}
