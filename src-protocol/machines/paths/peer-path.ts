/**
 * One peer's path: where its packets go now, and when to look for something better. Decides; does not seal, send or wait.
 * `paths.ts` does the sealing for all peers, its shell the rest.                                     [disco.md §4–6]
 *
 * What must stay true: only a pong to our own ping makes an address the path; while the path is not trusted, packets go
 * over the relay as well; 45 s after our last packet nothing is sent any more.
 */
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import type { PathKind, PathReason } from '../../../src-contract/localapi/pintail.ts'
import { isBetterPath } from './better-path.ts'
import { type Candidate, Candidates } from './candidates.ts'
import {
  CALL_INTERVAL_MS,
  CALLS_AT_ONCE,
  DISCOVERY_INTERVAL_MS,
  GOOD_ENOUGH_MS,
  HEARTBEAT_MS,
  HISTORY_LENGTH,
  MAX_LISTED_ENDPOINTS,
  MAX_OUTSTANDING_PINGS,
  MISSING_PONGS,
  PING_BACK_INTERVAL_MS,
  PING_TIMEOUT_MS,
  PONG_PATIENCE_MS,
  PUNCH_AGAIN_MS,
  SESSION_ACTIVE_MS,
  SILENCE_MS,
  TRUST_MS,
  UPGRADE_INTERVAL_MS,
} from './constants.ts'
import type { Destination, PathPeer } from './effects.ts'

/** What a peer's path asks for; `paths.ts` turns it into effects. */
export type PathWish =
  | { readonly kind: 'ping'; readonly to: IpPort; readonly transaction: string }
  /** Ask the peer, over its relay, to ping all our endpoints. */
  | { readonly kind: 'callMeMaybe' }
  | { readonly kind: 'destination' }

export interface Transition {
  readonly atMs: Ms
  readonly from: PathKind
  readonly to: PathKind
  readonly endpoint: IpPort | ''
  readonly derpRegion: number
  readonly reason: PathReason
}

interface BestPath {
  readonly endpoint: IpPort
  latencyMs: Ms
  trustedUntilMs: Ms
  /** Anything authenticated arrived from there. */
  heardMs: Ms
}

interface OutstandingPing {
  readonly to: IpPort
  readonly sentMs: Ms
  /** Was the best path when it was sent, and its pong is awaited for trust. */
  readonly watched: boolean
  missed: boolean
}

export class PeerPath {
  readonly candidates = new Candidates()
  readonly #newTransaction: () => string
  readonly #outstanding = new Map<string, OutstandingPing>()
  readonly #history: Transition[] = []
  #facts: PathPeer
  #best: BestPath | undefined
  #sentMs: Ms | undefined
  #roundMs: Ms | undefined
  #heartbeatMs: Ms | undefined
  /** Pending repetitions of a round's pings. */
  #punches: Ms[] = []
  #missingPongs = 0
  /** Calls it may still make, as of that time. */
  #calls = { left: CALLS_AT_ONCE, atMs: 0 }
  /** Where the peer was last heard over a relay; used when it has no home. */
  #heardRegion = 0
  #shownKind: PathKind = 'none'
  #shownEndpoint: IpPort | '' = ''

  constructor(facts: PathPeer, newTransaction: () => string, now: Ms) {
    this.#facts = facts
    this.#newTransaction = newTransaction
    this.candidates.setNetmap(facts.endpoints.slice(0, MAX_LISTED_ENDPOINTS))
    this.#note(now, 'idle')
  }

  get facts(): PathPeer {
    return this.#facts
  }

  get history(): readonly Transition[] {
    return this.#history
  }

  get best(): Readonly<BestPath> | undefined {
    return this.#best
  }

  get relayRegion(): number {
    return this.#facts.derpRegion !== 0 ? this.#facts.derpRegion : this.#heardRegion
  }

  // --- what happens -----------------------------------------------------------------------------------------------------

