/**
 * The ways through a whole network: cut where the answer may change, and what goes alike put together. Pure.
 * [docs/rules/explain.md EXP-5]
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import type { RouteQuestion } from '../../../src-contract/localapi/route-explain.ts'
import { ipText, type Prefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import type { HostRoute, HostRouting } from '../../io/route-view/port.ts'
import type { Owners } from './owners.ts'
import {
  addressOf,
  cutNetwork,
  joinParts,
  networksOfParts,
  numberOfAddress,
  type Part,
  sampleOf,
  sizeOf,
} from './parts.ts'
import { RouteTables, walkRules } from './policy-routing.ts'
import { routingQuestion } from './question.ts'
import { judge, type Scene } from './verdict.ts'

/** Networks within the one that was asked about. */
const MAX_CUTS = 2_000
/** Looks at a rule; a tenth of a second. */
const MAX_LOOKS = 1_000_000
const MAX_WAYS = 16
const MAX_PARTS = 32
const MAX_OWN_NAMED = 6

export interface Way {
  /** Stands for all that goes this way. */
  readonly address: IpText
  readonly parts: readonly PrefixText[]
  readonly moreParts: number
}

export interface Ways {
  /** The largest first. */
  readonly ways: readonly Way[]
  readonly notes: readonly string[]
  readonly problems: readonly string[]
}

export function waysThrough(whole: Prefix, question: RouteQuestion, scene: Scene, host: HostRouting): Ways {
  const widthBits = whole.ip.length * 8
  const cuts = [...networksWithin(whole, host, scene.owners)]
  if (cuts.length > MAX_CUTS || cuts.length * host.rules.length > MAX_LOOKS) {
    const problem = `${cuts.length} routes and rules lie in ${question.To}: ask about a smaller network.`
    return { ways: [], notes: [], problems: [problem] }
  }
  const tables = new RouteTables(host)
  const own = ownHosts(whole, host)
  const taken = new Set(own.map(numberOfAddress))
  const groups = new Map<string, Part[]>()
  for (const part of cutNetwork(whole, cuts)) {
    const asked = routingQuestion(addressOf(sampleOf(part, taken), widthBits), question)
    const walk = walkRules(tables, asked)
    const { verdict, owner } = judge(scene, asked.to, walk)
    const { rule, route } = walk.winner ?? {}
    const key = JSON.stringify([verdict, owner?.node.StableID, rule?.priority, route?.table, route?.hops])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [part])
    else group.push(part)
  }
  const bySize = [...groups.values()]
    .map((group) => ({ group: joinParts(group), size: group.reduce((sum, part) => sum + sizeOf(part), 0n) }))
    .sort((a, b) => (a.size === b.size ? 0 : a.size > b.size ? -1 : 1))
  const ways = bySize.slice(0, MAX_WAYS).map(({ group }) => {
    const { networks, more } = networksOfParts(group, widthBits, MAX_PARTS)
    return { address: addressOf(sampleOf(group[0]!, taken), widthBits), parts: networks, moreParts: more }
  })
  const isCut = bySize.length > MAX_WAYS
  const problems = isCut ? [`Only the ${MAX_WAYS} largest of ${bySize.length} ways are explained.`] : []
  return { ways, notes: own.length === 0 ? [] : [ownNote(own)], problems }
}

function* networksWithin(whole: Prefix, host: HostRouting, owners: Owners): Generator<Prefix> {
  for (const { to } of host.rules) if (to !== undefined && prefixContains(whole, to.ip)) yield to
  for (const route of host.routes) {
    if (prefixContains(whole, route.prefix.ip) && !isOwnHost(route)) yield route.prefix
  }
  yield* owners.networks(whole)
}

/** Holes in every network that this machine stands in: said once, rather than cut out. */
function isOwnHost({ table, prefix }: HostRoute): boolean {
  return table === 'local' && prefix.bits === prefix.ip.length * 8
}

function ownHosts(whole: Prefix, { routes }: HostRouting): IpText[] {
  const hosts = routes.filter((route) => isOwnHost(route) && prefixContains(whole, route.prefix.ip))
  return [...new Set(hosts.map(({ prefix }) => ipText(prefix.ip)))]
}

function ownNote(own: readonly IpText[]): string {
  const more = own.length > MAX_OWN_NAMED ? ` and ${own.length - MAX_OWN_NAMED} more` : ''
  return `Except this machine's own and broadcast addresses in it: ${own.slice(0, MAX_OWN_NAMED).join(', ')}${more}.`
}
