/**
 * One peer's handshakes, keypair mirror and timers: which message to send when, and what a message from it means. Whose a
 * datagram is, and whether we are under load, `device.ts` has decided before.            [WireGuard §5–6, wireguard.md §1–4]
 *
 * Two deliberate differences from the reference:
 * - It keeps one handshake per peer, so that answering an initiation abandons an own one; when both ends start at once both
 *   responses are refused and nothing moves for five seconds. Here an own initiation stays open until a session is
 *   complete, so that either response finishes it. Nothing on the wire changes, and each handshake has its own ephemeral.
 * - It forgets an initiation that the five-second spacing suppressed; staged packets then wait for the next packet to try
 *   again. Here the retransmit timer does.
 */
import type { Ms } from '../../../src-contract/ids.ts'
import type { Crypto } from '../../wire/crypto.ts'
import type { CookieReply } from '../../wire/wireguard.ts'
import type { Activity, PeerId } from '../activity.ts'
import {
  CROSSING_MS,
  INITIATION_SPACING_MS,
  MAX_HANDSHAKE_RETRIES,
  REKEY_AFTER_MESSAGES,
  REKEY_AFTER_TIME_MS,
  REKEY_RECEIVING_AFTER_MS,
  REKEY_TIMEOUT_MS,
} from './constants.ts'
import { CookieJar } from './cookies.ts'
import type { SessionState, Source, WireGuardEffect } from './effects.ts'
import {
  cookieKey,
  createInitiation,
  createResponse,
  type Identity,
  type Initiated,
  mac1Key,
  type OpenedInitiation,
  openResponse,
  type Remote,
  type SessionKeys,
  verifyInitiation,
  wipe,
  wipeInitiated,
} from './handshake.ts'
import { type HeldKeypair, KeypairSlots } from './keypair.ts'
import type { Staging } from './staging.ts'
import { PeerTimers } from './timers.ts'
import { createTimestamp, isAfter } from './timestamp.ts'

const KEEPALIVE = new Uint8Array(0)
const NO_PRESHARED_KEY = new Uint8Array(32)

/** What all peers of a device share. */
export interface PeerSurroundings {
  readonly crypto: Crypto
  readonly staging: Staging
  readonly wallClockMs: () => number
  readonly random01: () => number
  identity(): Identity
  /** A random index that is nobody's, registered as this peer's. */
  takeIndex(peer: Peer): number
  freeIndex(localIndex: number): void
  emit(effect: WireGuardEffect): void
  drop(reason: string, count?: number): void
}

export class Peer {
  readonly id: PeerId
  readonly publicKey: Uint8Array
  readonly #around: PeerSurroundings
  #presharedKey: Uint8Array
  readonly #slots = new KeypairSlots()
  readonly #timers = new PeerTimers()
  #jar: CookieJar | undefined
  /** Null: the peer's key is of low order, so there is no session with it ever. */
  #remote: Remote | null | undefined
  #macKey: Uint8Array | undefined
  #initiated: Initiated | undefined
  #attempts = 0
  #handshakeSentAt: Ms = Number.NEGATIVE_INFINITY
  #timestampSent: Uint8Array | undefined
  #timestampSeen: Uint8Array | undefined
  #initiationSeenAt: Ms = Number.NEGATIVE_INFINITY
  #hasSentLastMinute = false
  #currentSince: Ms = Number.NEGATIVE_INFINITY
  #hadSession = false
  #lastHandshakeMs: number | undefined
  #state: SessionState = 'none'

  constructor(around: PeerSurroundings, id: PeerId, publicKey: Uint8Array, presharedKey: Uint8Array | undefined) {
    this.#around = around
    this.id = id
    this.publicKey = publicKey.slice()
    this.#presharedKey = presharedKey?.slice() ?? NO_PRESHARED_KEY
  }

  get state(): SessionState {
    return this.#state
  }

  get lastHandshakeMs(): number | undefined {
    return this.#lastHandshakeMs
  }

