/**
 * The packet filter: may this packet pass? Verdicts exactly as `tsmp-filter.md` §4 says; docs/rules/filter.md numbers
 * them. Rules only allow; without any filter nothing comes in.
 *
 * Not here: turning FilterRules into a table (`filter.ts`), TSMP and local services (`twin.ts`).
 */
import type { CompiledRule, FilterTable } from './door.ts'
import { FlowTable } from './flow-table.ts'
import { FRAGMENT, type PacketFields, SCTP, TCP, TSMP, UDP, UNKNOWN } from './packet-fields.ts'
import { type ParsedPrefix, PrefixMap, prefixHolds, prefixOf } from './prefix-map.ts'

export type FilterDrop =
  | 'too_short'
  | 'unknown_protocol'
  | 'multicast'
  | 'link_local_unicast'
  /** Destination is neither ours nor a route of ours. */
  | 'destination'
  /** No rule allows it. */
  | 'acl'
export type Verdict = 'accept' | FilterDrop

interface Rule {
  readonly destinations: readonly { readonly prefix: ParsedPrefix; readonly first: number; readonly last: number }[]
  readonly protocols: ReadonlySet<number>
}

const METADATA_SERVICE = 0xa9fea9fe // 169.254.169.254

export class PacketFilter {
  readonly #shieldsUp: boolean
  readonly #flows: FlowTable
  readonly #localNets = new PrefixMap<true>()
  /** Rules by the prefixes of their sources: only those that can match are looked at. */
  readonly #bySource = new PrefixMap<Rule[]>()
  readonly #byCapability = new PrefixMap<Rule[]>()
  readonly #peerApi = new PrefixMap<number[]>()

  /** `previous` hands its flows over, except that raising the shields forgets them. */
  constructor(table: FilterTable | undefined, previous?: PacketFilter) {
    this.#shieldsUp = table === undefined || table.shieldsUp
    const keepFlows = previous !== undefined && (!this.#shieldsUp || previous.#shieldsUp)
    this.#flows = keepFlows ? previous.#flows : new FlowTable()
    if (table === undefined) return
    for (const prefix of table.localNets) put(this.#localNets, prefix, true)
    for (const { address, port } of table.peerApi) append(this.#peerApi, address, port)
    if (this.#shieldsUp) return
    for (const rule of table.rules) this.#addRule(rule)
  }

  get shieldsUp(): boolean {
    return this.#shieldsUp
  }

  /** From a peer, after decryption and source check. */
  inbound(p: PacketFields): Verdict {
    const early = preliminary(p)
    if (early !== undefined) return early
    if (this.#localNets.lookup(p.family, p.d0, p.d1, p.d2, p.d3) === undefined) return 'destination'
    return this.#allowed(p) ? 'accept' : 'acl'
  }

  /** From the host: everything sane may leave, and opens the way back. */
  outbound(p: PacketFields): Verdict {
    const early = preliminary(p)
    if (early !== undefined) return early
    this.remember(p)
    return 'accept'
  }

  /** What the daemon itself injects skips the verdict but may be answered too. */
  remember(p: PacketFields): void {
    if (p.protocol === UDP || p.protocol === SCTP) this.#flows.addReverse(p)
  }

  /** A new connection to our PeerAPI: passes whatever the rules say, because HTTP authorises it. */
  isPeerApiSyn(p: PacketFields): boolean {
    if (p.protocol !== TCP || !p.isSyn()) return false
    const port = p.destinationPort
    return this.#peerApi.some(p.family, p.d0, p.d1, p.d2, p.d3, (ports) => ports.includes(port))
  }

  #addRule(rule: CompiledRule): void {
    const destinations = rule.destinations.flatMap(({ prefix, firstPort, lastPort }) => {
      const parsed = prefixOf(prefix)
      return parsed === undefined ? [] : [{ prefix: parsed, first: firstPort, last: lastPort }]
    })
    const compiled: Rule = { destinations, protocols: new Set(rule.protocols) }
    for (const prefix of rule.sources) append(this.#bySource, prefix, compiled)
    for (const prefix of rule.capabilitySources ?? []) append(this.#byCapability, prefix, compiled)
  }

  #allowed(p: PacketFields): boolean {
    if (p.isIcmp()) return isIcmpAnswer(p) || this.#matchesAddresses(p) || this.#matchesCapabilitySource(p)
    switch (p.protocol) {
      case TCP:
        return !p.isSyn() || this.#matchesPorts(p)
      case UDP:
      case SCTP:
        return this.#flows.has(p) || this.#matchesPorts(p)
      case TSMP:
        return true
      default:
        return this.#matchesWholeProtocol(p)
    }
  }

  #matchesPorts(p: PacketFields): boolean {
    const test = (rules: Rule[]): boolean => {
      for (const rule of rules) {
        if (!rule.protocols.has(p.protocol)) continue
        for (const d of rule.destinations) {
          if (p.destinationPort < d.first || p.destinationPort > d.last) continue
          if (holdsDestination(d.prefix, p)) return true
        }
      }
      return false
    }
    return (
      this.#bySource.some(p.family, p.s0, p.s1, p.s2, p.s3, test) ||
      this.#byCapability.some(p.family, p.s0, p.s1, p.s2, p.s3, test)
    )
  }

  /** ICMP: any rule between the two addresses, whatever protocol and ports it names. */
  #matchesAddresses(p: PacketFields): boolean {
    return this.#bySource.some(p.family, p.s0, p.s1, p.s2, p.s3, (rules) =>
      rules.some((rule) => rule.destinations.some((d) => holdsDestination(d.prefix, p))),
    )
  }

  #matchesCapabilitySource(p: PacketFields): boolean {
    return this.#byCapability.some(p.family, p.s0, p.s1, p.s2, p.s3, () => true)
  }

  /** Protocols without ports: named explicitly, and all ports allowed. */
  #matchesWholeProtocol(p: PacketFields): boolean {
    return this.#bySource.some(p.family, p.s0, p.s1, p.s2, p.s3, (rules) =>
      rules.some(
        (rule) =>
          rule.protocols.has(p.protocol) &&
          rule.destinations.some((d) => d.first === 0 && d.last === 65535 && holdsDestination(d.prefix, p)),
      ),
    )
  }
}

