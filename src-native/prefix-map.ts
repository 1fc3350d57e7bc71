/**
 * Prefixes → values, with longest-match lookup: allowed IPs of ten thousand peers, sources of filter rules.
 *
 * One hash map per prefix length in use; real tables use few lengths, so a lookup is two or three probes. A change
 * costs the work of that one prefix. Addresses are big-endian words (`packet-fields.ts`), v4 in the first word.
 */
import type { PrefixText } from '../src-contract/ids.ts'
import { parsePrefix } from '../src-protocol/wire/ip.ts'

export interface ParsedPrefix {
  readonly family: 4 | 6
  readonly bits: number
  /** Masked address; v4 uses the first. */
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
}

export function prefixOf(text: PrefixText): ParsedPrefix | undefined {
  const parsed = parsePrefix(text)
  if (!parsed.ok) return undefined
  const { ip, bits } = parsed.value
  const word = (index: number): number => {
    const at = index * 4
    if (at >= ip.length) return 0
    const value = ((ip[at]! << 24) | (ip[at + 1]! << 16) | (ip[at + 2]! << 8) | ip[at + 3]!) >>> 0
    return (value & wordMask(bits, index)) >>> 0
  }
  return { family: ip.length === 4 ? 4 : 6, bits, w0: word(0), w1: word(1), w2: word(2), w3: word(3) }
}

export function prefixHolds(p: ParsedPrefix, w0: number, w1: number, w2: number, w3: number): boolean {
  return (
    (w0 & wordMask(p.bits, 0)) >>> 0 === p.w0 &&
    (w1 & wordMask(p.bits, 1)) >>> 0 === p.w1 &&
    (w2 & wordMask(p.bits, 2)) >>> 0 === p.w2 &&
    (w3 & wordMask(p.bits, 3)) >>> 0 === p.w3
  )
}

/** Mask of one of the four words of a prefix of so many bits. */
function wordMask(bits: number, index: number): number {
  const own = bits - index * 32
  return own <= 0 ? 0 : own >= 32 ? 0xffffffff : (0xffffffff << (32 - own)) >>> 0
}

interface Entry<T> extends ParsedPrefix {
  value: T
}

interface Level<T> {
  readonly bits: number
  readonly m0: number
  readonly m1: number
  readonly m2: number
  readonly m3: number
  readonly buckets: Map<number, Entry<T>[]>
}

export class PrefixMap<T> {
  readonly #v4: Level<T>[] = []
  readonly #v6: Level<T>[] = []

  /** Longest match; undefined when nothing holds the address. */
  lookup(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): T | undefined {
    for (const level of family === 4 ? this.#v4 : this.#v6) {
      const found = find(level, w0, w1, w2, w3)
      if (found !== undefined) return found.value
    }
    return undefined
  }

  /** All matches, longest first, until one is answered with true. */
  some(family: 4 | 6, w0: number, w1: number, w2: number, w3: number, test: (value: T) => boolean): boolean {
    for (const level of family === 4 ? this.#v4 : this.#v6) {
      const found = find(level, w0, w1, w2, w3)
      if (found !== undefined && test(found.value)) return true
    }
    return false
  }

  get(prefix: ParsedPrefix): T | undefined {
    const level = this.#levels(prefix).find((l) => l.bits === prefix.bits)
    return level && find(level, prefix.w0, prefix.w1, prefix.w2, prefix.w3)?.value
  }

  set(prefix: ParsedPrefix, value: T): void {
    const level = this.#level(prefix)
    const entry = find(level, prefix.w0, prefix.w1, prefix.w2, prefix.w3)
    if (entry !== undefined) {
      entry.value = value
      return
    }
    const key = hash(prefix.w0, prefix.w1, prefix.w2, prefix.w3)
    const bucket = level.buckets.get(key)
    const fresh = { ...prefix, value }
    if (bucket === undefined) level.buckets.set(key, [fresh])
    else bucket.push(fresh)
  }

  delete(prefix: ParsedPrefix): void {
    const levels = this.#levels(prefix)
    const level = levels.find((l) => l.bits === prefix.bits)
    if (level === undefined) return
    const key = hash(prefix.w0, prefix.w1, prefix.w2, prefix.w3)
    const bucket = level.buckets.get(key)
    if (bucket === undefined) return
    const rest = bucket.filter(
      (e) => e.w0 !== prefix.w0 || e.w1 !== prefix.w1 || e.w2 !== prefix.w2 || e.w3 !== prefix.w3,
    )
    if (rest.length > 0) level.buckets.set(key, rest)
    else level.buckets.delete(key)
    if (level.buckets.size === 0) levels.splice(levels.indexOf(level), 1)
  }

  #levels(prefix: ParsedPrefix): Level<T>[] {
    return prefix.family === 4 ? this.#v4 : this.#v6
  }

  #level(prefix: ParsedPrefix): Level<T> {
    const levels = this.#levels(prefix)
    const known = levels.find((l) => l.bits === prefix.bits)
    if (known !== undefined) return known
    const bits = prefix.bits
    const level: Level<T> = {
      bits,
      m0: wordMask(bits, 0),
      m1: wordMask(bits, 1),
      m2: wordMask(bits, 2),
      m3: wordMask(bits, 3),
      buckets: new Map(),
    }
    levels.push(level)
    levels.sort((a, b) => b.bits - a.bits)
    return level
  }
}

function find<T>(level: Level<T>, w0: number, w1: number, w2: number, w3: number): Entry<T> | undefined {
  const a0 = (w0 & level.m0) >>> 0
  const a1 = (w1 & level.m1) >>> 0
  const a2 = (w2 & level.m2) >>> 0
  const a3 = (w3 & level.m3) >>> 0
  const bucket = level.buckets.get(hash(a0, a1, a2, a3))
  if (bucket === undefined) return undefined
  for (const entry of bucket) {
    if (entry.w0 === a0 && entry.w1 === a1 && entry.w2 === a2 && entry.w3 === a3) return entry
  }
  return undefined
}

/** Perfect for v4 (the other words are zero); for v6 the /64 and the host part get mixed. */
function hash(w0: number, w1: number, w2: number, w3: number): number {
  return (w0 ^ Math.imul(w1, 0x9e3779b1) ^ Math.imul(w2, 0x85ebca6b) ^ Math.imul(w3, 0xc2b2ae35)) | 0
}
