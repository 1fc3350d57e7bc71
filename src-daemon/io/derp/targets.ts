/** At which addresses a relay node is dialled.                                                          [derp.md §2.1] */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { DerpNode } from '../../../src-contract/control/map.ts'

export interface Target {
  readonly address: string
  readonly family: 4 | 6
  readonly port: number
}

/** Empty = look the name up; a literal of the family = that; anything else ("none") = this family is off. */
function literal(text: string | undefined, family: 4 | 6): string | 'lookup' | undefined {
  if (text === undefined || text === '') return 'lookup'
  return isIP(text) === family ? text : undefined
}

/** IPv4 first: callers race them. Fails only when there is nothing to dial. */
export async function targetsOf(node: DerpNode): Promise<Target[]> {
  const port = node.DERPPort || 443
  const hostFamily = isIP(node.HostName)
  const found: Target[] = []
  for (const family of [4, 6] as const) {
    const wanted = literal(family === 4 ? node.IPv4 : node.IPv6, family)
    if (wanted === undefined) continue
    if (wanted !== 'lookup') found.push({ address: wanted, family, port })
    else if (hostFamily === family) found.push({ address: node.HostName, family, port })
    else if (hostFamily === 0) {
      try {
        found.push({ address: (await lookup(node.HostName, { family })).address, family, port })
      } catch (error) {
        // One family without an address is normal; none at all is told below.
        if (!isNotFound(error)) throw error
      }
    }
  }
  if (found.length === 0) throw new Error(`no address for relay ${node.HostName}`)
  return found
}

function isNotFound(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOTFOUND' || code === 'ENODATA' || code === 'EAI_AGAIN'
}