/** A short IPv4 prefix has the bits of many an IPv6 address, `0.0.0.0/0` those of all. [FLT-1.5] */
function holdsDestination(prefix: ParsedPrefix, p: PacketFields): boolean {
  return prefix.family === p.family && prefixHolds(prefix, p.d0, p.d1, p.d2, p.d3)
}

/** What holds for both directions, before any rule; undefined = go on. */
function preliminary(p: PacketFields): Verdict | undefined {
  if (p.bytes === 0) return 'accept'
  if (p.bytes < 20) return 'too_short'
  if (p.protocol === UNKNOWN) return 'unknown_protocol'
  if (p.family === 4 ? p.d0 >>> 28 === 0xe : p.d0 >>> 24 === 0xff) return 'multicast'
  if (p.family === 4 ? p.d0 >>> 16 === 0xa9fe && p.d0 !== METADATA_SERVICE : p.d0 >>> 22 === 0xfe80 >>> 6) {
    return 'link_local_unicast'
  }
  return p.protocol === FRAGMENT ? 'accept' : undefined
}

/** Echo reply or error. The 18 is the reference's constant for "parameter problem"; the real 12 is not let in. */
function isIcmpAnswer(p: PacketFields): boolean {
  const { icmpType: type, icmpCode: code } = p
  if (p.family === 4) return (type === 0 && code === 0) || type === 3 || type === 11 || type === 18
  return (type === 129 && code === 0) || (type >= 1 && type <= 4)
}

function put<T>(map: PrefixMap<T>, text: string, value: T): void {
  const prefix = prefixOf(text)
  if (prefix !== undefined) map.set(prefix, value)
}

/** Adds to the list of a prefix or a single address. */
function append<T>(map: PrefixMap<T[]>, text: string, value: T): void {
  const prefix = prefixOf(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`)
  if (prefix === undefined) return
  const list = map.get(prefix)
  if (list === undefined) map.set(prefix, [value])
  else list.push(value)
}
