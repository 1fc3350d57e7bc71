/** Arithmetic with sets of addresses, written as prefixes. */
import { type Prefix, prefixContains } from './ip.ts'

/** The fewest prefixes that hold what `from` holds and no hole does, in order. Host bits must be clear. */
export function withoutPrefixes(from: Prefix, holes: readonly Prefix[]): Prefix[] {
  const inside = holes.filter((hole) => prefixesOverlap(from, hole))
  if (inside.length === 0) return [from]
  if (inside.some((hole) => hole.bits <= from.bits)) return []
  return halves(from).flatMap((half) => withoutPrefixes(half, inside))
}

/** Two prefixes overlap only if one holds the other. */
export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return a.bits <= b.bits ? prefixContains(a, b.ip) : prefixContains(b, a.ip)
}

function halves({ ip, bits }: Prefix): [Prefix, Prefix] {
  const upper = ip.slice()
  upper[bits >> 3]! |= 0x80 >> (bits & 7)
  return [
    { ip, bits: bits + 1 },
    { ip: upper, bits: bits + 1 },
  ]
}
