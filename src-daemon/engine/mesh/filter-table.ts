/**
 * Who may reach what here: the filter's table from the server's rules and what this host offers. Pure.
 * [docs/rules/filter.md §6]
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import type { FilterTable } from '../../../src-native/door.ts'
import { compileFilter } from '../../../src-native/filter.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { type Prefix, parsePrefix, prefixContains, prefixText } from '../../../src-protocol/wire/ip.ts'
import { withoutPrefixes } from '../../../src-protocol/wire/prefix-sets.ts'
import { hostPrefixText, nodeAddresses } from '../node-text.ts'

/** What we offer to others, and what an exit node must know of its host. */
export interface Offer {
  /** As advertised. */
  readonly routes: readonly PrefixText[]
  /** Addresses of the host's interfaces other than ours, with the networks they stand in: `192.168.1.7/24`. */
  readonly hostAddresses: readonly PrefixText[]
}

export const NOTHING_OFFERED: Offer = { routes: [], hostAddresses: [] }

export function sameOffer(a: Offer, b: Offer): boolean {
  return a === b || (same(a.routes, b.routes) && same(a.hostAddresses, b.hostAddresses))
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i])
}

/**
 * Never part of an advertised default route. 127/8 is our own addition; ::1, which the kernel refuses as well, would cut
 * the rest of IPv6 into another 120 pieces.
 */
const NOT_THE_INTERNET = [
  ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4'],
  ...['fd7a:115c:a1e0::/48', 'fe80::/10', 'ff00::/8'],
].flatMap(parsed)

/**
 * Destinations that peers may reach at all: our addresses and what we advertise. An exit node offers the internet, not
 * the networks its host stands in, unless they are advertised, too. [docs/rules/filter.md §6]
 */
export function localNets(ownAddresses: readonly IpText[], { routes, hostAddresses }: Offer): PrefixText[] {
  const advertised = routes.flatMap(parsed)
  const interfaces = hostAddresses.flatMap(parsed)
  return [
    ...new Set([
      ...ownAddresses.map(hostPrefixText),
      ...advertised.flatMap((route) => (route.bits === 0 ? internetOf(route, interfaces) : [route])).map(prefixText),
    ]),
  ]
}

/** A default route without the host's networks, but with its own addresses. */
function internetOf(route: Prefix, interfaces: readonly Prefix[]): Prefix[] {
  const networks = interfaces.filter(({ ip, bits }) => bits < ip.length * 8)
  const addresses = interfaces
    .map(({ ip }) => ({ ip, bits: ip.length * 8 }))
    .filter(({ ip }) => prefixContains(route, ip))
    .flatMap((address) => withoutPrefixes(address, NOT_THE_INTERNET))
  return [...withoutPrefixes(route, [...networks, ...NOT_THE_INTERNET]), ...addresses]
}

function parsed(text: PrefixText): Prefix[] {
  const prefix = parsePrefix(text)
  return prefix.ok ? [prefix.value] : []
}

export function buildFilterTable(
  netmap: Netmap,
  shieldsUp: boolean,
  offer: Offer = NOTHING_OFFERED,
  peerApi: FilterTable['peerApi'] = [],
): { readonly table: FilterTable; readonly problem: string | undefined } {
  const compiled = compileFilter(netmap.filterRules, (capability) => capabilityHolders(netmap, capability))
  return {
    table: {
      rules: compiled.rules,
      localNets: localNets(nodeAddresses(netmap.self), offer),
      shieldsUp,
      peerApi,
    },
    problem: compiled.problem,
  }
}

function capabilityHolders(netmap: Netmap, capability: string): IpText[] {
  const holders: IpText[] = []
  for (const node of netmap.peers.values()) {
    const holds = Object.hasOwn(node.CapMap ?? {}, capability) || (node.Capabilities ?? []).includes(capability)
    if (holds) holders.push(...nodeAddresses(node))
  }
  return holders
}
