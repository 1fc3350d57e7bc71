/**
 * "Where does traffic go?": from a question to the whole answer. It reads the host, asks the operating system the same
 * question, and puts together what the pure files beside decide. [docs/rules/explain.md]
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import type {
  NameExplanation,
  RouteExplanation,
  RouteQuestion,
  RouteStep,
  RouteTarget,
} from '../../../src-contract/localapi/route-explain.ts'
import { ipBytes, type Prefix, parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import type { HostRouting, RouteView, RoutingQuestion, SystemAnswer } from '../../io/route-view/port.ts'
import { hostPrefixText } from '../node-text.ts'
import { findOverlaps } from '../routing/home.ts'
import type { ExplainFacts } from './facts.ts'
import { findLosers } from './losers.ts'
import { Owners } from './owners.ts'
import { addressOf, cutNetwork, joinParts, networksOfPart, type Part, sizeOf } from './parts.ts'
import { filterWords, peerOf } from './peer.ts'
import { agrees, RouteTables, type Stop, type Walk, walkRules } from './policy-routing.ts'
import { protocolNumbers } from './question.ts'
import { isBypass, isOurs, ruleName, ruleText, tableName } from './rule-words.ts'
import { type Judgement, judge, type Scene } from './verdict.ts'
import { via6Of } from './via6.ts'

const MAX_ADDRESSES = 8
const MAX_STEPS = 64
/** Networks within the one that was asked about. */
const MAX_CUTS = 2_000
const MAX_GROUPS = 16
const MAX_PARTS = 32

export interface ExplainParts {
  readonly facts: ExplainFacts
  readonly view: RouteView
  /** Whose name it is, and its addresses. */
  readonly lookUp: (name: string) => Promise<NameExplanation>
}

export async function explainRoute(question: RouteQuestion, parts: ExplainParts): Promise<RouteExplanation> {
  const { facts } = parts
  const names = question.Kind === 'name' ? await parts.lookUp(question.To) : undefined
  const addresses = question.Kind === 'address' ? [question.To] : (names?.Addresses ?? [])
  const problems = new Set<string>()
  const targets: RouteTarget[] = []
  if (question.Kind === 'network') targets.push(...(await explainNetwork(question, parts, problems)))
  for (const address of addresses.slice(0, MAX_ADDRESSES)) {
    const host = await parts.view.read(hostPrefixText(address))
    for (const problem of host.problems) problems.add(problem)
    targets.push(await explainAddress(address, question, host, parts))
  }
  if (addresses.length > MAX_ADDRESSES)
    problems.add(`Only the first ${MAX_ADDRESSES} of ${addresses.length} addresses are explained.`)
  return {
    Asked: question,
    ...(names === undefined ? {} : { Names: names }),
    Targets: targets,
    Mode: facts.tunName === undefined ? 'userspace' : 'kernel',
    IsRunning: facts.isRunning,
    Problems: [...problems],
  }
}

async function explainNetwork(
  question: RouteQuestion,
  parts: ExplainParts,
  problems: Set<string>,
): Promise<RouteTarget[]> {
  const whole = parsePrefix(question.To)
  if (!whole.ok) return []
  const width = whole.value.ip.length * 8
  const host = await parts.view.read(question.To as PrefixText)
  for (const problem of host.problems) problems.add(problem)
  const scene = sceneOf(parts.facts, host)
  const tables = new RouteTables(host)
  const cuts = [...networksWithin(whole.value, host, scene.owners)]
  if (cuts.length > MAX_CUTS) {
    problems.add(`More than ${MAX_CUTS} routes lie in ${question.To}: ask about a smaller network.`)
    return []
  }
  const groups = new Map<string, Part[]>()
  for (const part of cutNetwork(whole.value, cuts)) {
    const asked = askedOf(addressOf(part.first, width), question)
    const walk = walkRules(tables, asked)
    const { verdict, owner } = judge(scene, asked.to, walk)
    const key = JSON.stringify([
      verdict,
      owner?.node.StableID,
      walk.winner?.rule.priority,
      walk.winner?.route?.table,
      walk.winner?.route?.hops,
    ])
    groups.set(key, [...(groups.get(key) ?? []), part])
  }
  const joined = [...groups.values()].map((group) => ({
    group: joinParts(group),
    size: group.reduce((sum, part) => sum + sizeOf(part), 0n),
  }))
  joined.sort((a, b) => (a.size === b.size ? 0 : a.size > b.size ? -1 : 1))
  if (joined.length > MAX_GROUPS) problems.add(`Only the ${MAX_GROUPS} largest of ${joined.length} ways are explained.`)
  const targets: RouteTarget[] = []
  for (const { group } of joined.slice(0, MAX_GROUPS)) {
    const networks = group.flatMap((part) => networksOfPart(part, width))
    const target = await explainAddress(addressOf(group[0]!.first, width), question, host, parts)
    targets.push({
      ...target,
      Parts: networks.slice(0, MAX_PARTS),
      MoreParts: Math.max(0, networks.length - MAX_PARTS),
    })
  }
  return targets
}

