/** At which addresses a relay node is dialled.                                                          [derp.md §2.1] */
import { isIP } from 'node:net'
import type { DerpNode } from '../../../src-contract/control/map.ts'
import type { Target } from '../past-tunnel.ts'

/** At most one per family, IPv4 first; none when the map switches both off. */
export function targetsOf(node: DerpNode): Target[] {
  const port = node.DERPPort || 443
  return ([4, 6] as const).flatMap((family) => {
    const host = hostOf(node, family)
    return host === undefined ? [] : [{ family, port, host }]
  })
}

/** Empty = the host name; a literal of the family = that; anything else ("none") = this family is off. */
export function hostOf(node: DerpNode, family: 4 | 6): string | undefined {
  const literal = (family === 4 ? node.IPv4 : node.IPv6) ?? ''
  if (literal !== '') return isIP(literal) === family ? literal : undefined
  const kind = isIP(node.HostName)
  return kind === 0 || kind === family ? node.HostName : undefined
}
