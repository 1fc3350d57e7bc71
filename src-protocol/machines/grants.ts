/**
 * Capability grants: what a peer may do with a node beyond sending it packets, about which grants say nothing. Asked by
 * whois and by everything that serves peers. [tsmp-filter.md §1.1, docs/rules/filter.md §5] Pure.
 */
import type { CapGrant, FilterRule, RawCapMap } from '../../src-contract/control/map.ts'
import type { IpText } from '../../src-contract/ids.ts'
import { parseIp, parsePrefix, prefixContains } from '../wire/ip.ts'
import { isWithdrawnSyntax, parseRuleAddress } from '../wire/rule-address.ts'

/** Capability → all values that grants from `source` to `destination` give it; null where there are none. */
export function grantedCapabilities(rules: readonly FilterRule[], source: IpText, destination: IpText): RawCapMap {
  const from = parseIp(source)
  const to = parseIp(destination)
  if (!from.ok || !to.ok || rules.some(isWithdrawnSyntax)) return {}
  const found = new Map<string, unknown[] | null>()
  for (const { SrcIPs, CapGrant: grants } of rules) {
    if (!grants?.length || !SrcIPs?.some((text) => holdsSource(text, from.value))) continue
    for (const grant of grants) if (grant.Dsts?.some((text) => holdsPrefix(text, to.value))) add(found, grant)
  }
  return Object.fromEntries(found)
}

function add(found: Map<string, unknown[] | null>, { Caps, CapMap }: CapGrant): void {
  for (const capability of Caps ?? []) if (!found.has(capability)) found.set(capability, null)
  for (const [capability, values] of Object.entries(CapMap ?? {})) {
    const known = found.get(capability) ?? null
    found.set(capability, values === null || values.length === 0 ? known : [...(known ?? []), ...values])
  }
}

/** `cap:` sources do not parse: they hold nobody here. */
function holdsSource(text: string, ip: Uint8Array): boolean {
  const prefixes = parseRuleAddress(text)
  return prefixes.ok && prefixes.value.some((prefix) => holdsPrefix(prefix, ip))
}

function holdsPrefix(text: string, ip: Uint8Array): boolean {
  const prefix = parsePrefix(text)
  return prefix.ok && prefixContains(prefix.value, ip)
}
