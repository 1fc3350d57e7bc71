/**
 * One round of asking relays who we are: sends STUN by plan, records answers, knows when enough is known. Sans-IO: the
 * shell (`src-daemon/engine/netcheck.ts`) looks names up, sends, and measures over HTTPS where UDP is dead.
 *                                                                                              [netcheck.md §2.1-2.5, §2.9]
 */
import type { DerpNode } from '../../../src-contract/control/map.ts'
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import { toHex } from '../../wire/bytes.ts'
import type { Crypto } from '../../wire/crypto.ts'
import { decodeStunResponse, encodeStunRequest, TRANSACTION_ID_BYTES } from '../../wire/stun.ts'
import type { Family, ProbeSet } from './plan.ts'

/** The STUN phase ends here, whatever is missing. */
export const STUN_LIMIT_MS: Ms = 3_000
/** So many regions are enough; the others only get as long again as the slowest of these took. */
const ENOUGH_REGIONS = 3

export interface StunProbe {
  readonly node: DerpNode
  readonly family: Family
  readonly bytes: Uint8Array
  readonly transaction: string
}

interface RunningSet {
  readonly set: ProbeSet
  next: number
  isDone: boolean
}

export interface Findings {
  readonly latencyMs: Map<number, Ms>
  readonly v4LatencyMs: Map<number, Ms>
  readonly v6LatencyMs: Map<number, Ms>
  readonly v4Counters: Map<IpPort, number>
  readonly v6Counters: Map<IpPort, number>
  globalV4: IpPort | undefined
  globalV6: IpPort | undefined
  mappingVaries: boolean | undefined
  hasUdp: boolean
  v4CanSend: boolean
  v6CanSend: boolean
}

export class NetcheckRound {
  readonly findings: Findings = {
    latencyMs: new Map(),
    v4LatencyMs: new Map(),
    v6LatencyMs: new Map(),
    v4Counters: new Map(),
    v6Counters: new Map(),
    globalV4: undefined,
    globalV6: undefined,
    mappingVaries: undefined,
    hasUdp: false,
    v4CanSend: false,
    v6CanSend: false,
  }
  readonly #crypto: Crypto
  readonly #sets: RunningSet[]
  readonly #isFull: boolean
  readonly #startedMs: Ms
  /** Transactions under way; times start when the datagram leaves, not when its name is looked up. */
  readonly #open = new Map<string, { readonly region: number; readonly family: Family; sentMs: Ms | undefined }>()
  #enoughAtMs: Ms | undefined
  #isFinished = false

  constructor(
    options: { readonly crypto: Crypto; readonly plan: readonly ProbeSet[]; readonly isFull: boolean },
    now: Ms,
  ) {
    this.#crypto = options.crypto
    this.#isFull = options.isFull
    this.#startedMs = now
    this.#sets = options.plan.map((set) => ({ set, next: 0, isDone: false }))
    this.#isFinished = this.#sets.length === 0
  }

  get isFinished(): boolean {
    return this.#isFinished
  }

  /** Probes whose time has come. */
  wake(now: Ms): StunProbe[] {
    if (this.#isFinished) return []
    const due: StunProbe[] = []
    for (const running of this.#sets) {
      const probe = running.set.probes[running.next]
      if (running.isDone || probe === undefined || now < this.#startedMs + probe.delayMs) continue
      if (!this.#wouldHelp(running.set)) {
        running.isDone = true
        continue
      }
      running.next++
      const txId = this.#crypto.randomBytes(TRANSACTION_ID_BYTES)
      const transaction = toHex(txId)
      this.#open.set(transaction, { region: running.set.region, family: running.set.family, sentMs: undefined })
      due.push({ node: probe.node, family: running.set.family, bytes: encodeStunRequest(txId), transaction })
    }
    this.#finishIfDone(now)
    return due
  }

  nextWake(): Ms | undefined {
    if (this.#isFinished) return undefined
    const times = [this.#startedMs + STUN_LIMIT_MS]
    if (this.#enoughAtMs !== undefined) times.push(this.#enoughAtMs)
    for (const { set, next, isDone } of this.#sets) {
      const probe = set.probes[next]
      if (!isDone && probe !== undefined) times.push(this.#startedMs + probe.delayMs)
    }
    return Math.min(...times)
  }

  /** The datagram of a probe has left. */
  handleSent(transaction: string, now: Ms): void {
    const open = this.#open.get(transaction)
    if (open === undefined) return
    open.sentMs = now
    if (open.family === 4) this.findings.v4CanSend = true
    else this.findings.v6CanSend = true
  }

  /** Its node has no address, or the socket refused: nothing will come of this set's try. */
  handleNotSent(transaction: string): void {
    this.#open.delete(transaction)
  }

  /** A STUN answer; late, forged and malformed ones change nothing. */
  handleStun(bytes: Uint8Array, now: Ms): void {
    const answer = decodeStunResponse(bytes)
    if (!answer.ok || this.#isFinished) return
    const transaction = toHex(answer.value.transactionId)
    const open = this.#open.get(transaction)
    if (open?.sentMs === undefined) return
    this.#open.delete(transaction)
    this.#record(open.region, open.family, now - open.sentMs, answer.value.mapped)
    for (const running of this.#sets)
      if (running.set.region === open.region && running.set.family === open.family) running.isDone = true
    if (this.#enoughAtMs === undefined && this.findings.latencyMs.size >= ENOUGH_REGIONS) {
      const slowest = Math.max(...this.findings.latencyMs.values())
      this.#enoughAtMs = now + slowest * (this.#isFull ? 2 : 1)
    }
    this.#finishIfDone(now)
  }

  #record(region: number, family: Family, latencyMs: Ms, mapped: IpPort): void {
    const f = this.findings
    f.hasUdp = true
    const lower = (map: Map<number, Ms>) =>
      map.set(region, Math.min(map.get(region) ?? Number.POSITIVE_INFINITY, latencyMs))
    lower(f.latencyMs)
    lower(family === 4 ? f.v4LatencyMs : f.v6LatencyMs)
    const counters = family === 4 ? f.v4Counters : f.v6Counters
    counters.set(mapped, (counters.get(mapped) ?? 0) + 1)
    if (family === 6) f.globalV6 = mapped
    else if (f.globalV4 === undefined) f.globalV4 = mapped
    else if (f.globalV4 !== mapped) f.mappingVaries = true
    else f.mappingVaries ??= false
  }

  #wouldHelp({ region, family }: ProbeSet): boolean {
    const f = this.findings
    if (!f.latencyMs.has(region)) return true
    return family === 6 ? f.v6LatencyMs.size === 0 : f.mappingVaries === undefined
  }

  #finishIfDone(now: Ms): void {
    const isLate = now - this.#startedMs >= STUN_LIMIT_MS
    const isEnough = this.#enoughAtMs !== undefined && now >= this.#enoughAtMs
    if (isLate || isEnough || this.#sets.every(({ isDone }) => isDone)) this.#isFinished = true
  }
}
