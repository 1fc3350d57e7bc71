/**
 * Tables for the native data path, as `addon/datapath/unpack.cpp` reads them. All numbers big-endian.
 *
 *   prefix       18: family u8 (4, 6) · bits u8 · address 16 (v4 in the first four)
 *   list          4 + n: count u32 · entries
 *   prefixes      list of prefix
 *   filter        shields up u8 · local nets: prefixes · PeerAPI: list of (prefix · port u16) · list of rule
 *   rule          sources: prefixes · capability sources: prefixes
 *                 · destinations: list of (prefix · first port u16 · last port u16) · protocols: list of u8
 *
 * Prefixes that do not parse are left out, as in the twin.
 */
import type { PrefixText } from '../src-contract/ids.ts'
import type { AddressPair, CompiledRule, FilterTable } from './door.ts'
import { type ParsedPrefix, prefixOf } from './prefix-map.ts'

const PREFIX_BYTES = 18

export function packPrefixes(prefixes: readonly PrefixText[]): Uint8Array {
  const out = new Packer()
  out.prefixes(prefixes)
  return out.bytes()
}

export function packFilter(table: FilterTable): Uint8Array {
  const out = new Packer()
  out.u8(table.shieldsUp ? 1 : 0)
  out.prefixes(table.localNets)
  out.list(
    parsed(table.peerApi, ({ address }) => hostPrefix(address)),
    ([api, prefix]) => {
      out.prefix(prefix)
      out.u16(api.port)
    },
  )
  out.list(table.rules, (rule) => packRule(out, rule))
  return out.bytes()
}

function packRule(out: Packer, rule: CompiledRule): void {
  out.prefixes(rule.sources)
  out.prefixes(rule.capabilitySources ?? [])
  out.list(
    parsed(rule.destinations, ({ prefix }) => prefix),
    ([destination, prefix]) => {
      out.prefix(prefix)
      out.u16(destination.firstPort)
      out.u16(destination.lastPort)
    },
  )
  out.list(rule.protocols, (protocol) => out.u8(protocol))
}

function parsed<T>(items: readonly T[], textOf: (item: T) => PrefixText): (readonly [T, ParsedPrefix])[] {
  return items.flatMap((item) => {
    const prefix = prefixOf(textOf(item))
    return prefix === undefined ? [] : [[item, prefix] as const]
  })
}

export function hostPrefix(address: string): PrefixText {
  return `${address}/${address.includes(':') ? 128 : 32}`
}

/** The family of a text is checked: an IPv6 address is not taken for our IPv4 one. */
export function pairPrefixes(addresses: AddressPair | undefined): PrefixText[] {
  const { v4, v6 } = addresses ?? {}
  return [...(v4?.includes('.') ? [hostPrefix(v4)] : []), ...(v6?.includes(':') ? [hostPrefix(v6)] : [])]
}

class Packer {
  #bytes = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)
  #used = 0

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#used)
  }

  u8(value: number): void {
    const at = this.#room(1)
    this.#bytes[at] = value
  }

  u16(value: number): void {
    const at = this.#room(2) // which may replace the view
    this.#view.setUint16(at, value)
  }

  list<T>(items: readonly T[], pack: (item: T) => void): void {
    const at = this.#room(4)
    this.#view.setUint32(at, items.length)
    for (const item of items) pack(item)
  }

  prefixes(texts: readonly PrefixText[]): void {
    this.list(
      parsed(texts, (text) => text),
      ([, prefix]) => this.prefix(prefix),
    )
  }

  prefix({ family, bits, w0, w1, w2, w3 }: ParsedPrefix): void {
    const at = this.#room(PREFIX_BYTES)
    this.#bytes[at] = family
    this.#bytes[at + 1] = bits
    for (const [index, word] of [w0, w1, w2, w3].entries()) this.#view.setUint32(at + 2 + index * 4, word)
  }

  #room(size: number): number {
    const at = this.#used
    this.#used += size
    if (this.#used > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#used))
      larger.set(this.#bytes.subarray(0, at))
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    return at
  }
}
