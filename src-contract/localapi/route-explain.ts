/**
 * "Where does traffic go?": `GET /localapi/v0/pintail/route-explain?to=…[&from=][&uid= | &user=][&proto=][&port=]`. Ours
 * alone. `to` is an address, a network, or a name. [docs/rules/explain.md]
 */
import type { IpText, PrefixText, StableNodeId } from '../ids.ts'
import type { PathKind } from './pintail.ts'

export type RouteVerdict =
  /** Into the tunnel, to the machine in `Peer`. */
  | 'peer'
  | 'exit-node'
  /** An address of this machine, or a service that the daemon answers. */
  | 'this-machine'
  /** A network that this machine stands in. */
  | 'local'
  | 'other-vpn'
  /** The host's own default route. */
  | 'internet'
  /** Into the tunnel, where nobody takes it at present: it does not leave another way. */
  | 'blocked'
  | 'unreachable'

export interface RouteQuestion {
  To: string
  Kind: 'address' | 'network' | 'name'
  /** Source address of the program; "" = it has chosen none. */
  From: IpText | ''
  /** Of the user whose programs send. */
  Uid: number
  Proto: '' | 'tcp' | 'udp' | 'icmp'
  /** Of the destination; 0 = any. */
  Port: number
}

/** A rule of the host that this traffic comes by, in order. Rules for other traffic are only counted. */
export interface RouteStep {
  Priority: number
  /** As `ip rule` words it: `from all to 10.0.0.0/16 lookup main`. */
  Rule: string
  /** In words: `your bypass list`, `our table 52`, `main table`. */
  Name: string
  /** Made by this daemon. */
  IsOurs: boolean
  /** "" = the rule decides by itself. */
  Table: string
  /** The network that matched there; "" = none. */
  Prefix: PrefixText | ''
  /** `unicast`, `local`, `throw`, `unreachable`, …; "" = no route matched. */
  Kind: string
  Interface: string
  Gateway: IpText | ''
  Metric: number
  Won: boolean
  Why: string
}

/** What would have taken this traffic, too. */
export interface RouteLoser {
  Kind: 'peer-route' | 'exit-node' | 'other-vpn' | 'local-network' | 'default-route' | 'route'
  /** `router1`, `wt0`, … */
  Name: string
  Prefix: PrefixText
  /** "" = not on the host: a peer's offer that is not in use. */
  Interface: string
  Table: string
  /** Of a peer. */
  Node: StableNodeId | ''
  Reason:
    | 'less-specific'
    | 'later-rule'
    | 'higher-metric'
    | 'thrown'
    | 'suppressed'
    | 'not-accepted'
    | 'off'
    | 'at-home'
    | 'taken'
    | 'not-running'
    | 'bypassed'
  /** One sentence. */
  Why: string
}

export interface RoutePeer {
  Node: StableNodeId
  Name: string
  /** By which it has the address. */
  Prefix: PrefixText
  Online: boolean
  Path: PathKind
  /** `203.0.113.7:41641`, or the code of the relay's region. */
  Over: string
  /** Other machines that offer the same network, and why it is not them. */
  Others: { Node: StableNodeId; Name: string; Online: boolean; Why: string }[]
}

export interface RouteTarget {
  /** One of them stands for all where `to` is a network. */
  Address: IpText
  /** Where `to` is a network: the parts that go this way. At most 32. */
  Parts: PrefixText[]
  /** Parts beyond those. */
  MoreParts: number
  Verdict: RouteVerdict
  /** `10.8.4.2 → wt0, because you bypass 10.8.0.0/16.` */
  Sentence: string
  Interface: string
  Gateway: IpText | ''
  /** The host gives programs that have chosen none; "" = not known. */
  Source: IpText | ''
  Steps: RouteStep[]
  /** Rules for other traffic (other users, marks, destinations) that were passed over. */
  RulesPassedOver: number
  Losers: RouteLoser[]
  Peer?: RoutePeer
  /** An IPv4 address behind a numbered site. */
  Via6?: { Site: number; Address: IpText }
  /** What packet filters have to say, as far as this machine knows. */
  Filter: string[]
  /** The same addresses elsewhere. */
  Conflicts: string[]
  /** Traffic to the same place that goes another way, and what else there is to know. */
  Notes: string[]
  /** Whether the operating system gives the same answer; null = it was not asked. */
  KernelAgrees: boolean | null
  /** What it answered: `dev wt0 table main`; "" = not asked. */
  Kernel: string
}

export interface NameExplanation {
  /** Without the final dot, completed by a search domain where one applied. */
  Name: string
  /** The domain whose rule won; "" = none did, the servers for everything else are asked. */
  Suffix: string
  /** Who answers: "" = this daemon itself. */
  Servers: string[]
  Why: string
  /** Rules for shorter domains, and the servers for everything else. */
  Losers: { Suffix: string; Servers: string[]; Why: string }[]
  Addresses: IpText[]
  /** Why there are no addresses, or why they were not looked up. */
  Problem: string
}

export interface RouteExplanation {
  Asked: RouteQuestion
  Names?: NameExplanation
  Targets: RouteTarget[]
  /** `userspace`: without an interface; the network is reached through the daemon's proxies only. */
  Mode: 'kernel' | 'userspace'
  /** The tunnel is up. */
  IsRunning: boolean
  /** What could not be found out. */
  Problems: string[]
}
