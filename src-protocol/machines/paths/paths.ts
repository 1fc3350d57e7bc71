/**
 * The paths to all peers: seals and opens disco, finds the peer a message belongs to, and turns each peer's wishes
 * (`peer-path.ts`) into effects. Sans-IO: datagrams and relay packets in, effects out, one deadline.      [disco.md §1–6]
 */
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import type { PathReport } from '../../../src-contract/localapi/pintail.ts'
import { toHex } from '../../wire/bytes.ts'
import type { Crypto } from '../../wire/crypto.ts'
import {
  type DiscoMessage,
  discoSender,
  openDisco,
  PING_DATAGRAM_BYTES,
  sealDisco,
  TRANSACTION_BYTES,
} from '../../wire/disco.ts'
import { ipPort, isLinkLocal, parseIpPort } from '../../wire/ip.ts'
import { DeadlineQueue } from '../deadline-queue.ts'
import {
  ENDPOINTS_FRESH_MS,
  FULL_DATAGRAM_BYTES,
  IPV4_UDP_BYTES,
  IPV6_UDP_BYTES,
  PING_TIMEOUT_MS,
} from './constants.ts'
import type { Destination, PathEffect, PathPeer, PeerId } from './effects.ts'
import { type PathWish, PeerPath } from './peer-path.ts'

/** Where a message came from: an address, or a relay region and the node key the relay vouches for. */
export type DiscoSource = IpPort | { readonly relayRegion: number; readonly nodeKey: Uint8Array }

export interface PathsOptions {
  readonly crypto: Crypto
  /** Fresh in each process; never stored. */
  readonly discoPrivate: Uint8Array
  readonly nodePublic: Uint8Array
  /** For the times in reports; decisions only use the monotonic `now`. */
  readonly wallClockMs: () => number
}

interface Entry {
  readonly id: PeerId
  readonly path: PeerPath
  readonly nodeKeyHex: string
  discoHex: string | undefined
  shown: string
}

/** A person's ping: the first answer to any of its transactions wins. */
interface AskedPing {
  readonly id: number
  readonly peer: PeerId
  readonly sentMs: Ms
  readonly transactions: Set<string>
}

/** Disco keys that are remembered after their last peer went; bounds the cache of shared keys. */
const MAX_SHARED_KEYS = 20_000

export class Paths {
  readonly #crypto: Crypto
  readonly #discoPrivate: Uint8Array
  readonly #discoPublic: Uint8Array
  readonly #nodePublic: Uint8Array
  readonly #wallClockMs: () => number
  readonly #entries = new Map<PeerId, Entry>()
  readonly #byDisco = new Map<string, Set<Entry>>()
  readonly #sharedKeys = new Map<string, Uint8Array | undefined>()
  readonly #deadlines = new DeadlineQueue<Entry>()
  readonly #asked = new Map<number, AskedPing>()
  #nextAskedId = 1
  #home = 0
  #ownEndpoints: readonly IpPort[] = []
  #ownEndpointsMs: Ms | undefined
  #isMeasuring = false
  /** Peers that got an old list and want the new one if it differs. */
  readonly #waiting = new Set<Entry>()
  /** Dropped messages by reason; all silent on the wire. */
  readonly drops: { [reason: string]: number } = {}

  constructor({ crypto, discoPrivate, nodePublic, wallClockMs }: PathsOptions) {
    this.#crypto = crypto
    this.#discoPrivate = discoPrivate
    this.#discoPublic = crypto.x25519PublicKey(discoPrivate)
    this.#nodePublic = nodePublic
    this.#wallClockMs = wallClockMs
  }

  get discoPublic(): Uint8Array {
    return this.#discoPublic
  }

  setHome(region: number): void {
    this.#home = region
  }

  get home(): number {
    return this.#home
  }

  // --- peers ------------------------------------------------------------------------------------------------------------

