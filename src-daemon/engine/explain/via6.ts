/** 4via6: an IPv4 address behind a numbered site, as an IPv6 address. Pure. [features.md §6] */
import type { RouteTarget } from '../../../src-contract/localapi/route-explain.ts'
import { ipText, type Prefix, parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'

const VIA: Prefix = (() => {
  const range = parsePrefix('fd7a:115c:a1e0:b1a::/64')
  if (!range.ok) throw new TypeError(range.reason)
  return range.value
})()

export function via6Of(ip: Uint8Array): NonNullable<RouteTarget['Via6']> | undefined {
  if (!prefixContains(VIA, ip)) return undefined
  const view = new DataView(ip.buffer, ip.byteOffset, ip.byteLength)
  return { Site: view.getUint32(8), Address: ipText(ip.subarray(12)) }
}
