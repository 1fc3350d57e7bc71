/**
 * A WireGuard device without its data path: it identifies handshake datagrams, defends itself under load, and hands what
 * is left to the peer concerned. Sealing, opening, replay windows and sockets are behind the door.     [WireGuard §5–6]
 *
 * Peers stay as long as the netmap names them and cost next to nothing until they talk. Nothing here answers, or keeps
 * state for, whoever has not proven to hold a peer's key; the one exception is a cookie reply, smaller than its cause.
 */
import type { Ms } from '../../../src-contract/ids.ts'
import { equalBytes, toHex, viewOf } from '../../wire/bytes.ts'
import type { Crypto } from '../../wire/crypto.ts'
import { parseIp } from '../../wire/ip.ts'
import { utf8 } from '../../wire/text.ts'
import { decodeCookieReply, decodeResponse, messageType } from '../../wire/wireguard.ts'
import type { Activity, PeerId } from '../activity.ts'
import { DeadlineQueue } from '../deadline-queue.ts'
import { DEFAULT_HANDSHAKES_PER_SECOND, PEERS_PER_WAKE } from './constants.ts'
import { CookieChecker } from './cookies.ts'
import type { SessionState, Source, WireGuardEffect } from './effects.ts'
import { createIdentity, type Identity, openInitiation, wipe } from './handshake.ts'
import { LoadMeter, RateLimiter } from './load.ts'
import { Peer, type PeerSurroundings } from './peer.ts'
import { Staging } from './staging.ts'

export interface WireGuardDeviceOptions {
  readonly crypto: Crypto
  /** The node key. */
  readonly privateKey: Uint8Array
  /** For timestamps only; everything else runs on the monotonic `now`. */
  readonly wallClockMs: () => number
  readonly random01: () => number
  /** Handshake messages per second that are no load. */
  readonly handshakesPerSecond?: number
}

export class WireGuardDevice {
  readonly #crypto: Crypto
  readonly #around: PeerSurroundings
  #own: Identity
  #checker: CookieChecker
  readonly #load: LoadMeter
  readonly #limiter = new RateLimiter()
  readonly #peers = new Map<PeerId, Peer>()
  readonly #byPublicKey = new Map<string, Peer>()
  /** Of open initiations and of keypairs in any slot. */
  readonly #byIndex = new Map<number, Peer>()
  readonly #deadlines = new DeadlineQueue<Peer>()
  readonly #drops: { [reason: string]: number } = {}
  #effects: WireGuardEffect[] = []

