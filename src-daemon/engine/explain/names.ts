/** Who answers for a name, by which rule, and who would have. Pure; asking is the caller's. [docs/rules/dns.md DNS-5, DNS-8] */
import type { NameExplanation } from '../../../src-contract/localapi/route-explain.ts'
import type { DnsPlan } from '../../../src-protocol/machines/resolver/plan.ts'
import { upstreamText } from '../../../src-protocol/machines/resolver/resolver.ts'
import type { Upstream } from '../../../src-protocol/machines/resolver/upstream.ts'
import { isWithin, parentName } from '../../../src-protocol/wire/dns-name.ts'

export type NameRoute = Omit<NameExplanation, 'Addresses' | 'Problem'>

export interface NameFacts {
  readonly plan: DnsPlan
  /** Of this network, "" without one. */
  readonly ownDomain: string
  /** Whom the resolver asks for this name; empty = it answers itself. */
  readonly askedAt: (name: string) => readonly Upstream[]
}

/** `nas` → `nas.example.net`, as programs complete it. */
export function completeName(text: string, { plan, ownDomain }: NameFacts): string {
  if (text.includes('.')) return text
  const domains = [...plan.searchDomains, ...(ownDomain === '' ? [] : [ownDomain])]
  const known = domains.map((domain) => `${text}.${domain}`).find((name) => plan.hosts.has(name))
  return known ?? (domains[0] === undefined ? text : `${text}.${domains[0]}`)
}

export function routeOfName(name: string, facts: NameFacts): NameRoute {
  const { plan } = facts
  if (!plan.isAccepted) {
    const Why = plan.hosts.has(name)
      ? 'it is a machine of this network; but accept-dns is off, so programs ask this machine’s own name servers'
      : 'accept-dns is off, or the network is not up'
    return { Name: name, Suffix: '', Servers: ["this machine's own name servers"], Why, Losers: [] }
  }
  const zones = zonesOf(plan, name)
  const defaults = facts.plan.defaults.map(upstreamText)
  const servers = facts.askedAt(name).map(upstreamText)
  const everything = {
    Suffix: '',
    Servers: defaults.length > 0 ? defaults : ["this machine's own name servers"],
    Why: 'They are asked for everything else.',
  }
  if (plan.hosts.has(name)) {
    const Losers = [...zones.map((zone) => lostTo(name, zone)), everything]
    return { Name: name, Suffix: name, Servers: [], Why: 'it is a name of this network', Losers }
  }
  const [won, ...lost] = zones
  if (won === undefined) {
    const Why =
      defaults.length > 0
        ? 'no rule for a domain has it, and these are the servers for everything else'
        : 'no rule for a domain has it, and the network names no servers for everything else'
    return { Name: name, Suffix: '', Servers: servers, Why, Losers: [] }
  }
  const Losers = [...lost.map((zone) => lostTo(won.suffix, zone)), everything]
  return { Name: name, Suffix: won.suffix, Servers: servers, Why: whyZone(plan, won), Losers }
}

interface Zone {
  readonly suffix: string
  readonly upstreams: readonly Upstream[] | 'local'
}

/** Longest first. */
function zonesOf(plan: DnsPlan, name: string): Zone[] {
  const zones: Zone[] = []
  for (let suffix: string | undefined = name; suffix !== undefined && suffix !== ''; suffix = parentName(suffix)) {
    const upstreams = plan.localDomains.has(suffix) ? 'local' : plan.routes.get(suffix)
    if (upstreams !== undefined) zones.push({ suffix, upstreams })
  }
  return zones
}

function whyZone(plan: DnsPlan, { suffix, upstreams }: Zone): string {
  if (upstreams === 'local') return `names under ${suffix} are answered by Pintail itself`
  const isBypass = plan.ownSuffixes.some((own) => isWithin(suffix, own))
  return isBypass
    ? `${suffix} is in your bypass list: it is not asked through the exit node`
    : `the network sends ${suffix} to its own servers`
}

function lostTo(winner: string, { suffix, upstreams }: Zone): NameExplanation['Losers'][number] {
  const Servers = upstreams === 'local' ? [] : upstreams.map(upstreamText)
  return { Suffix: suffix, Servers, Why: `${winner} is longer.` }
}
