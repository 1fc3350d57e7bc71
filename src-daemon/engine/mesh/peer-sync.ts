/**
 * Keeps the WireGuard device, the data path and the path machine in step with the netmap's peers, in proportion to what
 * changed. Not what happens to their packets (`mesh-session.ts`).
 */
import type { Node } from '../../../src-contract/control/map.ts'
import { type IpText, idText, type Ms } from '../../../src-contract/ids.ts'
import type { DataPath } from '../../../src-native/door.ts'
import type { Netmap, NetmapDelta } from '../../../src-protocol/machines/netmap.ts'
import type { WireGuardDevice } from '../../../src-protocol/machines/wireguard/device.ts'
import type { WireGuardEffect } from '../../../src-protocol/machines/wireguard/effects.ts'
import { discoKeyText, isZeroKey, parseDiscoKey, parseNodeKey } from '../../../src-protocol/wire/keys.ts'
import { homeRegion, hostPrefixText, nodeAddresses } from '../node-text.ts'
import { AddressOwners, claimedAddresses } from './allowed-addresses.ts'
import type { PathEffect, PathMachine } from './needs.ts'
import type { MeshPeer, PeerTable } from './peer-table.ts'

export interface PeerSyncParts {
  readonly peers: PeerTable
  readonly device: WireGuardDevice
  readonly door: DataPath
  readonly paths: PathMachine
  readonly now: () => Ms
  readonly perform: (effects: readonly WireGuardEffect[]) => void
  readonly performPaths: (effects: readonly PathEffect[]) => void
}

export class PeerSync {
  readonly #parts: PeerSyncParts
  readonly #peers: PeerTable
  readonly #owners = new AddressOwners()

  constructor(parts: PeerSyncParts) {
    this.#parts = parts
    this.#peers = parts.peers
  }

  /** Addresses that peers own: what is routed into the tunnel. */
  get addresses(): IpText[] {
    return this.#owners.all
  }

  /** Without a delta, everything is compared. */
  apply(netmap: Netmap, delta: NetmapDelta | undefined): void {
    this.#owners.setSelf(nodeAddresses(netmap.self))
    for (const id of delta === undefined ? this.#vanished(netmap) : delta.peersRemoved) this.#remove(id)
    const changed =
      delta === undefined ? netmap.peers.keys() : [...delta.peersAdded, ...delta.peersChanged, ...delta.peersPatched]
    for (const id of changed) {
      const node = netmap.peers.get(id)
      if (node !== undefined) this.#set(node)
    }
  }

  setPath(peer: MeshPeer): void {
    const { node } = peer
    const fromMap = isZeroKey(node.DiscoKey) ? undefined : parseDiscoKey(node.DiscoKey ?? '')
    const facts = {
      nodeKey: peer.key,
      discoKey: peer.discoKey ?? (fromMap?.ok ? fromMap.value : undefined),
      endpoints: node.Endpoints ?? [],
      derpRegion: homeRegion(node),
      wireGuardOnly: node.IsWireGuardOnly === true,
    }
    this.#parts.performPaths(this.#parts.paths.setPeer(peer.id, facts, this.#parts.now()))
  }

  #vanished(netmap: Netmap): string[] {
    return [...this.#peers.all()].filter((peer) => !netmap.peers.has(peer.nodeId)).map((peer) => peer.nodeId)
  }

  #set(node: Node): void {
    const { device, door } = this.#parts
    const key = parseNodeKey(node.Key)
    const before = this.#peers.byNode(idText(node.ID))
    if (!key.ok || node.Expired === true || isZeroKey(node.Key)) {
      if (before !== undefined) this.#remove(before.nodeId)
      return
    }
    if (before !== undefined && before.keyText !== node.Key) this.#remove(before.nodeId)
    const known = this.#peers.byNode(idText(node.ID))
    if (known?.node === node) return
    const peer = known ?? this.#peers.add(node, key.value, homeRegion(node))
    if (known === undefined) {
      device.addPeer(peer.id, key.value)
      door.setDestination(peer.id, { relay: true })
    } else if (known.node.DiscoKey !== node.DiscoKey) this.#noteRestart(known, node)
    peer.node = node
    peer.allowedIps = this.#owners.claim(peer.nodeId, claimedAddresses(node)).map(hostPrefixText)
    const masquerade = {
      v4: node.SelfNodeV4MasqAddrForThisPeer || undefined,
      v6: node.SelfNodeV6MasqAddrForThisPeer || undefined,
    }
    door.setPeer({ peer: peer.id, allowedIps: peer.allowedIps, jailed: node.IsJailed === true, masquerade })
    this.setPath(peer)
  }

  /**
   * A new disco key means a new process over there, which has none of our session keys: forget ours, so that the next
   * packet shakes hands at once instead of after fifteen seconds of silence. Unless it told us inside the tunnel: then
   * the session is the new process's already.
   */
  #noteRestart(peer: MeshPeer, node: Node): void {
    const learnt = peer.discoKey
    peer.discoKey = undefined
    if (isZeroKey(peer.node.DiscoKey) || isZeroKey(node.DiscoKey)) return
    if (learnt !== undefined && discoKeyText(learnt) === node.DiscoKey) return
    const { device, perform, now } = this.#parts
    perform(device.removePeer(peer.id, now()))
    device.addPeer(peer.id, peer.key)
  }

  #remove(nodeId: string): void {
    const peer = this.#peers.byNode(nodeId)
    if (peer === undefined) return
    const { device, door, paths, perform, performPaths, now } = this.#parts
    perform(device.removePeer(peer.id, now()))
    performPaths(paths.removePeer(peer.id, now()))
    door.removePeer(peer.id)
    this.#owners.release(nodeId)
    this.#peers.remove(peer)
  }
}