  constructor(options: WireGuardDeviceOptions) {
    this.#crypto = options.crypto
    this.#own = createIdentity(options.crypto, options.privateKey)
    this.#checker = new CookieChecker(options.crypto, this.#own)
    this.#load = new LoadMeter(options.handshakesPerSecond ?? DEFAULT_HANDSHAKES_PER_SECOND)
    this.#around = {
      crypto: options.crypto,
      staging: new Staging(),
      wallClockMs: options.wallClockMs,
      random01: options.random01,
      identity: () => this.#own,
      takeIndex: (peer) => this.#takeIndex(peer),
      freeIndex: (localIndex) => this.#byIndex.delete(localIndex),
      emit: (effect) => this.#effects.push(effect),
      drop: (reason, count) => this.#drop(reason, count),
    }
  }

  /** What was thrown away and why; `cookie-sent` counts what was answered by a cookie. */
  get drops(): { readonly [reason: string]: number } {
    return this.#drops
  }

  get publicKey(): Uint8Array {
    return this.#own.publicKey
  }

  /** Live indices: what handshakes and sessions cost us in memory. */
  get indexCount(): number {
    return this.#byIndex.size
  }

  /**
   * Known peers stay as they are, apart from the pre-shared key of their next handshake. The same id with another public
   * key is another peer: the sessions of the old one end with the next call that answers effects.
   */
  addPeer(id: PeerId, publicKey: Uint8Array, presharedKey?: Uint8Array): void {
    if (publicKey.length !== 32) throw new RangeError(`a public key has 32 bytes, not ${publicKey.length}`)
    const known = this.#peers.get(id)
    if (known !== undefined) {
      if (equalBytes(known.publicKey, publicKey)) {
        known.setPresharedKey(presharedKey)
        return
      }
      this.#remove(known)
    }
    if (equalBytes(publicKey, this.#own.publicKey)) {
      this.#drop('own-key')
      return
    }
    const peer = new Peer(this.#around, id, publicKey, presharedKey)
    this.#peers.set(id, peer)
    this.#byPublicKey.set(toHex(publicKey), peer)
  }

  removePeer(id: PeerId, _now: Ms): WireGuardEffect[] {
    const peer = this.#peers.get(id)
    if (peer !== undefined) this.#remove(peer)
    return this.#takeEffects()
  }

  /** 0 turns it off. Tailscale networks do not use it. */
  setPersistentKeepalive(id: PeerId, intervalMs: number, now: Ms): WireGuardEffect[] {
    return this.#with(id, (peer) => peer.setPersistentKeepalive(intervalMs, now))
  }

  /** Another identity: all sessions end, all handshakes are forgotten. */
  setPrivateKey(privateKey: Uint8Array, _now: Ms): WireGuardEffect[] {
    for (const peer of this.#peers.values()) {
      peer.wipe()
      this.#deadlines.set(peer, peer.nextWake())
    }
    wipe(this.#own.privateKey)
    this.#own = createIdentity(this.#crypto, privateKey)
    this.#checker = new CookieChecker(this.#crypto, this.#own)
    const self = this.#byPublicKey.get(toHex(this.#own.publicKey))
    if (self !== undefined) this.#remove(self)
    return this.#takeEffects()
  }

  /** Ends all sessions and wipes the key; the device is of no use afterwards. */
  close(): WireGuardEffect[] {
    for (const peer of [...this.#peers.values()]) this.#remove(peer)
    wipe(this.#own.privateKey)
    return this.#takeEffects()
  }

  handleDatagram(bytes: Uint8Array, source: Source, now: Ms): WireGuardEffect[] {
    switch (messageType(bytes)) {
      case 1:
        this.#handleInitiation(bytes, source, now)
        break
      case 2:
        this.#handleResponse(bytes, source, now)
        break
      case 3:
        this.#handleCookieReply(bytes, now)
        break
      case 4:
        this.#drop('transport-unknown-index') // the door would have taken it
        break
      default:
        this.#drop('not-wireguard')
    }
    return this.#takeEffects()
  }

  handleNoSession(id: PeerId, packet: Uint8Array, now: Ms): WireGuardEffect[] {
    return this.#with(id, (peer) => peer.handleNoSession(packet, now))
  }

  /** Starts a handshake unless there is a session. */
  requestSession(id: PeerId, now: Ms): WireGuardEffect[] {
    return this.#with(id, (peer) => peer.requestSession(now))
  }

  handleActivity(activity: Activity, now: Ms): WireGuardEffect[] {
    return this.#with(activity.peer, (peer) => peer.handleActivity(activity, now))
  }

  handleConfirmed(id: PeerId, localIndex: number, now: Ms): WireGuardEffect[] {
    return this.#with(id, (peer) => peer.handleConfirmed(localIndex, now))
  }

  /** Handles a bounded number of peers; when more are due, `nextWake` stays in the past. */
  wake(now: Ms): WireGuardEffect[] {
    for (const peer of this.#deadlines.takeDue(now, PEERS_PER_WAKE)) {
      peer.wake(now)
      this.#deadlines.set(peer, peer.nextWake())
    }
    return this.#takeEffects()
  }

  nextWake(): Ms | undefined {
    return this.#effects.length > 0 ? 0 : this.#deadlines.next()
  }

  session(id: PeerId): { readonly state: SessionState; readonly lastHandshakeMs?: number } {
    const peer = this.#peers.get(id)
    if (peer === undefined) return { state: 'none' }
    const { state, lastHandshakeMs } = peer
    return lastHandshakeMs === undefined ? { state } : { state, lastHandshakeMs }
  }

  #handleInitiation(bytes: Uint8Array, source: Source, now: Ms): void {
    if (!this.#isWorthWork(bytes, source, now)) return
    const opened = openInitiation(this.#crypto, this.#own, bytes)
    if (!opened.ok) {
      this.#drop(opened.reason)
      return
    }
    const peer = this.#byPublicKey.get(toHex(opened.value.staticPublic))
    if (peer === undefined) {
      this.#drop('unknown-peer')
      return
    }
    peer.handleInitiation(opened.value, source, now)
    this.#deadlines.set(peer, peer.nextWake())
  }

  #handleResponse(bytes: Uint8Array, source: Source, now: Ms): void {
    const response = decodeResponse(bytes)
    if (!response.ok) {
      this.#drop(response.reason)
      return
    }
    const peer = this.#byIndex.get(response.value.receiver)
    if (!peer?.awaitsResponseAt(response.value.receiver)) {
      this.#drop('unknown-index')
      return
    }
    if (!this.#isWorthWork(bytes, source, now)) return
    peer.handleResponse(bytes, source, now)
    this.#deadlines.set(peer, peer.nextWake())
  }

  #handleCookieReply(bytes: Uint8Array, now: Ms): void {
    const reply = decodeCookieReply(bytes)
    if (!reply.ok) {
      this.#drop(reply.reason)
      return
    }
    const peer = this.#byIndex.get(reply.value.receiver)
    if (peer === undefined) {
      this.#drop('unknown-index')
      return
    }
    peer.handleCookieReply(reply.value, now)
  }

  /** MAC1 always; under load also MAC2, or a cookie goes out, and the sender's allowance. */
  #isWorthWork(bytes: Uint8Array, source: Source, now: Ms): boolean {
    if (!this.#checker.isMac1Valid(bytes)) {
      this.#drop('mac1')
      return false
    }
    this.#load.arrived(now)
    if (!this.#load.isLoaded(now)) return true
    const address = utf8(source.kind === 'udp' ? source.from : `relay ${source.peer}`)
    if (!this.#checker.isMac2Valid(bytes, address, now)) {
      this.#drop('cookie-sent')
      this.#effects.push({ kind: 'reply', to: source, bytes: this.#checker.createReply(bytes, address, now) })
      return false
    }
    if (this.#limiter.allows(allowanceOf(source), now)) return true
    this.#drop('rate-limit')
    return false
  }

  #with(id: PeerId, act: (peer: Peer) => void): WireGuardEffect[] {
    const peer = this.#peers.get(id)
    if (peer !== undefined) {
      act(peer)
      this.#deadlines.set(peer, peer.nextWake())
    }
    return this.#takeEffects()
  }

  #remove(peer: Peer): void {
    peer.wipe()
    this.#deadlines.set(peer, undefined)
    this.#peers.delete(peer.id)
    const key = toHex(peer.publicKey)
    if (this.#byPublicKey.get(key) === peer) this.#byPublicKey.delete(key)
  }

  #takeIndex(peer: Peer): number {
    for (;;) {
      const index = viewOf(this.#crypto.randomBytes(4)).getUint32(0, true)
      if (this.#byIndex.has(index)) continue
      this.#byIndex.set(index, peer)
      return index
    }
  }

  #takeEffects(): WireGuardEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  #drop(reason: string, count = 1): void {
    if (count > 0) this.#drops[reason] = (this.#drops[reason] ?? 0) + count
  }
}

/** Whose bucket: an IPv4 address, an IPv6 /64 (one customer), or a peer as the relay names it. */
function allowanceOf(source: Source): string {
  if (source.kind === 'relay') return `relay ${source.peer}`
  const colon = source.from.lastIndexOf(':')
  if (!source.from.startsWith('[')) return source.from.slice(0, colon)
  const ip = parseIp(source.from.slice(1, colon - 1))
  return ip.ok ? toHex(ip.value.subarray(0, 8)) : source.from
}
