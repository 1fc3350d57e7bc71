/**
 * The sliding window that lets every counter of a keypair through once, in any order within the newest 8128.
 * Ask it only after the datagram's tag was found valid: a forged counter must not move the window.  [RFC 6479, WireGuard §5.4.6]
 *
 * A ring of 8192 bits. Its words are cleared when the window's front enters them, so at most one word's bits (and, as the
 * reference has 64-bit words, 64 counters) are lost to granularity: 8128 remain.
 */
import { bad, type Decoded, ok } from './decoded.ts'

export const REPLAY_BITS = 8192
/** A counter this far behind the newest is still accepted; one further is not. */
export const REPLAY_WINDOW = REPLAY_BITS - 64

const WORD_BITS = 32
const WORDS = REPLAY_BITS / WORD_BITS

const ACCEPTED = ok(true as const)
const BEYOND = bad('counter-range')
const OLD = bad('replay-old')
const SEEN = bad('replay-seen')

export class ReplayWindow {
  readonly #ring = new Uint32Array(WORDS)
  #newest = 0

  /** Whether this counter is new, noting it if so. */
  accept(counter: number): boolean {
    return this.take(counter).ok
  }

  /** {@link accept} with the reason of a refusal. */
  take(counter: number): Decoded<true> {
    if (!Number.isSafeInteger(counter) || counter < 0) return BEYOND
    const word = Math.floor(counter / WORD_BITS)
    if (counter > this.#newest) {
      const front = Math.floor(this.#newest / WORD_BITS)
      if (word - front >= WORDS) this.#ring.fill(0)
      else for (let entered = front + 1; entered <= word; entered++) this.#ring[entered % WORDS] = 0
      this.#newest = counter
    } else if (this.#newest - counter > REPLAY_WINDOW) {
      return OLD
    }
    const at = word % WORDS
    const before = this.#ring[at]!
    const after = (before | (1 << (counter % WORD_BITS))) >>> 0
    if (before === after) return SEEN
    this.#ring[at] = after
    return ACCEPTED
  }
}
