/** Which peer has an address, by the longest of the prefixes that the data path gave to peers. Pure. */
import type { Node } from '../../../src-contract/control/map.ts'
import type { PrefixText } from '../../../src-contract/ids.ts'
import { type Prefix, parsePrefix, prefixContains, prefixText } from '../../../src-protocol/wire/ip.ts'
import type { PeerPrefixes } from './facts.ts'

export interface Owner {
  readonly node: Node
  /** Canonical, as the data path has it. */
  readonly text: PrefixText
  readonly bits: number
}

export class Owners {
  readonly #byText = new Map<PrefixText, Owner>()
  /** Longest first. */
  readonly #lengths: readonly number[]

  constructor(peers: readonly PeerPrefixes[]) {
    const lengths = new Set<number>()
    for (const { node, prefixes } of peers) {
      for (const text of prefixes) {
        const bits = Number(text.slice(text.indexOf('/') + 1))
        lengths.add(bits)
        this.#byText.set(text, { node, text, bits })
      }
    }
    this.#lengths = [...lengths].sort((a, b) => b - a)
  }

  /** The longest. */
  find(ip: Uint8Array): Owner | undefined {
    for (const bits of this.#lengths) {
      const owner = bits > ip.length * 8 ? undefined : this.#byText.get(prefixText({ ip, bits }))
      if (owner !== undefined) return owner
    }
    return undefined
  }

  of(text: PrefixText): Owner | undefined {
    return this.#byText.get(text)
  }

  *networks(inside: Prefix): Generator<Prefix> {
    for (const text of this.#byText.keys()) {
      const prefix = parsePrefix(text)
      if (prefix.ok && prefixContains(inside, prefix.value.ip)) yield prefix.value
    }
  }
}
