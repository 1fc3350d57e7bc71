/** Pings to one peer whose pongs are awaited: which, since when, and what each is to find out. A bounded number. */
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import { MAX_OUTSTANDING_PINGS, PING_TIMEOUT_MS } from './constants.ts'

/**
 * `full`: padded to a full packet; `heartbeat`: likewise, and watched as small ones are. `beside`: small, sent with a padded
 * one to compare. `hurried`: small, while the peer is heard from another address.
 */
export type PingSize = 'small' | 'hurried' | 'beside' | 'full' | 'heartbeat'

export const isFull = (size: PingSize): boolean => size === 'full' || size === 'heartbeat'

export interface OutstandingPing {
  readonly to: IpPort
  readonly sentMs: Ms
  /** Was the best path when it was sent, and its pong is awaited for trust. */
  readonly watched: boolean
  missed: boolean
  readonly size: PingSize
}

export class OutstandingPings {
  readonly #pings = new Map<string, OutstandingPing>()

  add(transaction: string, to: IpPort, size: PingSize, isToBest: boolean, now: Ms): void {
    const oldest = this.#pings.size < MAX_OUTSTANDING_PINGS ? undefined : this.#pings.keys().next().value
    if (oldest !== undefined) this.#pings.delete(oldest)
    const watched = size !== 'beside' && size !== 'full' && isToBest
    this.#pings.set(transaction, { to, sentMs: now, watched, missed: false, size })
  }

  /** The ping that this pong answers. */
  take(transaction: string): OutstandingPing | undefined {
    const ping = this.#pings.get(transaction)
    this.#pings.delete(transaction)
    return ping
  }

  /** While one is under way that will tell whether the address answers, no other is needed. */
  awaits(to: IpPort): boolean {
    for (const ping of this.#pings.values())
      if (ping.to === to && (ping.watched || ping.size === 'small') && !ping.missed) return true
    return false
  }

  entries(): Iterable<[string, OutstandingPing]> {
    return this.#pings
  }

  delete(transaction: string): void {
    this.#pings.delete(transaction)
  }

  clear(): void {
    this.#pings.clear()
  }

  /** When each has to be looked at next. */
  deadlines(patienceMs: (size: PingSize) => Ms): Ms[] {
    return [...this.#pings.values()].map(
      ({ watched, missed, sentMs, size }) => sentMs + (watched && !missed ? patienceMs(size) : PING_TIMEOUT_MS),
    )
  }
}
