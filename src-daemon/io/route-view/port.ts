/**
 * The host's routing as it is: rules, tables, interfaces, and the operating system's own answer to a question. Read only.
 * What follows from it for a packet is `engine/explain/policy-routing.ts`; what we make of it is `io/router`.
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import type { Prefix } from '../../../src-protocol/wire/ip.ts'

export type Family = 4 | 6

export interface Range {
  readonly first: number
  readonly last: number
}

export type RuleAction =
  | { readonly kind: 'lookup'; readonly table: string }
  | { readonly kind: 'goto'; readonly priority: number }
  | { readonly kind: 'nop' }
  | { readonly kind: 'unreachable' | 'prohibit' | 'blackhole' }

/** Who it is for, and what then. An absent selector is for everybody. */
export interface HostRule {
  readonly priority: number
  readonly isInverted: boolean
  readonly from: Prefix | undefined
  readonly to: Prefix | undefined
  readonly inInterface: string | undefined
  readonly outInterface: string | undefined
  readonly mark: { readonly value: number; readonly mask: number } | undefined
  readonly uids: Range | undefined
  readonly protocol: number | undefined
  readonly sourcePorts: Range | undefined
  readonly ports: Range | undefined
  readonly tos: number
  /** Selectors that never hold for an ordinary socket (`l3mdev`, `tun_id`), or that we do not know. */
  readonly isSpecial: boolean
  readonly action: RuleAction
  /** A route with a network this long or shorter does not count. */
  readonly suppressBits: number | undefined
  readonly suppressGroup: number | undefined
  /** Who made it. */
  readonly origin: number
}

export type RouteType =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'throw'

export interface HostRoute {
  readonly table: string
  readonly text: PrefixText
  readonly prefix: Prefix
  readonly type: RouteType
  /** Several: shared among them. */
  readonly hops: readonly { readonly interfaceName: string; readonly gateway: IpText | '' }[]
  readonly metric: number
  readonly tos: number
  readonly source: IpText | ''
  /** Only for packets from there (IPv6). */
  readonly from: Prefix | undefined
  readonly isDead: boolean
  readonly origin: number
}

export interface HostLink {
  readonly name: string
  /** Made by a program, to carry packets elsewhere. */
  readonly isTunnel: boolean
  readonly group: number
  readonly addresses: readonly IpText[]
}

/** As far as it concerns one network. */
export interface HostRouting {
  readonly family: Family
  /** By priority. */
  readonly rules: readonly HostRule[]
  /** That contain the network, or lie in it. */
  readonly routes: readonly HostRoute[]
  readonly links: readonly HostLink[]
  /** What could not be read, in sentences. */
  readonly problems: readonly string[]
}

export interface RoutingQuestion {
  readonly to: IpText
  readonly from: IpText | undefined
  readonly uid: number
  /** Number of the protocol; 0 = none in particular, which only a simulation can answer. */
  readonly protocol: number
  /** Of the destination; 0 = any. */
  readonly port: number
}

export type SystemAnswer =
  | {
      readonly kind: 'route'
      readonly type: RouteType
      readonly interfaceName: string
      readonly gateway: IpText | ''
      readonly table: string
      readonly source: IpText | ''
    }
  /** `unreachable` also stands for "there is no route". */
  | { readonly kind: 'refused'; readonly why: 'unreachable' | 'prohibit' | 'blackhole' }
  | { readonly kind: 'unknown'; readonly reason: string }

export interface RouteView {
  read(network: PrefixText): Promise<HostRouting>
  ask(question: RoutingQuestion): Promise<SystemAnswer>
}