  setPeer(peer: PeerId, facts: PathPeer, now: Ms): PathEffect[] {
    const discoHex = facts.discoKey === undefined ? undefined : toHex(facts.discoKey)
    const known = this.#entries.get(peer)
    if (known !== undefined && known.nodeKeyHex === toHex(facts.nodeKey)) {
      this.#index(known, discoHex)
      return this.#perform(known, known.path.setFacts(facts, now), now)
    }
    if (known !== undefined) this.removePeer(peer, now)
    const path = new PeerPath(facts, () => this.#newTransaction(), now)
    const entry: Entry = { id: peer, path, nodeKeyHex: toHex(facts.nodeKey), discoHex: undefined, shown: '' }
    this.#entries.set(peer, entry)
    this.#index(entry, discoHex)
    return this.#perform(entry, [{ kind: 'destination' }], now)
  }

  removePeer(peer: PeerId, _now: Ms): PathEffect[] {
    const entry = this.#entries.get(peer)
    if (entry === undefined) return []
    this.#index(entry, undefined)
    this.#entries.delete(peer)
    this.#deadlines.set(entry, undefined)
    this.#waiting.delete(entry)
    return []
  }

  #index(entry: Entry, discoHex: string | undefined): void {
    if (entry.discoHex === discoHex) return
    if (entry.discoHex !== undefined) {
      const others = this.#byDisco.get(entry.discoHex)
      others?.delete(entry)
      if (others?.size === 0) {
        this.#byDisco.delete(entry.discoHex)
        this.#sharedKeys.delete(entry.discoHex)
      }
    }
    entry.discoHex = discoHex
    if (discoHex === undefined) return
    const entries = this.#byDisco.get(discoHex) ?? new Set()
    this.#byDisco.set(discoHex, entries.add(entry))
  }

  // --- messages ---------------------------------------------------------------------------------------------------------

