/**
 * What the operating system is to be told, from what the network wants and what the system can do. Pure.
 * [features.md §8.2; docs/rules/dns.md DNS-6]
 */
import type { IpText } from '../../../src-contract/ids.ts'
import { isWithin } from '../../wire/dns-name.ts'
import { splitIpPort } from '../../wire/ip.ts'
import { BROWSER_CANARY } from './local-answers.ts'
import type { DnsPlan } from './plan.ts'
import { SERVICE_V4, SERVICE_V6, type Upstream } from './upstream.ts'

/** Names without final dots. */
export interface OsDnsConfig {
  readonly nameservers: readonly IpText[]
  readonly searchDomains: readonly string[]
  /** Only these go to `nameservers`; empty = everything does. */
  readonly matchDomains: readonly string[]
}

export interface OsPlan {
  /** Undefined: the system's settings are left alone. */
  readonly config: OsDnsConfig | undefined
  /** Everything comes to us, and what is not ours goes on to the servers that the system had before. */
  readonly needsBase: boolean
}

export function planOsDns(plan: DnsPlan, os: { readonly canSplit: boolean; readonly hasIpv6: boolean }): OsPlan {
  if (!plan.isAccepted) return { config: undefined, needsBase: false }
  const { searchDomains } = plan
  const service = os.hasIpv6 ? [SERVICE_V4, SERVICE_V6] : [SERVICE_V4]
  const needsUs = plan.localDomains.size > 0
  if (!needsUs && plan.routes.size === 0 && plan.defaults.length === 0) {
    if (searchDomains.length === 0) return { config: undefined, needsBase: false }
    return { config: { nameservers: [], searchDomains, matchDomains: [] }, needsBase: !os.canSplit }
  }
  if (plan.defaults.length > 0) {
    const plain = !needsUs && plan.routes.size === 0 ? plainServers(plan.defaults) : undefined
    return { config: { nameservers: plain ?? service, searchDomains, matchDomains: [] }, needsBase: false }
  }
  if (!os.canSplit) return { config: { nameservers: service, searchDomains, matchDomains: [] }, needsBase: true }
  const same = needsUs ? undefined : commonServers([...plan.routes.values()])
  const domains = matchDomains(plan)
  const matched = same === undefined ? [...domains, BROWSER_CANARY] : domains
  return {
    config: { nameservers: same ?? service, searchDomains, matchDomains: matched.sort(reverseZonesLast) },
    needsBase: false,
  }
}

/** Those below another one are left out; names of machines that other networks share with us stand for themselves. */
function matchDomains(plan: DnsPlan): string[] {
  const suffixes = [...plan.routes.keys(), ...plan.localDomains]
  const strangers = plan.isMagicOn
    ? [...plan.hosts.keys()].filter((name) => !suffixes.some((suffix) => isWithin(name, suffix)))
    : []
  const all = [...new Set([...suffixes, ...strangers])]
  return all.filter((name) => !all.some((other) => other !== name && isWithin(name, other)))
}

/** Old systems take the first 64: rather no reverse look-ups than no names. */
function reverseZonesLast(a: string, b: string): number {
  const [isLastA, isLastB] = [a.endsWith('.arpa'), b.endsWith('.arpa')]
  return isLastA === isLastB ? (a < b ? -1 : 1) : isLastA ? 1 : -1
}

function plainServers(upstreams: readonly Upstream[]): IpText[] | undefined {
  const addresses: IpText[] = []
  for (const upstream of upstreams) {
    if (upstream.kind !== 'plain') return undefined
    const { address, port } = splitIpPort(upstream.address)
    if (port !== 53) return undefined
    addresses.push(address)
  }
  return addresses
}

function commonServers(lists: readonly (readonly Upstream[])[]): IpText[] | undefined {
  const all = lists.map((list) => plainServers(list))
  const [first] = all
  if (first === undefined || first.length === 0) return undefined
  return all.every((list) => list?.join() === first.join()) ? first : undefined
}
