/** Which peer has an address, by the longest of the prefixes that the data path gave to peers. Pure. */
import type { Node } from '../../../src-contract/control/map.ts'
import type { PrefixText } from '../../../src-contract/ids.ts'
import { type Prefix, parsePrefix, prefixContains, prefixText } from '../../../src-protocol/wire/ip.ts'
import type { PeerPrefixes } from './facts.ts'

export interface Owner {
  readonly node: Node
  readonly prefix: Prefix
  readonly text: PrefixText
}

export class Owners {
  readonly #byText = new Map<PrefixText, Owner>()
  /** Longest first. */
  readonly #lengths: readonly number[]

  constructor(peers: readonly PeerPrefixes[]) {
    for (const { node, prefixes } of peers) {
      for (const text of prefixes) {
        const prefix = parsePrefix(text)
        if (prefix.ok) this.#byText.set(prefixText(prefix.value), { node, prefix: prefix.value, text })
      }
    }
    this.#lengths = [...new Set([...this.#byText.values()].map(({ prefix }) => prefix.bits))].sort((a, b) => b - a)
  }

  /** Longest first. */
  covering(ip: Uint8Array): Owner[] {
    return this.#lengths.flatMap((bits) =>
      bits > ip.length * 8 ? [] : (this.#byText.get(prefixText({ ip, bits })) ?? []),
    )
  }

  of(text: PrefixText): Owner | undefined {
    return this.#byText.get(text)
  }

  *networks(inside: Prefix): Generator<Prefix> {
    for (const { prefix } of this.#byText.values()) if (prefixContains(inside, prefix.ip)) yield prefix
  }
}
