/** What happens because time passes: logins end, ephemeral nodes go. */
import { isExpired, type NodeRecord } from '../registry/model.ts'
import type { Registry } from '../registry/registry.ts'
import type { Hub } from './hub.ts'

export interface HousekeepingOptions {
  readonly registry: Registry
  readonly hub: Hub
  readonly ephemeralMs: number
  readonly now: () => number
  readonly onDelete: (node: NodeRecord) => void
  readonly onFailure: (error: unknown) => void
}

const EVERY_MS = 1000

export class Housekeeping {
  readonly #o: HousekeepingOptions
  readonly #timer: NodeJS.Timeout
  #last: number

  constructor(options: HousekeepingOptions) {
    this.#o = options
    this.#last = options.now()
    this.#timer = setInterval(() => this.sweep(), EVERY_MS)
  }

  sweep(): void {
    const { registry, hub, ephemeralMs } = this.#o
    const now = this.#o.now()
    for (const node of [...registry.nodes.values()]) {
      if (isExpired(node, now) && !isExpired(node, this.#last)) hub.handleExpired(node)
      if (!node.ephemeral || hub.isOnline(node.id) || now - (node.lastSeen ?? node.createdAt) < ephemeralMs) continue
      this.#o.onDelete(node)
      registry.deleteNode(node.id).catch(this.#o.onFailure)
    }
    this.#last = now
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
