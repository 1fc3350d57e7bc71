/**
 * What would have taken the same traffic, and why it does not: routes of the host that lost, and what peers offer. Pure.
 * [docs/rules/explain.md EXP-4]
 */
import type { IpText } from '../../../src-contract/ids.ts'
import type { RouteLoser } from '../../../src-contract/localapi/route-explain.ts'
import type { SubnetRoute } from '../../../src-contract/localapi/subnet-routes.ts'
import { ipBytes, parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import type { HostRoute, HostRule, RoutingQuestion } from '../../io/route-view/port.ts'
import { TUNNEL_TABLE } from '../../io/router/marks.ts'
import { displayName, hostPrefixText, nodeAddresses } from '../node-text.ts'
import { type RouteTables, type Walk, walkRules } from './policy-routing.ts'
import { isBypass, tableName } from './rule-words.ts'
import type { Judgement, Scene } from './verdict.ts'

const MAX_LOSERS = 32

export function findLosers(
  scene: Scene,
  tables: RouteTables,
  question: RoutingQuestion,
  walk: Walk,
  { owner }: Judgement,
): RouteLoser[] {
  const losers = new Map<string, RouteLoser>()
  const add = (loser: RouteLoser): void => {
    const key = `${loser.Table} ${loser.Prefix} ${loser.Interface} ${loser.Node}`
    if (losers.size < MAX_LOSERS && !losers.has(key)) losers.set(key, loser)
  }
  const won = walk.winner?.route
  const ip = ipBytes(question.to)
  const addRoute = (route: HostRoute, reason: RouteLoser['Reason'], why: string): void => {
    if (route === won || route.type === 'throw' || route.type === 'local' || route.isDead) return
    if (won !== undefined && route.table === won.table && route.text === won.text && route.metric === won.metric) return
    const candidate = candidateOf(scene, route)
    if (candidate !== undefined && candidate.Node !== owner?.node.StableID)
      add({ ...candidate, Reason: reason, Why: why })
  }
  for (const { rule, route, outcome } of walk.stops) {
    if (rule.action.kind !== 'lookup' || route === undefined) continue
    const others = tables.covering(rule.action.table, ip)
    for (const other of others) {
      if (outcome === 'thrown') addRoute(other, 'thrown', `${route.text} is excepted from ${tableName(route.table)}.`)
      else if (outcome === 'suppressed')
        addRoute(other, 'suppressed', `Rule ${rule.priority} does not take routes that wide.`)
      else if (outcome === 'won' || outcome === 'refused') addRoute(other, ...lessThan(other, route))
    }
  }
  for (const { rule, route } of behind(tables, question, walk)) {
    if (route === undefined) continue
    const isPast =
      walk.winner !== undefined &&
      isBypass(walk.winner.rule) &&
      rule.action.kind === 'lookup' &&
      rule.action.table === String(TUNNEL_TABLE)
    const winner = walk.winner?.rule
    addRoute(
      route,
      isPast ? 'bypassed' : 'later-rule',
      isPast ? 'Your bypass list comes first.' : `Rule ${winner?.priority} comes before rule ${rule.priority}.`,
    )
  }
  for (const loser of offers(scene, question.to, owner?.node.StableID, owner?.bits)) add(loser)
  return [...losers.values()]
}

function lessThan(other: HostRoute, winner: HostRoute): [RouteLoser['Reason'], string] {
  return other.prefix.bits < winner.prefix.bits
    ? ['less-specific', `${winner.text} is the smaller network.`]
    : ['higher-metric', `Its metric ${other.metric} is not below ${winner.metric}.`]
}

/** What further rules would have led to. */
function behind(
  tables: RouteTables,
  question: RoutingQuestion,
  { winner }: Walk,
): { rule: HostRule; route: HostRoute | undefined }[] {
  if (winner === undefined) return []
  const found: { rule: HostRule; route: HostRoute | undefined }[] = []
  for (let after = tables.rules.indexOf(winner.rule); after >= 0; ) {
    const next = walkRules(tables, question, after).winner
    if (next === undefined) break
    found.push({ rule: next.rule, route: next.route })
    after = tables.rules.indexOf(next.rule)
  }
  return found
}

/** undefined: of no interest. */
function candidateOf(
  { facts, owners, links }: Scene,
  route: HostRoute,
): Omit<RouteLoser, 'Reason' | 'Why'> | undefined {
  const [hop] = route.hops
  const base = { Prefix: route.text, Interface: hop?.interfaceName ?? '', Table: route.table, Node: '' }
  if (hop === undefined) return { ...base, Kind: 'route', Name: route.type }
  if (hop.interfaceName === facts.tunName) {
    const exact = owners.of(route.text)
    // A network around us that goes to the exit node with everything else has no machine of its own.
    const owner = exact ?? owners.find(route.prefix.ip)
    const name = owner === undefined ? '' : displayName(owner.node)
    if (route.prefix.bits === 0 || (exact === undefined && (owner === undefined || owner.bits === 0))) {
      const away = facts.exit.kind === 'blocked' ? facts.exit.name : ''
      return { ...base, Kind: 'exit-node', Name: name || away, Node: owner?.node.StableID ?? '' }
    }
    return { ...base, Kind: 'peer-route', Name: name, Node: owner?.node.StableID ?? '' }
  }
  const isTunnel = links.some((link) => link.isTunnel && link.name === hop.interfaceName)
  const Kind = isTunnel
    ? 'other-vpn'
    : route.prefix.bits === 0
      ? 'default-route'
      : hop.gateway === ''
        ? 'local-network'
        : 'route'
  return { ...base, Kind, Name: hop.interfaceName }
}

const WHY: { readonly [reason in Exclude<SubnetRoute['Reason'], ''>]: string } = {
  'not-accepted': 'You do not accept routes of others: pintail set --accept-routes.',
  off: 'You switched this route off.',
  'at-home': 'You are in that network yourself.',
  taken: 'Another machine offers the same network and has it.',
}

/** Of peers, that are not routes of this host. */
function offers({ facts }: Scene, address: IpText, winner: string | undefined, bits: number | undefined): RouteLoser[] {
  const ip = ipBytes(address)
  const found: RouteLoser[] = []
  const base = { Kind: 'peer-route', Interface: '', Table: '' } as const
  for (const { Prefix, Via, ViaName, Reason } of facts.subnets) {
    const prefix = parsePrefix(Prefix)
    if (!prefix.ok || !prefixContains(prefix.value, ip) || Via === winner) continue
    const offer = { ...base, Name: ViaName, Prefix, Node: Via }
    if (!facts.isRunning) found.push({ ...offer, Reason: 'not-running', Why: NOT_RUNNING })
    else if (Reason !== '')
      found.push({
        ...offer,
        Reason,
        Why: Reason === 'off' ? `${WHY.off} To use it: pintail route on ${Prefix}` : WHY[Reason],
      })
    else if (bits !== undefined && prefix.value.bits < bits)
      found.push({ ...offer, Reason: 'less-specific', Why: 'The winner has a smaller network.' })
  }
  if (facts.isRunning) return found
  for (const node of facts.netmap?.peers.values() ?? []) {
    if (!nodeAddresses(node).includes(address)) continue
    const own = { ...base, Name: displayName(node), Prefix: hostPrefixText(address), Node: node.StableID }
    found.push({ ...own, Reason: 'not-running', Why: NOT_RUNNING })
  }
  return found
}

const NOT_RUNNING = 'The tunnel is down: pintail up.'