function* networksWithin(whole: Prefix, host: HostRouting, owners: Owners): Generator<Prefix> {
  for (const { to } of host.rules) if (to !== undefined && prefixContains(whole, to.ip)) yield to
  for (const { prefix } of host.routes) if (prefixContains(whole, prefix.ip)) yield prefix
  yield* owners.networks(whole)
}

function sceneOf(facts: ExplainFacts, { links }: HostRouting): Scene {
  return { facts, owners: new Owners(facts.peers), links }
}

function askedOf(to: IpText, { From, Uid, Proto, Port }: RouteQuestion): RoutingQuestion {
  const isSameFamily = From !== '' && From.includes(':') === to.includes(':')
  return { to, from: isSameFamily ? From : undefined, uid: Uid, protocol: numberOf(Proto, to), port: Port }
}

function numberOf(proto: RouteQuestion['Proto'], to: IpText): number {
  return proto === 'icmp' && to.includes(':') ? 58 : protocolNumbers[proto]
}

async function explainAddress(
  address: IpText,
  question: RouteQuestion,
  host: HostRouting,
  { facts, view }: ExplainParts,
): Promise<RouteTarget> {
  const scene = sceneOf(facts, host)
  const tables = new RouteTables(host)
  const asked = askedOf(address, question)
  const walk = walkRules(tables, asked)
  const judgement = judge(scene, address, walk)
  const isProxied = facts.tunName === undefined && judgement.owner !== undefined
  // systems cannot be asked about "any protocol": Linux takes UDP then
  const precise = { ...asked, protocol: asked.protocol || protocolNumbers.udp }
  const answer = await view.ask(precise)
  const KernelAgrees = agrees(walkRules(tables, precise), answer)
  const [hop] = walk.winner?.outcome === 'won' ? (walk.winner.route?.hops ?? []) : []
  const source = answer.kind === 'route' ? answer.source : (walk.winner?.route?.source ?? '')
  const via = via6Of(ipBytes(address))
  const { owner } = judgement
  return {
    Address: address,
    Parts: [],
    MoreParts: 0,
    Verdict: judgement.verdict,
    Sentence: judgement.sentence,
    Interface: isProxied ? '' : walk.winner?.route?.type === 'local' ? 'lo' : (hop?.interfaceName ?? ''),
    Gateway: isProxied ? '' : (hop?.gateway ?? ''),
    Source: source,
    Steps: walk.stops.slice(-MAX_STEPS).map(stepOf),
    RulesPassedOver: walk.passedOver,
    Losers: findLosers(scene, tables, asked, walk, judgement),
    ...(owner === undefined ? {} : { Peer: peerOf(facts, owner) }),
    ...(via === undefined ? {} : { Via6: via }),
    Filter: owner === undefined ? [] : filterWords(owner, question),
    Conflicts: conflictsOf(facts, address, walk),
    Notes: notesOf(scene, tables, asked, walk, judgement, source),
    KernelAgrees,
    Kernel: answerText(answer),
  }
}

function stepOf({ rule, route, outcome }: Stop): RouteStep {
  const [hop] = route?.hops ?? []
  return {
    Priority: rule.priority,
    Rule: ruleText(rule),
    Name: ruleName(rule),
    IsOurs: isOurs(rule),
    Table: rule.action.kind === 'lookup' ? rule.action.table : '',
    Prefix: route?.text ?? '',
    Kind: route?.type ?? '',
    Interface: hop?.interfaceName ?? '',
    Gateway: hop?.gateway ?? '',
    Metric: route?.metric ?? 0,
    Won: outcome === 'won' || outcome === 'refused',
    Why: whyStep({ rule, route, outcome }),
  }
}

