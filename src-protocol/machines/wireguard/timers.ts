/**
 * One peer's timers as deadlines: events move them, `fire` answers what is due. What then happens is `peer.ts`.
 *                                                                                          [WireGuard §6, wireguard.md §3]
 */
import type { Ms } from '../../../src-contract/ids.ts'
import { KEEPALIVE_TIMEOUT_MS, REKEY_JITTER_MS, REKEY_TIMEOUT_MS, ZERO_KEYS_AFTER_MS } from './constants.ts'

const NEVER: Ms = Number.POSITIVE_INFINITY

export type DueTimer = 'retransmit' | 'keepalive' | 'newHandshake' | 'zeroKeys' | 'persistentKeepalive'

export class PeerTimers {
  #retransmitAt = NEVER
  #keepaliveAt = NEVER
  #needsAnotherKeepalive = false
  #newHandshakeAt = NEVER
  #zeroKeysAt = NEVER
  #persistentAt = NEVER
  /** 0: off. */
  #persistentMs = 0

  get isRetransmitArmed(): boolean {
    return this.#retransmitAt !== NEVER
  }

  dataSent(now: Ms, random01: number): void {
    if (this.#newHandshakeAt !== NEVER) return
    this.#newHandshakeAt = now + KEEPALIVE_TIMEOUT_MS + REKEY_TIMEOUT_MS + random01 * REKEY_JITTER_MS
  }

  dataReceived(now: Ms): void {
    if (this.#keepaliveAt === NEVER) this.#keepaliveAt = now + KEEPALIVE_TIMEOUT_MS
    else this.#needsAnotherKeepalive = true
  }

  /** Anything the other end can authenticate, handshakes too. */
  anySent(now: Ms): void {
    this.#keepaliveAt = NEVER
    this.#needsAnotherKeepalive = false
    this.#traversed(now)
  }

  anyReceived(now: Ms): void {
    this.#newHandshakeAt = NEVER
    this.#traversed(now)
  }

  /** The next attempt, counted from when the last handshake message went out. */
  armRetransmit(sentAt: Ms, random01: number): void {
    this.#retransmitAt = sentAt + REKEY_TIMEOUT_MS + random01 * REKEY_JITTER_MS
  }

  handshakeComplete(): void {
    this.#retransmitAt = NEVER
  }

  sessionDerived(now: Ms): void {
    this.#zeroKeysAt = now + ZERO_KEYS_AFTER_MS
  }

  gaveUp(now: Ms): void {
    this.#retransmitAt = NEVER
    this.#keepaliveAt = NEVER
    this.#needsAnotherKeepalive = false
    if (this.#zeroKeysAt === NEVER) this.#zeroKeysAt = now + ZERO_KEYS_AFTER_MS
  }

  setPersistentKeepalive(intervalMs: number, now: Ms): void {
    this.#persistentMs = intervalMs
    this.#persistentAt = intervalMs > 0 ? now : NEVER
  }

  /** Everything but the persistent keepalive, which is configuration. */
  clear(): void {
    this.#retransmitAt = NEVER
    this.#keepaliveAt = NEVER
    this.#needsAnotherKeepalive = false
    this.#newHandshakeAt = NEVER
    this.#zeroKeysAt = NEVER
  }

  next(): Ms {
    return Math.min(this.#retransmitAt, this.#keepaliveAt, this.#newHandshakeAt, this.#zeroKeysAt, this.#persistentAt)
  }

  /** Disarms and names one due timer; ask until undefined. Each answer leaves a later deadline or none. */
  fire(now: Ms): DueTimer | undefined {
    if (now >= this.#zeroKeysAt) {
      this.#zeroKeysAt = NEVER
      return 'zeroKeys'
    }
    if (now >= this.#retransmitAt) {
      this.#retransmitAt = NEVER
      return 'retransmit'
    }
    if (now >= this.#newHandshakeAt) {
      this.#newHandshakeAt = NEVER
      return 'newHandshake'
    }
    if (now >= this.#keepaliveAt) {
      this.#keepaliveAt = this.#needsAnotherKeepalive ? now + KEEPALIVE_TIMEOUT_MS : NEVER
      this.#needsAnotherKeepalive = false
      return 'keepalive'
    }
    if (now >= this.#persistentAt) {
      this.#persistentAt = now + this.#persistentMs
      return 'persistentKeepalive'
    }
    return undefined
  }

  #traversed(now: Ms): void {
    if (this.#persistentMs > 0) this.#persistentAt = now + this.#persistentMs
  }
}