  /** A datagram or relay packet that looks like disco. Everything that does not open is dropped without an answer. */
  handleDatagram(bytes: Uint8Array, from: DiscoSource, now: Ms): PathEffect[] {
    const senderHex = toHex(discoSender(bytes))
    const entries = this.#byDisco.get(senderHex)
    if (entries === undefined) return this.#drop('unknown-sender')
    const shared = this.#sharedKey(senderHex, discoSender(bytes))
    if (shared === undefined) return this.#drop('low-order-key')
    const opened = openDisco(this.#crypto, shared, bytes)
    if (!opened.ok) return this.#drop(opened.reason)
    const message = opened.value
    if (message.kind === 'ping') return this.#handlePing(message, entries, from, now)
    if (message.kind === 'pong') return this.#handlePong(message, entries, from, now)
    if (message.kind === 'callMeMaybe') return this.#handleCallMeMaybe(message.endpoints, entries, from, now)
    return this.#drop('peer-relay') // not spoken yet: we do not announce it either
  }

  #handlePing(
    message: DiscoMessage & { kind: 'ping' },
    entries: ReadonlySet<Entry>,
    from: DiscoSource,
    now: Ms,
  ): PathEffect[] {
    if (typeof from !== 'string') {
      const entry = find(entries, toHex(from.nodeKey))
      if (entry === undefined) return this.#drop('relay-sender')
      // The pseudo address of a relay path: 127.3.3.40 with the region as its port.
      const source = ipPort('127.3.3.40', from.relayRegion & 0xffff)
      const bytes = this.#seal(entry, { kind: 'pong', txId: message.txId, source })
      return bytes === undefined ? [] : [{ kind: 'sendRelay', region: from.relayRegion, nodeKey: from.nodeKey, bytes }]
    }
    // One disco key may stand for several nodes (a user switch); the node key in the ping says which one talks.
    const named = message.nodeKey === undefined ? undefined : find(entries, toHex(message.nodeKey))
    const meant = named !== undefined ? [named] : [...entries]
    const size = PING_DATAGRAM_BYTES + (message.paddingBytes ?? 0)
    const wishes = meant.map((entry) => ({
      entry,
      wishes: entry.path.handlePing(from, toHex(message.txId), now, size),
    }))
    if (wishes.every(({ wishes: all }) => all === undefined)) return this.#drop('repeated-or-narrow-ping')
    const bytes = this.#seal(meant[0]!, { kind: 'pong', txId: message.txId, source: from })
    const answer: PathEffect[] = bytes === undefined ? [] : [{ kind: 'sendDatagram', to: from, bytes }]
    return [...answer, ...wishes.flatMap(({ entry, wishes: all }) => this.#perform(entry, all ?? [], now))]
  }

  #handlePong(
    message: DiscoMessage & { kind: 'pong' },
    entries: ReadonlySet<Entry>,
    from: DiscoSource,
    now: Ms,
  ): PathEffect[] {
    const transaction = toHex(message.txId)
    const effects: PathEffect[] = []
    for (const entry of entries) {
      const asked = [...this.#asked.values()].find((a) => a.peer === entry.id && a.transactions.has(transaction))
      if (typeof from !== 'string') {
        effects.push(...this.#perform(entry, entry.path.handleRelayPong(transaction, now), now))
        if (asked === undefined) continue
        this.#asked.delete(asked.id)
        effects.push({ kind: 'pingResult', id: asked.id, latencyMs: now - asked.sentMs, derpRegion: from.relayRegion })
        continue
      }
      // The path that is credited is the address the ping went to, wherever the pong came from.
      const result = entry.path.handlePong(transaction, now)
      if (result === undefined) continue
      const candidate = entry.path.candidates.get(result.to)
      if (candidate !== undefined) candidate.seenAs = from === result.to ? message.source : undefined
      effects.push(...this.#perform(entry, result.wishes, now))
      if (asked === undefined) continue
      this.#asked.delete(asked.id)
      effects.push({ kind: 'pingResult', id: asked.id, latencyMs: result.latencyMs, endpoint: result.to })
    }
    return effects
  }

  #handleCallMeMaybe(
    endpoints: readonly IpPort[],
    entries: ReadonlySet<Entry>,
    from: DiscoSource,
    now: Ms,
  ): PathEffect[] {
    if (typeof from === 'string') return this.#drop('call-me-maybe-over-udp')
    const entry = find(entries, toHex(from.nodeKey))
    if (entry === undefined) return this.#drop('relay-sender')
    return this.#perform(entry, entry.path.handleCallMeMaybe(endpoints.filter(isUsable), now), now)
  }

  // --- events from around -----------------------------------------------------------------------------------------------

  handleExternalSend(peer: PeerId, now: Ms): PathEffect[] {
    return this.#with(peer, now, (path) => path.handleSend(now))
  }

  handleReceived(peer: PeerId, from: IpPort | 'relay', relayRegion: number | undefined, now: Ms): PathEffect[] {
    return this.#with(peer, now, (path) => path.handleReceived(from, relayRegion, now))
  }

  /** The relay says a peer left it, or (without a key) the connection to that region broke. */
  handleRelayGone(region: number, nodeKey: Uint8Array | undefined, now: Ms): PathEffect[] {
    const hex = nodeKey === undefined ? undefined : toHex(nodeKey)
    const meant = [...this.#entries.values()].filter((entry) => hex === undefined || entry.nodeKeyHex === hex)
    return meant.flatMap((entry) => this.#perform(entry, entry.path.handleRelayGone(region, now), now))
  }

  handleSendFailed(to: IpPort, code: string, now: Ms): PathEffect[] {
    if (code !== 'EHOSTUNREACH' && code !== 'ENETUNREACH' && code !== 'EMSGSIZE') return []
    return [...this.#entries.values()].flatMap((entry) => {
      const { path } = entry
      if (path.best?.endpoint !== to && path.candidates.get(to) === undefined) return []
      const wishes = code === 'EMSGSIZE' ? path.handleTooLarge(to, now) : path.handleSendFailed(to, now)
      return this.#perform(entry, wishes, now)
    })
  }

  handleNetworkChange(now: Ms): PathEffect[] {
    this.#ownEndpointsMs = undefined
    return [...this.#entries.values()].flatMap((entry) =>
      this.#perform(entry, entry.path.handleNetworkChange(now), now),
    )
  }

  /** A fresh list of our own addresses. Peers that got an old one get this one, if it says something new. */
  handleOwnEndpoints(endpoints: readonly IpPort[], now: Ms): PathEffect[] {
    const changed =
      endpoints.length !== this.#ownEndpoints.length || endpoints.some((e) => !this.#ownEndpoints.includes(e))
    this.#ownEndpoints = [...endpoints]
    this.#ownEndpointsMs = now
    this.#isMeasuring = false
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    return changed ? waiting.flatMap((entry) => this.#callMeMaybe(entry)) : []
  }

  /** A person's ping; `pingResult` with this id follows, or nothing. Sized pings go to UDP only. */
  ping(
    peer: PeerId,
    { size }: { readonly size?: number },
    now: Ms,
  ): { readonly id: number; readonly effects: PathEffect[] } {
    const id = this.#nextAskedId++
    const entry = this.#entries.get(peer)
    if (entry === undefined) return { id, effects: [] }
    for (const [old, asked] of this.#asked) if (now - asked.sentMs > 2 * PING_TIMEOUT_MS) this.#asked.delete(old)
    const transactions = new Set<string>()
    const wishes = entry.path.pingAll(now, size !== undefined)
    for (const wish of wishes) if (wish.kind === 'ping') transactions.add(wish.transaction)
    this.#asked.set(id, { id, peer, sentMs: now, transactions })
    const paddingBytes = Math.max(0, (size ?? 0) - PING_DATAGRAM_BYTES)
    const effects = this.#perform(entry, wishes, now, paddingBytes)
    const region = entry.path.relayRegion
    const isDirect = entry.path.kind(now) === 'direct'
    if (region !== 0 && !isDirect && paddingBytes === 0) {
      const transaction = this.#newTransaction()
      transactions.add(transaction)
      const bytes = this.#sealPing(entry, transaction, 0)
      if (bytes !== undefined) effects.push({ kind: 'sendRelay', region, nodeKey: entry.path.facts.nodeKey, bytes })
    }
    return { id, effects }
  }

  // --- time and answers -------------------------------------------------------------------------------------------------

  wake(now: Ms): PathEffect[] {
    return this.#deadlines
      .takeDue(now, this.#entries.size)
      .flatMap((entry) => this.#perform(entry, entry.path.wake(now), now))
  }

  nextWake(): Ms | undefined {
    return this.#deadlines.next()
  }

  destination(peer: PeerId, now: Ms): Destination {
    return this.#entries.get(peer)?.path.destination(now) ?? { relay: false }
  }

  /** undefined for a peer that is not there. The region's code is for the caller to fill in. */
  report(peer: PeerId, now: Ms): PathReport {
    const path = this.#entries.get(peer)?.path
    if (path === undefined)
      return {
        kind: 'none',
        endpoint: '',
        derpRegion: 0,
        derpRegionCode: '',
        latencyMs: 0,
        candidates: [],
        history: [],
      }
    const kind = path.kind(now)
    const wallMs = this.#wallClockMs()
    return {
      kind,
      endpoint: kind === 'direct' ? (path.best?.endpoint ?? '') : '',
      derpRegion: path.relayRegion,
      derpRegionCode: '',
      latencyMs: kind === 'direct' ? (path.best?.latencyMs ?? 0) : 0,
      candidates: [...path.candidates.all()].map((c) => ({
        endpoint: c.endpoint,
        source: c.fromCallMeMaybe ? 'call-me-maybe' : c.fromNetmap ? 'netmap' : 'ping',
        lastPongMs: c.latencyMs ?? null,
        ...(c.seenAs === undefined || c.latencyMs === undefined ? {} : { seenAs: c.seenAs }),
        ...(c.width.isNarrow ? { tooSmallForBytes: fullBytesOnWire(c.endpoint) } : {}),
      })),
      history: path.history.map(({ atMs, ...transition }) => ({
        at: new Date(wallMs - (now - atMs)).toISOString(),
        ...transition,
      })),
    }
  }

  // --- inside -----------------------------------------------------------------------------------------------------------

  #with(peer: PeerId, now: Ms, act: (path: PeerPath) => PathWish[]): PathEffect[] {
    const entry = this.#entries.get(peer)
    return entry === undefined ? [] : this.#perform(entry, act(entry.path), now)
  }

  #perform(entry: Entry, wishes: readonly PathWish[], now: Ms, paddingBytes = 0): PathEffect[] {
    const effects: PathEffect[] = []
    for (const wish of wishes) {
      if (wish.kind === 'ping') {
        const padding = wish.isFull === true ? FULL_DATAGRAM_BYTES - PING_DATAGRAM_BYTES : paddingBytes
        const bytes = this.#sealPing(entry, wish.transaction, padding)
        if (bytes !== undefined) effects.push({ kind: 'sendDatagram', to: wish.to, bytes })
      } else if (wish.kind === 'relayPing') {
        const bytes = this.#sealPing(entry, wish.transaction, 0)
        const { relayRegion: region, facts } = entry.path
        if (bytes !== undefined) effects.push({ kind: 'sendRelay', region, nodeKey: facts.nodeKey, bytes })
      } else if (wish.kind === 'callMeMaybe') effects.push(...this.#askForCall(entry, now))
    }
    const destination = entry.path.destination(now)
    const relayRegion = entry.path.relayRegion
    const shown = `${destination.udp ?? ''} ${destination.relay} ${relayRegion} ${entry.path.kind(now)} ${entry.path.isNarrow}`
    if (shown !== entry.shown) {
      entry.shown = shown
      effects.push(
        { kind: 'setDestination', peer: entry.id, destination, relayRegion },
        { kind: 'pathChanged', peer: entry.id },
      )
    }
    this.#deadlines.set(entry, entry.path.nextWake(now))
    return effects
  }

  /** The list we have goes out now, old or not; when it is old, a fresh one follows if it differs. */
  #askForCall(entry: Entry, now: Ms): PathEffect[] {
    const isFresh = this.#ownEndpointsMs !== undefined && now - this.#ownEndpointsMs <= ENDPOINTS_FRESH_MS
    const effects = this.#ownEndpoints.length > 0 ? this.#callMeMaybe(entry) : []
    if (isFresh) return effects
    this.#waiting.add(entry)
    if (this.#isMeasuring) return effects
    this.#isMeasuring = true
    return [...effects, { kind: 'restun' }]
  }

  #callMeMaybe(entry: Entry): PathEffect[] {
    const region = entry.path.relayRegion
    const bytes = this.#seal(entry, { kind: 'callMeMaybe', endpoints: this.#ownEndpoints })
    if (region === 0 || bytes === undefined) return []
    return [{ kind: 'sendRelay', region, nodeKey: entry.path.facts.nodeKey, bytes }]
  }

  #sealPing(entry: Entry, transaction: string, paddingBytes: number): Uint8Array | undefined {
    const txId = Uint8Array.from({ length: TRANSACTION_BYTES }, (_, i) =>
      Number.parseInt(transaction.slice(2 * i, 2 * i + 2), 16),
    )
    return this.#seal(entry, { kind: 'ping', txId, nodeKey: this.#nodePublic, paddingBytes })
  }

  #seal(entry: Entry, message: DiscoMessage): Uint8Array | undefined {
    const { discoKey } = entry.path.facts
    if (discoKey === undefined || entry.discoHex === undefined) return undefined
    const shared = this.#sharedKey(entry.discoHex, discoKey)
    return shared === undefined ? undefined : sealDisco(this.#crypto, shared, this.#discoPublic, message)
  }

  /** Precomputed once per disco key; undefined for a low-order one. */
  #sharedKey(hex: string, discoKey: Uint8Array): Uint8Array | undefined {
    if (!this.#sharedKeys.has(hex)) {
      if (this.#sharedKeys.size >= MAX_SHARED_KEYS) this.#sharedKeys.clear()
      this.#sharedKeys.set(hex, this.#crypto.boxSharedKey(this.#discoPrivate, discoKey))
    }
    return this.#sharedKeys.get(hex)
  }

  #newTransaction(): string {
    return toHex(this.#crypto.randomBytes(TRANSACTION_BYTES))
  }

  #drop(reason: string): PathEffect[] {
    this.drops[reason] = (this.drops[reason] ?? 0) + 1
    return []
  }
}

function find(entries: ReadonlySet<Entry>, nodeKeyHex: string): Entry | undefined {
  for (const entry of entries) if (entry.nodeKeyHex === nodeKeyHex) return entry
  return undefined
}

/** Size of the IP packet that carries a full tunnel packet to that address. */
function fullBytesOnWire(endpoint: IpPort): number {
  return FULL_DATAGRAM_BYTES + (endpoint.startsWith('[') ? IPV6_UDP_BYTES : IPV4_UDP_BYTES)
}

/** IPv6 link-local addresses mean nothing on another machine, and nobody listens on port 0. */
function isUsable(endpoint: IpPort): boolean {
  const parsed = parseIpPort(endpoint)
  return parsed.ok && parsed.value.port !== 0 && !(parsed.value.ip.length === 16 && isLinkLocal(parsed.value.ip))
}
