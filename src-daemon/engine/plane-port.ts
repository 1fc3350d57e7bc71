/** What the backend needs from the data plane; `mesh/mesh.ts` provides it, `plane-memory.ts` for tests and none. */

import type { NetInfo, Node } from '../../src-contract/control/map.ts'
import type { DiscoKeyText, IpText, PrefixText, StableNodeId } from '../../src-contract/ids.ts'
import type { NetcheckReport } from '../../src-contract/localapi/netcheck.ts'
import type { PingResult, PingType } from '../../src-contract/localapi/ping.ts'
import type { DatapathReport, PathReport } from '../../src-contract/localapi/pintail.ts'
import type { Netmap, NetmapDelta } from '../../src-protocol/machines/netmap.ts'
import type { Secret } from '../../src-protocol/wire/keys.ts'
import type { HostNetwork } from '../io/netmon/port.ts'
import type { RouterConfig, RouterResult } from '../io/router/port.ts'
import type { Endpoint } from './own-endpoints.ts'
import type { PeerRuntime } from './peer-runtime.ts'
import type { RoutingWish } from './routing/wish.ts'

export interface PlaneConfig {
  readonly nodeKey: Secret
  readonly netmap: Netmap
  readonly shieldsUp: boolean
  readonly wish: RoutingWish
  /** Where our PeerAPI listens: the packet filter lets peers in there. */
  readonly peerApi?: readonly { readonly address: IpText; readonly port: number }[]
}

export interface PlaneEvents {
  /** Endpoints, home relay, network facts or a captive portal are new: tell control. */
  onSelf(): void
  /** Addresses and routes are in place, or why not. */
  onRouter(result: RouterResult): void
  /** A relay connected, a session began, or one of them ended. */
  onLinks(): void
  /** Why there are no UDP sockets, or undefined: there are. */
  onSockets(problem: string | undefined): void
  onPeerSession(peer: Node, session: PeerRuntime['session']): void
}

export interface PingOptions {
  readonly address: string
  readonly type: PingType
  /** Whole disco message; 0 = smallest. */
  readonly sizeBytes: number
  readonly signal: AbortSignal
}

export interface DataPlane {
  events: PlaneEvents
  readonly discoKey: DiscoKeyText
  readonly hasTun: boolean
  readonly tunName: string | undefined
  /** What the host stands in. */
  readonly network: HostNetwork
  readonly endpoints: readonly Endpoint[]
  readonly netInfo: NetInfo | undefined
  readonly homeRegion: number
  /** A sign-in page is between us and the relays. */
  readonly captivePortal?: boolean
  /** Relay connections plus live sessions. */
  readonly liveLinks: number
  readonly liveRelays: number
  /** Peers that only a direct path reaches which loses full packets, with the size that is lost. */
  readonly narrowPeers?: readonly string[]
  /**
   * Packets of this host to these addresses go to `handle` instead of a peer; answers come back by {@link writeToHost}.
   * Absent: there is no interface to take them from.
   */
  serve?(service: { readonly addresses: readonly IpText[]; handle(packet: Uint8Array): void }): void
  writeToHost?(packet: Uint8Array): void
  /** Makes it so. With a delta only what it names is looked at; without one, everything. */
  configure(config: PlaneConfig, delta?: NetmapDelta): void
  deconfigure(): void
  /** When the host is as declared, or has refused. */
  applied?(): Promise<void>
  /** What the router would be told with another wish, also while nothing is configured. */
  previewRouting?(netmap: Netmap, wish: RoutingWish): RouterConfig
  /** What each peer has in the data path; absent: nobody keeps account. */
  peerPrefixes?(): readonly { readonly node: Node; readonly prefixes: readonly PrefixText[] }[]
  runtimeOf(peer: Node): PeerRuntime
  datapath(): DatapathReport | undefined
  pathOf(peer: Node): PathReport | undefined
  /** Asks the peer at each of its addresses; what answers is seen in {@link pathOf}. */
  probe(peer: Node): void
  pathOfAll(): { readonly [id: StableNodeId]: PathReport }
  ping(target: Node, options: PingOptions): Promise<PingResult>
  networkChanged(isMajor: boolean): void
  /** A report made after this call; undefined when there is no relay map or it failed. */
  netcheck(): Promise<NetcheckReport | undefined>
  /** Look for our endpoints and the nearest relay again. */
  restun(): void
  close(): Promise<void>
}
