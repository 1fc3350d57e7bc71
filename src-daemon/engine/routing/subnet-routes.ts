/** Which subnets are offered, which are in use, and why not; switching one off. Pure. */
import type { PrefixText } from '../../../src-contract/ids.ts'
import type { SubnetRoute, SubnetRoutes, SubnetRoutesEdit } from '../../../src-contract/localapi/subnet-routes.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { bad, type Decoded, ok } from '../../../src-protocol/wire/decoded.ts'
import { parsePrefix, prefixText } from '../../../src-protocol/wire/ip.ts'
import { isJsonObject } from '../../../src-protocol/wire/json.ts'
import { displayName } from '../node-text.ts'
import { offeredSubnets } from './accepted-prefixes.ts'
import type { HomeRoutes } from './home.ts'

const MAX_OFF = 1_000

export interface SubnetRouteFacts {
  readonly netmap: Netmap | undefined
  readonly acceptsRoutes: boolean
  readonly off: readonly PrefixText[]
  readonly home: HomeRoutes
}

export function subnetRoutes({ netmap, acceptsRoutes, off, home }: SubnetRouteFacts): SubnetRoutes {
  const routes: SubnetRoute[] = []
  const taken = new Set<PrefixText>()
  for (const node of netmap?.peers.values() ?? []) {
    for (const prefix of offeredSubnets(node)) {
      const reason = !acceptsRoutes
        ? 'not-accepted'
        : off.includes(prefix)
          ? 'off'
          : home.off.includes(prefix)
            ? 'at-home'
            : taken.has(prefix)
              ? 'taken'
              : ''
      if (reason === '') taken.add(prefix)
      routes.push({
        Prefix: prefix,
        Via: node.StableID,
        ViaName: displayName(node),
        Online: node.Online === true,
        InUse: reason === '',
        Reason: reason,
      })
    }
  }
  return { Routes: routes.sort((a, b) => (a.Prefix < b.Prefix ? -1 : 1)), Off: [...off] }
}

export function parseRoutesEdit(value: unknown): Decoded<Required<SubnetRoutesEdit>> {
  if (!isJsonObject(value)) return bad('not an object')
  const off = prefixes(value.Off)
  const on = prefixes(value.On)
  if (!off.ok) return off
  return on.ok ? ok({ Off: off.value, On: on.value }) : on
}

export function applyRoutesEdit(off: readonly PrefixText[], edit: Required<SubnetRoutesEdit>): Decoded<PrefixText[]> {
  const next = [...new Set([...off, ...edit.Off])].filter((prefix) => !edit.On.includes(prefix)).sort()
  return next.length > MAX_OFF ? bad(`more than ${MAX_OFF} routes cannot be switched off`) : ok(next)
}

function prefixes(value: unknown): Decoded<PrefixText[]> {
  if (value === undefined || value === null) return ok([])
  if (!Array.isArray(value) || value.length > MAX_OFF) return bad('a list of routes is expected')
  const found: PrefixText[] = []
  for (const text of value) {
    const prefix = typeof text === 'string' ? parsePrefix(text) : bad('')
    if (!prefix.ok) return bad(`${JSON.stringify(text)?.slice(0, 60)} is not a network such as 192.168.1.0/24`)
    found.push(prefixText(prefix.value))
  }
  return ok(found)
}
