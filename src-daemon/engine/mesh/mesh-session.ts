/**
 * The data plane under one identity: drives the WireGuard device, the paths and the relays over the data path, from
 * configuration to close. It performs what the machines ask for and arms one timer for all of them; it decides nothing
 * that a machine could. Interface, routes and own endpoints: `mesh.ts`.
 */
import type { Node } from '../../../src-contract/control/map.ts'
import { type IpPort, idText, type Ms, type PrefixText } from '../../../src-contract/ids.ts'
import type { PathReport } from '../../../src-contract/localapi/pintail.ts'
import type { DataPath, DoorEvent, FilterTable, PeerCounters } from '../../../src-native/door.ts'
import type { Netmap, NetmapDelta } from '../../../src-protocol/machines/netmap.ts'
import { WireGuardDevice } from '../../../src-protocol/machines/wireguard/device.ts'
import type { WireGuardEffect } from '../../../src-protocol/machines/wireguard/effects.ts'
import type { Crypto } from '../../../src-protocol/wire/crypto.ts'
import { looksLikeDisco } from '../../../src-protocol/wire/disco.ts'
import { shortNodeKey } from '../../../src-protocol/wire/keys.ts'
import { isStunResponse } from '../../../src-protocol/wire/stun.ts'
import type { UapiPeerState } from '../../../src-protocol/wire/uapi.ts'
import { messageType } from '../../../src-protocol/wire/wireguard.ts'
import type { Log } from '../../io/log/log.ts'
import { hostPrefixText, nodeAddresses } from '../node-text.ts'
import type { PeerRuntime } from '../peer-runtime.ts'
import type { RoutingWish } from '../routing/wish.ts'
import { buildFilterTable, NOTHING_OFFERED, type Offer, sameOffer } from './filter-table.ts'
import type { OpenRelays, PathEffect, PathMachine, RelayLinks } from './needs.ts'
import { PeerSync } from './peer-sync.ts'
import { type MeshPeer, PeerTable } from './peer-table.ts'
import { TunnelMessages } from './tunnel-messages.ts'
import type { TunnelPong } from './tunnel-pings.ts'

const COUNTERS_FRESH_MS = 20
/** By then the device has made another one. */
const UNSENT_LIFE_MS = 5_000

export interface MeshSessionOptions {
  readonly door: DataPath
  readonly crypto: Crypto
  readonly nodePrivate: Uint8Array
  readonly discoPublic: Uint8Array
  readonly openPaths: (nodePublic: Uint8Array) => PathMachine
  readonly openRelays: OpenRelays
  readonly now: () => Ms
  readonly wallMs: () => number
  readonly random01: () => number
  readonly log: Log
  readonly onStun: (from: IpPort, bytes: Uint8Array) => void
  readonly onRestun: () => void
  readonly onActivity: () => void
  readonly onLinks: () => void
  readonly onPeerSession: (peer: Node, state: PeerRuntime['session']) => void
}

export interface SessionConfig {
  readonly netmap: Netmap
  readonly shieldsUp: boolean
  readonly wish: RoutingWish
  readonly offer: Offer
  readonly peerApi?: FilterTable['peerApi']
}

export interface DiscoPong {
  readonly latencyMs: number
  readonly endpoint: IpPort | undefined
  readonly derpRegion: number
}

export class MeshSession {
  readonly #o: MeshSessionOptions
  readonly #door: DataPath
  readonly #device: WireGuardDevice
  readonly #paths: PathMachine
  readonly #relays: RelayLinks
  readonly #peers = new PeerTable()
  readonly #sync: PeerSync
  readonly #messages: TunnelMessages
  readonly #discoPings = new Map<number, (pong: DiscoPong) => void>()
  #netmap: Netmap | undefined
  #shieldsUp = false
  #offer = NOTHING_OFFERED
  #peerApi: FilterTable['peerApi'] = []
  readonly #established = new Set<number>()
  readonly #narrow = new Map<number, string>()
  #timer: NodeJS.Timeout | undefined
  #timerAt: Ms = Number.POSITIVE_INFINITY
  #closed = false
  #counters: { readonly at: Ms; readonly peers: ReadonlyMap<number, PeerCounters> } | undefined

