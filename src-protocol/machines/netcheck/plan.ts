/** Which relay nodes are asked, over which family, and when.                                        [netcheck.md §2.2-2.3] */
import type { DerpMap, DerpNode, DerpRegion } from '../../../src-contract/control/map.ts'
import type { Ms } from '../../../src-contract/ids.ts'
import { parseIp } from '../../wire/ip.ts'

export type Family = 4 | 6

export interface Probe {
  readonly node: DerpNode
  readonly delayMs: Ms
}

/** Probes of one region over one family; the first answer ends it. */
export interface ProbeSet {
  readonly region: number
  readonly family: Family
  readonly probes: readonly Probe[]
}

/** What the last report knew, for an incremental plan. */
export interface LastRound {
  readonly latencyMs: ReadonlyMap<number, Ms>
  readonly hadV4: boolean
  readonly hadV6: boolean
}

export interface PlanInput {
  readonly derpMap: DerpMap
  readonly hasV4: boolean
  readonly hasV6: boolean
  readonly home: number
  /** undefined: a full plan, every region. */
  readonly last: LastRound | undefined
}

const FULL_TRIES = 3
const FULL_STEP_MS: Ms = 100
const UNKNOWN_LATENCY_MS: Ms = 200
const INCREMENTAL_REGIONS = 3

function stunRegions(derpMap: DerpMap): DerpRegion[] {
  return Object.values(derpMap.Regions ?? {}).filter(
    (region) => region !== null && region.NoMeasureNoHome !== true && (region.Nodes ?? []).some(hasStun),
  ) as DerpRegion[]
}

/** Regions whose distance is measured without UDP: any with a relay that could be home, whether it has STUN or not. */
export function relayRegions(derpMap: DerpMap): DerpRegion[] {
  return Object.values(derpMap.Regions ?? {}).filter(
    (region) =>
      region !== null &&
      region.NoMeasureNoHome !== true &&
      region.Avoid !== true &&
      (region.Nodes ?? []).some(({ STUNOnly }) => STUNOnly !== true),
  ) as DerpRegion[]
}

export function planProbes(input: PlanInput): ProbeSet[] {
  const sets = input.last === undefined ? fullPlan(input) : incrementalPlan(input, input.last)
  return sets.filter(({ probes }) => probes.length > 0)
}

function fullPlan({ derpMap, hasV4, hasV6 }: PlanInput): ProbeSet[] {
  return stunRegions(derpMap).flatMap((region) => {
    const delay = (attempt: number) => attempt * FULL_STEP_MS
    return [
      ...(hasV4 || isTest(region) ? [probeSet(region, 4, FULL_TRIES, delay)] : []),
      ...(hasV6 ? [probeSet(region, 6, FULL_TRIES, delay)] : []),
    ]
  })
}

/** The three nearest of last time and the home; both families only where they matter. */
function incrementalPlan({ derpMap, hasV4, hasV6, home }: PlanInput, last: LastRound): ProbeSet[] {
  const latency = (region: DerpRegion) => last.latencyMs.get(region.RegionID) ?? Number.POSITIVE_INFINITY
  const regions = stunRegions(derpMap)
    .filter((region) => region.Avoid !== true || region.RegionID === home)
    .sort((a, b) => latency(a) - latency(b) || a.RegionID - b.RegionID)
  const chosen = regions.filter((region, index) => index < INCREMENTAL_REGIONS || region.RegionID === home)
  return chosen.flatMap((region, index) => {
    const isHome = region.RegionID === home
    const tries = isHome ? 4 : index < 2 ? 2 : 1
    const known = last.latencyMs.get(region.RegionID)
    const step = known === undefined ? UNKNOWN_LATENCY_MS : 1.2 * known
    const delay = (attempt: number) => attempt * step + (attempt > 1 ? attempt * 50 : 0)
    const alternates = index >= 2 && !isHome && last.hadV4 && last.hadV6
    const wantsV4 = (hasV4 || isTest(region)) && !(alternates && index % 2 === 1)
    const wantsV6 = hasV6 && !(alternates && index % 2 === 0) && (isHome || index < 2 || last.hadV6)
    return [
      ...(wantsV4 ? [probeSet(region, 4, tries, delay)] : []),
      // Retries over IPv6 are pointless where it did not work last time.
      ...(wantsV6 ? [probeSet(region, 6, last.hadV6 ? tries : 1, delay)] : []),
    ]
  })
}

function probeSet(region: DerpRegion, family: Family, tries: number, delay: (attempt: number) => Ms): ProbeSet {
  const nodes = (region.Nodes ?? []).filter((node) => hasStun(node) && speaks(node, family))
  const probes =
    nodes.length === 0
      ? []
      : Array.from({ length: tries }, (_, t) => ({ node: nodes[t % nodes.length]!, delayMs: delay(t) }))
  return { region: region.RegionID, family, probes }
}

/** Test nodes are asked whatever the interfaces look like. */
function isTest({ Nodes }: DerpRegion): boolean {
  return (Nodes ?? []).some(({ STUNTestIP, IPv4 }) => (STUNTestIP ?? '') !== '' || IPv4 === '127.0.0.1')
}

function hasStun(node: DerpNode): boolean {
  return node.STUNPort !== -1
}

/** Empty = to be looked up; a literal of that family; anything else switches the family off. */
export function speaks(node: DerpNode, family: Family): boolean {
  const text = family === 4 ? node.IPv4 : node.IPv6
  if (text === undefined || text === '') {
    const host = parseIp(node.HostName)
    return !host.ok || host.value.length === (family === 4 ? 4 : 16)
  }
  const parsed = parseIp(text)
  return parsed.ok && parsed.value.length === (family === 4 ? 4 : 16)
}
