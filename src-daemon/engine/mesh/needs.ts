/**
 * What the mesh needs from its parts, as it calls them; `src-protocol/machines/paths`, `engine/netcheck.ts` and
 * `engine/relays.ts` provide it. Named here so that each can be tested, and replaced, alone.
 */
import type { DerpMap } from '../../../src-contract/control/map.ts'
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import type { NetcheckReport } from '../../../src-contract/localapi/netcheck.ts'
import type { PathReport } from '../../../src-contract/localapi/pintail.ts'
import type { PathEffect, PathPeer, PeerId } from '../../../src-protocol/machines/paths/effects.ts'

export type { PathEffect, PathPeer }

export interface PathMachine {
  setHome(region: number): void
  setPeer(peer: PeerId, facts: PathPeer, now: Ms): PathEffect[]
  removePeer(peer: PeerId, now: Ms): PathEffect[]
  handleDatagram(
    bytes: Uint8Array,
    from: IpPort | { readonly relayRegion: number; readonly nodeKey: Uint8Array },
    now: Ms,
  ): PathEffect[]
  handleExternalSend(peer: PeerId, now: Ms): PathEffect[]
  handleReceived(peer: PeerId, from: IpPort | 'relay', relayRegion: number | undefined, now: Ms): PathEffect[]
  handleRelayGone(region: number, nodeKey: Uint8Array | undefined, now: Ms): PathEffect[]
  handleSendFailed(to: IpPort, code: string, now: Ms): PathEffect[]
  handleOwnEndpoints(endpoints: readonly IpPort[], now: Ms): PathEffect[]
  handleNetworkChange(now: Ms): PathEffect[]
  ping(peer: PeerId, options: { size?: number }, now: Ms): { readonly id: number; readonly effects: PathEffect[] }
  wake(now: Ms): PathEffect[]
  nextWake(): Ms | undefined
  report(peer: PeerId, now: Ms): PathReport
}

export interface RelayLinks {
  setMap(derpMap: DerpMap): void
  setHome(region: number): void
  /** Opens the connection when there is none. */
  send(region: number, nodeKey: Uint8Array, bytes: Uint8Array): void
  /** Dead connections are found and replaced now. */
  networkChanged(): void
  readonly liveCount: number
  close(): void
}

export interface RelayEvents {
  onPacket(region: number, nodeKey: Uint8Array, bytes: Uint8Array): void
  onPeerGone(region: number, nodeKey: Uint8Array): void
  onState(region: number, state: 'connected' | 'closed'): void
}

export type OpenRelays = (nodePrivate: Uint8Array, events: RelayEvents) => RelayLinks

export interface NetcheckShell {
  /** `full`: every region, because what was known is no guide, or because a person wants to see all. */
  run(derpMap: DerpMap, signal: AbortSignal, wanted?: { readonly full: boolean }): Promise<NetcheckReport>
  /** A STUN answer that arrived at the data path's sockets. */
  handleStun(from: IpPort, bytes: Uint8Array): void
}

export type OpenNetcheck = (sendStun: (to: IpPort, bytes: Uint8Array) => void) => NetcheckShell
