/**
 * Runs netchecks: drives the round (`machines/netcheck`) over the data path's own sockets, so that the mapping it finds is
 * the one peers will use; measures over HTTPS where no UDP comes back; remembers rounds for the choice of home.
 *                                                                                                       [netcheck.md §2]
 */
import { createSocket } from 'node:dgram'
import { isIP } from 'node:net'
import type { DerpMap, DerpNode } from '../../src-contract/control/map.ts'
import type { IpPort, Ms } from '../../src-contract/ids.ts'
import type { NetcheckReport } from '../../src-contract/localapi/netcheck.ts'
import { icmpEcho } from '../../src-native/os-calls.ts'
import { chooseHome, HISTORY_MS, type MeasuredRound } from '../../src-protocol/machines/netcheck/home.ts'
import { type Findings, NetcheckRound, type StunProbe } from '../../src-protocol/machines/netcheck/netcheck.ts'
import { type Family, type LastRound, planProbes, relayRegions } from '../../src-protocol/machines/netcheck/plan.ts'
import type { Crypto } from '../../src-protocol/wire/crypto.ts'
import { ipPort, isLinkLocal, isTailscaleIp, parseIp, splitIpPort } from '../../src-protocol/wire/ip.ts'
import { captivePortal } from '../io/derp/captive-portal.ts'
import { httpsLatencyMs } from '../io/derp/latency.ts'
import { hostOf } from '../io/derp/targets.ts'
import { errorText, type Log } from '../io/log/log.ts'
import { hostInterfaces } from '../io/netmon/interfaces.ts'
import { resolve } from '../io/past-tunnel.ts'
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
  /** When something last arrived from a region's relay: it is alive, whatever a measurement says. */
  readonly heardMs: (region: number) => Ms | undefined
}

/** The addresses behind names, each looked up once per run; undefined = there is none. */
type Lookup = (host: string, family: Family) => Promise<string | undefined>

export function netcheckOpener(options: NetcheckOptions): OpenNetcheck {
  return (sendStun) => new Netcheck(options, sendStun)
}

export class Netcheck implements NetcheckShell {
  readonly #o: NetcheckOptions
  readonly #sendStun: (to: IpPort, bytes: Uint8Array) => void
  #round: NetcheckRound | undefined
  #onProgress: (() => void) | undefined
  #fullMap: DerpMap | undefined
  #rounds: MeasuredRound[] = []
  #last: (LastRound & { readonly hadUdp: boolean }) | undefined
  #fullMs: Ms | undefined
  #home = 0

  constructor(options: NetcheckOptions, sendStun: (to: IpPort, bytes: Uint8Array) => void) {
    this.#o = options
    this.#sendStun = sendStun
  }

  handleStun(_from: IpPort, bytes: Uint8Array): void {
    this.#round?.handleStun(bytes, this.#o.now())
    this.#onProgress?.()
  }

