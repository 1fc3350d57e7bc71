/**
 * Who owns which prefix. Of several peers that claim one, the first keeps it until it lets go; then the next has it.
 * Nobody gets an address of ours. Work in proportion to what changes. Pure.
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import { hostPrefixText } from '../node-text.ts'

type NodeIdText = string

export class PrefixOwners {
  readonly #claims = new Map<NodeIdText, ReadonlySet<PrefixText>>()
  readonly #owner = new Map<PrefixText, NodeIdText>()
  readonly #waiting = new Map<PrefixText, Set<NodeIdText>>()
  #self: ReadonlySet<PrefixText> = new Set()

  setSelf(addresses: readonly IpText[]): void {
    this.#self = new Set(addresses.map(hostPrefixText))
  }

  /** Answers whose {@link granted} may differ now: of those named and of others that wait no longer. */
  update(claims: ReadonlyMap<NodeIdText, readonly PrefixText[]>, gone: Iterable<NodeIdText> = []): Set<NodeIdText> {
    const changed = new Set<NodeIdText>()
    const free = new Set<PrefixText>()
    // What is let go comes first: a prefix that moves from one peer to another in one change must find its new owner.
    for (const id of gone) this.#shrink(id, new Set(), changed, free)
    for (const [id, wanted] of claims) this.#shrink(id, new Set(wanted), changed, free)
    for (const [id, wanted] of claims) this.#grow(id, wanted, changed)
    for (const prefix of free) this.#passOn(prefix, changed)
    return changed
  }

  /** What of its claim the peer has. */
  granted(id: NodeIdText): PrefixText[] {
    return [...(this.#claims.get(id) ?? [])].filter(
      (prefix) => this.#owner.get(prefix) === id && !this.#self.has(prefix),
    )
  }

  get all(): PrefixText[] {
    return [...this.#owner.keys()].filter((prefix) => !this.#self.has(prefix))
  }

  #shrink(id: NodeIdText, wanted: ReadonlySet<PrefixText>, changed: Set<NodeIdText>, free: Set<PrefixText>): void {
    for (const prefix of this.#claims.get(id) ?? []) {
      if (wanted.has(prefix)) continue
      if (this.#owner.get(prefix) === id) {
        this.#owner.delete(prefix)
        free.add(prefix)
        changed.add(id)
      } else this.#stopWaiting(prefix, id)
    }
    if (wanted.size === 0) this.#claims.delete(id)
  }

  #grow(id: NodeIdText, wanted: readonly PrefixText[], changed: Set<NodeIdText>): void {
    for (const prefix of wanted) {
      const owner = this.#owner.get(prefix)
      if (owner === id) continue
      if (owner === undefined) {
        this.#owner.set(prefix, id)
        this.#stopWaiting(prefix, id)
        changed.add(id)
      } else this.#waitingFor(prefix).add(id)
    }
    if (wanted.length > 0) this.#claims.set(id, new Set(wanted))
  }

  #passOn(prefix: PrefixText, changed: Set<NodeIdText>): void {
    if (this.#owner.has(prefix)) return
    const [next] = this.#waiting.get(prefix) ?? []
    if (next === undefined) return
    this.#stopWaiting(prefix, next)
    this.#owner.set(prefix, next)
    changed.add(next)
  }

  #waitingFor(prefix: PrefixText): Set<NodeIdText> {
    const ids = this.#waiting.get(prefix) ?? new Set()
    this.#waiting.set(prefix, ids)
    return ids
  }

  #stopWaiting(prefix: PrefixText, id: NodeIdText): void {
    const ids = this.#waiting.get(prefix)
    if (ids?.delete(id) === true && ids.size === 0) this.#waiting.delete(prefix)
  }
}
