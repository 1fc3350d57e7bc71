/**
 * The session keys as the data path takes them, and a mirror of the three slots it keeps them in. The mirror holds no key
 * material: it knows which index leaves all slots and when a pair is too old.                   [WireGuard §6.2, wireguard.md §4]
 */
import type { Ms } from '../../../src-contract/ids.ts'
import type { PeerId } from '../activity.ts'
import { REJECT_AFTER_TIME_MS } from './constants.ts'

/** The same shape as in `src-native/door.ts`; a test holds the two together. */
export interface Keypair {
  readonly peer: PeerId
  readonly localIndex: number
  readonly remoteIndex: number
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
  /** `current`: send with it at once. `next`: receive only, until the first valid datagram under it. */
  readonly slot: 'current' | 'next'
}

export interface HeldKeypair {
  readonly localIndex: number
  readonly createdAt: Ms
  readonly isInitiator: boolean
}

/** Every method answers the pairs that are in no slot any more. */
export class KeypairSlots {
  #previous: HeldKeypair | undefined
  #current: HeldKeypair | undefined
  #next: HeldKeypair | undefined

  get current(): HeldKeypair | undefined {
    return this.#current
  }

  get next(): HeldKeypair | undefined {
    return this.#next
  }

  has(localIndex: number): boolean {
    return this.#all().some((pair) => pair.localIndex === localIndex)
  }

  /** An initiator has its response. An unconfirmed `next` is newer than `current`, so it is the one to keep. */
  addCurrent(pair: HeldKeypair): HeldKeypair[] {
    const before = this.#all()
    this.#previous = this.#next ?? this.#current
    this.#next = undefined
    this.#current = pair
    return this.#left(before)
  }

  /** A responder has answered; it goes on sending with `current`. */
  addNext(pair: HeldKeypair): HeldKeypair[] {
    const before = this.#all()
    this.#next = pair
    this.#previous = undefined
    return this.#left(before)
  }

  /** The first valid datagram under `next` came in. Undefined when it is not `next` (any more). */
  confirm(localIndex: number): HeldKeypair[] | undefined {
    if (this.#next?.localIndex !== localIndex) return undefined
    const before = this.#all()
    this.#previous = this.#current
    this.#current = this.#next
    this.#next = undefined
    return this.#left(before)
  }

  dropCurrent(): HeldKeypair[] {
    const before = this.#all()
    this.#current = undefined
    return this.#left(before)
  }

  expire(now: Ms): HeldKeypair[] {
    const before = this.#all()
    const young = (pair: HeldKeypair | undefined) =>
      pair !== undefined && now < pair.createdAt + REJECT_AFTER_TIME_MS ? pair : undefined // as nextExpiry, to the last bit
    this.#previous = young(this.#previous)
    this.#current = young(this.#current)
    this.#next = young(this.#next)
    return this.#left(before)
  }

  clear(): HeldKeypair[] {
    const before = this.#all()
    this.#previous = undefined
    this.#current = undefined
    this.#next = undefined
    return before
  }

  /** When {@link expire} will have something to do; Infinity without keypairs. */
  nextExpiry(): Ms {
    const created = (pair: HeldKeypair | undefined) => pair?.createdAt ?? Number.POSITIVE_INFINITY
    return Math.min(created(this.#previous), created(this.#current), created(this.#next)) + REJECT_AFTER_TIME_MS
  }

  #all(): HeldKeypair[] {
    return [this.#previous, this.#current, this.#next].filter((pair) => pair !== undefined)
  }

  #left(before: HeldKeypair[]): HeldKeypair[] {
    const after = this.#all()
    return before.filter((pair) => !after.includes(pair))
  }
}