  constructor(options: MeshSessionOptions) {
    this.#o = options
    this.#door = options.door
    this.#device = new WireGuardDevice({
      crypto: options.crypto,
      privateKey: Uint8Array.from(options.nodePrivate), // the device wipes its copy at the end
      wallClockMs: options.wallMs,
      random01: options.random01,
    })
    this.#paths = options.openPaths(this.#device.publicKey)
    this.#sync = new PeerSync({
      peers: this.#peers,
      device: this.#device,
      door: options.door,
      paths: this.#paths,
      now: options.now,
      perform: (effects) => this.#perform(effects),
      performPaths: (effects) => this.#performPaths(effects),
    })
    this.#door.setOwnDisco(options.discoPublic)
    this.#messages = new TunnelMessages(options.crypto, options.discoPublic)
    this.#relays = options.openRelays(options.nodePrivate, {
      onPacket: (region, key, bytes) => this.#onRelayPacket(region, key, bytes),
      onPeerGone: (region, key) => this.#drive(() => this.#paths.handleRelayGone(region, key, options.now())),
      onState: (region, state) => {
        if (state === 'closed') this.#drive(() => this.#paths.handleRelayGone(region, undefined, options.now()))
        options.onLinks()
      },
    })
  }

  get liveRelays(): number {
    return this.#relays.liveCount
  }

  /** Names of peers that only a path reaches which loses full packets, with the size that is lost. */
  get narrowPeers(): readonly string[] {
    return [...this.#narrow].filter(([id]) => this.#peers.byId(id) !== undefined).map(([, text]) => text)
  }

  get liveLinks(): number {
    return this.#relays.liveCount + this.#established.size
  }

  /** With whom we have keys. */
  get partners(): Node[] {
    return [...this.#established].flatMap((id) => this.#peers.byId(id)?.node ?? [])
  }

  get peerPrefixes(): PrefixText[] {
    return this.#sync.prefixes
  }

  ownPrefixes(): { readonly node: Node; readonly prefixes: readonly PrefixText[] }[] {
    return [...this.#peers.all()].map(({ node, allowedIps }) => ({ node, prefixes: allowedIps }))
  }

  // Configuration ---------------------------------------------------------------------------------------------------

  configure(config: SessionConfig, delta: NetmapDelta | undefined): void {
    const { netmap, shieldsUp, wish, offer, peerApi = [] } = config
    const known = this.#netmap === undefined ? undefined : delta
    this.#netmap = netmap
    if (netmap.derpMap !== undefined && (known === undefined || known.derpMapChanged))
      this.#relays.setMap(netmap.derpMap)
    const own = nodeAddresses(netmap.self)
    this.#messages.setOwnAddresses(own, peerApi)
    this.#peerApi = peerApi
    this.#door.setOwnAddresses({ v4: own.find((ip) => !ip.includes(':')), v6: own.find((ip) => ip.includes(':')) })
    this.#sync.apply(netmap, wish, known)
    const isFilterNews = known === undefined || known.filterChanged || known.selfChanged || usesCapabilities(netmap)
    if (isFilterNews || shieldsUp !== this.#shieldsUp || !sameOffer(offer, this.#offer)) {
      this.#shieldsUp = shieldsUp
      this.#offer = offer
      this.#setFilter(netmap)
    }
    this.#arm()
  }

  setOffer(offer: Offer): void {
    if (sameOffer(offer, this.#offer) || this.#netmap === undefined) return
    this.#offer = offer
    this.#setFilter(this.#netmap)
  }

  setHome(region: number): void {
    this.#paths.setHome(region)
    this.#relays.setHome(region)
  }

  handleOwnEndpoints(endpoints: readonly IpPort[]): void {
    this.#drive(() => this.#paths.handleOwnEndpoints(endpoints, this.#o.now()))
  }

  networkChanged(): void {
    this.#relays.networkChanged()
    this.#drive(() => this.#paths.handleNetworkChange(this.#o.now()))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const effect of this.#device.close())
      if (effect.kind === 'dropKeypair') this.#door.dropKeypair(effect.localIndex)
    for (const peer of this.#peers.all()) this.#door.removePeer(peer.id)
    this.#relays.close()
  }

  #setFilter(netmap: Netmap): void {
    const { table, problem } = buildFilterTable(netmap, this.#shieldsUp, this.#offer, this.#peerApi)
    if (problem !== undefined) this.#o.log.warn('filter', { problem })
    this.#door.setFilter(table)
  }

  // From the world --------------------------------------------------------------------------------------------------

  handleDoorEvents(events: readonly DoorEvent[]): void {
    if (this.#closed) return
    for (const event of events) this.#handleDoorEvent(event)
    this.#arm()
  }

  #handleDoorEvent(event: DoorEvent): void {
    const now = this.#o.now()
    switch (event.kind) {
      case 'activity': {
        const peer = this.#peers.byId(event.peer)
        if (peer === undefined) return
        if (event.sentData) {
          peer.lastWriteMs = this.#o.wallMs()
          this.#o.onActivity()
        }
        this.#perform(this.#device.handleActivity(event, now))
        if (event.sentAny) this.#performPaths(this.#paths.handleExternalSend(peer.id, now))
        if (event.receivedAny && event.from !== undefined) {
          const region = event.from === 'relay' ? peer.heardRegion : undefined
          this.#performPaths(this.#paths.handleReceived(peer.id, event.from, region, now))
        }
        return
      }
      case 'confirmed':
        this.#perform(this.#device.handleConfirmed(event.peer, event.localIndex, now))
        return
      case 'datagram':
        this.#handleDatagram(event.from, event.bytes, now)
        return
      case 'toRelay': {
        const peer = this.#peers.byId(event.peer)
        if (peer !== undefined) this.#sendRelay(peer, event.bytes)
        return
      }
      case 'noSession':
        this.#o.onActivity()
        this.#performPaths(this.#paths.handleExternalSend(event.peer, now))
        this.#perform(this.#device.handleNoSession(event.peer, event.packet, now))
        return
      case 'tsmp': {
        const peer = this.#peers.byId(event.peer)
        if (peer !== undefined) this.#handleTsmp(peer, event.packet, now)
        return
      }
      case 'echoReply':
        this.#messages.handleEchoReply(event.packet, now)
        return
      case 'sendFailed':
        this.#performPaths(this.#paths.handleSendFailed(event.to, event.code, now))
        return
      case 'local':
      case 'tunUp':
      case 'tunDown':
        return // nothing is served inside the daemon yet; the interface belongs to `mesh.ts`
    }
  }

  #handleDatagram(from: IpPort, bytes: Uint8Array, now: Ms): void {
    if (isStunResponse(bytes)) this.#o.onStun(from, bytes)
    else if (looksLikeDisco(bytes)) this.#performPaths(this.#paths.handleDatagram(bytes, from, now))
    else this.#perform(this.#device.handleDatagram(bytes, { kind: 'udp', from }, now))
  }

  /** The relay's word for who sent it is a hint: disco and WireGuard prove it, or drop it. */
  #onRelayPacket(region: number, nodeKey: Uint8Array, bytes: Uint8Array): void {
    if (this.#closed) return
    const now = this.#o.now()
    if (looksLikeDisco(bytes)) {
      this.#performPaths(this.#paths.handleDatagram(bytes, { relayRegion: region, nodeKey }, now))
    } else {
      const peer = this.#peers.byKey(nodeKey)
      if (peer !== undefined) {
        peer.heardRegion = region
        if (messageType(bytes) === 4) this.#door.receiveFromRelay(peer.id, bytes)
        else this.#perform(this.#device.handleDatagram(bytes, { kind: 'relay', peer: peer.id }, now))
      }
    }
    this.#arm()
  }

  #handleTsmp(peer: MeshPeer, packet: Uint8Array, now: Ms): void {
    const result = this.#messages.handleTsmp(packet, now)
    if (result.kind === 'reply') this.#door.sendPacket(peer.id, result.packet)
    if (result.kind === 'discoKey' && !sameBytes(result.key, peer.discoKey)) {
      peer.discoKey = result.key
      this.#sync.setPath(peer)
    }
    if (result.kind === 'rejected') this.#o.log.debug('rejected-by-peer', { peer: peer.node.Name, ...result.flow })
  }

  // To the world ----------------------------------------------------------------------------------------------------

  #drive(run: () => PathEffect[]): void {
    if (this.#closed) return
    this.#performPaths(run())
    this.#arm()
  }

  #perform(effects: readonly WireGuardEffect[]): void {
    for (const effect of effects) this.#performOne(effect)
  }

  #performOne(effect: WireGuardEffect): void {
    const now = this.#o.now()
    switch (effect.kind) {
      case 'send': {
        this.#performPaths(this.#paths.handleExternalSend(effect.peer, now))
        const peer = this.#peers.byId(effect.peer)
        if (peer !== undefined) this.#sendHandshake(peer, effect.bytes)
        return
      }
      case 'reply': {
        if (effect.to.kind === 'udp') this.#door.sendDatagram(effect.to.from, effect.bytes)
        else {
          const peer = this.#peers.byId(effect.to.peer)
          if (peer !== undefined) this.#sendRelay(peer, effect.bytes)
        }
        return
      }
      case 'addKeypair':
        this.#door.addKeypair(effect.keypair)
        return
      case 'dropKeypair':
        this.#door.dropKeypair(effect.localIndex)
        return
      case 'sendPacket':
        this.#door.sendPacket(effect.peer, effect.packet)
        return
      case 'established':
        this.#forgetUnsent(effect.peer)
        this.#greet(effect.peer)
        return
      case 'session':
        this.#noteSession(effect.peer, effect.state)
        return
      case 'heardFrom': {
        const peer = this.#peers.byId(effect.peer)
        if (peer === undefined) return
        const from = effect.source.kind === 'udp' ? effect.source.from : 'relay'
        const region = from === 'relay' ? peer.heardRegion : undefined
        this.#performPaths(this.#paths.handleReceived(peer.id, from, region, now))
        return
      }
    }
  }

  #performPaths(effects: readonly PathEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'sendDatagram':
          this.#door.sendDatagram(effect.to, effect.bytes)
          break
        case 'sendRelay':
          this.#relays.send(effect.region, effect.nodeKey, effect.bytes)
          break
        case 'setDestination': {
          const peer = this.#peers.byId(effect.peer)
          if (peer === undefined) break
          peer.udp = effect.destination.udp
          peer.usesRelay = effect.destination.relay
          if (effect.relayRegion !== 0) peer.relayRegion = effect.relayRegion
          this.#door.setDestination(effect.peer, effect.destination)
          this.#sendLate(peer)
          break
        }
        case 'restun':
          this.#o.onRestun()
          break
        case 'pingResult': {
          const answer = this.#discoPings.get(effect.id)
          this.#discoPings.delete(effect.id)
          answer?.({ latencyMs: effect.latencyMs, endpoint: effect.endpoint, derpRegion: effect.derpRegion ?? 0 })
          break
        }
        case 'pathChanged':
          this.#logPath(effect.peer)
          break
      }
    }
  }

  #sendHandshake(peer: MeshPeer, bytes: Uint8Array): void {
    const viaRelay = peer.usesRelay && peer.relayRegion !== 0
    peer.unsent = peer.udp === undefined ? { bytes, at: this.#o.now(), wasRelayed: viaRelay } : undefined
    if (peer.udp !== undefined) this.#door.sendDatagram(peer.udp, bytes)
    if (viaRelay) this.#sendRelay(peer, bytes)
  }

  /**
   * A peer that has just joined has no address in the first map, and a relay may be dead: waiting for the retry would cost
   * five seconds. A peer that has the message already takes the copy for a replay.
   */
  #sendLate(peer: MeshPeer): void {
    const { unsent } = peer
    if (unsent === undefined || (peer.udp === undefined && unsent.wasRelayed)) return
    if (this.#o.now() - unsent.at < UNSENT_LIFE_MS) this.#sendHandshake(peer, unsent.bytes)
    else peer.unsent = undefined
  }

  #forgetUnsent(peerId: number): void {
    const peer = this.#peers.byId(peerId)
    if (peer !== undefined) peer.unsent = undefined
  }

  #sendRelay(peer: MeshPeer, bytes: Uint8Array): void {
    if (peer.relayRegion !== 0) this.#relays.send(peer.relayRegion, peer.key, bytes)
  }

  /** First thing on a new session: our disco key, so that a peer finds us although control is down. [wireguard.md §6.8] */
  #greet(peerId: number): void {
    const peer = this.#peers.byId(peerId)
    if (peer === undefined || peer.node.IsWireGuardOnly === true) return
    const addresses = nodeAddresses(peer.node).filter((ip) => peer.allowedIps.includes(hostPrefixText(ip)))
    const packet = this.#messages.discoAdvertisement(addresses)
    if (packet !== undefined) this.#door.sendPacket(peer.id, packet)
  }

  #noteSession(peerId: number, state: PeerRuntime['session']): void {
    const before = this.#established.size
    if (state === 'established') this.#established.add(peerId)
    else this.#established.delete(peerId)
    const peer = this.#peers.byId(peerId)
    if (peer !== undefined) this.#o.onPeerSession(peer.node, state)
    if (this.#established.size !== before) this.#o.onLinks()
  }

  #logPath(peerId: number): void {
    const peer = this.#peers.byId(peerId)
    if (peer === undefined) return
    const report = this.#paths.report(peerId, this.#o.now())
    this.#noteNarrow(peer, report)
    // is it the peer, or the network around us?
    if (report.history.at(-1)?.reason === 'ping-timeout') this.#o.onRestun()
    const isQuiet = report.kind === 'idle' && report.history.length <= 1 // each peer of a map begins like that
    this.#o.log[isQuiet ? 'debug' : 'info']('path', {
      peer: peer.node.Name,
      key: shortNodeKey(peer.keyText),
      kind: report.kind,
      endpoint: report.endpoint,
      region: report.derpRegion,
      reason: report.history.at(-1)?.reason,
    })
  }

  #noteNarrow(peer: MeshPeer, report: PathReport): void {
    const inUse = report.kind === 'direct' ? report.candidates.find((c) => c.endpoint === report.endpoint) : undefined
    const bytes = inUse?.tooSmallForBytes
    const text = bytes === undefined ? undefined : `${peer.node.Name.replace(/\.$/, '')}, ${bytes} bytes`
    if (this.#narrow.get(peer.id) === text) return
    if (text === undefined) this.#narrow.delete(peer.id)
    else this.#narrow.set(peer.id, text)
    this.#o.onLinks()
  }

  #arm(): void {
    const next = Math.min(
      this.#device.nextWake() ?? Number.POSITIVE_INFINITY,
      this.#paths.nextWake() ?? Number.POSITIVE_INFINITY,
    )
    if (next === this.#timerAt || this.#closed) return
    clearTimeout(this.#timer)
    this.#timerAt = next
    if (next === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => this.#wake(), Math.max(0, Math.ceil(next - this.#o.now())))
  }

  #wake(): void {
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = this.#o.now()
    this.#perform(this.#device.wake(now))
    this.#performPaths(this.#paths.wake(now))
    this.#arm()
  }

  // Asked -----------------------------------------------------------------------------------------------------------

  runtimeOf(node: Node): PeerRuntime | undefined {
    const peer = this.#peers.byNode(idText(node.ID))
    if (peer === undefined) return undefined
    const counters = this.#countersOf(peer.id)
    const session = this.#device.session(peer.id)
    return {
      rxBytes: counters?.rxBytes ?? 0,
      txBytes: counters?.txBytes ?? 0,
      lastWriteMs: peer.lastWriteMs,
      lastHandshakeMs: session.lastHandshakeMs ?? 0,
      session: session.state,
      directEndpoint: peer.usesRelay || peer.udp === undefined ? '' : peer.udp,
      relayRegion: peer.relayRegion,
    }
  }

  /** The peers as a WireGuard tool sees them; the endpoint is where a direct path leads. */
  uapiPeers(): UapiPeerState[] {
    return [...this.#peers.all()].map((peer) => {
      const counters = this.#countersOf(peer.id)
      return {
        publicKey: peer.key,
        endpoint: peer.udp,
        lastHandshakeMs: this.#device.session(peer.id).lastHandshakeMs,
        rxBytes: counters?.rxBytes ?? 0,
        txBytes: counters?.txBytes ?? 0,
        persistentKeepaliveSeconds: 0,
        allowedIps: peer.allowedIps,
      }
    })
  }

  /** A status asks for every peer in one breath. */
  #countersOf(peer: number): PeerCounters | undefined {
    const now = this.#o.now()
    if (this.#counters === undefined || now - this.#counters.at > COUNTERS_FRESH_MS) {
      this.#counters = { at: now, peers: this.#door.stats().peers }
    }
    return this.#counters.peers.get(peer)
  }

  pathReports(): { readonly node: Node; readonly report: PathReport }[] {
    const now = this.#o.now()
    return [...this.#peers.all()].map((peer) => ({ node: peer.node, report: this.#paths.report(peer.id, now) }))
  }

  pathReport(node: Node): PathReport | undefined {
    const peer = this.#peers.byNode(idText(node.ID))
    return peer === undefined ? undefined : this.#paths.report(peer.id, this.#o.now())
  }

  /** Answers whether there is such a peer. */
  pingDisco(node: Node, sizeBytes: number, answer: (pong: DiscoPong) => void): boolean {
    const peer = this.#peers.byNode(idText(node.ID))
    if (peer === undefined) return false
    const { id, effects } = this.#paths.ping(peer.id, sizeBytes === 0 ? {} : { size: sizeBytes }, this.#o.now())
    this.#discoPings.set(id, answer)
    peer.lastWriteMs = this.#o.wallMs() // a ping counts as use of the path, as it does for the path itself
    this.#drive(() => effects)
    return true
  }

  pingTunnel(node: Node, kind: 'TSMP' | 'ICMP', address: string, answer: (pong: TunnelPong) => void): boolean {
    const peer = this.#peers.byNode(idText(node.ID))
    if (peer === undefined) return false
    const asked = this.#messages.ping(kind, address, this.#o.now(), answer)
    if (asked === undefined) return false
    if (asked.echoId !== undefined) this.#door.expectEcho(asked.echoId)
    this.#door.sendPacket(peer.id, asked.packet)
    return true
  }

  forgetPing(answer: (pong: DiscoPong) => void): void {
    for (const [id, waiting] of this.#discoPings) if (waiting === answer) this.#discoPings.delete(id)
  }
}

function usesCapabilities(netmap: Netmap): boolean {
  return netmap.filterRules.some((rule) => rule.SrcIPs?.some((source) => source.startsWith('cap:')) === true)
}

function sameBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i])
}
