/**
 * Map messages as JSON text: the full map that opens a stream and the deltas after it. Each peer's text is kept until the
 * peer changes, so a storm of reconnecting clients costs joining strings, not building objects.   [control.md §4.3, §7.1]
 */
import type { DerpMap, DnsConfig, MapResponse, PeerChange, UserProfile } from '../../src-contract/control/map.ts'
import { isExpired, type NodeRecord, TAGGED_DEVICES } from '../registry/model.ts'
import type { Registry } from '../registry/registry.ts'
import { type MapContext, outcastNode, peerNode, profileOf, selfNode, timeText } from './node.ts'

/** What happened since the last message, by node id. */
export interface Batch {
  readonly whole: ReadonlySet<number>
  readonly patches: ReadonlyMap<number, PeerChange>
  readonly removed: ReadonlySet<number>
  /** Parts of the map that are the same for all and are new. */
  readonly shared: ReadonlySet<keyof SharedParts>
  /** One moment for all viewers, so that equal views are equal texts. */
  readonly at: number
}

/** What every viewer gets alike. */
export interface SharedParts {
  readonly DERPMap: DerpMap
  readonly DNSConfig: DnsConfig
}

export interface MapsOptions {
  readonly registry: Registry
  readonly context: MapContext
  readonly shared: SharedParts
  readonly domain: string
}

interface Kept {
  readonly node: NodeRecord
  readonly isOnline: boolean
  readonly isExpired: boolean
  readonly text: string
}

export class Maps {
  readonly #o: MapsOptions
  readonly #kept = new Map<number, Kept>()
  #shared: SharedParts

  constructor(options: MapsOptions) {
    this.#o = options
    this.#shared = options.shared
  }

  /** Answers what is new of it. */
  setShared(shared: SharedParts): Set<keyof SharedParts> {
    const before = this.#shared
    this.#shared = shared
    const names = ['DERPMap', 'DNSConfig'] as const
    return new Set(names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(shared[name])))
  }

  /** The first message of a stream: everything this viewer may know. */
  fullText(viewer: NodeRecord): string {
    const { registry, context, domain } = this.#o
    const peers = [...registry.nodes.values()].filter(
      (node) => node.id !== viewer.id && context.policy.canSee(viewer, node),
    )
    const rest: MapResponse = {
      Node: selfNode(viewer, context),
      ...this.#shared,
      Domain: domain,
      CollectServices: false,
      PacketFilters: { base: context.policy.packetFilter(viewer) },
      SSHPolicy: { rules: context.policy.sshRules(viewer) },
      UserProfiles: this.#profiles([viewer, ...peers]),
      Debug: { DisableLogTail: true },
      ControlTime: timeText(context.now()),
    }
    return withNodes(
      rest,
      'Peers',
      peers.map((peer) => this.#peerText(peer)),
    )
  }

  /** For a node that expired or was deleted: itself, past its time, and nobody else. */
  outcastText(viewer: NodeRecord, sinceMs: number): string {
    const { context, domain } = this.#o
    const message: MapResponse = {
      Node: outcastNode(viewer, context, sinceMs),
      DERPMap: this.#shared.DERPMap,
      Domain: domain,
      PacketFilters: { base: [] },
      UserProfiles: this.#profiles([viewer]),
      ControlTime: timeText(context.now()),
    }
    return JSON.stringify(message)
  }

  /** What viewers who are not part of the batch themselves get; equal texts for equal views. Undefined: nothing. */
  deltaText(viewer: NodeRecord, batch: Batch): string | undefined {
    const { registry, context } = this.#o
    const removed = [...batch.removed].filter((id) => id !== viewer.id)
    const whole: NodeRecord[] = []
    for (const id of batch.whole) {
      const node = registry.nodes.get(id)
      if (node === undefined || id === viewer.id) continue
      // whoever went out of sight is removed; for a viewer who never saw it this says nothing
      if (context.policy.canSee(viewer, node)) whole.push(node)
      else removed.push(id)
    }
    const patches = [...batch.patches.values()].filter((patch) => {
      const node = registry.nodes.get(Number(patch.NodeID))
      return node !== undefined && node.id !== viewer.id && context.policy.canSee(viewer, node)
    })
    const self = batch.whole.has(viewer.id) ? selfNode(viewer, context) : undefined
    if (self === undefined && removed.length + whole.length + patches.length + batch.shared.size === 0) return undefined
    const rest: MapResponse = {
      ...(self === undefined ? {} : { Node: self }),
      ...Object.fromEntries([...batch.shared].map((name) => [name, this.#shared[name]])),
      ...(removed.length === 0 ? {} : { PeersRemoved: removed }),
      ...(patches.length === 0 ? {} : { PeersChangedPatch: patches }),
      ...(whole.length === 0 ? {} : { UserProfiles: this.#profiles(whole) }),
      ControlTime: timeText(batch.at),
    }
    return whole.length === 0
      ? JSON.stringify(rest)
      : withNodes(
          rest,
          'PeersChanged',
          whole.map((node) => this.#peerText(node)),
        )
  }

  forget(id: number): void {
    this.#kept.delete(id)
  }

  #peerText(node: NodeRecord): string {
    const { context } = this.#o
    const online = context.isOnline(node.id)
    const expired = isExpired(node, context.now())
    const kept = this.#kept.get(node.id)
    if (kept !== undefined && kept.node === node && kept.isOnline === online && kept.isExpired === expired)
      return kept.text
    const text = JSON.stringify(peerNode(node, context))
    this.#kept.set(node.id, { node, isOnline: online, isExpired: expired, text })
    return text
  }

  #profiles(nodes: readonly NodeRecord[]): UserProfile[] {
    const ids = new Set(nodes.map((node) => node.userId ?? TAGGED_DEVICES.id))
    return [...ids]
      .sort((a, b) => a - b)
      .flatMap((id) => {
        const user = id === TAGGED_DEVICES.id ? TAGGED_DEVICES : this.#o.registry.users.get(id)
        return user === undefined ? [] : profileOf(user)
      })
  }
}

function withNodes(rest: MapResponse, member: 'Peers' | 'PeersChanged', texts: readonly string[]): string {
  return `${JSON.stringify(rest).slice(0, -1)},"${member}":[${texts.join(',')}]}`
}
