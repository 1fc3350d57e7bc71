/**
 * The data plane as the backend sees it: opens the data path once, keeps addresses and routes as declared, finds our
 * endpoints and home relay, and runs one {@link MeshSession} while a login is configured.
 */
import type { NetInfo, Node } from '../../../src-contract/control/map.ts'
import type { DiscoKeyText, IpPort, IpText, Ms, NodeKeyText, PrefixText } from '../../../src-contract/ids.ts'
import type { NetcheckReport } from '../../../src-contract/localapi/netcheck.ts'
import type { PingResult } from '../../../src-contract/localapi/ping.ts'
import type { DatapathReport, PathReport } from '../../../src-contract/localapi/pintail.ts'
import type { DataPath, DataPathOptions, DoorEvent } from '../../../src-native/door.ts'
import type { Netmap, NetmapDelta } from '../../../src-protocol/machines/netmap.ts'
import type { Crypto } from '../../../src-protocol/wire/crypto.ts'
import { discoKeyText } from '../../../src-protocol/wire/keys.ts'
import type { UapiState } from '../../../src-protocol/wire/uapi.ts'
import { errorText, type Log } from '../../io/log/log.ts'
import type { HostNetwork, NetworkMonitor } from '../../io/netmon/port.ts'
import type { Router, RouterConfig } from '../../io/router/port.ts'
import { nodeAddresses } from '../node-text.ts'
import type { Endpoint } from '../own-endpoints.ts'
import { noRuntime, type PeerRuntime } from '../peer-runtime.ts'
import type { DataPlane, PingOptions, PlaneConfig, PlaneEvents } from '../plane-port.ts'
import { acceptedPrefixes } from '../routing/accepted-prefixes.ts'
import { desiredRouting, TUNNEL_MTU_BYTES } from '../routing/desired.ts'
import type { RoutingWish } from '../routing/wish.ts'
import { datapathReport } from './datapath-report.ts'
import { NOTHING_OFFERED, type Offer } from './filter-table.ts'
import { MeshSession } from './mesh-session.ts'
import type { NetcheckShell, OpenNetcheck, OpenRelays, PathMachine } from './needs.ts'
import { pingPeer } from './ping-peer.ts'
import { SelfDiscovery } from './self-discovery.ts'

export interface MeshOptions {
  readonly tunName: string | undefined
  /** 0 = any. */
  readonly udpPort: number
  readonly fwmark: number
  readonly openDataPath: (options: DataPathOptions) => Promise<DataPath>
  readonly openRouter: (interfaceName: string | undefined) => Promise<Router>
  readonly openPaths: (keys: { readonly discoPrivate: Uint8Array; readonly nodePublic: Uint8Array }) => PathMachine
  readonly openRelays: OpenRelays
  readonly openNetcheck: OpenNetcheck
  readonly monitor: NetworkMonitor
  readonly crypto: Crypto
  readonly now: () => Ms
  readonly wallMs: () => number
  readonly random01: () => number
  readonly log: Log
}

export async function openMesh(options: MeshOptions): Promise<Mesh> {
  const box: { mesh: Mesh | undefined } = { mesh: undefined }
  const door = await options.openDataPath({
    tunName: options.tunName,
    mtuBytes: TUNNEL_MTU_BYTES,
    udpPort: options.udpPort,
    fwmark: options.fwmark,
    onEvents: (events) => box.mesh?.handleDoorEvents(events),
  })
  try {
    const router = await options.openRouter(door.tunName)
    box.mesh = new Mesh(options, door, router)
    return box.mesh
  } catch (error) {
    await door.close()
    throw error
  }
}

const PROBE_PATIENCE_MS = 5_000
/** So long peers go on using keys that we threw away. [WireGuard §6.2, REJECT_AFTER_TIME] */
const PARTNERS_FOR_MS = 180_000
const MAX_GREETED = 64
const RETRY_FIRST_WAIT_MS = 500
const RETRY_LONGEST_WAIT_MS = 15_000

const noEvents: PlaneEvents = { onSelf() {}, onRouter() {}, onLinks() {}, onSockets() {}, onPeerSession() {} }

