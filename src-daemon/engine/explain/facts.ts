/** What an explanation is made of, besides the host's rules and routes. */
import type { Node } from '../../../src-contract/control/map.ts'
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import type { BypassReport } from '../../../src-contract/localapi/bypass.ts'
import type { PathReport } from '../../../src-contract/localapi/pintail.ts'
import type { SubnetRoute } from '../../../src-contract/localapi/subnet-routes.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import type { HostNetwork } from '../../io/netmon/port.ts'
import type { ExitChoice } from '../routing/exit-choice.ts'

export interface PeerPrefixes {
  readonly node: Node
  /** As the data path has them. */
  readonly prefixes: readonly PrefixText[]
}

export interface ExplainFacts {
  readonly netmap: Netmap | undefined
  readonly isRunning: boolean
  /** undefined: userspace networking. */
  readonly tunName: string | undefined
  readonly peers: readonly PeerPrefixes[]
  readonly subnets: readonly SubnetRoute[]
  readonly exit: ExitChoice
  readonly allowsLan: boolean
  /** Networks around that are proven to be the same as a peer's. */
  readonly atHome: readonly PrefixText[]
  readonly bypass: BypassReport
  readonly network: HostNetwork
  readonly serviceAddresses: readonly IpText[]
  readonly pathOf: (node: Node) => PathReport | undefined
  /** Userspace networking: whether the proxies reach it through the network. */
  readonly isInside: (ip: Uint8Array) => boolean
}
