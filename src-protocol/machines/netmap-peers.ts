/**
 * The peer table across messages, and how expired and unsigned peers are presented.
 * [control.md §4.3 peer delta order, §4.5, §4.6; CTL-4.6, 4.10-4.12]
 */
import type { MapResponse, Node, PeerChange } from '../../src-contract/control/map.ts'
import { idText, type NodeKeyText } from '../../src-contract/ids.ts'
import { toHex } from '../wire/bytes.ts'
import { parseTime } from './wire-time.ts'

export interface Peers {
  readonly peers: ReadonlyMap<string, Node>
  readonly originals: ReadonlyMap<string, Node>
}

/** A peer is in at most one of the lists. */
export interface PeerFold extends Peers {
  readonly added: readonly string[]
  readonly changed: readonly string[]
  readonly removed: readonly string[]
  readonly patched: readonly string[]
  readonly patches: readonly PeerChange[]
}

export interface PeerClock {
  readonly wallMs: number
  readonly clockSkewMs: number
}

export function foldPeers(known: Peers, message: MapResponse, clock: PeerClock): PeerFold {
  const table = new PeerTable(known, clock)
  if (message.Peers && message.Peers.length > 0) {
    const kept = new Set(message.Peers.map((node) => idText(node.ID)))
    for (const id of known.peers.keys()) if (!kept.has(id)) table.remove(id)
    for (const node of message.Peers) table.put(node)
    return table.finish()
  }
  for (const id of message.PeersRemoved ?? []) table.remove(idText(id))
  for (const node of message.PeersChanged ?? []) table.put(node)
  for (const [id, isSeen] of Object.entries(message.PeerSeenChange ?? {})) {
    table.patch(id, isSeen ? { LastSeen: new Date(clock.wallMs).toISOString() } : { LastSeen: undefined })
  }
  for (const [id, Online] of Object.entries(message.OnlineChange ?? {})) table.patch(id, { Online })
  for (const change of message.PeersChangedPatch ?? []) table.applyPatch(change)
  return table.finish()
}

/** Looks at every peer's expiry again; undefined when all stand as they stood. */
export function presentPeers(known: Peers, clock: PeerClock): PeerFold | undefined {
  const table = new PeerTable(known, clock)
  const nowMs = clock.wallMs + clock.clockSkewMs
  for (const [id, node] of known.peers) {
    const expiryMs = parseTime(node.KeyExpiry)
    if (expiryMs !== undefined && expiryMs <= nowMs && node.Expired !== true) table.put(known.originals.get(id) ?? node)
  }
  const fold = table.finish()
  return fold.changed.length > 0 ? fold : undefined
}

type NodePatch = { readonly [K in keyof Node]?: Node[K] | undefined }

/** Copies the maps on the first write only. */
class PeerTable {
  readonly #known: Peers
  readonly #clock: PeerClock
  #peers: Map<string, Node> | undefined
  #originals: Map<string, Node> | undefined
  readonly #touched = new Map<string, 'added' | 'changed' | 'removed' | 'patched'>()
  readonly #patches = new Map<string, PeerChange>()

  constructor(known: Peers, clock: PeerClock) {
    this.#known = known
    this.#clock = clock
  }

  put(node: Node): void {
    const id = idText(node.ID)
    this.#touched.set(id, this.#known.peers.has(id) ? 'changed' : 'added')
    this.#show(id, node)
  }

  remove(id: string): void {
    if (!this.#current(id)) return
    this.#writablePeers().delete(id)
    if (this.#originalOf(id)) this.#writableOriginals().delete(id)
    if (this.#known.peers.has(id)) this.#touched.set(id, 'removed')
    else this.#touched.delete(id)
  }

  patch(id: string, members: NodePatch): void {
    const shown = this.#current(id)
    if (shown === undefined) return
    const node: Node = { ...(this.#originalOf(id) ?? shown) }
    for (const [name, value] of Object.entries(members)) {
      if (value === undefined) delete node[name]
      else node[name] = value
    }
    this.#show(id, node)
    const isWhole = this.#current(id)?.Expired !== shown.Expired
    if (!this.#touched.has(id) || isWhole) this.#touched.set(id, isWhole ? 'changed' : 'patched')
    this.#patches.set(id, { ...this.#patches.get(id), NodeID: node.ID, ...patchOf(members) })
  }

  applyPatch(change: PeerChange): void {
    const { NodeID, DERPRegion, ...members } = change
    this.patch(idText(NodeID), DERPRegion === undefined ? members : { ...members, HomeDERP: DERPRegion })
  }

  finish(): PeerFold {
    const of = (kind: string): string[] => {
      const ids: string[] = []
      for (const [id, touch] of this.#touched) if (touch === kind) ids.push(id)
      return ids
    }
    const patched = of('patched')
    return {
      peers: this.#peers ?? this.#known.peers,
      originals: this.#originals ?? this.#known.originals,
      added: of('added'),
      changed: of('changed'),
      removed: of('removed'),
      patched,
      patches: patched.map((id) => this.#patches.get(id)!),
    }
  }

  #current(id: string): Node | undefined {
    return (this.#peers ?? this.#known.peers).get(id)
  }
  #originalOf(id: string): Node | undefined {
    return (this.#originals ?? this.#known.originals).get(id)
  }
  #show(id: string, node: Node): void {
    const shown = present(node, this.#clock)
    this.#writablePeers().set(id, shown)
    if (shown !== node) this.#writableOriginals().set(id, node)
    else if (this.#originalOf(id)) this.#writableOriginals().delete(id)
  }
  #writablePeers(): Map<string, Node> {
    this.#peers ??= new Map(this.#known.peers)
    return this.#peers
  }
  #writableOriginals(): Map<string, Node> {
    this.#originals ??= new Map(this.#known.originals)
    return this.#originals
  }
}

/** The wire's form of a change that came by another member. */
function patchOf(members: NodePatch): Omit<PeerChange, 'NodeID'> {
  const { HomeDERP, ...rest } = members
  const change = HomeDERP === undefined ? rest : { ...rest, DERPRegion: HomeDERP }
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
}

function present(node: Node, clock: PeerClock): Node {
  const expiryMs = parseTime(node.KeyExpiry)
  const isExpired = node.Expired === true || (expiryMs !== undefined && expiryMs <= clock.wallMs + clock.clockSkewMs)
  const allowed = node.UnsignedPeerAPIOnly === true ? (node.Addresses ?? []) : node.AllowedIPs
  if (!isExpired) return allowed === node.AllowedIPs ? node : { ...node, AllowedIPs: allowed ?? [] }
  const { HomeDERP: _home, DERP: _derp, ...rest } = node
  return { ...rest, AllowedIPs: allowed ?? [], Expired: true, Endpoints: [], Key: withoutHolder(node.Key) }
}

/** "No tunnel can ever come up": the bytes that stock clients put over the start of an expired peer's key. */
const EXPIRED_KEY_START = toHex(Uint8Array.of(109, 167, 116, 213, 215, 116))

function withoutHolder(key: NodeKeyText): NodeKeyText {
  const start = 'nodekey:'.length
  return (key.slice(0, start) + EXPIRED_KEY_START + key.slice(start + EXPIRED_KEY_START.length)) as NodeKeyText
}
