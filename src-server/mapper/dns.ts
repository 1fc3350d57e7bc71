/** The DNS part of the map.                                                              [control.md §4.8, §7.3 item 7] */
import type { DnsConfig, Resolver } from '../../src-contract/control/map.ts'
import type { PrefixText } from '../../src-contract/ids.ts'
import { parsePrefix } from '../../src-protocol/wire/ip.ts'
import type { Config } from '../config/schema.ts'

export function dnsConfig(dns: Config['dns'], prefixes: Config['prefixes']): DnsConfig {
  const global = dns.nameservers.global.map(resolver)
  // without override each computer keeps its own servers; ours help where it has none that can be asked
  const fallback = [...(dns.override_local_dns ? [] : global), ...dns.nameservers.fallback.map(resolver)]
  const routes: { [suffix: string]: Resolver[] } = {}
  // an empty list: the client answers this zone itself
  if (dns.magic_dns) for (const zone of [...reverseZones(prefixes.v4), ...reverseZones(prefixes.v6)]) routes[zone] = []
  for (const [suffix, servers] of Object.entries(dns.nameservers.split)) routes[suffix] = servers.map(resolver)
  return {
    ...(dns.override_local_dns && global.length > 0 ? { Resolvers: global } : {}),
    ...(fallback.length === 0 ? {} : { FallbackResolvers: fallback }),
    Routes: routes,
    Domains: [dns.base_domain, ...dns.search_domains.filter((domain) => domain !== dns.base_domain)],
    Proxied: dns.magic_dns,
    ...(dns.extra_records.length === 0
      ? {}
      : { ExtraRecords: dns.extra_records.map((r) => ({ Name: r.name, Type: r.type, Value: r.value })) }),
  }
}

function resolver(wish: Config['dns']['nameservers']['global'][number]): Resolver {
  return {
    Addr: wish.address,
    ...(wish.bootstrap === undefined ? {} : { BootstrapResolution: wish.bootstrap }),
    ...(wish.use_with_exit_node ? { UseWithExitNode: true } : {}),
  }
}

/** The reverse zones that cover a prefix: whole labels, so a prefix between two labels gives several. */
export function reverseZones(prefix: PrefixText): string[] {
  const parsed = parsePrefix(prefix)
  if (!parsed.ok) throw new TypeError(`not a prefix: ${prefix}`)
  const { ip, bits } = parsed.value
  const isV4 = ip.length === 4
  const labelBits = isV4 ? 8 : 4
  const labels = isV4 ? [...ip] : [...ip].flatMap((byte) => [byte >> 4, byte & 15])
  const fixed = Math.ceil(bits / labelBits)
  const free = fixed * labelBits - bits
  const last = labels[fixed - 1]!
  const zones: string[] = []
  for (let n = 0; n < 1 << free; n++) {
    const shown = [...labels.slice(0, fixed - 1), last + n].reverse()
    zones.push(`${shown.map((label) => label.toString(isV4 ? 10 : 16)).join('.')}.${isV4 ? 'in-addr' : 'ip6'}.arpa`)
  }
  return zones
}
