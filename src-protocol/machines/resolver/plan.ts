/**
 * What names mean in this network: from the network map and the preferences to what the resolver knows and whom it asks.
 * Pure. What the operating system is told follows from it in `os-plan.ts`. [features.md §8.1; docs/rules/dns.md DNS-5]
 */
import type { Node, Resolver } from '../../../src-contract/control/map.ts'
import type { IpText } from '../../../src-contract/ids.ts'
import { canonicalDnsName, isWithin, parentName } from '../../wire/dns-name.ts'
import { reverseName } from '../../wire/dns-record.ts'
import { ipBytes, ipText, parseIp, parsePrefix } from '../../wire/ip.ts'
import { isSelfExpired, type Netmap } from '../netmap.ts'
import { parseUpstreams, type Upstream } from './upstream.ts'

export interface DnsPlan {
  /** Canonical full name → addresses, IPv4 first. */
  readonly hosts: ReadonlyMap<string, readonly IpText[]>
  /** Reverse name → full name. */
  readonly reverse: ReadonlyMap<string, string>
  /** Names whose whole subtree means them. */
  readonly wildcards: ReadonlySet<string>
  /** Answered here and nowhere else. */
  readonly localDomains: ReadonlySet<string>
  /** Split DNS; the longest suffix wins, also against `localDomains`. */
  readonly routes: ReadonlyMap<string, readonly Upstream[]>
  /** For everything else; empty = the system's own. */
  readonly defaults: readonly Upstream[]
  /** Instead of the system's own, where that is unknown. */
  readonly fallbacks: readonly Upstream[]
  /** Asked at this machine's own servers although an exit node is in use. */
  readonly ownSuffixes: readonly string[]
  readonly searchDomains: readonly string[]
  /** Suffixes that an exit node must not resolve for others. */
  readonly exitNodeRefuses: readonly string[]
  readonly isMagicOn: boolean
  /** False: the system's settings are left alone. */
  readonly isAccepted: boolean
}

export const emptyPlan: DnsPlan = {
  hosts: new Map(),
  reverse: new Map(),
  wildcards: new Set(),
  localDomains: new Set(),
  routes: new Map(),
  defaults: [],
  fallbacks: [],
  ownSuffixes: [],
  searchDomains: [],
  exitNodeRefuses: [],
  isMagicOn: false,
  isAccepted: false,
}

export interface DnsWishes {
  readonly netmap: Netmap
  /** `CorpDNS`. */
  readonly isAccepted: boolean
  /** Undefined = none is in use. */
  readonly exitNode?: Node | undefined
  /** Of the bypass. */
  readonly ownSuffixes?: readonly string[]
  readonly wallMs: number
}

const AAAA_CAPABILITY = 'magicdns-aaaa'
const SUBDOMAIN_CAPABILITY = 'dns-subdomain-resolve'
/** Exit nodes of this capability version answer DNS. */
const EXIT_DNS_VERSION = 26
const MAX_SEARCH_DOMAINS = 32

