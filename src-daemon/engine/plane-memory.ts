/** A data plane without packets: tests play its part, and everything else of the daemon is real. */
import type { NetInfo, Node } from '../../src-contract/control/map.ts'
import type { DiscoKeyText } from '../../src-contract/ids.ts'
import type { PingResult } from '../../src-contract/localapi/ping.ts'
import type { PathReport } from '../../src-contract/localapi/pintail.ts'
import type { Netmap } from '../../src-protocol/machines/netmap.ts'
import type { HostNetwork } from '../io/netmon/port.ts'
import type { RouterConfig } from '../io/router/port.ts'
import type { Endpoint } from './own-endpoints.ts'
import { noRuntime, type PeerRuntime } from './peer-runtime.ts'
import { emptyPingResult } from './ping-target.ts'
import type { DataPlane, PingOptions, PlaneConfig, PlaneEvents } from './plane-port.ts'
import { acceptedPrefixes } from './routing/accepted-prefixes.ts'
import { desiredRouting } from './routing/desired.ts'
import type { RoutingWish } from './routing/wish.ts'

export class MemoryPlane implements DataPlane {
  events: PlaneEvents = { onSelf() {}, onRouter() {}, onLinks() {}, onSockets() {}, onPeerSession() {} }
  readonly discoKey = `discokey:${'d1'.repeat(32)}` as DiscoKeyText
  readonly hasTun = true
  readonly tunName = 'memory0'
  network: HostNetwork = { interfaces: [], defaultV4: '', defaultV6: '' }
  /** By StableID. */
  readonly paths = new Map<string, PathReport>()
  readonly probed: string[] = []
  readonly networkChanges: boolean[] = []
  endpoints: readonly Endpoint[] = []
  netInfo: NetInfo | undefined
  homeRegion = 0
  captivePortal = false
  liveLinks = 0
  liveRelays = 0
  config: PlaneConfig | undefined
  configureCount = 0
  /** What the next configuration answers. */
  routerResult: Parameters<PlaneEvents['onRouter']>[0] = { kind: 'applied', warnings: [] }
  readonly runtimes = new Map<string, PeerRuntime>()

  configure(config: PlaneConfig): void {
    this.config = config
    this.configureCount++
    this.liveLinks = 1
    this.liveRelays = 1
    queueMicrotask(() => this.events.onRouter(this.routerResult))
  }

  deconfigure(): void {
    this.config = undefined
    this.liveLinks = 0
    this.liveRelays = 0
  }

  previewRouting(netmap: Netmap, wish: RoutingWish): RouterConfig {
    const peerPrefixes = [...new Set([...netmap.peers.values()].flatMap((node) => acceptedPrefixes(node, wish)))]
    const { network } = this
    return desiredRouting({
      ...{ netmap, wish, peerPrefixes, network, ownInterface: this.tunName },
      ...{ serviceAddresses: [], fwmark: 0, udpPort: 0 },
    })
  }

  runtimeOf(peer: Node): PeerRuntime {
    return this.runtimes.get(peer.StableID) ?? noRuntime
  }

  datapath(): undefined {}

  pathOf(peer: Node): PathReport | undefined {
    return this.paths.get(peer.StableID)
  }

  probe(peer: Node): void {
    this.probed.push(peer.StableID)
  }

  pathOfAll(): { [id: string]: PathReport } {
    return {}
  }

  async ping(target: Node, options: PingOptions): Promise<PingResult> {
    return { ...emptyPingResult(options.address, target), LatencySeconds: 0.012, Endpoint: '192.0.2.1:41641' }
  }

  networkChanged(isMajor: boolean): void {
    this.networkChanges.push(isMajor)
  }
  async netcheck(): Promise<undefined> {}
  restun(): void {}
  async close(): Promise<void> {}
}
