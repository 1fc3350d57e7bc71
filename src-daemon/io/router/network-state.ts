/**
 * Addresses, routes and rules as values: what a configuration asks for. Pure. How to get there is `plan.ts`, what is
 * there is `ip-output.ts`. [docs/rules/router.md RT-1…RT-5]
 */
import { tailscaleRanges } from '../../../src-protocol/wire/ip.ts'
import { DAEMON_MARK, GROUP_MARK, MARK_MASK, markAndMask, type Priorities, TUNNEL_TABLE } from './marks.ts'
import type { RouterConfig } from './port.ts'

export type Family = 4 | 6
/** `throw`: looked for in the next table, as if this one did not exist. */
export type RouteKind = 'tunnel' | 'throw'

export interface NetworkState {
  readonly up: boolean
  readonly mtuBytes: number
  readonly addresses: ReadonlySet<string>
  /** By prefix. */
  readonly routes: ReadonlyMap<string, RouteKind>
  /** A last route "unreachable" of this family, which stays when the interface goes. */
  readonly closed: ReadonlySet<Family>
  /** Words for `ip rule`, behind their family: `4 pref 5270 lookup 52`. */
  readonly rules: ReadonlySet<string>
}

export const interfaceDown: NetworkState = {
  up: false,
  mtuBytes: 0,
  addresses: new Set(),
  routes: new Map(),
  closed: new Set(),
  rules: new Set(),
}

/** What this host can do. */
export interface HostFacts {
  /** Our interface takes IPv6 addresses. */
  readonly tunnelIpv6: boolean
  /** The host itself speaks it. */
  readonly hostIpv6: boolean
  /** Rules and tables; without them everything is in the main table. */
  readonly policyRouting: boolean
  readonly priorities: Priorities
}

export const DEFAULT_ROUTES: readonly string[] = ['0.0.0.0/0', '::/0']
export const familyOf = (text: string): Family => (text.includes(':') ? 6 : 4)

export function networkStateOf(desired: RouterConfig | undefined, facts: HostFacts): NetworkState {
  if (desired === undefined) return interfaceDown
  const usable = (text: string): boolean => facts.tunnelIpv6 || familyOf(text) === 4
  const routes = new Map<string, RouteKind>()
  for (const prefix of desired.routes) if (usable(prefix)) routes.set(prefix, 'tunnel')
  const state = {
    up: true,
    mtuBytes: desired.mtuBytes,
    addresses: new Set(desired.addresses.filter(usable)),
  }
  if (!facts.policyRouting) return { ...state, routes: inHalves(routes), closed: new Set(), rules: new Set() }
  for (const prefix of desired.localRoutes) {
    if (familyOf(prefix) === 4 || facts.hostIpv6) routes.set(prefix, 'throw')
  }
  return { ...state, routes, closed: closedFamilies(desired, facts), rules: rulesOf(desired, facts) }
}

/** Where the tunnel cannot take a family that shall all go into it, that family does not leave at all. [RT-4] */
function closedFamilies(desired: RouterConfig, facts: HostFacts): Set<Family> {
  const closed = new Set<Family>()
  for (const prefix of DEFAULT_ROUTES) {
    const family = familyOf(prefix)
    if (!desired.routes.includes(prefix) || (family === 6 && !facts.hostIpv6)) continue
    if (desired.staysClosedAfterCrash || (family === 6 && !facts.tunnelIpv6)) closed.add(family)
  }
  return closed
}

function rulesOf(desired: RouterConfig, facts: HostFacts): Set<string> {
  const { base, bypass } = facts.priorities
  const rules = new Set<string>()
  const both = (words: string): void => {
    rules.add(`4 ${words}`)
    if (facts.hostIpv6) rules.add(`6 ${words}`)
  }
  for (const prefix of desired.bypass.prefixes) {
    const family = familyOf(prefix)
    if (family === 4 || facts.hostIpv6) rules.add(`${family} pref ${bypass} to ${prefix} lookup main`)
  }
  for (const who of [
    ...desired.bypass.uids.map(({ first, last }) => `uidrange ${first}-${last}`),
    ...desired.bypass.fwmarks.map(({ mark, mask }) => `fwmark ${markAndMask(mark, mask)}`),
    ...(desired.bypass.cgroups.length > 0 ? [`fwmark ${markAndMask(GROUP_MARK)}`] : []),
  ]) {
    both(`pref ${bypass} ${who} lookup main`)
    // Past the exit node, not past the tunnel: other machines would be spoken to uncovered.
    for (const range of tailscaleRanges) {
      const family = familyOf(range)
      if (family === 4 || facts.hostIpv6)
        rules.add(`${family} pref ${bypass - 1} to ${range} ${who} lookup ${TUNNEL_TABLE}`)
    }
  }
  const own = `fwmark ${markAndMask(DAEMON_MARK, MARK_MASK)}`
  both(`pref ${base + 10} ${own} lookup main`)
  both(`pref ${base + 30} ${own} lookup default`)
  both(`pref ${base + 50} ${own} unreachable`)
  both(`pref ${base + 70} lookup ${TUNNEL_TABLE}`)
  return rules
}

/** In the main table a default route of ours would be beside the host's own one; its halves come before it. */
function inHalves(routes: ReadonlyMap<string, RouteKind>): Map<string, RouteKind> {
  const halves = new Map(routes)
  if (halves.delete('0.0.0.0/0')) for (const half of ['0.0.0.0/1', '128.0.0.0/1']) halves.set(half, 'tunnel')
  if (halves.delete('::/0')) for (const half of ['::/1', '8000::/1']) halves.set(half, 'tunnel')
  return halves
}