export class Mesh implements DataPlane {
  events: PlaneEvents = noEvents
  readonly discoKey: DiscoKeyText
  readonly #o: MeshOptions
  readonly #door: DataPath
  readonly #router: Router
  readonly #discoPrivate: Uint8Array
  readonly #discoPublic: Uint8Array
  readonly #netcheck: NetcheckShell
  readonly #discovery: SelfDiscovery
  #session: MeshSession | undefined
  #service: { readonly addresses: readonly IpText[]; handle(packet: Uint8Array): void } | undefined
  #config: PlaneConfig | undefined
  #routerWanted: RouterConfig | undefined
  #routerRuns = false
  #routerRun = Promise.resolve()
  #routerAge = 0
  /** With whom we had keys when we disconnected. */
  #partners: { readonly keys: ReadonlySet<NodeKeyText>; readonly atMs: number } | undefined
  #isTunDown = false
  #socketProblem: string | undefined
  #rebinds = 0
  #rebindTimer: NodeJS.Timeout | undefined
  #routerTimer: NodeJS.Timeout | undefined
  #routerWaitMs = RETRY_FIRST_WAIT_MS
  #isClosed = false

  constructor(options: MeshOptions, door: DataPath, router: Router) {
    this.#o = options
    this.#door = door
    this.#router = router
    // New at every start: peers learn from it that we restarted.
    this.#discoPrivate = options.crypto.newPrivateKey()
    this.#discoPublic = options.crypto.x25519PublicKey(this.#discoPrivate)
    this.discoKey = discoKeyText(this.#discoPublic)
    this.#netcheck = options.openNetcheck((to, bytes) => door.sendDatagram(to, bytes))
    this.#discovery = new SelfDiscovery({
      netcheck: this.#netcheck,
      network: () => options.monitor.network,
      udpPorts: () => door.udpPorts,
      fixedPort: options.udpPort,
      now: options.now,
      random01: options.random01,
      log: options.log.part('discovery'),
      onFresh: (isNew) => this.#onFreshSelf(isNew),
    })
  }

  get hasTun(): boolean {
    return this.#door.tunName !== undefined
  }

  get tunName(): string | undefined {
    return this.#door.tunName
  }

  get network(): HostNetwork {
    return this.#o.monitor.network
  }

  get endpoints(): readonly Endpoint[] {
    return this.#discovery.endpoints
  }

  get netInfo(): NetInfo | undefined {
    return this.#discovery.netInfo
  }

  get captivePortal(): boolean {
    return this.#discovery.captivePortal
  }

  get homeRegion(): number {
    return this.#discovery.home
  }

  get liveLinks(): number {
    return this.#session?.liveLinks ?? 0
  }

  get narrowPeers(): readonly string[] {
    return this.#session?.narrowPeers ?? []
  }

  get liveRelays(): number {
    return this.#session?.liveRelays ?? 0
  }

  handleDoorEvents(events: readonly DoorEvent[]): void {
    let isOnlyService = true
    for (const event of events) {
      if (event.kind === 'tunDown' || event.kind === 'tunUp') this.#followInterface(event.kind)
      // of peers there are none: what is not ours to receive does not pass the filter
      if (event.kind === 'local' && event.peer === undefined) this.#service?.handle(event.packet)
      else isOnlyService = false
    }
    if (!isOnlyService) this.#session?.handleDoorEvents(events)
  }

  serve(service: { readonly addresses: readonly IpText[]; handle(packet: Uint8Array): void }): void {
    this.#service = service
    this.#door.setLocalService(service.addresses)
  }

  writeToHost(packet: Uint8Array): void {
    this.#door.writeToHost(packet)
  }

  configure(config: PlaneConfig, delta?: NetmapDelta): void {
    const before = this.#config
    const isSameLogin = before !== undefined && before.nodeKey === config.nodeKey
    if (!isSameLogin) this.#session?.close()
    this.#config = config
    if (this.#session === undefined || !isSameLogin) this.#session = this.#openSession(config)
    this.#session.configure({ ...config, offer: this.#offer(config) }, isSameLogin ? delta : undefined)
    this.#greetPartners(config.netmap)
    this.#discovery.setDerpMap(config.netmap.derpMap)
    if (this.#discovery.home !== 0) this.#session.setHome(this.#discovery.home)
    const isOnlyPatched =
      isSameLogin &&
      delta !== undefined &&
      before.wish === config.wish &&
      !delta.selfChanged &&
      delta.peersAdded.length + delta.peersChanged.length + delta.peersRemoved.length === 0
    if (!isOnlyPatched) this.#wantRouting(config, this.#session)
  }

  /** What the router would be told with another wish. */
  previewRouting(netmap: Netmap, wish: RoutingWish): RouterConfig {
    const prefixes = new Set([...netmap.peers.values()].flatMap((node) => acceptedPrefixes(node, wish)))
    return this.#desired(netmap, wish, [...prefixes])
  }

  deconfigure(): void {
    this.#config = undefined
    const partners = this.#session?.partners ?? []
    if (partners.length > 0) {
      this.#partners = { keys: new Set(partners.slice(0, MAX_GREETED).map(({ Key }) => Key)), atMs: this.#o.now() }
    }
    this.#discovery.stop()
    this.#session?.close()
    this.#session = undefined
    this.#wantRouter(undefined)
  }

  applied(): Promise<void> {
    return this.#routerRun
  }

  peerPrefixes(): readonly { readonly node: Node; readonly prefixes: readonly PrefixText[] }[] {
    return this.#session?.ownPrefixes() ?? []
  }

  runtimeOf(peer: Node): PeerRuntime {
    return this.#session?.runtimeOf(peer) ?? noRuntime
  }

  pathOf(peer: Node): PathReport | undefined {
    return this.#session?.pathReport(peer)
  }

  probe(peer: Node): void {
    const signal = AbortSignal.timeout(PROBE_PATIENCE_MS)
    void this.ping(peer, { address: '', type: 'disco', sizeBytes: 0, signal })
  }

  pathOfAll(): { [id: string]: PathReport } {
    const regions = this.#config?.netmap.derpMap?.Regions ?? {}
    const reports: { [id: string]: PathReport } = {}
    for (const { node, report } of this.#session?.pathReports() ?? []) {
      const derpRegionCode = report.derpRegionCode || (regions[report.derpRegion]?.RegionCode ?? '')
      reports[node.StableID] = { ...report, derpRegionCode }
    }
    return reports
  }

  /** What `wg show` asks. Nobody may set anything that way: the network decides. */
  uapiState(): UapiState {
    return {
      privateKey: this.#config?.nodeKey.expose(),
      listenPort: this.#door.udpPorts.v4,
      fwmark: this.#o.fwmark,
      peers: this.#session?.uapiPeers() ?? [],
    }
  }

  ping(target: Node, options: PingOptions): Promise<PingResult> {
    return pingPeer(this.#session, this.#config?.netmap.derpMap, target, options)
  }

  netcheck(): Promise<NetcheckReport | undefined> {
    return this.#discovery.check()
  }

  datapath(): DatapathReport {
    return datapathReport(this.#door, this.#socketProblem)
  }

  networkChanged(isMajor: boolean): void {
    this.#followNetwork()
    if (!isMajor) {
      this.#discovery.trigger('addresses')
      return
    }
    void this.#rebind()
  }

  restun(): void {
    this.#discovery.trigger('asked')
  }

  async close(): Promise<void> {
    this.deconfigure()
    this.#isClosed = true
    this.#rebinds++
    clearTimeout(this.#rebindTimer)
    clearTimeout(this.#routerTimer)
    await this.#router.close()
    await this.#door.close()
  }

  /** Without sockets nothing works, so it is tried until there are some (no descriptor or memory left, IPv4 gone). */
  async #rebind(waitMs = RETRY_FIRST_WAIT_MS): Promise<void> {
    clearTimeout(this.#rebindTimer)
    const own = ++this.#rebinds
    try {
      await this.#door.rebind(this.#o.udpPort)
      this.#setSocketProblem(undefined)
    } catch (error) {
      if (own !== this.#rebinds) return
      this.#o.log.warn('rebind-failed', { error, againInMs: waitMs })
      this.#setSocketProblem(errorText(error))
      const next = Math.min(waitMs * 2, RETRY_LONGEST_WAIT_MS)
      this.#rebindTimer = setTimeout(() => void this.#rebind(next), waitMs).unref()
    }
    if (own !== this.#rebinds) return
    this.#session?.networkChanged()
    this.#discovery.networkChanged()
  }

  #setSocketProblem(problem: string | undefined): void {
    if (problem === this.#socketProblem) return
    this.#socketProblem = problem
    this.events.onSockets(problem)
  }

  /** An administrator took the interface down and up again: addresses and routes went with it. */
  #followInterface(event: 'tunDown' | 'tunUp'): void {
    if (this.#config === undefined) return
    if (event === 'tunDown') {
      this.#isTunDown = true
      this.#o.log.warn('interface-down', { name: this.#door.tunName })
      this.#router.forget()
    } else if (this.#isTunDown) {
      this.#isTunDown = false
      this.#router.forget()
      this.#wantRouter(this.#routerWanted)
    }
  }

  /**
   * Whoever talked to us before we disconnected does not know that the keys are gone, and would send into the void for
   * fifteen seconds. A packet of ours brings new ones.
   */
  #greetPartners({ peers }: Netmap): void {
    const partners = this.#partners
    this.#partners = undefined
    if (partners === undefined || this.#o.now() - partners.atMs > PARTNERS_FOR_MS) return
    for (const node of peers.values()) {
      const [address] = nodeAddresses(node)
      if (!partners.keys.has(node.Key) || address === undefined) continue
      const signal = AbortSignal.timeout(PROBE_PATIENCE_MS)
      void this.ping(node, { address, type: 'TSMP', sizeBytes: 0, signal })
    }
  }

  #openSession(config: PlaneConfig): MeshSession {
    const { crypto, now, wallMs, random01, log, openPaths, openRelays } = this.#o
    return new MeshSession({
      door: this.#door,
      crypto,
      nodePrivate: config.nodeKey.expose(),
      discoPublic: this.#discoPublic,
      openPaths: (nodePublic) => openPaths({ discoPrivate: this.#discoPrivate, nodePublic }),
      openRelays,
      now,
      wallMs,
      random01,
      log: log.part('mesh'),
      onStun: (from: IpPort, bytes) => this.#netcheck.handleStun(from, bytes),
      onRestun: () => this.#discovery.trigger('path'),
      onActivity: () => this.#discovery.noteActivity(),
      onLinks: () => this.events.onLinks(),
      onPeerSession: (peer, state) => this.events.onPeerSession(peer, state),
    })
  }

  #wantRouting({ netmap, wish }: PlaneConfig, session: MeshSession): void {
    this.#wantRouter(this.#desired(netmap, wish, session.peerPrefixes))
  }

  #desired(netmap: Netmap, wish: RoutingWish, peerPrefixes: readonly PrefixText[]): RouterConfig {
    return desiredRouting({
      netmap,
      wish,
      peerPrefixes,
      serviceAddresses: this.#service?.addresses ?? [],
      network: this.#o.monitor.network,
      ownInterface: this.#door.tunName,
      fwmark: this.#o.fwmark,
      udpPort: this.#door.udpPorts.v4,
    })
  }

  #offer({ wish }: PlaneConfig): Offer {
    if (wish.advertised.length === 0) return NOTHING_OFFERED
    const hostAddresses = this.#o.monitor.network.interfaces.flatMap((face) =>
      face.addresses.map(({ address, bits }) => `${address}/${bits}`),
    )
    return { routes: wish.advertised, hostAddresses }
  }

  /** Local networks came or went: what stays out of the exit node, and what we keep from those who use us as theirs. */
  #followNetwork(): void {
    const config = this.#config
    if (config === undefined || this.#session === undefined) return
    this.#session.setOffer(this.#offer(config))
    this.#wantRouting(config, this.#session)
  }

  #onFreshSelf(isNew: boolean): void {
    if (this.#discovery.home !== 0) this.#session?.setHome(this.#discovery.home)
    this.#session?.handleOwnEndpoints(this.#discovery.addresses)
    if (isNew) this.events.onSelf()
  }

  /** One `apply` at a time; what was wanted meanwhile is applied next, intermediate wishes are skipped. */
  #wantRouter(wanted: RouterConfig | undefined): void {
    this.#routerWanted = wanted
    this.#routerAge++
    if (!this.#routerRuns) this.#routerRun = this.#runRouter()
  }

  /** What was refused may be possible soon: the other program ended, memory or descriptors came free. */
  #planRouterRetry(isDone: boolean): void {
    clearTimeout(this.#routerTimer)
    if (isDone) this.#routerWaitMs = RETRY_FIRST_WAIT_MS
    if (isDone || this.#isClosed) return
    this.#routerTimer = setTimeout(() => this.#wantRouter(this.#routerWanted), this.#routerWaitMs).unref()
    this.#routerWaitMs = Math.min(this.#routerWaitMs * 2, RETRY_LONGEST_WAIT_MS)
  }

  async #runRouter(): Promise<void> {
    this.#routerRuns = true
    for (let age = -1; age !== this.#routerAge; ) {
      age = this.#routerAge
      const wanted = this.#routerWanted
      const result = await this.#router.apply(wanted)
      if (result.kind !== 'applied') this.#o.log.error('router', { ...result })
      if (age === this.#routerAge && wanted !== undefined) this.events.onRouter(result)
      this.#planRouterRetry(result.kind === 'applied')
    }
    this.#routerRuns = false
  }
}
