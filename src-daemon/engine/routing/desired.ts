/**
 * What the host's network is to do for us: from the netmap, the wish and the networks the host stands in to the router's
 * declaration. Pure. [docs/rules/routing.md]
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import {
  isLinkLocal,
  isLoopback,
  isMulticast,
  isTailscaleIp,
  type Prefix,
  parsePrefix,
  prefixText,
  tailscaleRanges,
} from '../../../src-protocol/wire/ip.ts'
import { prefixesOverlap } from '../../../src-protocol/wire/prefix-sets.ts'
import type { HostInterface, HostNetwork } from '../../io/netmon/port.ts'
import type { RouterConfig } from '../../io/router/port.ts'
import { hostPrefixText, nodeAddresses } from '../node-text.ts'
import { EXIT_ROUTES } from './exit-choice.ts'
import type { RoutingWish } from './wish.ts'

/** Inside a 1500-byte network, with room for IPv6, UDP, WireGuard, a relay header, and a tunnel in a tunnel. */
export const TUNNEL_MTU_BYTES = 1280
/** Beyond this many, one route for the whole range costs the host less. */
const MAX_SINGLE_ROUTES = 4_000
/** Networks between this host and its own guests: they never were the internet. */
const GUEST_BRIDGES = /^(docker|br-|virbr|veth|vboxnet|vmnet|vnet|lxcbr|lxdbr|incusbr|podman|cni)/

export interface DesiredFacts {
  readonly netmap: Netmap
  readonly wish: RoutingWish
  /** What peers own in the data path. */
  readonly peerPrefixes: readonly PrefixText[]
  /** Of the daemon's own services. */
  readonly serviceAddresses: readonly IpText[]
  readonly network: HostNetwork
  readonly ownInterface: string | undefined
  readonly fwmark: number
  readonly udpPort: number
}

export function desiredRouting(facts: DesiredFacts): RouterConfig {
  const { netmap, wish } = facts
  const { guests, others } = localNetworks(facts.network, facts.ownInterface)
  const hasExit = wish.exit !== undefined
  const isLeft = (route: PrefixText): boolean =>
    wish.allowsLan || wish.homeNetworks.includes(route) || wish.advertised.some((own) => overlap(own, route))
  return {
    addresses: nodeAddresses(netmap.self),
    routes: [
      ...peerRoutes(facts.peerPrefixes),
      ...facts.serviceAddresses.map(hostPrefixText),
      ...(hasExit ? EXIT_ROUTES : []),
      ...(hasExit ? others.filter((route) => !isLeft(route)) : []),
    ],
    localRoutes: hasExit
      ? [...new Set([...guests, ...others.filter(isLeft), ...wish.homeNetworks])]
      : wish.homeNetworks,
    bypass: wish.bypass,
    advertisedRoutes: wish.advertised,
    snatSubnetRoutes: wish.snatSubnetRoutes,
    statefulFiltering: wish.statefulFiltering,
    netfilterMode: wish.netfilterMode,
    dropsForeignOverlay: wish.dropsForeignOverlay,
    staysClosedAfterCrash: hasExit,
    mtuBytes: TUNNEL_MTU_BYTES,
    fwmark: facts.fwmark,
    udpPort: facts.udpPort,
  }
}

/** The internet is among the wishes or not; as a peer's prefix it needs no route of its own. */
function peerRoutes(prefixes: readonly PrefixText[]): PrefixText[] {
  const hosts: PrefixText[] = []
  const subnets: PrefixText[] = []
  for (const prefix of prefixes) {
    if (EXIT_ROUTES.includes(prefix)) continue
    const isHost = prefix.endsWith(prefix.includes(':') ? '/128' : '/32')
    if (isHost && isTailscaleIp(prefix.slice(0, prefix.indexOf('/')))) hosts.push(prefix)
    else subnets.push(prefix)
  }
  return [...(hosts.length > MAX_SINGLE_ROUTES ? tailscaleRanges : hosts.sort()), ...subnets.sort()]
}

/** An exit node offers the internet, not each network in it. */
function overlap(advertised: PrefixText, network: PrefixText): boolean {
  const [a, b] = [parsePrefix(advertised), parsePrefix(network)]
  if (!a.ok || !b.ok || a.value.bits === 0) return false
  return prefixesOverlap(a.value, b.value)
}

/** The networks that the host stands in, masked. Not single addresses, and not what never leaves a link. */
export function localNetworks(
  network: HostNetwork,
  ownInterface: string | undefined,
): { readonly guests: PrefixText[]; readonly others: PrefixText[] } {
  const guests = new Set<PrefixText>()
  const others = new Set<PrefixText>()
  for (const face of network.interfaces) {
    if (face.name === ownInterface) continue
    const isGuests = GUEST_BRIDGES.test(face.name) && face.name !== network.defaultV4 && face.name !== network.defaultV6
    for (const prefix of networksOf(face)) (isGuests ? guests : others).add(prefixText(prefix))
  }
  return { guests: [...guests].sort(), others: [...others].sort() }
}

export function networksOf(face: HostInterface): Prefix[] {
  return face.addresses.flatMap(({ address, bits }) => {
    const prefix = parsePrefix(`${address}/${bits}`)
    if (!prefix.ok) return []
    const { ip } = prefix.value
    const isSingle = bits === ip.length * 8
    const isOdd = isLoopback(ip) || isLinkLocal(ip) || isMulticast(ip) || isTailscaleIp(ip)
    return isSingle || isOdd ? [] : [prefix.value]
  })
}
