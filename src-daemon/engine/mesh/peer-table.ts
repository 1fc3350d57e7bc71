/**
 * The mesh's peers: netmap node ⇄ the number that the data path and the machines know. A node with another key is
 * another peer and gets another number, so that nothing of the old one can be mistaken.
 */
import type { Node } from '../../../src-contract/control/map.ts'
import { type IpPort, idText, type Ms, type NodeKeyText, type PrefixText } from '../../../src-contract/ids.ts'
import type { PeerId } from '../../../src-native/door.ts'

export interface MeshPeer {
  readonly id: PeerId
  readonly nodeId: string
  readonly keyText: NodeKeyText
  readonly key: Uint8Array
  node: Node
  /** As the data path has them. */
  allowedIps: readonly PrefixText[]
  /** Learnt from the peer itself inside the tunnel; newer than the netmap's until that changes. */
  discoKey: Uint8Array | undefined
  /** Where its sealed datagrams go at present. */
  udp: IpPort | undefined
  usesRelay: boolean
  relayRegion: number
  /** Region the peer was last heard over. */
  heardRegion: number | undefined
  lastWriteMs: number
  /** A handshake message that found no way out, or the relay only: it goes (again) with the first address that appears. */
  unsent: { readonly bytes: Uint8Array; readonly at: Ms; readonly wasRelayed: boolean } | undefined
}

export class PeerTable {
  readonly #byId = new Map<PeerId, MeshPeer>()
  readonly #byNode = new Map<string, MeshPeer>()
  readonly #byKey = new Map<string, MeshPeer>()
  #nextId: PeerId = 1

  get size(): number {
    return this.#byId.size
  }

  add(node: Node, key: Uint8Array, home: number): MeshPeer {
    const peer: MeshPeer = {
      id: this.#nextId++,
      nodeId: idText(node.ID),
      keyText: node.Key,
      key,
      node,
      allowedIps: [],
      discoKey: undefined,
      udp: undefined,
      usesRelay: true,
      relayRegion: home,
      heardRegion: undefined,
      lastWriteMs: 0,
      unsent: undefined,
    }
    this.#byId.set(peer.id, peer)
    this.#byNode.set(peer.nodeId, peer)
    this.#byKey.set(keyOf(key), peer)
    return peer
  }

  remove(peer: MeshPeer): void {
    this.#byId.delete(peer.id)
    if (this.#byNode.get(peer.nodeId) === peer) this.#byNode.delete(peer.nodeId)
    const key = keyOf(peer.key)
    if (this.#byKey.get(key) === peer) this.#byKey.delete(key)
  }

  byId(id: PeerId): MeshPeer | undefined {
    return this.#byId.get(id)
  }

  byNode(nodeId: string): MeshPeer | undefined {
    return this.#byNode.get(nodeId)
  }

  byKey(key: Uint8Array): MeshPeer | undefined {
    return this.#byKey.get(keyOf(key))
  }

  all(): IterableIterator<MeshPeer> {
    return this.#byId.values()
  }
}

function keyOf(key: Uint8Array): string {
  return String.fromCharCode(...key)
}