  setFacts(facts: PathPeer, now: Ms): PathWish[] {
    const before = this.#facts
    this.#facts = facts
    const fresh = this.candidates.setNetmap(facts.endpoints.slice(0, MAX_LISTED_ENDPOINTS))
    if (facts.wireGuardOnly) return this.#afterChange(now, 'endpoint-gone')
    const restarted = !sameKey(before.discoKey, facts.discoKey)
    if (restarted) {
      // The process behind that address is another one now; it may be the same address, so keep it, but prove it.
      this.#distrust(now)
      this.#outstanding.clear()
      this.#roundMs = undefined
    }
    const wishes = this.#afterChange(now, restarted ? 'peer-restarted' : 'better-path')
    if (!this.#isActive(now) || this.#isTrusted(now)) return wishes
    if (restarted) return [...wishes, ...this.#round(now)]
    return [...wishes, ...fresh.map((candidate) => this.#ping(candidate.endpoint, now))]
  }

  /** WireGuard sent something to the peer. */
  handleSend(now: Ms): PathWish[] {
    const wasActive = this.#isActive(now)
    this.#sentMs = now
    if (this.#facts.wireGuardOnly || this.#facts.discoKey === undefined) return this.#afterChange(now, 'first-packet')
    if (!wasActive || this.#heartbeatMs === undefined) this.#heartbeatMs = now + HEARTBEAT_MS
    const wishes = this.#afterChange(now, 'first-packet')
    if (!this.#isTrusted(now)) return [...wishes, ...this.#round(now)]
    return [...wishes, ...this.#watchSilence(now)]
  }

  /** An authenticated packet arrived. */
  handleReceived(from: IpPort | 'relay', region: number | undefined, now: Ms): PathWish[] {
    if (from !== 'relay') {
      if (this.#best?.endpoint === from) this.#best.heardMs = now
      return []
    }
    if (region !== undefined) this.#heardRegion = region
    const best = this.#best
    // A peer uses the relay when it does not trust the direct path. If we have not heard from there either, believe it.
    if (best === undefined || !this.#isTrusted(now) || now - best.heardMs < PONG_PATIENCE_MS || !this.#isActive(now))
      return []
    this.#distrust(now)
    return [...this.#afterChange(now, 'ping-timeout'), this.#ping(best.endpoint, now)]
  }

  /** A ping of the peer's arrived over UDP; answering it is the caller's. undefined = a copy, not to be answered. */
  handlePing(from: IpPort, transaction: string, now: Ms): PathWish[] | undefined {
    const candidate = this.candidates.heardPing(from, now)
    if (candidate.lastTransaction === transaction) return undefined
    candidate.lastTransaction = transaction
    if (!this.#isActive(now) || this.#isTrusted(now)) return []
    // Through a strict NAT this source may be the only address that works, and its hole is open right now.
    const isRecent = candidate.pingedMs !== undefined && now - candidate.pingedMs < PING_BACK_INTERVAL_MS
    return isRecent ? [] : [this.#ping(from, now)]
  }

  handlePong(
    transaction: string,
    now: Ms,
  ): { readonly wishes: PathWish[]; readonly latencyMs: Ms; readonly to: IpPort } | undefined {
    const ping = this.#outstanding.get(transaction)
    if (ping === undefined) return undefined
    this.#outstanding.delete(transaction)
    const latencyMs = now - ping.sentMs
    const candidate = this.candidates.get(ping.to)
    if (candidate === undefined) return { wishes: [], latencyMs, to: ping.to }
    candidate.pongMs = now
    candidate.latencyMs = latencyMs
    const best = this.#best
    let reason: PathReason = 'pong'
    if (best?.endpoint === ping.to) {
      best.latencyMs = latencyMs
      best.trustedUntilMs = now + TRUST_MS
      best.heardMs = now
    } else if (best === undefined || !this.#isTrusted(now) || isBetterPath({ endpoint: ping.to, latencyMs }, best)) {
      if (best !== undefined) reason = 'better-path'
      this.#best = { endpoint: ping.to, latencyMs, trustedUntilMs: now + TRUST_MS, heardMs: now }
    }
    if (this.#best?.endpoint === ping.to) {
      this.#missingPongs = 0
      this.#punches = []
    }
    return { wishes: this.#afterChange(now, reason), latencyMs, to: ping.to }
  }

  /** The peer asks to be pinged at these addresses: it has just pinged ours, so its doors are open now. */
  handleCallMeMaybe(endpoints: readonly IpPort[], now: Ms): PathWish[] {
    if (!this.#mayCall(now)) return []
    this.candidates.setCallMeMaybe(endpoints.slice(0, MAX_LISTED_ENDPOINTS))
    if (!this.#isTrusted(now)) this.#punches = PUNCH_AGAIN_MS.map((delay) => now + delay)
    return [...this.candidates.all()].map(({ endpoint }) => this.#ping(endpoint, now))
  }

  #mayCall(now: Ms): boolean {
    const { left, atMs } = this.#calls
    const calls = Math.min(CALLS_AT_ONCE, left + (now - atMs) / CALL_INTERVAL_MS)
    this.#calls = { left: calls >= 1 ? calls - 1 : calls, atMs: now }
    return calls >= 1
  }

  handleSendFailed(to: IpPort, now: Ms): PathWish[] {
    const candidate = this.candidates.get(to)
    if (candidate !== undefined) {
      candidate.pongMs = undefined
      candidate.latencyMs = undefined
    }
    if (this.#best?.endpoint !== to) return []
    this.#best = undefined
    return this.#afterChange(now, 'endpoint-gone')
  }

  handleRelayGone(region: number, now: Ms): PathWish[] {
    if (this.#heardRegion !== region) return []
    this.#heardRegion = 0
    return this.#afterChange(now, 'no-home-relay')
  }

  handleNetworkChange(now: Ms): PathWish[] {
    this.#best = undefined
    this.#outstanding.clear()
    this.#punches = []
    this.#roundMs = undefined
    this.candidates.forgetMeasurements()
    const wishes = this.#afterChange(now, 'network-change')
    return this.#isActive(now) ? [...wishes, ...this.#round(now)] : wishes
  }

  /** Pings for a person who asks: the trusted path alone, else every candidate, whatever was pinged when. */
  pingAll(now: Ms): PathWish[] {
    const activity = this.handleSend(now)
    const targets =
      this.#best !== undefined && this.#isTrusted(now)
        ? [this.#best.endpoint]
        : [...this.candidates.all()].map((c) => c.endpoint)
    return [...activity, ...targets.map((endpoint) => this.#ping(endpoint, now))]
  }

  // --- time -------------------------------------------------------------------------------------------------------------

  nextWake(now: Ms): Ms | undefined {
    const times: Ms[] = []
    if (this.#heartbeatMs !== undefined) times.push(this.#heartbeatMs)
    if (this.#punches[0] !== undefined) times.push(this.#punches[0])
    if (this.#best !== undefined && this.#best.trustedUntilMs > now) times.push(this.#best.trustedUntilMs)
    for (const ping of this.#outstanding.values())
      times.push(ping.watched && !ping.missed ? ping.sentMs + this.#patienceMs() : ping.sentMs + PING_TIMEOUT_MS)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  wake(now: Ms): PathWish[] {
    const wishes: PathWish[] = []
    this.#expirePings(now, wishes)
    if (this.#punches[0] !== undefined && this.#punches[0] <= now) {
      this.#punches = this.#punches.filter((at) => at > now)
      if (!this.#isTrusted(now)) for (const { endpoint } of this.#unanswered()) wishes.push(this.#ping(endpoint, now))
    }
    if (this.#heartbeatMs !== undefined && this.#heartbeatMs <= now) wishes.push(...this.#heartbeat(now))
    wishes.push(...this.#afterChange(now, 'ping-timeout'))
    return wishes
  }

  #heartbeat(now: Ms): PathWish[] {
    if (!this.#isActive(now)) {
      this.#heartbeatMs = undefined
      this.candidates.prune(now)
      return []
    }
    this.#heartbeatMs = now + HEARTBEAT_MS
    const wishes: PathWish[] = []
    const best = this.#best
    if (best !== undefined) wishes.push(this.#ping(best.endpoint, now))
    const wantsBetter =
      best === undefined ||
      !this.#isTrusted(now) ||
      (best.latencyMs > GOOD_ENOUGH_MS && now - (this.#roundMs ?? Number.NEGATIVE_INFINITY) >= UPGRADE_INTERVAL_MS)
    return wantsBetter ? [...wishes, ...this.#round(now)] : wishes
  }

  /** We send, the direct path is silent: ask it at once. Two missing answers end the trust within about two seconds. */
  #watchSilence(now: Ms): PathWish[] {
    const best = this.#best
    if (best === undefined || now - best.heardMs < SILENCE_MS) return []
    for (const ping of this.#outstanding.values()) if (ping.to === best.endpoint && !ping.missed) return []
    return [this.#ping(best.endpoint, now)]
  }

  #expirePings(now: Ms, wishes: PathWish[]): void {
    const patienceMs = this.#patienceMs()
    for (const [transaction, ping] of this.#outstanding) {
      const isBest = this.#best?.endpoint === ping.to
      if (ping.watched && !ping.missed && now - ping.sentMs >= patienceMs) {
        ping.missed = true
        if (isBest && ++this.#missingPongs >= MISSING_PONGS) this.#distrust(now)
        // Unless the relay helps out already, ask once more without waiting for the heartbeat.
        if (isBest && this.#isTrusted(now)) wishes.push(this.#ping(ping.to, now))
      }
      if (now - ping.sentMs < PING_TIMEOUT_MS) continue
      this.#outstanding.delete(transaction)
      if (isBest && !this.#isTrusted(now)) this.#best = undefined
    }
  }

  // --- the round --------------------------------------------------------------------------------------------------------

  /** Pings every candidate that was not pinged lately, then asks the peer to do the same. */
  #round(now: Ms): PathWish[] {
    if (this.#roundMs !== undefined && now - this.#roundMs < DISCOVERY_INTERVAL_MS) return []
    this.#roundMs = now
    this.candidates.prune(now)
    const pings = this.candidates.duePings(now).map(({ endpoint }) => this.#ping(endpoint, now))
    if (!this.#isTrusted(now)) this.#punches = PUNCH_AGAIN_MS.map((delay) => now + delay)
    // Without a candidate of its own the peer still learns ours, and its pings bring us its address.
    return this.relayRegion === 0 ? pings : [...pings, { kind: 'callMeMaybe' }]
  }

  #unanswered(): Candidate[] {
    const since = this.#roundMs ?? 0
    return [...this.candidates.all()].filter(({ pongMs }) => pongMs === undefined || pongMs < since)
  }

  #ping(to: IpPort, now: Ms): PathWish {
    const candidate = this.candidates.get(to)
    if (candidate !== undefined) candidate.pingedMs = now
    const transaction = this.#newTransaction()
    const oldest = this.#outstanding.size < MAX_OUTSTANDING_PINGS ? undefined : this.#outstanding.keys().next().value
    if (oldest !== undefined) this.#outstanding.delete(oldest)
    this.#outstanding.set(transaction, { to, sentMs: now, watched: this.#best?.endpoint === to, missed: false })
    return { kind: 'ping', to, transaction }
  }

  // --- state ------------------------------------------------------------------------------------------------------------

  destination(now: Ms): Destination {
    const { wireGuardOnly } = this.#facts
    if (wireGuardOnly) {
      const udp = this.#best?.endpoint ?? this.#facts.endpoints[0]
      return udp === undefined ? { relay: false } : { udp, relay: false }
    }
    const relay = this.relayRegion !== 0
    if (this.#best === undefined) return { relay }
    return { udp: this.#best.endpoint, relay: relay && !this.#isTrusted(now) }
  }

  kind(now: Ms): PathKind {
    if (this.#facts.wireGuardOnly) return this.#facts.endpoints.length > 0 ? 'direct' : 'none'
    if (!this.#isActive(now)) return 'idle'
    if (this.#best !== undefined && this.#isTrusted(now)) return 'direct'
    return this.relayRegion === 0 ? 'none' : 'relay'
  }

  isActive(now: Ms): boolean {
    return this.#isActive(now)
  }

  #isActive(now: Ms): boolean {
    return this.#sentMs !== undefined && now - this.#sentMs < SESSION_ACTIVE_MS
  }

  #isTrusted(now: Ms): boolean {
    return this.#best !== undefined && now < this.#best.trustedUntilMs
  }

  #distrust(now: Ms): void {
    if (this.#best !== undefined) this.#best.trustedUntilMs = Math.min(this.#best.trustedUntilMs, now)
  }

  #patienceMs(): Ms {
    return Math.max(PONG_PATIENCE_MS, 4 * (this.#best?.latencyMs ?? 0))
  }

  #afterChange(now: Ms, reason: PathReason): PathWish[] {
    this.#note(now, reason)
    return [{ kind: 'destination' }]
  }

  /** Writes down what changed and why. */
  #note(now: Ms, reason: PathReason): void {
    const kind = this.kind(now)
    const endpoint = kind === 'direct' ? (this.#best?.endpoint ?? '') : ''
    if (kind === this.#shownKind && endpoint === this.#shownEndpoint) return
    const why = kind === 'idle' ? 'idle' : kind === 'none' ? 'no-home-relay' : reason
    const derpRegion = kind === 'relay' ? this.relayRegion : 0
    this.#history.push({ atMs: now, from: this.#shownKind, to: kind, endpoint, derpRegion, reason: why })
    if (this.#history.length > HISTORY_LENGTH) this.#history.shift()
    this.#shownKind = kind
    this.#shownEndpoint = endpoint
  }
}

function sameKey(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
