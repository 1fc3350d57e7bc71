/**
 * What the host's network does for us, declared: addresses of our interface, what goes into the tunnel and what does
 * not, what is forwarded for others. `apply(desired)` makes it so, may be called twice, and `close` undoes everything.
 * Not the interface itself, which the data path opens. [docs/rules/router.md]
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'

export type NetfilterMode = 'on' | 'nodivert' | 'off'

/** What does not take the exit node although it could. */
export interface RouterBypass {
  /** To these destinations. */
  readonly prefixes: readonly PrefixText[]
  /** By these users, both ends included. */
  readonly uids: readonly { readonly first: number; readonly last: number }[]
  /** By sockets with these marks. */
  readonly fwmarks: readonly { readonly mark: number; readonly mask: number }[]
  /** By these control groups (version 2), as under /sys/fs/cgroup: `user.slice/work.slice`. They must exist. */
  readonly cgroups: readonly string[]
}

export interface RouterConfig {
  /** Own addresses; each becomes /32 or /128. */
  readonly addresses: readonly IpText[]
  /**
   * Into the tunnel. With an exit node 0.0.0.0/0 and ::/0 are among them, also while that node is away: then nothing
   * leaves at all, rather than by another way.
   */
  readonly routes: readonly PrefixText[]
  /** Never into the tunnel although `routes` cover them: local networks with an exit node. */
  readonly localRoutes: readonly PrefixText[]
  readonly bypass: RouterBypass
  /** What we forward for others. The host must forward; health says how if it does not. */
  readonly advertisedRoutes: readonly PrefixText[]
  /** What others send to advertised routes gets an address of ours as its source. */
  readonly snatSubnetRoutes: boolean
  /** Forward to others only what belongs to connections that they began. */
  readonly statefulFiltering: boolean
  readonly netfilterMode: NetfilterMode
  /** Refuse 100.64.0.0/10 as source on other interfaces. Off with the node attribute `disable-linux-cgnat-drop-rule`. */
  readonly dropsForeignOverlay: boolean
  /** With default routes: the host stays closed also when the daemon was killed, until it runs again or `--cleanup`. */
  readonly staysClosedAfterCrash: boolean
  readonly mtuBytes: number
  /** Of the daemon's own sockets, which must not enter the tunnel; 0 = they have none. */
  readonly fwmark: number
  /** Where peers send; 0 = not known yet. */
  readonly udpPort: number
}

/** A client that takes no exit node, offers nothing, and has no firewall rules. */
export const plainRouterConfig: RouterConfig = {
  addresses: [],
  routes: [],
  localRoutes: [],
  bypass: { prefixes: [], uids: [], fwmarks: [], cgroups: [] },
  advertisedRoutes: [],
  snatSubnetRoutes: true,
  statefulFiltering: false,
  netfilterMode: 'off',
  dropsForeignOverlay: true,
  staysClosedAfterCrash: false,
  mtuBytes: 1280,
  fwmark: 0,
  udpPort: 0,
}

export const routerWarningCodes = [
  'ip-forwarding-off',
  'netfilter-missing',
  'netfilter-refused',
  'ipv6-nat-missing',
  'firewalld-active',
  'ufw-active',
  'rp-filter-strict',
  'bypass-groups-need-nftables',
  'bypass-group-missing',
  'no-policy-routing',
  'nosnat-with-advertised-exit-node',
  'docker-stateful-filtering',
] as const
export type RouterWarningCode = (typeof routerWarningCodes)[number]

/** Applied, but something else on this host stands in the way. */
export interface RouterWarning {
  readonly code: RouterWarningCode
  /** One sentence for a person. */
  readonly text: string
  /** Commands for root, one per element, that mend it for good; none = there are none. */
  readonly fix: readonly string[]
}

/** What of ours somebody else holds. */
export type RouterConflict = 'address' | 'network' | 'routing-table' | 'firewall-chains'

export type RouterResult =
  | { readonly kind: 'applied'; readonly warnings: readonly RouterWarning[] }
  /** Somebody else on this host has our address, or is a network of the same kind. Nothing was changed. */
  | {
      readonly kind: 'conflict'
      readonly what: RouterConflict
      readonly interfaceName: string
      /** Who and what, for a person: `tailscale0 has 100.100.1.1`. */
      readonly detail: string
    }
  | { readonly kind: 'failed'; readonly message: string }

export interface Router {
  /**
   * undefined = interface down, no address, no route, nothing of ours. Also to be said by who wants nothing from the start:
   * a killed daemon may have left the host closed.
   */
  apply(desired: RouterConfig | undefined): Promise<RouterResult>
  /** Something was changed under us: the next `apply` looks at what is there instead of trusting its memory. */
  forget(): void
  close(): Promise<void>
}
