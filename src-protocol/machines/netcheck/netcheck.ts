/**
 * One round of asking relays who we are: sends STUN by plan, records answers, knows when enough is known. Sans-IO: the
 * shell (`src-daemon/engine/netcheck.ts`) looks names up, sends, and measures over HTTPS where UDP is dead.
 *                                                                                              [netcheck.md §2.1-2.5, §2.9]
 */
import type { DerpNode } from '../../../src-contract/control/map.ts'
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import { toHex } from '../../wire/bytes.ts'
import type { Crypto } from '../../wire/crypto.ts'
import { isMulticast, parseIpPort } from '../../wire/ip.ts'
import { decodeStunResponse, encodeStunRequest, TRANSACTION_ID_BYTES } from '../../wire/stun.ts'
import type { Family, ProbeSet } from './plan.ts'

/** The STUN phase ends here, whatever is missing. */
export const STUN_LIMIT_MS: Ms = 3_000
/** So many regions are enough; the others only get as long again as the slowest of these took. */
const ENOUGH_REGIONS = 3

// Our own: on a fast network "as long again" is nothing, and a family that is silent should not cost three seconds.
/** The others get at least this: a datagram that was lost has been repeated. */
const LATE_MS: Ms = 100
/** The same where fewer regions than that exist and each has answered: the other family may be far slower. */
const LATE_OF_FEW_MS: Ms = 400
/** Somebody has answered, and all tries are out: a relay that takes longer is dead, or no home for anybody. */
const LATE_OF_SILENT_MS: Ms = 1_000

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
  /** Nodes without an address of this family. */
  readonly mute: Set<DerpNode>
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
  readonly #regionCount: number
  /** Transactions under way; times start when the datagram leaves, not when its name is looked up. */
  readonly #open = new Map<string, { readonly running: RunningSet; readonly node: DerpNode; sentMs: Ms | undefined }>()
  #enoughAtMs: Ms | undefined
  #lastTryMs: Ms
  #isFinished = false

  constructor(
    options: { readonly crypto: Crypto; readonly plan: readonly ProbeSet[]; readonly isFull: boolean },
    now: Ms,
  ) {
    this.#crypto = options.crypto
    this.#isFull = options.isFull
    this.#startedMs = now
    this.#lastTryMs = now
    this.#sets = options.plan.map((set) => ({ set, next: 0, isDone: false, mute: new Set() }))
    this.#regionCount = new Set(options.plan.map(({ region }) => region)).size
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
      this.#lastTryMs = now
      const txId = this.#crypto.randomBytes(TRANSACTION_ID_BYTES)
      const transaction = toHex(txId)
      this.#open.set(transaction, { running, node: probe.node, sentMs: undefined })
      due.push({ node: probe.node, family: running.set.family, bytes: encodeStunRequest(txId), transaction })
    }
    this.#finishIfDone(now)
    return due
  }

  nextWake(): Ms | undefined {
    if (this.#isFinished) return undefined
    const times = [this.#endMs]
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
    if (open.running.set.family === 4) this.findings.v4CanSend = true
    else this.findings.v6CanSend = true
  }

  /** The node of this probe has no address of that family; a set of such nodes is done. */
  handleNoAddress(transaction: string, now: Ms): void {
    const open = this.#open.get(transaction)
    if (open === undefined) return
    this.#open.delete(transaction)
    const { running, node } = open
    running.mute.add(node)
    if (running.set.probes.every((probe) => running.mute.has(probe.node))) running.isDone = true
    this.#finishIfDone(now)
  }

  /** A STUN answer; late, forged and malformed ones change nothing. */
  handleStun(bytes: Uint8Array, now: Ms): void {
    const answer = decodeStunResponse(bytes)
    if (!answer.ok || this.#isFinished || !isUsable(answer.value.mapped)) return
    const transaction = toHex(answer.value.transactionId)
    const open = this.#open.get(transaction)
    if (open?.sentMs === undefined) return
    this.#open.delete(transaction)
    this.#record(open.running.set.region, now - open.sentMs, answer.value.mapped)
    open.running.isDone = true
    const answered = this.findings.latencyMs.size
    if (this.#enoughAtMs === undefined && answered >= Math.min(ENOUGH_REGIONS, this.#regionCount)) {
      const slowest = Math.max(...this.findings.latencyMs.values())
      const least = answered < ENOUGH_REGIONS ? LATE_OF_FEW_MS : LATE_MS
      this.#enoughAtMs = now + Math.max(least, slowest * (this.#isFull ? 2 : 1))
    }
    this.#finishIfDone(now)
  }

  /** The family is that of the address we were seen with: with NAT64 it is not the one we asked over. */
  #record(region: number, latencyMs: Ms, mapped: IpPort): void {
    const family: Family = mapped.startsWith('[') ? 6 : 4
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

  /** When the round is over at the latest, by what is known now. */
  get #endMs(): Ms {
    const limit = Math.min(this.#startedMs + STUN_LIMIT_MS, this.#enoughAtMs ?? Number.POSITIVE_INFINITY)
    const hasTries = this.#sets.some(({ set, next, isDone }) => !isDone && next < set.probes.length)
    return this.findings.hasUdp && !hasTries ? Math.min(limit, this.#lastTryMs + LATE_OF_SILENT_MS) : limit
  }

  #finishIfDone(now: Ms): void {
    if (now >= this.#endMs || this.#sets.every(({ isDone }) => isDone)) this.#isFinished = true
  }
}

/** Nobody can be reached at port 0, at no address, or at everybody's. */
function isUsable(mapped: IpPort): boolean {
  const parsed = parseIpPort(mapped)
  if (!parsed.ok) return false
  const { ip, port } = parsed.value
  return port !== 0 && ip.some((byte) => byte !== 0) && !isMulticast(ip) && !ip.every((byte) => byte === 0xff)
}
