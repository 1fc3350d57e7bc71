/**
 * What a computer offers to route, and what of it is approved: by an administrator for this node, or by the configuration
 * for its owner, tag or name. Pure. [docs/rules/server.md SRV-R1, SRV-R2]
 */
import type { Hostinfo } from '../../src-contract/control/map.ts'
import type { PrefixText } from '../../src-contract/ids.ts'
import { type Prefix, parsePrefix, prefixContains, prefixText } from '../../src-protocol/wire/ip.ts'
import type { NodeRecord } from '../registry/model.ts'
import { isNodeOf } from '../registry/whom.ts'

export const EXIT_ROUTES: readonly PrefixText[] = ['0.0.0.0/0', '::/0']
const MAX_ROUTES = 512

const parsed = (text: PrefixText): Prefix => {
  const prefix = parsePrefix(text)
  if (!prefix.ok) throw new TypeError(`not a prefix: ${text}`)
  return prefix.value
}
/** Nodes' own addresses are nobody's to route; sites with the same numbers have a corner of that range. */
const OVERLAYS = ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'].map(parsed)
const SITES = parsed('fd7a:115c:a1e0:b1a::/64')
/** What means something else on each computer. 169.254.0.0/16 is not among it: clouds have services there. */
const NOWHERE = ['127.0.0.0/8', '224.0.0.0/4', '::1/128', 'fe80::/10', 'ff00::/8'].map(parsed)

/** Masked, without repetition and without what cannot be routed for others, in the order of their text. */
export function offeredRoutes(said: Hostinfo): PrefixText[] {
  const list: readonly unknown[] = Array.isArray(said.RoutableIPs) ? said.RoutableIPs.slice(0, MAX_ROUTES) : []
  const offered = new Set<PrefixText>()
  for (const text of list) {
    const prefix = typeof text === 'string' ? parsePrefix(text) : undefined
    if (prefix?.ok && isRoutable(prefix.value)) offered.add(prefixText(prefix.value))
  }
  return [...offered].sort()
}

export function isExitRoute(route: PrefixText): boolean {
  return EXIT_ROUTES.includes(route)
}

function isRoutable(prefix: Prefix): boolean {
  if (prefix.bits === 0) return true
  const isSite = prefix.bits >= SITES.bits && prefixContains(SITES, prefix.ip)
  const isForeign = OVERLAYS.every((range) => !prefixContains(range, prefix.ip) && !prefixContains(prefix, range.ip))
  return (
    isSite || (isForeign && !NOWHERE.some((range) => range.bits <= prefix.bits && prefixContains(range, prefix.ip)))
  )
}

/** Who needs no administrator, by the network that contains the route. */
export interface AutoApproval {
  readonly routes: readonly { readonly within: Prefix; readonly who: readonly string[] }[]
  readonly exitNode: readonly string[]
}

export function autoApproval(
  routes: { readonly [network: PrefixText]: readonly string[] },
  exitNode: readonly string[],
) {
  const list = Object.entries(routes).map(([network, who]) => ({ within: parsed(network), who }))
  return { routes: list, exitNode } satisfies AutoApproval
}

export const nobodyByItself: AutoApproval = autoApproval({}, [])

export interface Approver {
  readonly auto: AutoApproval
  readonly userName: (node: NodeRecord) => string | undefined
}

/** In effect if nobody else has it: offered, and approved by one or the other. */
export function approvedRoutes(node: NodeRecord, approver: Approver): PrefixText[] {
  return offeredRoutes(node.hostinfo).filter((route) => isApproved(node, route, approver))
}

function isApproved(node: NodeRecord, route: PrefixText, { auto, userName }: Approver): boolean {
  if (node.approvedRoutes.includes(route)) return true
  const owner = userName(node)
  const isNamed = (list: readonly string[]): boolean => list.some((who) => isNodeOf(who, node, owner))
  if (isExitRoute(route)) return isNamed(auto.exitNode)
  const { ip, bits } = parsed(route)
  return auto.routes.some(({ within, who }) => within.bits <= bits && prefixContains(within, ip) && isNamed(who))
}