  /** Infinity when nothing is pending. */
  nextWake(): Ms {
    return Math.min(this.#timers.next(), this.#slots.nextExpiry())
  }

  setPresharedKey(presharedKey: Uint8Array | undefined): void {
    this.#presharedKey = presharedKey?.slice() ?? NO_PRESHARED_KEY
    this.#remote = undefined
  }

  setPersistentKeepalive(intervalMs: number, now: Ms): void {
    this.#timers.setPersistentKeepalive(intervalMs, now)
  }

  awaitsResponseAt(localIndex: number): boolean {
    return this.#initiated?.localIndex === localIndex
  }

  /** Someone wants a session and has nothing to send yet. */
  requestSession(now: Ms): void {
    this.#expire(now)
    if (this.#slots.current === undefined) this.#initiate(now)
    this.#settle()
  }

  handleInitiation(opened: OpenedInitiation, source: Source, now: Ms): void {
    this.#expire(now)
    const { crypto } = this.#around
    const remote = this.#knowRemote()
    if (remote === null) {
      this.#around.drop('low-order')
      return
    }
    const verified = verifyInitiation(crypto, opened, remote.staticShared)
    if (!verified.ok) {
      this.#around.drop(verified.reason)
      return
    }
    const { timestamp, remoteIndex } = verified.value
    if (this.#timestampSeen !== undefined && !isAfter(timestamp, this.#timestampSeen)) {
      this.#around.drop('initiation-replay')
      return
    }
    if (now - this.#initiationSeenAt <= INITIATION_SPACING_MS) {
      this.#around.drop('initiation-flood')
      return
    }
    const localIndex = this.#around.takeIndex(this)
    const fresh = { localIndex, ephemeralPrivate: crypto.newPrivateKey() }
    const response = createResponse(crypto, verified.value, remote, fresh)
    if (!response.ok) {
      this.#around.freeIndex(localIndex)
      this.#around.drop(response.reason)
      return
    }
    this.#timestampSeen = timestamp
    this.#initiationSeenAt = now
    this.#around.emit({ kind: 'heardFrom', peer: this.id, source })
    this.#addKeypair({ localIndex, remoteIndex, isInitiator: false }, response.value.keys, now)
    this.#timers.anyReceived(now)
    this.#settle()
    this.#sendHandshake(response.value.message, now)
  }

  handleResponse(message: Uint8Array, source: Source, now: Ms): void {
    this.#expire(now)
    const remote = this.#knowRemote()
    if (remote === null || this.#initiated === undefined) {
      this.#around.drop('unknown-index')
      return
    }
    const { localIndex } = this.#initiated
    const opened = openResponse(this.#around.crypto, this.#around.identity(), remote, this.#initiated, message)
    if (!opened.ok) {
      this.#around.drop(opened.reason)
      return
    }
    wipeInitiated(this.#initiated)
    this.#initiated = undefined // its index lives on as the keypair's
    this.#around.emit({ kind: 'heardFrom', peer: this.id, source })
    const { remoteIndex, keys } = opened.value
    this.#addKeypair({ localIndex, remoteIndex, isInitiator: true }, keys, now)
    this.#timers.anyReceived(now)
    this.#established(now, { isInitiator: true })
  }

  handleCookieReply(reply: CookieReply, now: Ms): void {
    const key = cookieKey(this.#around.crypto, this.publicKey)
    const taken = this.#jar?.take(this.#around.crypto, key, reply, now) ?? { ok: false, reason: 'cookie-unasked' }
    if (!taken.ok) this.#around.drop(taken.reason)
  }

  /** The door had no usable keypair for this packet. */
  handleNoSession(packet: Uint8Array, now: Ms): void {
    this.#expire(now)
    if (this.#slots.current !== undefined) {
      if (now - this.#currentSince < CROSSING_MS) {
        this.#around.emit({ kind: 'sendPacket', peer: this.id, packet })
        return
      }
      this.#dropKeypairs(this.#slots.dropCurrent()) // the door has lost or used it up
    }
    if (packet.length > 0) this.#around.drop('staged-overflow', this.#around.staging.stage(this.id, packet))
    this.#initiate(now)
    this.#settle()
  }

  /** Sending counts before receiving: if it was the other way round, one keepalive is sent for nothing. */
  handleActivity(activity: Activity, now: Ms): void {
    this.#expire(now)
    if (this.#slots.has(activity.localIndex)) {
      if (activity.sentData) this.#timers.dataSent(now, this.#around.random01())
      if (activity.sentAny) this.#timers.anySent(now)
      if (activity.receivedData) this.#timers.dataReceived(now)
      if (activity.receivedAny) this.#timers.anyReceived(now)
      this.#keepKeyFresh(activity, now)
    }
    this.#settle()
  }

  handleConfirmed(localIndex: number, now: Ms): void {
    this.#expire(now)
    const left = this.#slots.confirm(localIndex)
    if (left !== undefined) {
      this.#dropKeypairs(left)
      this.#forgetInitiated()
      this.#timers.anyReceived(now)
      this.#established(now, { isInitiator: false })
    }
    this.#settle()
  }

  wake(now: Ms): void {
    this.#expire(now)
    for (let due = this.#timers.fire(now); due !== undefined; due = this.#timers.fire(now)) {
      if (due === 'retransmit') this.#retransmit(now)
      else if (due === 'newHandshake') this.#initiate(now)
      else if (due === 'zeroKeys') this.wipe()
      else if (this.#slots.current !== undefined) this.#sendKeepalive()
      else if (due === 'persistentKeepalive') this.#initiate(now)
    }
    this.#settle()
  }

  /**
   * Forgets sessions, handshakes and what waits for them. Timestamps stay, so that an old initiation does not become new
   * again; the peer takes them along when it is removed.
   */
  wipe(): void {
    this.#dropKeypairs(this.#slots.clear())
    this.#forgetInitiated()
    this.#timers.clear()
    this.#around.drop('staged-wiped', this.#around.staging.take(this.id).length)
    if (this.#remote) wipe(this.#remote.staticShared)
    this.#remote = undefined
    this.#jar = undefined
    this.#attempts = 0
    this.#handshakeSentAt = Number.NEGATIVE_INFINITY
    this.#hasSentLastMinute = false
    this.#hadSession = false
    this.#settle()
  }

  /** DH with the static key is the same every time; done when first needed, so that idle peers cost nothing. */
  #knowRemote(): Remote | null {
    if (this.#remote === undefined) {
      const staticShared = this.#around.crypto.x25519(this.#around.identity().privateKey, this.publicKey)
      this.#remote =
        staticShared === undefined
          ? null
          : { publicKey: this.publicKey, staticShared, presharedKey: this.#presharedKey }
    }
    return this.#remote
  }

  /** A first attempt, asked for by traffic; starts the count of retries anew. */
  #initiate(now: Ms): void {
    this.#attempts = 0
    if (this.#isSpacedOut(now)) this.#sendInitiation(now)
    else if (this.#around.staging.has(this.id) && !this.#timers.isRetransmitArmed) this.#armRetransmit()
  }

  #retransmit(now: Ms): void {
    if (!this.#isSpacedOut(now)) {
      this.#armRetransmit() // a response went out meanwhile
    } else if (this.#attempts > MAX_HANDSHAKE_RETRIES) {
      this.#around.drop('handshake-timeout', this.#around.staging.take(this.id).length)
      this.#forgetInitiated()
      this.#timers.gaveUp(now)
    } else {
      this.#attempts++
      this.#sendInitiation(now)
    }
  }

  /** Initiations keep 5 s distance from every handshake message of ours, responses included. */
  #isSpacedOut(now: Ms): boolean {
    return now >= this.#handshakeSentAt + REKEY_TIMEOUT_MS // as the timer computes it, to the last bit
  }

  #armRetransmit(): void {
    this.#timers.armRetransmit(this.#handshakeSentAt, this.#around.random01())
  }

  #sendInitiation(now: Ms): void {
    const { crypto, wallClockMs } = this.#around
    const remote = this.#knowRemote()
    this.#forgetInitiated()
    const localIndex = this.#around.takeIndex(this)
    const timestamp = createTimestamp(wallClockMs(), this.#timestampSent)
    const fresh = { localIndex, ephemeralPrivate: crypto.newPrivateKey(), timestamp }
    const created = remote === null ? undefined : createInitiation(crypto, this.#around.identity(), remote, fresh)
    if (!created?.ok) {
      this.#around.freeIndex(localIndex)
      this.#around.drop('low-order', 1 + this.#around.staging.take(this.id).length)
      return
    }
    this.#timestampSent = timestamp
    this.#initiated = created.value.initiated
    this.#sendHandshake(created.value.message, now)
    this.#armRetransmit()
  }

  #sendHandshake(message: Uint8Array, now: Ms): void {
    this.#jar ??= new CookieJar()
    this.#macKey ??= mac1Key(this.#around.crypto, this.publicKey)
    this.#jar.sign(this.#around.crypto, this.#macKey, message, now)
    this.#handshakeSentAt = now
    this.#timers.anySent(now)
    this.#around.emit({ kind: 'send', peer: this.id, bytes: message })
  }

  #addKeypair(
    pair: { readonly localIndex: number; readonly remoteIndex: number; readonly isInitiator: boolean },
    keys: SessionKeys,
    now: Ms,
  ): void {
    const held: HeldKeypair = { localIndex: pair.localIndex, createdAt: now, isInitiator: pair.isInitiator }
    this.#dropKeypairs(pair.isInitiator ? this.#slots.addCurrent(held) : this.#slots.addNext(held))
    this.#timers.sessionDerived(now)
    this.#around.emit({
      kind: 'addKeypair',
      keypair: {
        peer: this.id,
        localIndex: pair.localIndex,
        remoteIndex: pair.remoteIndex,
        sendKey: keys.sendKey,
        receiveKey: keys.receiveKey,
        slot: pair.isInitiator ? 'current' : 'next',
      },
    })
  }

  #established(now: Ms, { isInitiator }: { readonly isInitiator: boolean }): void {
    this.#timers.handshakeComplete()
    this.#attempts = 0
    this.#hasSentLastMinute = false
    this.#currentSince = now
    this.#hadSession = true
    this.#lastHandshakeMs = this.#around.wallClockMs()
    this.#settle()
    this.#around.emit({ kind: 'established', peer: this.id, initiator: isInitiator })
    const packets = this.#around.staging.take(this.id)
    for (const packet of packets) this.#around.emit({ kind: 'sendPacket', peer: this.id, packet })
    if (isInitiator && packets.length === 0) this.#sendKeepalive() // without it the responder may not send
  }

  #sendKeepalive(): void {
    this.#around.emit({ kind: 'sendPacket', peer: this.id, packet: KEEPALIVE })
  }

