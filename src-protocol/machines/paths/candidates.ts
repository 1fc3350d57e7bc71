/** The addresses at which a peer may be, where each came from, and how it has answered. */
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import { AddressWidth } from './address-width.ts'
import { DISCOVERY_INTERVAL_MS, MAX_CANDIDATES, PING_LEARNED_MS } from './constants.ts'

export interface Candidate {
  readonly endpoint: IpPort
  fromNetmap: boolean
  fromCallMeMaybe: boolean
  /** When the peer's ping last came from there. */
  heardPingMs: Ms | undefined
  /** When an authenticated packet last came from there although it is not the path. */
  heardPacketMs: Ms | undefined
  /** When we last asked whether the peer has moved there. */
  moveAskedMs: Ms | undefined
  pingedMs: Ms | undefined
  pongMs: Ms | undefined
  latencyMs: Ms | undefined
  /** Our own address as the peer saw it there; only if its answer came from this very address. */
  seenAs: IpPort | undefined
  /** Transaction of the last ping from there: a copy of it is not answered twice. */
  lastTransaction: string | undefined
  readonly width: AddressWidth
}

export class Candidates {
  readonly #byEndpoint = new Map<IpPort, Candidate>()

  get(endpoint: IpPort): Candidate | undefined {
    return this.#byEndpoint.get(endpoint)
  }

  all(): Iterable<Candidate> {
    return this.#byEndpoint.values()
  }

  get size(): number {
    return this.#byEndpoint.size
  }

  /** Answers those that were not there before. */
  setNetmap(endpoints: readonly IpPort[]): Candidate[] {
    const listed = new Set(endpoints)
    for (const candidate of this.#byEndpoint.values()) candidate.fromNetmap = listed.has(candidate.endpoint)
    const fresh = endpoints.filter((endpoint) => !this.#byEndpoint.has(endpoint))
    for (const endpoint of endpoints) this.#at(endpoint).fromNetmap = true
    this.#dropUnfounded()
    return fresh.map((endpoint) => this.#at(endpoint))
  }

  /** The peer's list replaces its earlier one; each may be pinged at once again. */
  setCallMeMaybe(endpoints: readonly IpPort[]): void {
    for (const candidate of this.#byEndpoint.values()) candidate.fromCallMeMaybe = false
    for (const endpoint of endpoints) this.#at(endpoint).fromCallMeMaybe = true
    this.#dropUnfounded()
    for (const candidate of this.#byEndpoint.values()) candidate.pingedMs = undefined
  }

  heardPing(endpoint: IpPort, now: Ms): Candidate {
    const candidate = this.#at(endpoint)
    candidate.heardPingMs = now
    if (this.#byEndpoint.size > MAX_CANDIDATES) this.prune(now)
    return candidate
  }

  /** A packet is as good a reason as a ping to try an address. */
  heardPacket(endpoint: IpPort, now: Ms): Candidate {
    const candidate = this.heardPing(endpoint, now)
    candidate.heardPacketMs = now
    return candidate
  }

  /** Where the peer was heard and has answered since then. */
  movedTo(since: Ms): Candidate | undefined {
    const isLive = ({ heardPacketMs, pongMs }: Candidate) => Math.min(heardPacketMs ?? -1, pongMs ?? -1) >= since
    return [...this.#byEndpoint.values()]
      .filter(isLive)
      .sort((a, b) => (b.heardPacketMs ?? 0) - (a.heardPacketMs ?? 0))[0]
  }

  /** Everything measured is void: another network. */
  forgetMeasurements(): void {
    for (const candidate of this.#byEndpoint.values()) {
      candidate.pingedMs = undefined
      candidate.pongMs = undefined
      candidate.latencyMs = undefined
      candidate.seenAs = undefined
      candidate.width.forget()
    }
  }

  prune(now: Ms): void {
    for (const candidate of this.#byEndpoint.values())
      if (candidate.heardPingMs !== undefined && now - candidate.heardPingMs > PING_LEARNED_MS)
        candidate.heardPingMs = undefined
    this.#dropUnfounded()
    if (this.#byEndpoint.size <= MAX_CANDIDATES) return
    // Still too many: a peer that pings from ever new addresses loses its oldest ones.
    const learned = [...this.#byEndpoint.values()].filter((c) => !c.fromNetmap && !c.fromCallMeMaybe)
    learned.sort((a, b) => (a.heardPingMs ?? 0) - (b.heardPingMs ?? 0))
    for (const { endpoint } of learned.slice(0, this.#byEndpoint.size - MAX_CANDIDATES))
      this.#byEndpoint.delete(endpoint)
  }

  duePings(now: Ms, intervalMs: Ms = DISCOVERY_INTERVAL_MS): Candidate[] {
    return [...this.#byEndpoint.values()].filter((c) => c.pingedMs === undefined || now - c.pingedMs >= intervalMs)
  }

  #at(endpoint: IpPort): Candidate {
    const known = this.#byEndpoint.get(endpoint)
    if (known !== undefined) return known
    const candidate: Candidate = {
      endpoint,
      fromNetmap: false,
      fromCallMeMaybe: false,
      heardPingMs: undefined,
      heardPacketMs: undefined,
      moveAskedMs: undefined,
      pingedMs: undefined,
      pongMs: undefined,
      latencyMs: undefined,
      seenAs: undefined,
      lastTransaction: undefined,
      width: new AddressWidth(),
    }
    this.#byEndpoint.set(endpoint, candidate)
    return candidate
  }

  #dropUnfounded(): void {
    for (const [endpoint, { fromNetmap, fromCallMeMaybe, heardPingMs }] of this.#byEndpoint)
      if (!fromNetmap && !fromCallMeMaybe && heardPingMs === undefined) this.#byEndpoint.delete(endpoint)
  }
}
