/**
 * The keypairs of one peer: sealing and opening transport data, and the rotation of the three slots [WireGuard §6.3,
 * wireguard.md §4]. Not here: how keys come about (`src-protocol/machines/wireguard`).
 *
 */
import { bad, type Decoded, ok } from '../src-protocol/wire/decoded.ts'
import { ReplayWindow } from '../src-protocol/wire/replay-window.ts'
import { type Aead, type CreateAead, MIN_TRANSPORT_BYTES } from './aead.ts'
import type { Keypair, PeerId } from './door.ts'

export const REJECT_AFTER_MS = 180_000
/** The protocol's limit is 2^64 − 2^13 − 1; a number stays exact to 2^53, and keys retire long before either. */
const REJECT_AFTER_MESSAGES = Number.MAX_SAFE_INTEGER - 2 ** 13
const PADDING = 16

const BEYOND = bad('counter-range')
const FORGED = bad('decrypt')
/** Zero padding to 16, but never beyond the tunnel's MTU. */
export function paddedLength(length: number, mtuBytes: number): number {
  const last = length > mtuBytes ? length % mtuBytes : length
  return length - last + Math.min(Math.ceil(last / PADDING) * PADDING, mtuBytes)
}

/** A live keypair: keys, send counter, replay window. */
export class TransportKeys {
  readonly peer: PeerId
  readonly localIndex: number
  readonly remoteIndex: number
  readonly createdAtMs: number
  sendCounter = 0
  readonly #aead: Aead
  readonly #window = new ReplayWindow()

  constructor(keypair: Keypair, nowMs: number, createAead: CreateAead) {
    this.peer = keypair.peer
    this.localIndex = keypair.localIndex
    this.remoteIndex = keypair.remoteIndex
    this.createdAtMs = nowMs
    this.#aead = createAead(keypair.sendKey, keypair.receiveKey)
  }

  canSend(nowMs: number): boolean {
    return !this.isTooOld(nowMs) && this.sendCounter < REJECT_AFTER_MESSAGES
  }

  isTooOld(nowMs: number): boolean {
    return nowMs - this.createdAtMs >= REJECT_AFTER_MS
  }

  /** Writes header, ciphertext and tag: `target` holds exactly padded.length + {@link MIN_TRANSPORT_BYTES}. */
  seal(padded: Uint8Array, target: Uint8Array): void {
    const counter = this.sendCounter++
    target[0] = 4
    target[1] = target[2] = target[3] = 0
    putU32(target, 4, this.remoteIndex)
    putU32(target, 8, counter % 2 ** 32)
    putU32(target, 12, Math.floor(counter / 2 ** 32))
    this.#aead.seal(padded, target)
  }

  /**
   * Plaintext (padded) of a datagram of at least {@link MIN_TRANSPORT_BYTES}, or why it is dropped. It may be lent: only
   * good until the next packet is opened.
   */
  open(datagram: Uint8Array): Decoded<Uint8Array> {
    const high = getU32(datagram, 12)
    if (high > 0x1fffff) return BEYOND
    const plain = this.#aead.open(datagram)
    if (plain === undefined) return FORGED
    // Only what is authentic may move the window.
    const fresh = this.#window.take(high * 2 ** 32 + getU32(datagram, 8))
    return fresh.ok ? ok(plain) : fresh
  }
}

/** previous · current · next: all may receive, only current sends. */
export class KeypairSlots {
  previous: TransportKeys | undefined
  current: TransportKeys | undefined
  next: TransportKeys | undefined

  /** Puts a new keypair into its slot; answers those that are no longer valid. */
  add(fresh: TransportKeys, slot: 'current' | 'next'): TransportKeys[] {
    const gone: (TransportKeys | undefined)[] = []
    if (slot === 'next') {
      gone.push(this.next, this.previous)
      this.next = fresh
      this.previous = undefined
    } else {
      gone.push(this.previous)
      if (this.next !== undefined) {
        gone.push(this.current)
        this.previous = this.next
        this.next = undefined
      } else {
        this.previous = this.current
      }
      this.current = fresh
    }
    return gone.filter((keys) => keys !== undefined)
  }

  /** The first valid datagram under `next` confirms it; answers those that are no longer valid. */
  confirm(): TransportKeys[] {
    const gone = this.previous === undefined ? [] : [this.previous]
    this.previous = this.current
    this.current = this.next
    this.next = undefined
    return gone
  }

  remove(keys: TransportKeys): void {
    if (this.previous === keys) this.previous = undefined
    if (this.current === keys) this.current = undefined
    if (this.next === keys) this.next = undefined
  }

  all(): TransportKeys[] {
    return [this.previous, this.current, this.next].filter((keys) => keys !== undefined)
  }
}

export function getU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}
