/**
 * Finds out where this node can be reached and which relay is near: runs netchecks when they are due, builds the list of
 * own endpoints, says when something is new. One run at a time, one more waits. [disco.md §7]
 */
import type { DerpMap, NetInfo } from '../../../src-contract/control/map.ts'
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import type { NetcheckReport } from '../../../src-contract/localapi/netcheck.ts'
import type { Log } from '../../io/log/log.ts'
import type { HostNetwork } from '../../io/netmon/port.ts'
import { buildOwnEndpoints, type Endpoint, EndpointMemory, type StunFindings, sameEndpoints } from '../own-endpoints.ts'
import type { NetcheckShell } from './needs.ts'

const AGAIN_MIN_MS = 20_000
const AGAIN_SPREAD_MS = 6_000
/** Somebody is about to sign in, and then waits for us. */
const PORTAL_AGAIN_MS = 5_000
/** Nobody sent anything for this long: our mapping may close, nobody misses it. */
const IDLE_AFTER_MS = 45_000

export interface SelfDiscoveryOptions {
  readonly netcheck: NetcheckShell
  readonly network: () => HostNetwork
  readonly udpPorts: () => { readonly v4: number; readonly v6: number | undefined }
  readonly fixedPort: number
  readonly now: () => Ms
  readonly random01: () => number
  readonly log: Log
  /** After every run, whether something is new or not: whoever waits for a fresh list has it now. */
  readonly onFresh: (isNew: boolean) => void
}

const NO_STUN: StunFindings = { v4: [], v6: [], mappingVariesByDestination: false }

export class SelfDiscovery {
  readonly #o: SelfDiscoveryOptions
  readonly #memory = new EndpointMemory()
  #derpMap: DerpMap | undefined
  #stop = new AbortController()
  #running: Promise<NetcheckReport | undefined> | undefined
  #isWanted = false
  #isFullWanted = false
  #timer: NodeJS.Timeout | undefined
  #lastActivity: Ms = Number.NEGATIVE_INFINITY
  #endpoints: readonly Endpoint[] = []
  #report: NetcheckReport | undefined
  #home = 0

  constructor(options: SelfDiscoveryOptions) {
    this.#o = options
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints
  }

  get home(): number {
    return this.#home
  }

  get netInfo(): NetInfo | undefined {
    return this.#report === undefined && this.#home === 0 ? undefined : netInfoOf(this.#report, this.#home)
  }

  /** A sign-in page was between us and the relays when we last looked. */
  get captivePortal(): boolean {
    return this.#report?.CaptivePortal === true
  }

  get addresses(): IpPort[] {
    return this.#endpoints.map((endpoint) => endpoint.address)
  }

  setDerpMap(derpMap: DerpMap | undefined): void {
    if (derpMap === undefined || derpMap === this.#derpMap) return
    this.#derpMap = derpMap
    // With one region there is nothing to measure first.
    const regions = Object.values(derpMap.Regions ?? {}).filter((r) => r !== null && r.NoMeasureNoHome !== true)
    const only = regions.length === 1 ? regions[0]?.RegionID : undefined
    if (this.#home === 0 && only !== undefined) {
      this.#home = only
      this.#o.onFresh(true)
    }
    this.trigger('derp-map')
  }

  noteActivity(): void {
    const now = this.#o.now()
    const wasIdle = now - this.#lastActivity > IDLE_AFTER_MS
    this.#lastActivity = now
    if (wasIdle && this.#derpMap !== undefined && this.#timer === undefined) this.#armTimer()
  }

  /** The report of a run that began after this call. */
  async check(): Promise<NetcheckReport | undefined> {
    await this.#running
    this.#isFullWanted = true
    this.trigger('asked')
    // A network change ends a run and begins another: that one has the answer.
    return (await this.#running) ?? this.#running
  }

  trigger(reason: string): void {
    if (this.#derpMap === undefined) return
    if (this.#running !== undefined) {
      this.#isWanted = true
      return
    }
    this.#o.log.debug('netcheck', { reason })
    const { signal } = this.#stop
    this.#running = this.#run(this.#derpMap, signal).finally(() => {
      if (signal.aborted) return
      this.#running = undefined
      if (this.#isWanted) {
        this.#isWanted = false
        this.trigger('queued')
      } else this.#armTimer()
    })
  }

  /** Everything found belongs to another place, and so does what a run is just measuring. */
  networkChanged(): void {
    this.#memory.clear()
    this.#abortRun()
    this.#isFullWanted = true
    this.trigger('network-change')
  }

  stop(): void {
    this.#abortRun()
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#derpMap = undefined
    this.#report = undefined
    this.#home = 0
    this.#endpoints = []
    this.#memory.clear()
  }

  #abortRun(): void {
    this.#stop.abort()
    this.#stop = new AbortController()
    this.#running = undefined
    this.#isWanted = false
  }

  async #run(derpMap: DerpMap, signal: AbortSignal): Promise<NetcheckReport | undefined> {
    let report: NetcheckReport | undefined
    const full = this.#isFullWanted
    this.#isFullWanted = false
    try {
      report = await this.#o.netcheck.run(derpMap, signal, { full })
    } catch (error) {
      if (signal.aborted) return undefined
      this.#o.log.warn('netcheck-failed', { error })
    }
    if (!signal.aborted) this.#take(report)
    return report
  }