function whyStep({ rule, route, outcome }: Stop): string {
  const table = rule.action.kind === 'lookup' ? tableName(rule.action.table) : ''
  switch (outcome) {
    case 'won':
      return `${route?.text} is the smallest network in ${table} that has it.`
    case 'refused':
      return route === undefined ? 'The rule refuses it.' : `The route "${route.type} ${route.text}" refuses it.`
    case 'no-table-route':
      return `Nothing in ${table} has it.`
    case 'thrown':
      return `${route?.text} is excepted from ${table}: the next rule decides.`
    case 'suppressed':
      return `${route?.text} is too wide for this rule: the next one decides.`
    case 'jumped':
      return rule.action.kind === 'goto' ? `Goes on at rule ${rule.action.priority}.` : ''
    case 'nothing':
      return 'Does nothing.'
  }
}

function conflictsOf(facts: ExplainFacts, address: IpText, walk: Walk): string[] {
  const ip = ipBytes(address)
  const has = (text: string): boolean => {
    const prefix = parsePrefix(text)
    return prefix.ok && prefixContains(prefix.value, ip)
  }
  const overlaps = facts.netmap === undefined ? [] : findOverlaps(facts.netmap, facts.network, facts.tunName)
  const texts = overlaps
    .filter(({ subnet, network }) => has(subnet) && has(network))
    .map(({ subnet, network, interfaceName, node }) => {
      const [name] = node.Name.split('.')
      return `${subnet} behind ${name} has the same addresses as ${network} around this machine (${interfaceName}).`
    })
  const ways = new Set(walk.equals.map(({ hops }) => JSON.stringify(hops)))
  if (ways.size > 1) texts.push(`${ways.size} routes are equal; the kernel takes one of them.`)
  return [...new Set(texts)].slice(0, 16)
}

function notesOf(
  scene: Scene,
  tables: RouteTables,
  asked: RoutingQuestion,
  walk: Walk,
  { verdict }: Judgement,
  source: IpText | '',
): string[] {
  const { facts } = scene
  const notes: string[] = []
  if (asked.from === undefined && source !== '' && walk.winner?.outcome === 'won') {
    const bound = walkRules(tables, { ...asked, from: source })
    if (!sameWay(walk, bound)) {
      const second = judge(scene, asked.to, bound)
      notes.push(`Connections get the source ${source}, and with that another rule decides: ${second.sentence}`)
    }
  }
  for (const proto of ['tcp', 'udp', 'icmp'] as const) {
    if (asked.protocol !== 0) break
    const other = walkRules(tables, { ...asked, protocol: numberOf(proto, asked.to) })
    if (!sameWay(walk, other)) notes.push(`For ${proto}: ${judge(scene, asked.to, other).sentence}`)
  }
  const isThroughExit = verdict === 'exit-node' || verdict === 'blocked'
  const { Users, Cgroups } = facts.bypass.Setting
  const isByUser = walk.winner !== undefined && isBypass(walk.winner.rule) && walk.winner.rule.uids !== undefined
  if (isThroughExit && Users.length > 0) notes.push(`Programs of ${Users.join(', ')} bypass the exit node.`)
  if (isThroughExit && Cgroups.length > 0) notes.push(`Programs in ${Cgroups.join(', ')} bypass the exit node.`)
  if (isByUser) notes.push('Programs of other users may take the exit node.')
  if (facts.tunName === undefined)
    notes.push(
      'Userspace networking: only the proxies of this daemon lead into the network, no route of this host does.',
    )
  else if (!facts.isRunning) notes.push('The tunnel is down: this is where traffic goes without it.')
  return notes
}

function sameWay(a: Walk, b: Walk): boolean {
  const way = ({ winner }: Walk): string => JSON.stringify([winner?.outcome, winner?.route?.type, winner?.route?.hops])
  return way(a) === way(b)
}

function answerText(answer: SystemAnswer): string {
  if (answer.kind === 'unknown') return ''
  if (answer.kind === 'refused') return answer.why
  const via = answer.gateway === '' ? '' : ` via ${answer.gateway}`
  return `dev ${answer.interfaceName}${via} table ${answer.table}`
}