  async run(derpMap: DerpMap, signal: AbortSignal, wanted?: { readonly full: boolean }): Promise<NetcheckReport> {
    const startedMs = this.#o.now()
    const families = usableFamilies(this.#o.ownInterface)
    const isFull =
      wanted?.full === true ||
      this.#fullMs === undefined ||
      this.#fullMap !== derpMap ||
      startedMs - this.#fullMs >= FULL_EVERY_MS ||
      this.#last === undefined ||
      !this.#last.hadUdp
    if (isFull) {
      this.#fullMs = startedMs
      this.#fullMap = derpMap
    }
    const last = isFull ? undefined : this.#last
    const plan = planProbes({ derpMap, hasV4: families.v4, hasV6: families.v6, home: this.#home, last })
    const limit = AbortSignal.any([signal, AbortSignal.timeout(REPORT_LIMIT_MS)])
    const lookup = lookupOnce(limit)
    const portalStop = new AbortController()
    const askPortal = (): Promise<boolean | null> =>
      captivePortal(derpMap, this.#home, {
        fwmark: this.#o.fwmark,
        signal: AbortSignal.any([limit, portalStop.signal]),
      })
    const early = isFull ? askPortal() : undefined
    const round = new NetcheckRound({ crypto: this.#o.crypto, plan, isFull }, startedMs)
    const findings = await this.#stun(round, lookup, limit)
    // Where STUN has worked there is no portal to look for.
    if (findings.hasUdp) portalStop.abort(new Error('not needed'))
    signal.throwIfAborted()
    const [https, icmp] = findings.hasUdp
      ? [[], false]
      : await Promise.all([this.#https(derpMap, findings, limit), this.#icmp(derpMap, findings, lookup)])
    const captive = findings.hasUdp ? null : await (early ?? askPortal())
    signal.throwIfAborted()
    return this.#report(derpMap, findings, { https, icmp, captive, os: await osHasV6() })
  }

  /** The STUN phase: until the round says it is over. */
  async #stun(round: NetcheckRound, lookup: Lookup, signal: AbortSignal): Promise<Findings> {
    this.#round = round
    try {
      while (!round.isFinished && !signal.aborted) {
        for (const probe of round.wake(this.#o.now())) void this.#send(round, probe, lookup)
        const at = round.nextWake()
        if (at === undefined) break
        await this.#progressOr(Math.max(0, at - this.#o.now()), signal)
      }
    } finally {
      // The next run may have begun while this one learned that it was aborted.
      if (this.#round === round) this.#round = undefined
    }
    return round.findings
  }

  async #send(round: NetcheckRound, probe: StunProbe, lookup: Lookup): Promise<void> {
    const to = await stunAddress(probe.node, probe.family, lookup)
    if (to === undefined) {
      round.handleNoAddress(probe.transaction, this.#o.now())
      if (this.#round === round) this.#onProgress?.()
      return
    }
    if (round.isFinished) return
    round.handleSent(probe.transaction, this.#o.now())
    this.#sendStun(to, probe.bytes)
  }

  #progressOr(ms: Ms, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        if (this.#onProgress === done) this.#onProgress = undefined
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done)
      this.#onProgress = done
    })
  }

  /** No UDP came back: how far are the relays over TLS? All regions side by side, the first node that is there. */
  async #https(derpMap: DerpMap, findings: Findings, signal: AbortSignal): Promise<Family[]> {
    const reached: Family[] = []
    await Promise.all(
      relayRegions(derpMap).map(async ({ RegionID, Nodes }) => {
        for (const node of (Nodes ?? []).filter(({ STUNOnly }) => STUNOnly !== true)) {
          if (signal.aborted) return
          try {
            const { latencyMs, family } = await httpsLatencyMs(node, { fwmark: this.#o.fwmark, signal })
            keepShorter(findings.latencyMs, RegionID, latencyMs)
            reached.push(family)
            return
          } catch (error) {
            this.#o.log.debug('https-latency-failed', { region: RegionID, node: node.Name, reason: errorText(error) })
          }
        }
      }),
    )
    return reached
  }

  /** The same by ICMP, to each region's first node. Where the system does not allow it, that is no finding. */
  async #icmp(derpMap: DerpMap, findings: Findings, lookup: Lookup): Promise<boolean> {
    let answered = false
    await Promise.all(
      relayRegions(derpMap).map(async (region) => {
        const node = region.Nodes?.[0]
        const to = node === undefined || node.STUNPort === -1 ? undefined : await stunAddress(node, 4, lookup)
        if (to === undefined) return
        try {
          const latencyMs = await icmpEcho(splitIpPort(to).address, ICMP_LIMIT_MS, this.#o.fwmark)
          if (latencyMs === undefined) return
          answered = true
          keepShorter(findings.latencyMs, region.RegionID, latencyMs)
        } catch (error) {
          this.#o.log.debug('icmp-failed', { region: region.RegionID, reason: errorText(error) })
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
    const heardPreviousMs = this.#o.heardMs(this.#home)
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

function keepShorter(latencies: Map<number, Ms>, region: number, latencyMs: Ms): void {
  latencies.set(region, Math.min(latencies.get(region) ?? Number.POSITIVE_INFINITY, latencyMs))
}

function lookupOnce(signal: AbortSignal): Lookup {
  const known = new Map<string, Promise<string | undefined>>()
  return (host, family) => {
    const key = `${family} ${host}`
    // A name that does not resolve is a node that does not answer.
    const found = known.get(key) ?? resolve(host, family, signal).catch(() => undefined)
    known.set(key, found)
    return found
  }
}

/** Where a node answers STUN over a family; undefined when it has no such address. */
async function stunAddress(node: DerpNode, family: Family, lookup: Lookup): Promise<IpPort | undefined> {
  const test = node.STUNTestIP ?? ''
  const host = test === '' ? hostOf(node, family) : isIP(test) === family ? test : undefined
  const address = host === undefined ? undefined : await lookup(host, family)
  return address === undefined ? undefined : ipPort(address, node.STUNPort || 3478)
}

/** Families with an address that could reach the internet. */
function usableFamilies(ownInterface: string | undefined): { v4: boolean; v6: boolean } {
  let v4 = false
  let v6 = false
  for (const [name, addresses] of Object.entries(hostInterfaces())) {
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