  #keepKeyFresh(activity: Activity, now: Ms): void {
    const current = this.#slots.current
    if (current === undefined) return
    const ageMs = now - current.createdAt
    if (activity.sentAny) {
      const isWorn = activity.localIndex === current.localIndex && activity.sendCounter > REKEY_AFTER_MESSAGES
      if (isWorn || (current.isInitiator && ageMs > REKEY_AFTER_TIME_MS)) this.#initiate(now)
    }
    if (activity.receivedAny && current.isInitiator && !this.#hasSentLastMinute && ageMs > REKEY_RECEIVING_AFTER_MS) {
      this.#hasSentLastMinute = true
      this.#initiate(now)
    }
  }

  #expire(now: Ms): void {
    if (now < this.#slots.nextExpiry()) return
    this.#dropKeypairs(this.#slots.expire(now))
    this.#settle()
  }

  #dropKeypairs(pairs: HeldKeypair[]): void {
    for (const { localIndex } of pairs) {
      this.#around.freeIndex(localIndex)
      this.#around.emit({ kind: 'dropKeypair', localIndex })
    }
  }

  #forgetInitiated(): void {
    if (this.#initiated === undefined) return
    this.#around.freeIndex(this.#initiated.localIndex)
    wipeInitiated(this.#initiated)
    this.#initiated = undefined
  }

  /** Reports the state if it has changed. */
  #settle(): void {
    const state = this.#currentState()
    if (state === this.#state) return
    this.#state = state
    this.#around.emit({ kind: 'session', peer: this.id, state })
  }

  #currentState(): SessionState {
    if (this.#slots.current !== undefined) return 'established'
    const isUnderWay = this.#initiated !== undefined || this.#slots.next !== undefined || this.#timers.isRetransmitArmed
    if (isUnderWay) return 'handshake'
    return this.#hadSession ? 'expired' : 'none'
  }
}
