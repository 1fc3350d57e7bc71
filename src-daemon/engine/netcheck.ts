/**
 * Runs netchecks: drives the round (`machines/netcheck`) over the data path's own sockets, so that the mapping it finds is
 * the one peers will use; measures over HTTPS where no UDP comes back; remembers rounds for the choice of home.
 *                                                                                                       [netcheck.md §2]
 */
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { DerpMap, DerpNode } from '../../src-contract/control/map.ts'
import type { IpPort, Ms } from '../../src-contract/ids.ts'
import type { NetcheckReport } from '../../src-contract/localapi/netcheck.ts'
import { icmpEcho } from '../../src-native/os-calls.ts'
import { chooseHome, HISTORY_MS, type MeasuredRound } from '../../src-protocol/machines/netcheck/home.ts'
import { type Findings, NetcheckRound } from '../../src-protocol/machines/netcheck/netcheck.ts'
import {
  type Family,
  type LastRound,
  measurableRegions,
  planProbes,
} from '../../src-protocol/machines/netcheck/plan.ts'
import type { Crypto } from '../../src-protocol/wire/crypto.ts'
import { ipPort, isLinkLocal, isTailscaleIp, parseIp, splitIpPort } from '../../src-protocol/wire/ip.ts'
import { captivePortal } from '../io/derp/captive-portal.ts'
import { httpsLatencyMs } from '../io/derp/latency.ts'
import type { Log } from '../io/log/log.ts'
import type { NetcheckShell, OpenNetcheck } from './mesh/needs.ts'

const FULL_EVERY_MS: Ms = 5 * 60_000
const REPORT_LIMIT_MS: Ms = 5_000
const ICMP_LIMIT_MS: Ms = 1_000
const NS_PER_MS = 1e6

export interface NetcheckOptions {
  readonly crypto: Crypto
  readonly fwmark: number
  readonly now: () => Ms
  readonly wallMs: () => number
  readonly log: Log
  /** Names of our own interfaces: their addresses do not count as connectivity. */
  readonly ownInterface: string | undefined
}

export function netcheckOpener(options: NetcheckOptions): OpenNetcheck {
  return (sendStun) => new Netcheck(options, sendStun)
}

export class Netcheck implements NetcheckShell {
  readonly #o: NetcheckOptions
  readonly #sendStun: (to: IpPort, bytes: Uint8Array) => void
  #round: NetcheckRound | undefined
  #onProgress: (() => void) | undefined
  #rounds: MeasuredRound[] = []
  #last: (LastRound & { readonly hadUdp: boolean }) | undefined
  #fullMs: Ms | undefined
  #home = 0
  #heardHomeMs: Ms | undefined

  constructor(options: NetcheckOptions, sendStun: (to: IpPort, bytes: Uint8Array) => void) {
    this.#o = options
    this.#sendStun = sendStun
  }

  handleStun(_from: IpPort, bytes: Uint8Array): void {
    this.#round?.handleStun(bytes, this.#o.now())
    this.#onProgress?.()
  }

