/** Who a stranger is as far as an address tells: what one attacker can have at little cost counts as one. Pure. */
import { toHex } from '../../src-protocol/wire/bytes.ts'
import { parseIp } from '../../src-protocol/wire/ip.ts'

/** An IPv4 address, or an IPv6 /64 (one customer). "" when the address is not known. */
export function networkOf(address: string | undefined): string {
  const ip = parseIp((address ?? '').split('%', 1)[0]!)
  if (!ip.ok) return ''
  return toHex(ip.value.length === 4 ? ip.value : ip.value.subarray(0, 8))
}

/** Of equals the one that comes first. */
export function mostFrequent(names: Iterable<string>): string | undefined {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  let best: string | undefined
  for (const [name, count] of counts) if (best === undefined || count > counts.get(best)!) best = name
  return best
}
