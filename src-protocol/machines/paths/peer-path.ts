/**
 * One peer's path: where its packets go now, and when to look for something better. Decides; does not seal, send or wait.
 * `paths.ts` does the sealing for all peers, its shell the rest.                                     [disco.md §4–6]
 *
 * What must stay true: only a pong to our own ping makes an address the path; while the path is not trusted, packets go
 * over the relay as well; an address that loses full packets carries them only when there is no other way; 45 s after our
 * last packet nothing is sent any more.
 */
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import type { PathKind, PathReason } from '../../../src-contract/localapi/pintail.ts'
import { isBetterPath } from './better-path.ts'
import { CallBudget } from './call-budget.ts'
import { type Candidate, Candidates } from './candidates.ts'
import {
  DISCOVERY_INTERVAL_MS,
  FULL_DATAGRAM_BYTES,
  GOOD_ENOUGH_MS,
  HEARTBEAT_MS,
  MAX_LISTED_ENDPOINTS,
  MISSING_PONGS,
  MISSING_PONGS_WHEN_HEARD,
  MOVED_PATIENCE_MS,
  MOVED_SILENCE_MS,
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
import { isFull, OutstandingPings, type PingSize } from './outstanding-pings.ts'
import { PathHistory, type Transition } from './path-history.ts'
import { RelayProof } from './relay-proof.ts'

/** What a peer's path asks for; `paths.ts` turns it into effects. */
export type PathWish =
  | { readonly kind: 'ping'; readonly to: IpPort; readonly transaction: string; readonly isFull?: boolean }
  | { readonly kind: 'relayPing'; readonly transaction: string }
  /** Ask the peer, over its relay, to ping all our endpoints. */
  | { readonly kind: 'callMeMaybe' }
  | { readonly kind: 'destination' }

interface BestPath {
  readonly endpoint: IpPort
  latencyMs: Ms
  trustedUntilMs: Ms
  /** Anything authenticated arrived from there. */
  heardMs: Ms
}

export class PeerPath {
  readonly candidates = new Candidates()
  readonly #newTransaction: () => string
  readonly #outstanding = new OutstandingPings()
  readonly #history = new PathHistory()
  readonly #calls = new CallBudget()
  #facts: PathPeer
  #best: BestPath | undefined
  #sentMs: Ms | undefined
  #roundMs: Ms | undefined
  #heartbeatMs: Ms | undefined
  /** Pending repetitions of a round's pings. */
  #punches: Ms[] = []
  #missingPongs = 0
  readonly #relayProof = new RelayProof()
  #fullPingMs: Ms | undefined
  /** Where the peer was last heard over a relay; used when it has no home. */
  #heardRegion = 0

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
    return this.#history.transitions
  }

  get best(): Readonly<BestPath> | undefined {
    return this.#best
  }

  /** Does the best address lose full packets? */
  get isNarrow(): boolean {
    return this.#isNarrow()
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
    if (!wasActive && this.#hasNarrow()) wishes.push(...this.#askRelay(now))
    if (!this.#isTrusted(now)) return [...wishes, ...this.#round(now)]
    return this.#isNarrow() ? wishes : [...wishes, ...this.#watchSilence(now)]
  }

  /** An authenticated packet arrived. */
  handleReceived(from: IpPort | 'relay', region: number | undefined, now: Ms): PathWish[] {
    if (from !== 'relay') {
      if (this.#best?.endpoint !== from) return this.#watchMove(from, now)
      this.#best.heardMs = now
      return []
    }
    if (region !== undefined) this.#heardRegion = region
    const best = this.#best
    // A peer uses the relay when it does not trust the direct path. If we have not heard from there either, believe it.
    if (best === undefined || !this.#isTrusted(now) || now - best.heardMs < PONG_PATIENCE_MS || !this.#isActive(now))
      return []
    if (this.#isNarrow()) return [] // we left the path ourselves
    this.#distrust(now)
    return [...this.#afterChange(now, 'ping-timeout'), this.#ping(best.endpoint, now)]
  }

  /**
   * The peer sends from elsewhere: perhaps its NAT has forgotten it. If its path is silent as well, ask both; when only the
   * new one answers, that is the path. A peer that has two addresses which both work stays where it is.
   */
  #watchMove(from: IpPort, now: Ms): PathWish[] {
    const best = this.#best
    if (best === undefined || this.#facts.wireGuardOnly || !this.#isActive(now) || !this.#isTrusted(now)) return []
    if (this.#isNarrow() || now - best.heardMs < MOVED_SILENCE_MS) return []
    const candidate = this.candidates.heardPacket(from, now)
    if (candidate.moveAskedMs !== undefined && now - candidate.moveAskedMs < HEARTBEAT_MS) return []
    candidate.moveAskedMs = now
    return [this.#ping(from, now), this.#ping(best.endpoint, now, 'hurried')]
  }

  /** A ping of the peer's arrived over UDP; answering it is the caller's. `undefined`: it must not be answered. */
  handlePing(from: IpPort, transaction: string, now: Ms, datagramBytes = 0): PathWish[] | undefined {
    const candidate = this.candidates.heardPing(from, now)
    if (candidate.lastTransaction === transaction) return undefined // a copy
    candidate.lastTransaction = transaction
    if (candidate.width.isNarrow && datagramBytes < FULL_DATAGRAM_BYTES && this.#hasProvenWay(now)) return undefined
    if (!this.#isActive(now) || this.#isTrusted(now)) return []
    // Through a strict NAT this source may be the only address that works, and its hole is open right now.
    const isRecent = candidate.pingedMs !== undefined && now - candidate.pingedMs < PING_BACK_INTERVAL_MS
    return isRecent ? [] : [this.#ping(from, now)]
  }

  handlePong(
    transaction: string,
    now: Ms,
  ): { readonly wishes: PathWish[]; readonly latencyMs: Ms; readonly to: IpPort } | undefined {
    const ping = this.#outstanding.take(transaction)
    if (ping === undefined) return undefined
    const latencyMs = now - ping.sentMs
    const candidate = this.candidates.get(ping.to)
    if (candidate === undefined) return { wishes: [], latencyMs, to: ping.to }
    candidate.pongMs = now
    candidate.latencyMs = latencyMs
    if (isFull(ping.size)) candidate.width.handleFullPong()
    else candidate.width.handleSmallPong(ping.sentMs)
    const best = this.#best
    let reason: PathReason = 'pong'
    if (best?.endpoint === ping.to) {
      best.latencyMs = latencyMs
      best.trustedUntilMs = now + TRUST_MS
      best.heardMs = now
    } else if (best === undefined || !this.#isTrusted(now) || this.#isBetter(candidate, latencyMs, best)) {
      if (best !== undefined) reason = 'better-path'
      this.#bestWidth()?.endTrial()
      this.#best = { endpoint: ping.to, latencyMs, trustedUntilMs: now + TRUST_MS, heardMs: now }
    }
    const wishes: PathWish[] = []
    if (this.#best?.endpoint === ping.to) {
      this.#missingPongs = 0
      this.#punches = []
      if (best?.endpoint !== ping.to && this.#isActive(now) && candidate.width.wantsTrial)
        wishes.push(this.#fullPing(candidate, now))
    }
    return { wishes: [...wishes, ...this.#afterChange(now, reason)], latencyMs, to: ping.to }
  }

  /** The answer to a `relayPing`. */
  handleRelayPong(transaction: string, now: Ms): PathWish[] {
    return this.#relayProof.handlePong(transaction, now) ? this.#afterChange(now, 'pong') : []
  }

  /** The peer asks to be pinged at these addresses: it has just pinged ours, so its doors are open now. */
  handleCallMeMaybe(endpoints: readonly IpPort[], now: Ms): PathWish[] {
    if (!this.#calls.take(now)) return []
    this.candidates.setCallMeMaybe(endpoints.slice(0, MAX_LISTED_ENDPOINTS))
    if (!this.#isTrusted(now)) this.#punches = PUNCH_AGAIN_MS.map((delay) => now + delay)
    return [...this.candidates.all()].map(({ endpoint }) => this.#ping(endpoint, now))
  }

  handleSendFailed(to: IpPort, now: Ms): PathWish[] {
    const candidate = this.candidates.get(to)
    if (candidate !== undefined) {
      candidate.pongMs = undefined
      candidate.latencyMs = undefined
    }
    if (this.#best?.endpoint !== to) return []
    this.#bestWidth()?.endTrial()
    this.#best = undefined
    return this.#afterChange(now, 'endpoint-gone')
  }

  /** The system says that a full packet cannot go there. */
  handleTooLarge(to: IpPort, now: Ms): PathWish[] {
    const candidate = this.candidates.get(to)
    if (candidate === undefined || candidate.width.isNarrow) return []
    candidate.width.handleTooLarge(now)
    return this.#best?.endpoint === to ? this.#leaveNarrow(now) : []
  }

  handleRelayGone(region: number, now: Ms): PathWish[] {
    if (region === this.relayRegion) this.#relayProof.forget()
    if (this.#heardRegion !== region) return this.#afterChange(now, 'no-home-relay')
    this.#heardRegion = 0
    return this.#afterChange(now, 'no-home-relay')
  }

  handleNetworkChange(now: Ms): PathWish[] {
    this.#best = undefined
    this.#outstanding.clear()
    this.#relayProof.forget()
    this.#punches = []
    this.#roundMs = undefined
    this.candidates.forgetMeasurements()
    const wishes = this.#afterChange(now, 'network-change')
    return this.#isActive(now) ? [...wishes, ...this.#round(now)] : wishes
  }

  /**
   * Pings for a person who asks: the trusted path alone, else every candidate, whatever was pinged when. The answer shall
   * name the path that packets take, so a narrow one that they do not take is only asked when a size is.
   */
  pingAll(now: Ms, isSized = false): PathWish[] {
    const activity = this.handleSend(now)
    const isLeft = this.#isNarrow() && this.#relayProof.holds(this.relayRegion, now)
    const targets =
      this.#best !== undefined && this.#isTrusted(now) && !isLeft
        ? [this.#best.endpoint]
        : [...this.candidates.all()].filter((c) => isSized || !isLeft || !c.width.isNarrow).map((c) => c.endpoint)
    return [...activity, ...targets.map((endpoint) => this.#ping(endpoint, now))]
  }

  // --- time -------------------------------------------------------------------------------------------------------------

  nextWake(now: Ms): Ms | undefined {
    const times: Ms[] = []
    if (this.#heartbeatMs !== undefined) times.push(this.#heartbeatMs)
    if (this.#punches[0] !== undefined) times.push(this.#punches[0])
    if (this.#best !== undefined && this.#best.trustedUntilMs > now) times.push(this.#best.trustedUntilMs)
    const trial = this.#bestWidth()?.nextWake(this.#patienceMs())
    if (trial !== undefined) times.push(trial)
    const { untilMs } = this.#relayProof
    if (untilMs !== undefined && untilMs > now) times.push(untilMs)
    times.push(...this.#outstanding.deadlines((size) => this.#patienceMs(size)))
    return times.length === 0 ? undefined : Math.min(...times)
  }

  wake(now: Ms): PathWish[] {
    const wishes: PathWish[] = []
    this.#expirePings(now, wishes)
    if (this.#punches[0] !== undefined && this.#punches[0] <= now) {
      this.#punches = this.#punches.filter((at) => at > now)
      if (!this.#isTrusted(now)) for (const { endpoint } of this.#unanswered()) wishes.push(this.#ping(endpoint, now))
    }
    wishes.push(...this.#judgeWidth(now))
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
    if (best !== undefined) wishes.push(...this.#pingBest(best, now))
    if (this.#hasNarrow() && !this.#isBestWide(now)) wishes.push(...this.#askRelay(now), ...this.#retryNarrow(now))
    const wantsBetter =
      best === undefined ||
      !this.#isTrusted(now) ||
      this.#isNarrow() ||
      (best.latencyMs > GOOD_ENOUGH_MS && now - (this.#roundMs ?? Number.NEGATIVE_INFINITY) >= UPGRADE_INTERVAL_MS)
    return wantsBetter ? [...wishes, ...this.#round(now)] : wishes
  }

  #pingBest(best: BestPath, now: Ms): PathWish[] {
    const candidate = this.candidates.get(best.endpoint)
    const isUsed = this.#fullPingMs === undefined || (this.#sentMs ?? 0) >= this.#fullPingMs
    if (candidate === undefined || !isUsed || !this.#isTrusted(now) || !candidate.width.wantsTrial)
      return [this.#ping(best.endpoint, now)]
    // On a wide path one padded ping answers both questions.
    if (candidate.width.isProven) return [this.#fullPing(candidate, now)]
    return [this.#ping(best.endpoint, now), this.#fullPing(candidate, now)]
  }

  /** We send, the direct path is silent: ask it at once. Two missing answers end the trust within about two seconds. */
  #watchSilence(now: Ms): PathWish[] {
    const best = this.#best
    if (best === undefined || now - best.heardMs < SILENCE_MS || this.#outstanding.awaits(best.endpoint)) return []
    return [this.#ping(best.endpoint, now)]
  }

  #expirePings(now: Ms, wishes: PathWish[]): void {
    for (const [transaction, ping] of this.#outstanding.entries()) {
      const patienceMs = this.#patienceMs(ping.size)
      const isBest = this.#best?.endpoint === ping.to
      if (ping.watched && !ping.missed && now - ping.sentMs >= patienceMs) {
        ping.missed = true
        if (isBest && ping.size === 'hurried' && this.#move(ping.sentMs, now, wishes)) continue
        const isHeard = isBest && this.#best !== undefined && now - this.#best.heardMs < SILENCE_MS + patienceMs
        const enough = isHeard ? MISSING_PONGS_WHEN_HEARD : MISSING_PONGS
        if (isBest && ++this.#missingPongs >= enough) this.#distrust(now)
        // Unless the relay helps out already, ask once more without waiting for the heartbeat.
        if (isBest && this.#isTrusted(now)) wishes.push(this.#ping(ping.to, now))
      }
      if (now - ping.sentMs < PING_TIMEOUT_MS) continue
      this.#outstanding.delete(transaction)
      if (!isBest || this.#isTrusted(now)) continue
      this.#bestWidth()?.endTrial()
      this.#best = undefined
    }
  }

  /** The path goes where the peer is heard and answers since then. */
  #move(since: Ms, now: Ms, wishes: PathWish[]): boolean {
    const next = this.candidates.movedTo(since)
    if (next?.pongMs === undefined || next.latencyMs === undefined) return false
    this.#bestWidth()?.endTrial()
    const { endpoint, latencyMs, pongMs } = next
    this.#best = { endpoint, latencyMs, trustedUntilMs: pongMs + TRUST_MS, heardMs: now }
    this.#missingPongs = 0
    if (next.width.wantsTrial) wishes.push(this.#fullPing(next, now))
    return true
  }

  // --- how wide it is ---------------------------------------------------------------------------------------------------

  #fullPing(candidate: Candidate, now: Ms): PathWish {
    const isTrial = candidate.width.isOnTrial || !candidate.width.isProven
    candidate.width.handleTry(now)
    this.#fullPingMs = now
    return this.#ping(candidate.endpoint, now, isTrial ? 'full' : 'heartbeat')
  }

  #judgeWidth(now: Ms): PathWish[] {
    const candidate = this.#best === undefined ? undefined : this.candidates.get(this.#best.endpoint)
    const outcome = candidate?.width.wake(now, this.#patienceMs())
    if (candidate === undefined || outcome === undefined) return []
    if (outcome === 'narrow') return this.#leaveNarrow(now)
    return [this.#ping(candidate.endpoint, now, 'beside'), this.#fullPing(candidate, now)]
  }

  /** The path has turned out narrow: look for another one at once. */
  #leaveNarrow(now: Ms): PathWish[] {
    this.#roundMs = undefined
    const others = [...this.candidates.all()].filter(({ width }) => !width.isNarrow)
    const pings = others.map(({ endpoint }) => this.#ping(endpoint, now))
    return [...this.#afterChange(now, 'mtu-too-small'), ...this.#askRelay(now), ...pings, ...this.#round(now)]
  }

  #retryNarrow(now: Ms): PathWish[] {
    const due = [...this.candidates.all()].filter(({ width }) => width.wantsRetry(now))
    return due.map(({ endpoint, width }) => {
      width.handleRetry(now)
      return this.#ping(endpoint, now, 'full')
    })
  }

  #askRelay(now: Ms): PathWish[] {
    if (this.relayRegion === 0) return []
    const transaction = this.#newTransaction()
    this.#relayProof.handlePing(transaction, this.relayRegion, now)
    return [{ kind: 'relayPing', transaction }]
  }

  #bestWidth(): Candidate['width'] | undefined {
    return this.#best === undefined ? undefined : this.candidates.get(this.#best.endpoint)?.width
  }

  #isNarrow(): boolean {
    return this.#bestWidth()?.isNarrow === true
  }

  #hasNarrow(): boolean {
    for (const { width } of this.candidates.all()) if (width.isNarrow) return true
    return false
  }

  /** May a narrow address be given up altogether? */
  #hasProvenWay(now: Ms): boolean {
    return this.#isBestWide(now) || this.#relayProof.holds(this.relayRegion, now)
  }

  #isBestWide(now: Ms): boolean {
    return this.#isTrusted(now) && this.#bestWidth()?.isProven === true
  }

  #isBetter(candidate: Candidate, latencyMs: Ms, best: BestPath): boolean {
    if (candidate.width.isNarrow !== this.#isNarrow()) return this.#isNarrow()
    return isBetterPath({ endpoint: candidate.endpoint, latencyMs }, best)
  }

  /** Is the direct path trusted, and wide as far as we can tell? */
  #carriesAlone(now: Ms): boolean {
    const width = this.#bestWidth()
    if (!this.#isTrusted(now)) return false
    if (width === undefined || this.relayRegion === 0) return true
    if (width.isNarrow || width.isInDoubt(now, this.#patienceMs())) return false
    return width.isProven || !this.#hasNarrow()
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

  #ping(to: IpPort, now: Ms, size: PingSize = 'small'): PathWish {
    const candidate = this.candidates.get(to)
    if (candidate !== undefined) candidate.pingedMs = now
    const transaction = this.#newTransaction()
    this.#outstanding.add(transaction, to, size, this.#best?.endpoint === to, now)
    return isFull(size) ? { kind: 'ping', to, transaction, isFull: true } : { kind: 'ping', to, transaction }
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
    if (this.#isNarrow() && this.#relayProof.holds(this.relayRegion, now)) return { relay }
    return { udp: this.#best.endpoint, relay: relay && !this.#carriesAlone(now) }
  }

  kind(now: Ms): PathKind {
    if (this.#facts.wireGuardOnly) return this.#facts.endpoints.length > 0 ? 'direct' : 'none'
    if (!this.#isActive(now)) return 'idle'
    if (this.#carriesAlone(now)) return 'direct'
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

  #patienceMs(size: PingSize = 'small'): Ms {
    return Math.max(size === 'hurried' ? MOVED_PATIENCE_MS : PONG_PATIENCE_MS, 4 * (this.#best?.latencyMs ?? 0))
  }

  #afterChange(now: Ms, reason: PathReason): PathWish[] {
    this.#note(now, reason)
    return [{ kind: 'destination' }]
  }

  #note(now: Ms, reason: PathReason): void {
    const kind = this.kind(now)
    const endpoint = kind === 'direct' ? (this.#best?.endpoint ?? '') : ''
    const [isNarrow, isTrusted] = [this.#isNarrow(), this.#isTrusted(now)]
    this.#history.note(now, { kind, endpoint, relayRegion: this.relayRegion, isNarrow, isTrusted }, reason)
  }
}

function sameKey(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
