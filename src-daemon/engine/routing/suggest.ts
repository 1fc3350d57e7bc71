/**
 * Which exit node to suggest, and to use with `auto:any`. Pure. The one before is kept while it is as good as the others,
 * so that nobody is moved without a gain. [features.md §5]
 */
import type { Location, Node } from '../../../src-contract/control/map.ts'
import type { StableNodeId } from '../../../src-contract/ids.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { homeRegion } from '../node-text.ts'
import { offersExit } from './exit-choice.ts'

/** Capabilities. */
const CAN_BE_SUGGESTED = 'suggest-exit-node'
const SERVER_STEERS = 'traffic-steering'
/** Places this near to the nearest are as good. */
const AS_NEAR_KM = 100
const EARTH_RADIUS_KM = 6371

export interface SuggestFacts {
  readonly netmap: Netmap
  /** Region → milliseconds, of the last check of the network. */
  readonly latencyMs: ReadonlyMap<number, number>
  /** 0: not known yet. */
  readonly homeRegion: number
  readonly before: StableNodeId | undefined
  readonly random01: () => number
}

export type Suggestion =
  | { readonly kind: 'node'; readonly node: Node }
  | { readonly kind: 'nobody' }
  | { readonly kind: 'later' }

export function suggestExit(facts: SuggestFacts): Suggestion {
  const { netmap } = facts
  const candidates = [...netmap.peers.values()].filter(isCandidate)
  const [only] = candidates
  if (only === undefined) return { kind: 'nobody' }
  if (candidates.length === 1) return { kind: 'node', node: only }
  if (hasCapability(netmap.self, SERVER_STEERS)) return oneOf(highestPriority(candidates), facts)
  if (facts.homeRegion === 0) return { kind: 'later' }
  const atRelays = Map.groupBy(candidates, homeRegion)
  atRelays.delete(0)
  if (atRelays.size > 0) return oneOf(nearestRegion(atRelays, facts), facts)
  return oneOf(highestPriority(nearest(candidates, placeOf(netmap, facts.homeRegion))), facts)
}

function isCandidate(node: Node): boolean {
  return node.Online === true && node.Expired !== true && offersExit(node) && hasCapability(node, CAN_BE_SUGGESTED)
}

function hasCapability(node: Node, name: string): boolean {
  return Object.hasOwn(node.CapMap ?? {}, name) || (node.Capabilities ?? []).includes(name)
}

/** Without any measurement every region is as good as another. */
function nearestRegion(regions: ReadonlyMap<number, Node[]>, { latencyMs }: SuggestFacts): Node[] {
  const measured = [...regions].filter(([region]) => latencyMs.has(region))
  if (measured.length === 0) return [...regions.values()].flat()
  const best = measured.reduce((a, b) => (latencyMs.get(b[0])! < latencyMs.get(a[0])! ? b : a))
  return best[1]
}

interface Place {
  readonly latitude: number
  readonly longitude: number
}

function placeOf({ derpMap }: Netmap, region: number): Place | undefined {
  const { Latitude, Longitude } = derpMap?.Regions?.[region] ?? {}
  return Latitude === undefined || Longitude === undefined ? undefined : { latitude: Latitude, longitude: Longitude }
}

function nearest(nodes: readonly Node[], from: Place | undefined): readonly Node[] {
  if (from === undefined) return nodes
  const distances = nodes.map((node) => distanceKm(from, node.Hostinfo?.Location))
  const least = Math.min(...distances)
  return nodes.filter((_, i) => distances[i]! <= least + AS_NEAR_KM)
}

function distanceKm(from: Place, to: Location | undefined): number {
  if (to?.Latitude === undefined || to.Longitude === undefined) return Number.MAX_VALUE
  const radians = (degrees: number): number => (degrees * Math.PI) / 180
  const [a, b] = [radians(from.latitude), radians(to.Latitude)]
  const half = (angle: number): number => Math.sin(angle / 2) ** 2
  const h = half(b - a) + Math.cos(a) * Math.cos(b) * half(radians(to.Longitude - from.longitude))
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)))
}

function highestPriority(nodes: readonly Node[]): Node[] {
  const priority = (node: Node): number => node.Hostinfo?.Location?.Priority ?? 0
  const best = Math.max(...nodes.map(priority))
  return nodes.filter((node) => priority(node) === best)
}

function oneOf(nodes: readonly Node[], { before, random01 }: SuggestFacts): Suggestion {
  const kept = nodes.find(({ StableID }) => StableID === before)
  return { kind: 'node', node: kept ?? nodes[Math.floor(random01() * nodes.length)]! }
}
