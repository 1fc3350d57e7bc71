/**
 * How Linux finds a route for what a program of this host sends: rules by priority, in each table the longest network,
 * among equals the smallest metric. It tells the way there, not only the end. Pure; the kernel's own answer to the same
 * question is compared by `explain.ts`.    [linux: net/core/fib_rules.c, net/ipv4/fib_trie.c, net/ipv6/fib6_rules.c]
 */
import { ipBytes, prefixContains, prefixText } from '../../../src-protocol/wire/ip.ts'
import type {
  HostRoute,
  HostRouting,
  HostRule,
  Range,
  RoutingQuestion,
  SystemAnswer,
} from '../../io/route-view/port.ts'

/** A question with its addresses read, for many rules to look at. */
interface Traffic extends Omit<RoutingQuestion, 'to' | 'from'> {
  readonly to: Uint8Array
  readonly from: Uint8Array | undefined
}

export interface Stop {
  readonly rule: HostRule
  /** What matched in its table, also when it did not count. */
  readonly route: HostRoute | undefined
  readonly outcome: 'won' | 'refused' | 'no-table-route' | 'thrown' | 'suppressed' | 'jumped' | 'nothing'
}

export interface Walk {
  readonly stops: readonly Stop[]
  /** The last of them, if it decided. */
  readonly winner: Stop | undefined
  /** Rules that are for other traffic. */
  readonly passedOver: number
  /** Of the same network and metric: the kernel may take any of them. */
  readonly equals: readonly HostRoute[]
}

/** Rules can lead in no circle (they jump forward only), but text from outside can say anything. */
const MAX_STEPS = 100_000
const LOOPBACK = 'lo'

/** Tables in which a network is found in steps, however many there are. */
export class RouteTables {
  readonly #tables = new Map<string, { byLength: Map<number, Map<string, HostRoute[]>>; lengths: number[] }>()
  readonly #groups: ReadonlyMap<string, number>
  readonly rules: readonly HostRule[]

