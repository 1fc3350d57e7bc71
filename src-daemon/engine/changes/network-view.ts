/**
 * This machine's network as some settings make it, in the words of a person: what a diff compares. Pure.
 * The host's side of it is the router's declaration, which the data plane foretells.
 */
import type { Node } from '../../../src-contract/control/map.ts'
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import type { ExitNodeView, FirewallView, RouteLine } from '../../../src-contract/localapi/changes.ts'
import type { Prefs } from '../../../src-contract/localapi/prefs.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { type DnsPlan, emptyPlan } from '../../../src-protocol/machines/resolver/plan.ts'
import { upstreamText } from '../../../src-protocol/machines/resolver/resolver.ts'
import { SERVICE_V4, SERVICE_V6 } from '../../../src-protocol/machines/resolver/upstream.ts'
import { ipBytes, parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import { plainRouterConfig, type RouterBypass, type RouterConfig } from '../../io/router/port.ts'
import { displayName, hostPrefixText } from '../node-text.ts'
import { acceptedPrefixes } from '../routing/accepted-prefixes.ts'
import { chooseExit, EXIT_ROUTES } from '../routing/exit-choice.ts'
import { PrefixOwners } from '../routing/prefix-owners.ts'
import type { RoutingWish } from '../routing/wish.ts'
import type { Settings } from './undo.ts'

/** Routed, but nobody's: the daemon answers there. */
const SERVICES: readonly PrefixText[] = [SERVICE_V4, SERVICE_V6].map(hostPrefixText)

export interface NetworkView {
  readonly settings: Settings
  readonly connected: boolean
  readonly router: RouterConfig
  readonly routes: readonly RouteLine[]
  readonly rules: readonly string[]
  readonly dns: {
    readonly servers: readonly string[]
    readonly search: readonly string[]
    readonly split: readonly { readonly Suffix: string; readonly Servers: string[] }[]
  }
  readonly exitNode: ExitNodeView
  readonly firewall: FirewallView
}

export interface ViewInputs {
  /** With the exit node as the network resolves it. */
  readonly settings: Settings
  readonly netmap: Netmap | undefined
  /** Undefined: disconnected, nothing of ours is in place. */
  readonly place: { readonly router: RouterConfig; readonly wish: RoutingWish; readonly dns: DnsPlan } | undefined
}

export function networkView({ settings, netmap, place }: ViewInputs): NetworkView {
  const { prefs } = settings
  const exitNode = exitNodeView(netmap, prefs)
  const plan = place?.dns ?? emptyPlan
  const router = place?.router ?? plainRouterConfig
  return {
    settings,
    connected: place !== undefined,
    router,
    routes: place === undefined || netmap === undefined ? [] : routeLines(netmap, place.wish, router, exitNode),
    rules: ruleTexts(router.bypass),
    dns: {
      servers: plan.defaults.map(upstreamText),
      search: plan.searchDomains,
      split: [
        ...[...plan.routes].map(([Suffix, upstreams]) => ({ Suffix, Servers: upstreams.map(upstreamText) })),
        ...[...plan.localDomains].map((Suffix) => ({ Suffix, Servers: [] })),
        ...plan.ownSuffixes.map((Suffix) => ({ Suffix, Servers: ['system'] })),
      ],
    },
    exitNode,
    firewall: {
      Mode: router.netfilterMode,
      ShieldsUp: prefs.ShieldsUp,
      Snat: router.snatSubnetRoutes,
      Stateful: router.statefulFiltering,
    },
  }
}

function exitNodeView(netmap: Netmap | undefined, prefs: Prefs): ExitNodeView {
  const asked = prefs.ExitNodeID || prefs.ExitNodeIP
  if (asked === '') return { ID: '', Name: '', Blocked: false }
  const choice = netmap === undefined ? undefined : chooseExit(netmap, prefs)
  if (choice?.kind !== 'chosen') return { ID: asked, Name: asked, Blocked: true }
  return { ID: choice.node.StableID, Name: displayName(choice.node), Blocked: choice.node.Online === false }
}

function routeLines(netmap: Netmap, wish: RoutingWish, router: RouterConfig, exit: ExitNodeView): RouteLine[] {
  const owners = ownersOf(netmap, wish)
  const exitPeer = [...netmap.peers.values()].find(({ StableID }) => StableID === wish.exit?.peer)
  const line = (Prefix: PrefixText): RouteLine => {
    const owner = EXIT_ROUTES.includes(Prefix) ? undefined : owners.get(Prefix)
    if (owner !== undefined) return { Prefix, Way: 'peer', Via: owner.StableID, ViaName: displayName(owner) }
    if (SERVICES.includes(Prefix)) return { Prefix, Way: 'service', Via: '', ViaName: '' }
    if (exitPeer === undefined && exit.ID !== '') return { Prefix, Way: 'blocked', Via: '', ViaName: '' }
    if (exitPeer === undefined) return { Prefix, Way: 'peer', Via: '', ViaName: '' } // a whole range, for many peers
    return { Prefix, Way: 'exit-node', Via: exitPeer.StableID, ViaName: displayName(exitPeer) }
  }
  const outside = new Set(router.localRoutes)
  return [
    ...router.routes.filter((prefix) => !outside.has(prefix)).map(line),
    ...[...outside].map((Prefix): RouteLine => ({ Prefix, Way: 'outside', Via: '', ViaName: '' })),
  ]
}

function ownersOf(netmap: Netmap, wish: RoutingWish): ReadonlyMap<PrefixText, Node> {
  const owners = new PrefixOwners()
  owners.update(new Map([...netmap.peers].map(([id, node]) => [id, acceptedPrefixes(node, wish)])))
  return new Map([...netmap.peers].flatMap(([id, node]) => owners.granted(id).map((prefix) => [prefix, node] as const)))
}

function ruleTexts({ prefixes, uids, fwmarks, cgroups }: RouterBypass): string[] {
  return [
    ...prefixes,
    ...uids.map(({ first, last }) => (first === last ? `user ${first}` : `users ${first}-${last}`)),
    ...fwmarks.map(({ mark, mask }) => `mark ${mark}/${mask}`),
    ...cgroups.map((path) => `group ${path}`),
  ]
}

/** Which way packets to an address go: the route that fits best, unless a rule comes before all routes. */
export function wayTo(view: NetworkView, address: IpText): RouteLine | undefined {
  const ip = ipBytes(address)
  const covers = (text: PrefixText): number => {
    const prefix = parsePrefix(text)
    return prefix.ok && prefixContains(prefix.value, ip) ? prefix.value.bits : -1
  }
  if (view.router.bypass.prefixes.some((prefix) => covers(prefix) >= 0)) return undefined
  let best: RouteLine | undefined
  let bestBits = -1
  for (const line of view.routes) {
    const bits = covers(line.Prefix)
    if (bits > bestBits) [best, bestBits] = [line, bits]
  }
  return best?.Way === 'outside' ? undefined : best
}