  #take(report: NetcheckReport | undefined): void {
    const now = this.#o.now()
    const stun = report === undefined ? NO_STUN : findingsOf(report)
    this.#memory.add([...stun.v4, ...stun.v6], now)
    const endpoints = buildOwnEndpoints({
      network: this.#o.network(),
      udpPorts: this.#o.udpPorts(),
      fixedPort: this.#o.fixedPort,
      stun,
      remembered: this.#memory.recent(now),
    })
    const before = JSON.stringify(netInfoShape(this.netInfo))
    const wasCaptive = this.captivePortal
    this.#report = report ?? this.#report
    if (report !== undefined && report.PreferredDERP !== 0) this.#home = report.PreferredDERP
    // Nothing could be measured: a home that may be far away is better than none.
    else if (this.#home === 0) this.#home = anyRegion(this.#derpMap, this.#o.random01())
    const isNew =
      !sameEndpoints(endpoints, this.#endpoints) ||
      JSON.stringify(netInfoShape(this.netInfo)) !== before ||
      this.captivePortal !== wasCaptive
    if (isNew) this.#endpoints = endpoints
    this.#o.onFresh(isNew)
  }

  #armTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (!this.captivePortal && this.#o.now() - this.#lastActivity > IDLE_AFTER_MS) return
    const again = (): void => {
      this.#timer = undefined
      this.trigger('periodic')
    }
    const waitMs = this.captivePortal ? PORTAL_AGAIN_MS : AGAIN_MIN_MS + this.#o.random01() * AGAIN_SPREAD_MS
    this.#timer = setTimeout(again, waitMs)
    this.#timer.unref()
  }
}

/** 0 = the map has none. */
function anyRegion(derpMap: DerpMap | undefined, random01: number): number {
  const regions = Object.values(derpMap?.Regions ?? {}).filter((r) => r !== null && r.NoMeasureNoHome !== true)
  const better = regions.filter((region) => region?.Avoid !== true)
  const choice = better.length === 0 ? regions : better
  return choice[Math.floor(random01 * choice.length)]?.RegionID ?? 0
}

function findingsOf(report: NetcheckReport): StunFindings {
  return {
    v4: stunAddresses(report.GlobalV4, report.GlobalV4Counters),
    v6: stunAddresses(report.GlobalV6, report.GlobalV6Counters),
    mappingVariesByDestination: report.MappingVariesByDestIP === true,
  }
}

/** The best one, then those that more than one server saw. */
function stunAddresses(best: IpPort | '', counters: { [endpoint: IpPort]: number } | null): IpPort[] {
  const found: IpPort[] = best === '' ? [] : [best]
  for (const [address, count] of Object.entries(counters ?? {})) {
    if (count > 1 && !found.includes(address as IpPort)) found.push(address as IpPort)
  }
  return found
}

function netInfoOf(report: NetcheckReport | undefined, home: number): NetInfo {
  if (report === undefined) return { PreferredDERP: home }
  const latency: { [regionAndFamily: string]: number } = {}
  for (const [region, ns] of Object.entries(report.RegionV4Latency)) latency[`${region}-v4`] = ns / 1e9
  for (const [region, ns] of Object.entries(report.RegionV6Latency)) latency[`${region}-v6`] = ns / 1e9
  return {
    MappingVariesByDestIP: report.MappingVariesByDestIP,
    WorkingIPv6: report.IPv6,
    OSHasIPv6: report.OSHasIPv6,
    WorkingUDP: report.UDP,
    WorkingICMPv4: report.ICMPv4,
    UPnP: report.UPnP,
    PMP: report.PMP,
    PCP: report.PCP,
    PreferredDERP: home,
    DERPLatency: latency,
  }
}

/** Latencies jitter; they alone are no news for control. */
function netInfoShape(info: NetInfo | undefined): NetInfo | undefined {
  if (info === undefined) return undefined
  const { DERPLatency: _, ...rest } = info
  return rest
}