  constructor(routing: HostRouting) {
    this.rules = usualRules(routing)
    this.#groups = new Map(routing.links.map(({ name, group }) => [name, group]))
    for (const route of routing.routes) {
      const { byLength } = getOrMake(this.#tables, route.table, () => ({ byLength: new Map(), lengths: [] }))
      const networks = getOrMake(byLength, route.prefix.bits, () => new Map<string, HostRoute[]>())
      getOrMake(networks, route.text, () => []).push(route)
    }
    for (const table of this.#tables.values()) {
      table.lengths = [...table.byLength.keys()].sort((a, b) => b - a)
      for (const networks of table.byLength.values())
        for (const routes of networks.values()) routes.sort((a, b) => b.tos - a.tos || a.metric - b.metric)
    }
  }

  /** All that contain the address, best first; also those that do not count. */
  covering(table: string, ip: Uint8Array): HostRoute[] {
    const found = this.#tables.get(table)
    return (found?.lengths ?? []).flatMap((bits) => found?.byLength.get(bits)?.get(prefixText({ ip, bits })) ?? [])
  }

  find(table: string, { to, from }: Traffic): HostRoute | undefined {
    const found = this.#tables.get(table)
    for (const bits of found?.lengths ?? []) {
      const routes = found?.byLength.get(bits)?.get(prefixText({ ip: to, bits }))
      const route = routes?.find((one) => isUsable(one, from))
      if (route !== undefined) return route
    }
    return undefined
  }

  groupOf(route: HostRoute): number {
    return this.#groups.get(route.hops[0]?.interfaceName ?? '') ?? 0
  }
}

/** Kernels without rules look where these would lead. */
function usualRules({ rules, routes }: HostRouting): readonly HostRule[] {
  if (rules.length > 0 || routes.length === 0) return rules
  return ['local', 'main'].map((table, index) => ({
    ...plainRule,
    priority: index * 32_766,
    action: { kind: 'lookup', table },
  }))
}

const plainRule: Omit<HostRule, 'priority' | 'action'> = {
  isInverted: false,
  from: undefined,
  to: undefined,
  inInterface: undefined,
  outInterface: undefined,
  mark: undefined,
  uids: undefined,
  protocol: undefined,
  sourcePorts: undefined,
  ports: undefined,
  tos: 0,
  isSpecial: false,
  suppressBits: undefined,
  suppressGroup: undefined,
  origin: 0,
}

/** `after`: only rules behind this one, for what would have been. */
export function walkRules(tables: RouteTables, question: RoutingQuestion, after = -1): Walk {
  const { rules } = tables
  const traffic = trafficOf(question)
  const stops: Stop[] = []
  let passedOver = 0
  let steps = 0
  for (let i = after + 1; i < rules.length && steps++ < MAX_STEPS; i++) {
    const rule = rules[i]!
    if (!isFor(rule, traffic)) {
      passedOver++
      continue
    }
    const stop = stopAt(tables, rule, traffic)
    stops.push(stop)
    if (stop.outcome === 'jumped' && rule.action.kind === 'goto') {
      const { priority } = rule.action
      const target = rules.findIndex((other, index) => index > i && other.priority === priority)
      if (target > 0) i = target - 1
    }
    if (stop.outcome === 'won' || stop.outcome === 'refused')
      return { stops, winner: stop, passedOver, equals: equalsOf(tables, stop, traffic) }
  }
  return { stops, winner: undefined, passedOver, equals: [] }
}

function trafficOf({ to, from, ...rest }: RoutingQuestion): Traffic {
  return { ...rest, to: ipBytes(to), from: from === undefined ? undefined : ipBytes(from) }
}

function stopAt(tables: RouteTables, rule: HostRule, traffic: Traffic): Stop {
  const { action } = rule
  if (action.kind === 'goto') return { rule, route: undefined, outcome: 'jumped' }
  if (action.kind === 'nop') return { rule, route: undefined, outcome: 'nothing' }
  if (action.kind !== 'lookup') return { rule, route: undefined, outcome: 'refused' }
  const route = tables.find(action.table, traffic)
  if (route === undefined) return { rule, route, outcome: 'no-table-route' }
  if (route.type === 'throw') return { rule, route, outcome: 'thrown' }
  if (refuses(route)) return { rule, route, outcome: 'refused' }
  const isShort = rule.suppressBits !== undefined && route.prefix.bits <= rule.suppressBits
  const isOfGroup = rule.suppressGroup !== undefined && tables.groupOf(route) === rule.suppressGroup
  return { rule, route, outcome: isShort || isOfGroup ? 'suppressed' : 'won' }
}

function refuses({ type }: HostRoute): boolean {
  return type === 'unreachable' || type === 'prohibit' || type === 'blackhole'
}

function isUsable(route: HostRoute, from: Uint8Array | undefined): boolean {
  if (route.isDead || route.tos !== 0) return false
  return route.from === undefined || (from !== undefined && prefixContains(route.from, from))
}

/** A program's socket: bound to no interface, without a mark. */
function isFor(rule: HostRule, { to, from, uid, protocol, port }: Traffic): boolean {
  const matches =
    !rule.isSpecial &&
    (rule.inInterface === undefined || rule.inInterface === LOOPBACK) &&
    rule.outInterface === undefined &&
    (rule.mark === undefined || (rule.mark.value & rule.mark.mask) === 0) &&
    isIn(rule.uids, uid) &&
    rule.tos === 0 &&
    (rule.from === undefined || rule.from.bits === 0 || (from !== undefined && prefixContains(rule.from, from))) &&
    (rule.to === undefined || prefixContains(rule.to, to)) &&
    (rule.protocol === undefined || rule.protocol === protocol) &&
    isIn(rule.ports, port) &&
    rule.sourcePorts === undefined
  return matches !== rule.isInverted
}

function isIn(range: Range | undefined, value: number): boolean {
  return range === undefined || (value >= range.first && value <= range.last)
}

function equalsOf(tables: RouteTables, { route, rule }: Stop, { to, from }: Traffic): HostRoute[] {
  if (route === undefined || rule.action.kind !== 'lookup') return []
  return tables
    .covering(rule.action.table, to)
    .filter(
      (other) => isUsable(other, from) && other.prefix.bits === route.prefix.bits && other.metric === route.metric,
    )
}

/** Whether the kernel's answer is this one. */
export function agrees(walk: Walk, answer: SystemAnswer): boolean | null {
  if (answer.kind === 'unknown') return null
  const { winner } = walk
  if (winner === undefined) return answer.kind === 'refused' && answer.why === 'unreachable'
  if (winner.outcome === 'refused') {
    const why = winner.route?.type ?? winner.rule.action.kind
    return answer.kind === 'refused' && answer.why === why
  }
  if (answer.kind !== 'route') return false
  return walk.equals.some((route) => isSame(route, answer))
}

function isSame(route: HostRoute, answer: SystemAnswer & { kind: 'route' }): boolean {
  if (route.type === 'local') return answer.type === 'local'
  // what is sent to many is its own kind, whatever route it takes
  const isToMany = answer.type === 'multicast' || answer.type === 'broadcast'
  if (route.type !== answer.type && !isToMany) return false
  return route.hops.some(
    (hop) => hop.interfaceName === answer.interfaceName && (hop.gateway === '' || hop.gateway === answer.gateway),
  )
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
