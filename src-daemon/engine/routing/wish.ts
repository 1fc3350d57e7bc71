/**
 * What a person wants of routing, with names resolved: the words between preferences and the host. Pure. Which host
 * settings follow: `desired.ts`; which peers' prefixes: `accepted-prefixes.ts`.
 */
import type { PrefixText, StableNodeId } from '../../../src-contract/ids.ts'
import type { Prefs } from '../../../src-contract/localapi/prefs.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { type NetfilterMode, plainRouterConfig, type RouterBypass } from '../../io/router/port.ts'
import { chooseExit } from './exit-choice.ts'
import { type HomeRoutes, notAtHome } from './home.ts'

/** What a profile adds to the preferences. */
export interface OwnRouting {
  readonly routesOff: readonly PrefixText[]
  readonly bypass: RouterBypass
}

export const plainOwnRouting: OwnRouting = { routesOff: [], bypass: plainRouterConfig.bypass }

export interface RoutingWish {
  /** Subnets of others. */
  readonly acceptsRoutes: boolean
  /** Among them, these are not: switched off one by one, or their network is around us anyway. */
  readonly routesOff: readonly PrefixText[]
  /** Networks around us that stay outside of the tunnel although a peer's subnet covers them: we are at home there. */
  readonly homeNetworks: readonly PrefixText[]
  /** Absent: the internet is reached as ever. Without `peer` nobody takes it: nothing leaves. */
  readonly exit: { readonly peer: StableNodeId | undefined } | undefined
  readonly allowsLan: boolean
  readonly bypass: RouterBypass
  readonly advertised: readonly PrefixText[]
  readonly snatSubnetRoutes: boolean
  readonly statefulFiltering: boolean
  readonly netfilterMode: NetfilterMode
  readonly dropsForeignOverlay: boolean
}

/** Peers' own addresses, and nothing of the host's is touched. */
export const plainWish: RoutingWish = {
  acceptsRoutes: false,
  routesOff: [],
  homeNetworks: [],
  exit: undefined,
  allowsLan: false,
  bypass: plainRouterConfig.bypass,
  advertised: [],
  snatSubnetRoutes: true,
  statefulFiltering: false,
  netfilterMode: 'off',
  dropsForeignOverlay: true,
}

const NETFILTER_MODES: readonly NetfilterMode[] = ['off', 'nodivert', 'on']

export function wishOf(netmap: Netmap, prefs: Prefs, own: OwnRouting, home: HomeRoutes = notAtHome): RoutingWish {
  const choice = chooseExit(netmap, prefs)
  return {
    acceptsRoutes: prefs.RouteAll,
    routesOff: [...own.routesOff, ...home.off],
    homeNetworks: prefs.RouteAll ? home.local : [],
    exit: choice.kind === 'none' ? undefined : { peer: choice.kind === 'chosen' ? choice.node.StableID : undefined },
    allowsLan: prefs.ExitNodeAllowLANAccess,
    bypass: own.bypass,
    advertised: prefs.AdvertiseRoutes ?? [],
    snatSubnetRoutes: !prefs.NoSNAT,
    statefulFiltering: prefs.NoStatefulFiltering === false,
    netfilterMode: NETFILTER_MODES[prefs.NetfilterMode] ?? 'on',
    dropsForeignOverlay: !Object.hasOwn(netmap.self.CapMap ?? {}, 'disable-linux-cgnat-drop-rule'),
  }
}
