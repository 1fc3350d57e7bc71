/**
 * "Where does traffic go?": from a question to the whole answer. It reads the host, asks the operating system the same
 * question, and puts together what the pure files beside decide. [docs/rules/explain.md]
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import type {
  NameExplanation,
  RouteExplanation,
  RouteQuestion,
  RouteTarget,
} from '../../../src-contract/localapi/route-explain.ts'
import { ipBytes, parsePrefix } from '../../../src-protocol/wire/ip.ts'
import type { HostRouting, RouteView, SystemAnswer } from '../../io/route-view/port.ts'
import { hostPrefixText } from '../node-text.ts'
import type { ExplainFacts } from './facts.ts'
import { findLosers } from './losers.ts'
import { conflictsOf, notesOf } from './notes.ts'
import { Owners } from './owners.ts'
import { filterWords, peerOf } from './peer.ts'
import { agrees, RouteTables, walkRules } from './policy-routing.ts'
import { protocolNumbers, routingQuestion } from './question.ts'
import { stepOf } from './steps.ts'
import { judge, type Scene } from './verdict.ts'
import { via6Of } from './via6.ts'
import { waysThrough } from './ways.ts'

const NOT_ASKED: SystemAnswer = { kind: 'unknown', reason: '' }
const MAX_ADDRESSES = 8
const MAX_STEPS = 64

export interface ExplainParts {
  readonly facts: ExplainFacts
  readonly view: RouteView
  /** Whose name it is, and its addresses. */
  readonly lookUp: (name: string) => Promise<NameExplanation>
}

export async function explainRoute(question: RouteQuestion, parts: ExplainParts): Promise<RouteExplanation> {
  const { facts, view } = parts
  const context: Context = { facts, view, question, owners: new Owners(facts.peers) }
  const names = question.Kind === 'name' ? await parts.lookUp(question.To) : undefined
  const addresses = question.Kind === 'address' ? [question.To] : (names?.Addresses ?? [])
  const problems = new Set<string>()
  const targets: RouteTarget[] = []
  if (question.Kind === 'network') targets.push(...(await explainNetwork(question.To as PrefixText, context, problems)))
  for (const address of addresses.slice(0, MAX_ADDRESSES)) {
    const host = await view.read(hostPrefixText(address))
    for (const problem of problemsOf(host, question)) problems.add(problem)
    targets.push(await explainAddress(address, host, context))
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

interface Context extends Omit<ExplainParts, 'lookUp'> {
  readonly question: RouteQuestion
  readonly owners: Owners
}

function problemsOf(host: HostRouting, { From }: RouteQuestion): readonly string[] {
  if (isOwnSource(host, From)) return host.problems
  return [...host.problems, `${From} is no address of this machine, so no program of it sends from there.`]
}

/** Also when no interface could be read. */
function isOwnSource({ links }: HostRouting, from: IpText | ''): boolean {
  return from === '' || links.length === 0 || links.some(({ addresses }) => addresses.includes(from))
}

async function explainNetwork(network: PrefixText, context: Context, problems: Set<string>): Promise<RouteTarget[]> {
  const { question, view } = context
  const whole = parsePrefix(network)
  if (!whole.ok) return []
  const host = await view.read(network)
  const found = waysThrough(whole.value, question, sceneOf(context, host), host)
  for (const problem of [...problemsOf(host, question), ...found.problems]) problems.add(problem)
  const targets: RouteTarget[] = []
  for (const { address, parts, moreParts } of found.ways) {
    const target = await explainAddress(address, host, context)
    targets.push({ ...target, Parts: [...parts], MoreParts: moreParts, Notes: [...target.Notes, ...found.notes] })
  }
  return targets
}

function sceneOf({ facts, owners }: Context, { links }: HostRouting): Scene {
  return { facts, owners, links }
}

async function explainAddress(address: IpText, host: HostRouting, context: Context): Promise<RouteTarget> {
  const { facts, view, question } = context
  const scene = sceneOf(context, host)
  const tables = new RouteTables(host)
  const asked = routingQuestion(address, question)
  const walk = walkRules(tables, asked)
  const judgement = judge(scene, address, walk)
  const isProxied = facts.tunName === undefined && judgement.owner !== undefined
  // systems cannot be asked about "any protocol": Linux takes UDP then
  const precise = { ...asked, protocol: asked.protocol || protocolNumbers.udp }
  const answer = isOwnSource(host, question.From) ? await view.ask(precise) : NOT_ASKED
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

function answerText(answer: SystemAnswer): string {
  if (answer.kind === 'unknown') return ''
  if (answer.kind === 'refused') return answer.why
  const via = answer.gateway === '' ? '' : ` via ${answer.gateway}`
  return `dev ${answer.interfaceName}${via} table ${answer.table}`
}