export function planDns({ netmap, isAccepted, exitNode, ownSuffixes = [], wallMs }: DnsWishes): DnsPlan {
  if (isSelfExpired(netmap, wallMs)) return emptyPlan
  const config = netmap.dns ?? {}
  const isMagicOn = config.Proxied === true
  const hosts = new Map<string, IpText[]>()
  const reverse = new Map<string, string>()
  const wildcards = new Set<string>()
  const isAaaaWanted = hasCapability(netmap.self, AAAA_CAPABILITY)
  // our own name and addresses last, so that no peer can have them
  for (const node of [...netmap.peers.values(), netmap.self]) addNode(node)
  const extras = extraNames()

  if (!isAccepted) {
    return { ...emptyPlan, hosts, reverse, wildcards, exitNodeRefuses: suffixes(config.ExitNodeFilteredSet) }
  }
  const routes = new Map<string, readonly Upstream[]>()
  const localDomains = new Set<string>()
  for (const [suffix, resolvers] of Object.entries(config.Routes ?? {})) {
    const name = canonicalDnsName(suffix)
    if (name === undefined || name === '') continue
    if ((resolvers ?? []).length === 0) {
      localDomains.add(name)
      continue
    }
    const kept = exitNode === undefined ? resolvers : flagged(resolvers)
    const upstreams = parseUpstreams(kept)
    // a zone of which we understand no server is nobody's, rather than everybody's
    if (upstreams.length > 0 || kept?.length !== 0) routes.set(name, upstreams)
  }
  if (isMagicOn) for (const domain of magicDomains(netmap.self)) localDomains.add(domain)
  for (const name of extras) {
    const isCovered = [...routes.keys(), ...localDomains].some((suffix) => isWithin(name, suffix))
    if (!isCovered) localDomains.add(name)
  }
  return {
    hosts,
    reverse,
    wildcards,
    localDomains,
    routes,
    defaults: defaultUpstreams(),
    fallbacks: parseUpstreams(config.FallbackResolvers),
    ownSuffixes,
    searchDomains: suffixes(config.Domains).slice(0, MAX_SEARCH_DOMAINS),
    exitNodeRefuses: suffixes(config.ExitNodeFilteredSet),
    isMagicOn,
    isAccepted,
  }

  function addNode(node: Node): void {
    const name = canonicalDnsName(node.Name)
    if (name === undefined || name === '') return
    const all = (node.Addresses ?? []).flatMap((text) => {
      const prefix = parsePrefix(text)
      return prefix.ok && prefix.value.bits === prefix.value.ip.length * 8 ? [ipText(prefix.value.ip)] : []
    })
    if (all.length === 0) return
    const v4 = all.filter((ip) => !ip.includes(':'))
    hosts.set(name, v4.length === 0 || isAaaaWanted ? [...v4, ...all.filter((ip) => ip.includes(':'))] : v4)
    for (const ip of all) reverse.set(reverseName(ipBytes(ip)), name)
    if (hasCapability(node, SUBDOMAIN_CAPABILITY)) wildcards.add(name)
  }

  function extraNames(): string[] {
    const names: string[] = []
    for (const record of config.ExtraRecords ?? []) {
      const name = canonicalDnsName(record.Name)
      const ip = parseIp(record.Value)
      const type = record.Type ?? ''
      if (name === undefined || name === '' || !ip.ok) continue
      if (type !== '' && type !== (ip.value.length === 4 ? 'A' : 'AAAA')) continue
      const before = names.includes(name) ? (hosts.get(name) ?? []) : []
      hosts.set(name, [...before, ipText(ip.value)])
      if (before.length === 0) names.push(name)
    }
    return names
  }

  function defaultUpstreams(): readonly Upstream[] {
    if (exitNode !== undefined) {
      const kept = parseUpstreams(flagged(config.Resolvers))
      if (kept.length > 0) return kept
      const proxy = exitNodeProxy(exitNode)
      if (proxy !== undefined) return [proxy]
    }
    const own = parseUpstreams(config.Resolvers)
    if (own.length > 0 || exitNode === undefined) return own
    const its = parseUpstreams(exitNode.ExitNodeDNSResolvers)
    return its.length > 0 ? its : parseUpstreams(config.FallbackResolvers)
  }
}

/** Domains that mean this network, by our own full name: its suffix and the reverse zones of its addresses. */
export function magicDomains(self: Node): string[] {
  const suffix = magicSuffix(self)
  return [...(suffix === '' ? [] : [suffix]), ...REVERSE_ZONES]
}

/** Without the final dot; "" when the server has none. */
export function magicSuffix(self: Node): string {
  const name = canonicalDnsName(self.Name)
  return name === undefined ? '' : (parentName(name) ?? '')
}

const REVERSE_ZONES = [
  ...Array.from({ length: 64 }, (_, i) => `${64 + i}.100.in-addr.arpa`),
  '0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa',
]

/** DNS at the exit node's PeerAPI. Undefined where it offers none. */
export function exitNodeProxy(node: Node): Upstream | undefined {
  const services = node.Hostinfo?.Services ?? []
  const offers = (node.Cap ?? 0) >= EXIT_DNS_VERSION || services.some(({ Proto }) => Proto === 'peerapi-dns-proxy')
  if (!offers || node.IsWireGuardOnly === true) return undefined
  for (const [protocol, isV4] of [
    ['peerapi4', true],
    ['peerapi6', false],
  ] as const) {
    const port = services.find(({ Proto }) => Proto === protocol)?.Port ?? 0
    const address = (node.Addresses ?? []).map((text) => text.split('/')[0]!).find((ip) => !ip.includes(':') === isV4)
    if (port <= 0 || port > 65_535 || address === undefined) continue
    return { kind: 'http', url: `http://${isV4 ? address : `[${address}]`}:${port}/dns-query`, addresses: [] }
  }
  return undefined
}

function flagged(resolvers: readonly Resolver[] | null | undefined): Resolver[] {
  return (resolvers ?? []).filter(({ UseWithExitNode }) => UseWithExitNode === true)
}

function suffixes(list: readonly string[] | null | undefined): string[] {
  const names = (list ?? []).map((text) => canonicalDnsName(text.replace(/^\./, '')))
  return [...new Set(names.filter((name) => name !== undefined && name !== ''))] as string[]
}

function hasCapability(node: Node, capability: string): boolean {
  return Object.hasOwn(node.CapMap ?? {}, capability) || (node.Capabilities ?? []).includes(capability)
}
