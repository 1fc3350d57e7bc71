/**
 * The routes of the network as they are now: who may have what, and who has it. Follows the registry and who is online;
 * whoever asks for a change of view gets the nodes that look different now.
 */
import type { PrefixText } from '../../src-contract/ids.ts'
import type { Config } from '../config/schema.ts'
import type { NodeRecord } from '../registry/model.ts'
import { type Approver, type AutoApproval, approvedRoutes, isExitRoute } from './offers.ts'
import { Primaries } from './primaries.ts'

export interface NodeRoutes {
  /** Both families or one; every exit node has them. */
  readonly exit: readonly PrefixText[]
  readonly primary: readonly PrefixText[]
}

const NO_ROUTES: NodeRoutes = { exit: [], primary: [] }

export function autoApproval({ routes, exit_node }: Config['auto_approve']): AutoApproval {
  return { routes: new Map(Object.entries(routes)), exitNode: exit_node }
}

export class Routing {
  readonly #approver: Approver
  readonly #primaries = new Primaries()
  readonly #exits = new Map<number, readonly PrefixText[]>()

  constructor(approver: Approver) {
    this.#approver = approver
  }

  of(id: number): NodeRoutes {
    const exit = this.#exits.get(id) ?? []
    const primary = this.#primaries.of(id)
    return exit.length + primary.length === 0 ? NO_ROUTES : { exit, primary }
  }

  /** The node is new, offers or may have something else, came or went. Answers the ids of all who look different now. */
  follow(node: NodeRecord, isOnline: boolean): Set<number> {
    const approved = approvedRoutes(node, this.#approver)
    return this.#set(node.id, approved, isOnline)
  }

  forget(id: number): Set<number> {
    const changed = this.#set(id, [], false)
    changed.delete(id)
    return changed
  }

  #set(id: number, approved: readonly PrefixText[], isOnline: boolean): Set<number> {
    const exit = approved.filter(isExitRoute)
    const subnets = approved.filter((route) => !isExitRoute(route))
    const changed = this.#primaries.update(id, subnets, isOnline)
    if (exit.join() !== (this.#exits.get(id) ?? []).join()) changed.add(id)
    if (exit.length === 0) this.#exits.delete(id)
    else this.#exits.set(id, exit)
    return changed
  }
}
