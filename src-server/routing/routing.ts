/**
 * The routes of the network as they are now: who may have what, and who has it. Follows the registry and who is online;
 * whoever asks for a change of view gets the nodes that look different now.
 */
import type { PrefixText } from '../../src-contract/ids.ts'
import type { NodeRecord } from '../registry/model.ts'
import { type Approver, approvedRoutes, isExitRoute } from './offers.ts'
import { Primaries } from './primaries.ts'

export interface NodeRoutes {
  /** Offered and approved, whoever has them. */
  readonly approved: readonly PrefixText[]
  /** Both families or one; every exit node has them. */
  readonly exit: readonly PrefixText[]
  readonly primary: readonly PrefixText[]
}

const NO_ROUTES: NodeRoutes = { approved: [], exit: [], primary: [] }
const NOBODY: ReadonlySet<number> = new Set()

/** What a node's approved routes were computed from, and whether it can serve them. */
interface Followed {
  readonly node: NodeRecord
  readonly isServing: boolean
  readonly approved: readonly PrefixText[]
}

export class Routing {
  #approver: Approver
  readonly #primaries = new Primaries()
  readonly #followed = new Map<number, Followed>()

  constructor(approver: Approver) {
    this.#approver = approver
  }

  of(id: number): NodeRoutes {
    const approved = this.#followed.get(id)?.approved ?? []
    if (approved.length === 0) return NO_ROUTES
    return { approved, exit: approved.filter(isExitRoute), primary: this.#primaries.of(id) }
  }

  /** After a restart: who had a subnet goes on having it while it may come back. */
  start(nodes: Iterable<NodeRecord>, isServing: (node: NodeRecord) => boolean): void {
    const had = new Map<PrefixText, number>()
    for (const node of nodes) {
      this.#followed.set(node.id, { node, isServing: isServing(node), approved: approvedRoutes(node, this.#approver) })
      for (const route of node.primaryRoutes) had.set(route, node.id)
    }
    this.#primaries.start([...this.#followed.values()].map(routerOf), had)
  }

  /** The node is new, offers or may have something else, came or went. Answers the ids of all who look different now. */
  follow(node: NodeRecord, isServing: boolean): ReadonlySet<number> {
    const before = this.#followed.get(node.id)
    const isSame = before !== undefined && hasSameRoutes(before.node, node)
    const approved = isSame ? before.approved : approvedRoutes(node, this.#approver)
    this.#followed.set(node.id, { node, isServing, approved })
    return isSame && before.isServing === isServing ? NOBODY : this.#update(node.id, before?.approved ?? [])
  }

  forget(id: number): ReadonlySet<number> {
    const before = this.#followed.get(id)
    if (before === undefined) return NOBODY
    const changed = this.#primaries.update({ id, routes: [], isOnline: false })
    this.#followed.delete(id)
    changed.delete(id)
    return changed
  }

  /** Others are approved by the configuration from now on. */
  setApprover(approver: Approver): ReadonlySet<number> {
    this.#approver = approver
    const changed = new Set<number>()
    for (const before of [...this.#followed.values()]) {
      const { id } = before.node
      this.#followed.set(id, { ...before, approved: approvedRoutes(before.node, approver) })
      for (const other of this.#update(id, before.approved)) changed.add(other)
    }
    return changed
  }

  /** Nodes that share a subnet with another one: worth asking often whether they are still there. */
  shared(): ReadonlySet<number> {
    return this.#primaries.shared()
  }

  #update(id: number, before: readonly PrefixText[]): ReadonlySet<number> {
    const now = this.#followed.get(id)!
    const changed = this.#primaries.update(routerOf(now))
    if (now.approved.filter(isExitRoute).join() !== before.filter(isExitRoute).join()) changed.add(id)
    return changed
  }
}

function routerOf({ node, isServing, approved }: Followed) {
  return { id: node.id, routes: approved.filter((route) => !isExitRoute(route)), isOnline: isServing }
}

/** Most changes of a node are of addresses and relays. */
function hasSameRoutes(a: NodeRecord, b: NodeRecord): boolean {
  return (
    a.hostinfo === b.hostinfo &&
    a.approvedRoutes === b.approvedRoutes &&
    a.tags === b.tags &&
    a.userId === b.userId &&
    a.givenName === b.givenName &&
    a.isRenamed === b.isRenamed
  )
}
