/** Which peer a prefix belongs to: one at most, the latest that asked for it.                          [docs/rules/uapi.md] */
import type { PrefixText } from '../../../src-contract/ids.ts'
import type { PeerId } from '../../../src-native/door.ts'

const none: ReadonlySet<PrefixText> = new Set()

export class AllowedIps {
  readonly #ownerOf = new Map<PrefixText, PeerId>()
  readonly #prefixesOf = new Map<PeerId, Set<PrefixText>>()

  of(peer: PeerId): ReadonlySet<PrefixText> {
    return this.#prefixesOf.get(peer) ?? none
  }

  /** Answers the peer that lost it. */
  add(peer: PeerId, prefix: PrefixText): PeerId | undefined {
    const owner = this.#ownerOf.get(prefix)
    if (owner === peer) return undefined
    if (owner !== undefined) this.#prefixesOf.get(owner)?.delete(prefix)
    this.#ownerOf.set(prefix, peer)
    let own = this.#prefixesOf.get(peer)
    if (own === undefined) {
      own = new Set()
      this.#prefixesOf.set(peer, own)
    }
    own.add(prefix)
    return owner
  }

  /** Nothing happens when it is another's. */
  remove(peer: PeerId, prefix: PrefixText): void {
    if (this.#ownerOf.get(prefix) !== peer) return
    this.#ownerOf.delete(prefix)
    this.#prefixesOf.get(peer)?.delete(prefix)
  }

  clear(peer: PeerId): void {
    for (const prefix of this.of(peer)) this.#ownerOf.delete(prefix)
    this.#prefixesOf.delete(peer)
  }
}
