/** Which peer an address belongs to. Two peers may claim one prefix while a change is under way: the latest wins. */
import type { PeerEntry } from './peer-entry.ts'
import { type ParsedPrefix, PrefixMap } from './prefix-map.ts'

export class Routes {
  readonly #map = new PrefixMap<PeerEntry[]>()

  /** Longest match. */
  lookup(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): PeerEntry | undefined {
    return this.#map.lookup(family, w0, w1, w2, w3)?.[0]
  }

  replace(peer: PeerEntry, allowed: readonly ParsedPrefix[]): void {
    for (const prefix of peer.allowed) this.#release(prefix, peer)
    for (const prefix of allowed) this.#claim(prefix, peer)
    peer.allowed = allowed
  }

  #claim(prefix: ParsedPrefix, peer: PeerEntry): void {
    const owners = this.#map.get(prefix)
    if (owners === undefined) this.#map.set(prefix, [peer])
    else if (owners[0] !== peer) this.#map.set(prefix, [peer, ...owners.filter((owner) => owner !== peer)])
  }

  #release(prefix: ParsedPrefix, peer: PeerEntry): void {
    const rest = this.#map.get(prefix)?.filter((owner) => owner !== peer)
    if (rest === undefined) return
    if (rest.length > 0) this.#map.set(prefix, rest)
    else this.#map.delete(prefix)
  }
}
