/**
 * What to tell `ip -batch` to get from one state to another, in an order in which nothing ever leaves by another way:
 * first what is new, then what is gone; exceptions before what they are exceptions from. Pure; `linux.ts` runs it.
 * [docs/rules/router.md RT-4]
 */
import { OUR_PROTOCOL, TUNNEL_TABLE } from './marks.ts'
import { DEFAULT_ROUTES, type Family, familyOf, type NetworkState, type RouteKind } from './network-state.ts'

/** Input of one `ip -batch -`; rules of IPv6 need `ip -6`. */
export interface Batch {
  readonly ipv6Rules: boolean
  readonly lines: readonly string[]
}

export interface PlanOptions {
  readonly device: string
  readonly policyRouting: boolean
}

/** Below what everybody else has, so that a route of theirs to the same place wins. */
const MAIN_TABLE_METRIC = 5200
const CLOSED_METRIC = 60_000

/** Empty when there is nothing to do. */
export function planBatches(options: PlanOptions, have: NetworkState, want: NetworkState): Batch[] {
  const { device } = options
  const make: string[] = []
  if (want.up && have.mtuBytes !== want.mtuBytes) make.push(`link set dev ${device} mtu ${want.mtuBytes}`)
  for (const address of want.addresses) {
    if (!have.addresses.has(address))
      make.push(`address replace ${hostPrefix(address)} dev ${device}${v6Flags(address)}`)
  }
  if (want.up && !have.up) make.push(`link set dev ${device} up`)
  const added = [...want.routes].filter(([prefix, kind]) => have.routes.get(prefix) !== kind || isLost(have, kind))
  for (const route of added.sort(exceptionsFirst)) make.push(`route replace ${routeWords(options, route)}`)
  // Not before the exceptions, which it would close for a moment; not after the rules, which may lead to it.
  for (const family of want.closed) {
    if (!have.closed.has(family)) make.push(`route replace ${closedWords(family)}`)
  }
  const newRules = missing(want.rules, have.rules)
  const oldRules = missing(have.rules, want.rules)
  const remove: string[] = []
  const removed = [...have.routes].filter(([prefix, kind]) => !want.routes.has(prefix) && !isLost(want, kind))
  for (const route of removed.sort(exceptionsFirst).reverse()) remove.push(`route del ${routeWords(options, route)}`)
  for (const family of have.closed) {
    if (!want.closed.has(family)) remove.push(`route del ${closedWords(family)}`)
  }
  for (const address of have.addresses) {
    if (!want.addresses.has(address)) remove.push(`address del ${hostPrefix(address)} dev ${device}`)
  }
  if (!want.up && have.up) remove.push(`link set dev ${device} down`)
  return [
    { ipv6Rules: false, lines: make },
    ...ruleBatches('add', newRules.sort(byPriority)),
    // What leads into the tunnel goes first, and the exceptions from it last.
    ...ruleBatches('del', oldRules.sort(byPriority).reverse()),
    { ipv6Rules: false, lines: remove },
  ].filter(({ lines }) => lines.length > 0)
}

/** Routes of an interface go when it goes down. */
function isLost(state: NetworkState, kind: RouteKind): boolean {
  return kind === 'tunnel' && !state.up
}

function exceptionsFirst(a: readonly [string, RouteKind], b: readonly [string, RouteKind]): number {
  return rank(a) - rank(b)
}

function rank([prefix, kind]: readonly [string, RouteKind]): number {
  return kind === 'throw' ? 0 : DEFAULT_ROUTES.includes(prefix) ? 2 : 1
}

function routeWords({ device, policyRouting }: PlanOptions, [prefix, kind]: readonly [string, RouteKind]): string {
  const where = policyRouting ? `table ${TUNNEL_TABLE}` : `metric ${MAIN_TABLE_METRIC}`
  return kind === 'throw'
    ? `throw ${prefix} ${where} proto ${OUR_PROTOCOL}`
    : `${prefix} dev ${device} ${where} proto ${OUR_PROTOCOL}`
}

function closedWords(family: Family): string {
  const prefix = family === 6 ? '::/0' : '0.0.0.0/0'
  return `unreachable ${prefix} table ${TUNNEL_TABLE} metric ${CLOSED_METRIC} proto ${OUR_PROTOCOL}`
}

function ruleBatches(verb: 'add' | 'del', rules: readonly string[]): Batch[] {
  return ([4, 6] as const).map((family) => ({
    ipv6Rules: family === 6,
    lines: rules
      .filter((rule) => rule.startsWith(`${family} `))
      .map((rule) => `rule ${verb} ${rule.slice(2)} protocol ${OUR_PROTOCOL}`),
  }))
}

function byPriority(a: string, b: string): number {
  return priorityOf(a) - priorityOf(b)
}

function priorityOf(rule: string): number {
  return Number(/ pref (\d+)/.exec(rule)?.[1] ?? 0)
}

function missing(from: ReadonlySet<string>, present: ReadonlySet<string>): string[] {
  return [...from].filter((item) => !present.has(item))
}

export function hostPrefix(address: string): string {
  return familyOf(address) === 6 ? `${address}/128` : `${address}/32`
}

/** No duplicate detection on a tunnel: it would only delay the address by a second. */
function v6Flags(address: string): string {
  return familyOf(address) === 6 ? ' nodad' : ''
}