  /** A frame of this region's relay arrived: the home is alive, whatever the measurement says. */
  heardRelay(region: number): void {
    if (region === this.#home) this.#heardHomeMs = this.#o.now()
  }

  async run(derpMap: DerpMap, signal: AbortSignal): Promise<NetcheckReport> {
    const startedMs = this.#o.now()
    const families = usableFamilies(this.#o.ownInterface)
    const isFull =
      this.#fullMs === undefined ||
      startedMs - this.#fullMs >= FULL_EVERY_MS ||
      this.#last === undefined ||
      !this.#last.hadUdp
    if (isFull) this.#fullMs = startedMs
    const last = isFull ? undefined : this.#last
    const plan = planProbes({ derpMap, hasV4: families.v4, hasV6: families.v6, home: this.#home, last })
    const limit = AbortSignal.any([signal, AbortSignal.timeout(REPORT_LIMIT_MS)])
    const portal = isFull ? captivePortal(derpMap, this.#home, limit) : Promise.resolve(null)
    const findings = await this.#stun(new NetcheckRound({ crypto: this.#o.crypto, plan, isFull }, startedMs), limit)
    signal.throwIfAborted()
    const [https, icmp] = findings.hasUdp
      ? [[], false]
      : await Promise.all([this.#https(derpMap, findings, limit), this.#icmp(derpMap, findings)])
    signal.throwIfAborted()
    // Where STUN has worked there is no portal to wait for.
    const captive = findings.hasUdp ? null : await portal
    return this.#report(derpMap, findings, { https, icmp, captive, os: await osHasV6() })
  }

  /** The STUN phase: until the round says it is over. */
  async #stun(round: NetcheckRound, signal: AbortSignal): Promise<Findings> {
    this.#round = round
    try {
      while (!round.isFinished && !signal.aborted) {
        for (const probe of round.wake(this.#o.now())) void this.#send(round, probe)
        const at = round.nextWake()
        if (at === undefined) break
        await this.#progressOr(Math.max(0, at - this.#o.now()), signal)
      }
    } finally {
      this.#round = undefined
      this.#onProgress = undefined
    }
    return round.findings
  }

  async #send(round: NetcheckRound, probe: { node: DerpNode; family: Family; bytes: Uint8Array; transaction: string }) {
    const to = await stunAddress(probe.node, probe.family)
    if (to === undefined) {
      round.handleNotSent(probe.transaction)
      return
    }
    round.handleSent(probe.transaction, this.#o.now())
    this.#sendStun(to, probe.bytes)
  }

  #progressOr(ms: Ms, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#onProgress = undefined
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done)
      this.#onProgress = done
    })
  }

  /** No UDP came back: how far are the relays over TLS? All regions side by side. */
  async #https(derpMap: DerpMap, findings: Findings, signal: AbortSignal): Promise<Family[]> {
    const regions = measurableRegions(derpMap).filter(({ Avoid }) => Avoid !== true)
    const reached: Family[] = []
    await Promise.all(
      regions.map(async (region) => {
        const node = (region.Nodes ?? []).find(({ STUNOnly }) => !STUNOnly)
        if (node === undefined) return
        try {
          const { latencyMs, family } = await httpsLatencyMs(node, { fwmark: this.#o.fwmark, signal })
          findings.latencyMs.set(region.RegionID, latencyMs)
          reached.push(family)
        } catch (error) {
          this.#o.log.debug('https-latency-failed', { region: region.RegionID, reason: String(error) })
        }
      }),
    )
    return reached
  }

  /** The same by ICMP, to each region's first node. Where the system does not allow it, that is no finding. */
  async #icmp(derpMap: DerpMap, findings: Findings): Promise<boolean> {
    let answered = false
    await Promise.all(
      measurableRegions(derpMap).map(async (region) => {
        const node = region.Nodes?.[0]
        const to = node === undefined || node.STUNPort === -1 ? undefined : await stunAddress(node, 4)
        if (to === undefined) return
        try {
          const latencyMs = await icmpEcho(splitIpPort(to).address, ICMP_LIMIT_MS, this.#o.fwmark)
          if (latencyMs === undefined) return
          answered = true
          const known = findings.latencyMs.get(region.RegionID)
          findings.latencyMs.set(region.RegionID, Math.min(known ?? Number.POSITIVE_INFINITY, latencyMs))
        } catch (error) {
          this.#o.log.debug('icmp-failed', { region: region.RegionID, reason: String(error) })
        }
      }),
    )
    return answered
  }

  #report(
    derpMap: DerpMap,
    findings: Findings,
    extra: {
      readonly https: readonly Family[]
      readonly icmp: boolean
      readonly captive: boolean | null
      readonly os: boolean
    },
  ): NetcheckReport {
    const now = this.#o.now()
    const current = { atMs: now, latencyMs: findings.latencyMs }
    this.#rounds = [...this.#rounds.filter(({ atMs }) => now - atMs <= HISTORY_MS), current]
    const heardPreviousMs = this.#heardHomeMs
    this.#home = chooseHome({ derpMap, previous: this.#home, current, rounds: this.#rounds, heardPreviousMs })
    const hasV4 = findings.v4LatencyMs.size > 0
    const hasV6 = findings.v6LatencyMs.size > 0
    this.#last = { latencyMs: findings.latencyMs, hadV4: hasV4, hadV6: hasV6, hadUdp: findings.hasUdp }
    return {
      Now: new Date(this.#o.wallMs()).toISOString(),
      UDP: findings.hasUdp,
      IPv6: hasV6 || extra.https.includes(6),
      IPv4: hasV4 || extra.icmp || extra.https.includes(4),
      IPv6CanSend: findings.v6CanSend,
      IPv4CanSend: findings.v4CanSend,
      OSHasIPv6: extra.os,
      ICMPv4: extra.icmp,
      MappingVariesByDestIP: findings.mappingVaries ?? null,
      UPnP: null,
      PMP: null,
      PCP: null,
      PreferredDERP: this.#home,
      RegionLatency: nanoseconds(findings.latencyMs),
      RegionV4Latency: nanoseconds(findings.v4LatencyMs),
      RegionV6Latency: nanoseconds(findings.v6LatencyMs),
      GlobalV4Counters: hasV4 ? Object.fromEntries(findings.v4Counters) : null,
      GlobalV6Counters: hasV6 ? Object.fromEntries(findings.v6Counters) : null,
      GlobalV4: findings.globalV4 ?? '',
      GlobalV6: findings.globalV6 ?? '',
      CaptivePortal: extra.captive,
    }
  }
}

function nanoseconds(latencies: ReadonlyMap<number, Ms>): { [region: string]: number } {
  return Object.fromEntries([...latencies].map(([region, ms]) => [String(region), Math.round(ms * NS_PER_MS)]))
}

/** Where a node answers STUN over a family; undefined when it has no such address. */
async function stunAddress(node: DerpNode, family: Family): Promise<IpPort | undefined> {
  const port = node.STUNPort || 3478
  const text = node.STUNTestIP || (family === 4 ? node.IPv4 : node.IPv6) || node.HostName
  const kind = isIP(text)
  if (kind === family) return ipPort(text, port)
  if (kind !== 0) return undefined
  try {
    return ipPort((await lookup(node.HostName, { family })).address, port)
  } catch {
    return undefined // a name that does not resolve is a node that does not answer
  }
}

/** Families with an address that could reach the internet. */
function usableFamilies(ownInterface: string | undefined): { v4: boolean; v6: boolean } {
  let v4 = false
  let v6 = false
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (name === ownInterface) continue
    for (const { address, internal } of addresses ?? []) {
      const ip = parseIp(address)
      if (internal || !ip.ok || isTailscaleIp(ip.value)) continue
      if (ip.value.length === 4) v4 = true
      else if (!isLinkLocal(ip.value)) v6 = true
    }
  }
  return { v4, v6 }
}

function osHasV6(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp6')
    socket.once('error', () => {
      socket.close()
      resolve(false)
    })
    socket.bind(0, '::1', () => socket.close(() => resolve(true)))
  })
}
