/**
 * Keeps the WireGuard device, the data path and the path machine in step with the netmap's peers, in proportion to what
 * changed. Not what happens to their packets (`mesh-session.ts`).
 */
import type { Node } from '../../../src-contract/control/map.ts'
import { idText, type Ms, type PrefixText } from '../../../src-contract/ids.ts'
import type { DataPath } from '../../../src-native/door.ts'
import type { Netmap, NetmapDelta } from '../../../src-protocol/machines/netmap.ts'
import type { WireGuardDevice } from '../../../src-protocol/machines/wireguard/device.ts'
import type { WireGuardEffect } from '../../../src-protocol/machines/wireguard/effects.ts'
import { discoKeyText, isZeroKey, parseDiscoKey, parseNodeKey } from '../../../src-protocol/wire/keys.ts'
import { homeRegion, nodeAddresses } from '../node-text.ts'
import { type AcceptWish, acceptedPrefixes, sameAcceptance } from '../routing/accepted-prefixes.ts'
import { PrefixOwners } from '../routing/prefix-owners.ts'
import { plainWish } from '../routing/wish.ts'
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
  readonly #owners = new PrefixOwners()
  #wish: AcceptWish = plainWish

  constructor(parts: PeerSyncParts) {
    this.#parts = parts
    this.#peers = parts.peers
  }

  /** What peers own: what is routed into the tunnel. */
  get prefixes(): PrefixText[] {
    return this.#owners.all
  }

  /** Without a delta, everything is compared. */
  apply(netmap: Netmap, wish: AcceptWish, delta: NetmapDelta | undefined): void {
    this.#owners.setSelf(nodeAddresses(netmap.self))
    const isEverybody = delta === undefined || !sameAcceptance(wish, this.#wish)
    this.#wish = wish
    const gone = new Set(delta === undefined ? this.#vanished(netmap) : delta.peersRemoved)
    const named = isEverybody
      ? netmap.peers.keys()
      : [...delta.peersAdded, ...delta.peersChanged, ...delta.peersPatched]
    const claims = new Map<string, PrefixText[]>()
    const fresh = new Set<MeshPeer>()
    for (const id of named) {
      const node = netmap.peers.get(id)
      if (node === undefined) continue
      const peer = this.#set(node, fresh)
      if (peer === undefined) gone.add(id)
      else claims.set(id, acceptedPrefixes(node, wish))
    }
    for (const id of gone) this.#remove(id)
    const regranted = this.#owners.update(claims, gone)
    for (const id of regranted) {
      const peer = this.#peers.byNode(id)
      if (peer !== undefined) fresh.add(peer)
    }
    this.#grant(fresh)
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

  /** Undefined: it cannot be talked to. Adds it to `fresh` if the data path must hear of it. */
  #set(node: Node, fresh: Set<MeshPeer>): MeshPeer | undefined {
    const { device, door } = this.#parts
    const key = parseNodeKey(node.Key)
    if (!key.ok || node.Expired === true || isZeroKey(node.Key)) return undefined
    const before = this.#peers.byNode(idText(node.ID))
    if (before !== undefined && before.keyText !== node.Key) this.#remove(before.nodeId)
    const known = this.#peers.byNode(idText(node.ID))
    if (known?.node === node) return known
    const peer = known ?? this.#peers.add(node, key.value, homeRegion(node))
    if (known === undefined) {
      device.addPeer(peer.id, key.value)
      door.setDestination(peer.id, { relay: true })
    } else if (known.node.DiscoKey !== node.DiscoKey) this.#noteRestart(known, node)
    peer.node = node
    fresh.add(peer)
    return peer
  }

  /** Who lost something goes first: at no moment do two peers have the same prefix. */
  #grant(peers: ReadonlySet<MeshPeer>): void {
    const changes = [...peers].map((peer) => ({ peer, granted: this.#owners.granted(peer.nodeId) }))
    const loses = ({ peer, granted }: (typeof changes)[number]): boolean =>
      peer.allowedIps.some((prefix) => !granted.includes(prefix))
    for (const { peer, granted } of [...changes.filter(loses), ...changes.filter((change) => !loses(change))]) {
      const { node } = peer
      peer.allowedIps = granted
      const masquerade = {
        v4: node.SelfNodeV4MasqAddrForThisPeer || undefined,
        v6: node.SelfNodeV6MasqAddrForThisPeer || undefined,
      }
      this.#parts.door.setPeer({ peer: peer.id, allowedIps: granted, jailed: node.IsJailed === true, masquerade })
      this.setPath(peer)
    }
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
    this.#peers.remove(peer)
  }
}
