/**
 * Which of several routers of one subnet has it. The one that has it keeps it while it is online; else the one that has been
 * in the network longest. When none is online nothing moves: that somebody is there but away is worth knowing.
 * [docs/rules/server.md SRV-R3]
 */
import type { PrefixText } from '../../src-contract/ids.ts'

type NodeId = number

export interface Router {
  readonly id: NodeId
  readonly routes: readonly PrefixText[]
  readonly isOnline: boolean
}

export class Primaries {
  readonly #routers = new Map<PrefixText, Map<NodeId, boolean>>()
  readonly #primary = new Map<PrefixText, NodeId>()
  readonly #routes = new Map<NodeId, ReadonlySet<PrefixText>>()

  /** All at once, as after a restart: who had a route goes on having it. */
  start(routers: readonly Router[], had: ReadonlyMap<PrefixText, NodeId>): void {
    for (const router of routers) this.#learn(router)
    for (const [route, id] of had) if (this.#routers.get(route)?.has(id)) this.#primary.set(route, id)
    for (const route of this.#routers.keys()) this.#elect(route, new Set())
  }

  /** Answers the nodes whose {@link of} is another now. */
  update(router: Router): Set<NodeId> {
    const changed = new Set<NodeId>()
    for (const route of this.#learn(router)) this.#elect(route, changed)
    return changed
  }

  /** The subnets that this node has. */
  of(id: NodeId): PrefixText[] {
    return [...(this.#routes.get(id) ?? [])].filter((route) => this.#primary.get(route) === id).sort()
  }

  /** Nodes that share a subnet with another one: somebody could take over. */
  shared(): Set<NodeId> {
    const ids = new Set<NodeId>()
    for (const routers of this.#routers.values()) if (routers.size > 1) for (const id of routers.keys()) ids.add(id)
    return ids
  }

  /** Answers the routes that somebody may have to take over. */
  #learn({ id, routes, isOnline }: Router): Set<PrefixText> {
    const before = this.#routes.get(id) ?? new Set()
    const after = new Set(routes)
    for (const route of before) if (!after.has(route)) this.#routersOf(route).delete(id)
    for (const route of after) this.#routersOf(route).set(id, isOnline)
    if (after.size === 0) this.#routes.delete(id)
    else this.#routes.set(id, after)
    return new Set([...before, ...after])
  }

  #elect(route: PrefixText, changed: Set<NodeId>): void {
    const routers = this.#routersOf(route)
    const present = this.#primary.get(route)
    if (present !== undefined && routers.get(present) === true) return
    const ids = [...routers.keys()].sort((a, b) => a - b)
    const next =
      ids.find((id) => routers.get(id) === true) ?? (present !== undefined && routers.has(present) ? present : ids[0])
    if (next === undefined) this.#routers.delete(route)
    if (next === present) return
    if (present !== undefined) changed.add(present)
    if (next === undefined) {
      this.#primary.delete(route)
    } else {
      this.#primary.set(route, next)
      changed.add(next)
    }
  }

  #routersOf(route: PrefixText): Map<NodeId, boolean> {
    const routers = this.#routers.get(route) ?? new Map<NodeId, boolean>()
    this.#routers.set(route, routers)
    return routers
  }
}
