/**
 * The packet filter once more, in the slowest and plainest way, from docs/rules/filter.md and nothing else: raw bytes, no
 * index, no shared code. For tests that both data paths judge as the rules say, not only alike.
 */
import { parseIp, parsePrefix, prefixContains } from '../src-protocol/wire/ip.ts'
import type { FilterTable } from './door.ts'

/** `unreadable`: 2.1 and 2.2. `tsmp`: 4.3. */
export type BookVerdict = 'accept' | 'unreadable' | 'tsmp' | 'multicast' | 'link_local_unicast' | 'destination' | 'acl'

interface Reading {
  readonly isV6: boolean
  readonly src: Uint8Array
  readonly dst: Uint8Array
  readonly protocol: number
  readonly isLaterFragment: boolean
  readonly transport: Uint8Array
}

const METADATA_SERVICE = Uint8Array.of(169, 254, 169, 254)
const [ICMP, TCP, UDP, ICMP6, TSMP, SCTP] = [1, 6, 17, 58, 99, 132] as const
/** 2.2: an incomplete transport header; the first three numbers are judged in their own family only. */
const LEAST_BYTES = new Map<number, number>([
  [TCP, 20],
  [UDP, 8],
  [SCTP, 12],
  [TSMP, 7],
])

export class FilterByTheBook {
  #table: FilterTable | undefined
  #isShut = true
  #flows = new Set<string>()
  readonly #isJail: boolean

  /** A jailed peer's filter has its shields up, always, and flows of its own. */
  constructor(isJail: boolean) {
    this.#isJail = isJail
  }

  setTable(table: FilterTable): void {
    const isShut = table.shieldsUp || this.#isJail
    if (isShut && !this.#isShut) this.#flows.clear()
    this.#isShut = isShut
    this.#table = table
  }

  /** From the host. */
  outbound(packet: Uint8Array): BookVerdict {
    const p = read(packet)
    if (p === undefined) return 'unreadable'
    if (p.protocol === TSMP) return 'tsmp'
    const early = preliminary(p)
    if (early === undefined) this.#remember(p)
    return early ?? 'accept'
  }

  inbound(packet: Uint8Array): BookVerdict {
    const p = read(packet)
    if (p === undefined) return 'unreadable'
    // 3.5: TSMP never meets the filter.
    if (p.protocol === TSMP) return 'accept'
    const early = preliminary(p)
    if (early !== undefined) return early
    if (this.#isPeerApi(p)) return 'accept'
    if (this.#table?.localNets.some((net) => holds(net, p.dst)) !== true) return 'destination'
    return this.#isAllowed(p) ? 'accept' : 'acl'
  }

  #isPeerApi({ protocol, transport, dst }: Reading): boolean {
    if (protocol !== TCP || !isSyn(transport)) return false
    return this.#table?.peerApi.some((api) => isSame(api.address, dst) && api.port === word(transport, 2)) === true
  }

  #isAllowed(p: Reading): boolean {
    const rules = this.#isShut ? [] : this.#table!.rules
    const named = rules.filter((rule) => rule.sources.some((source) => holds(source, p.src)))
    const capable = rules.filter((rule) => rule.capabilitySources?.some((source) => holds(source, p.src)))
    const reaches = (prefix: string) => holds(prefix, p.dst)
    switch (p.protocol) {
      case p.isV6 ? ICMP6 : ICMP:
        if (isIcmpAnswer(p)) return true
        return named.some((rule) => rule.destinations.some((d) => reaches(d.prefix))) || capable.length > 0
      case TCP:
      case UDP:
      case SCTP: {
        if (p.protocol === TCP ? !isSyn(p.transport) : this.#isAnswer(p)) return true
        const port = word(p.transport, 2)
        return [...named, ...capable].some(
          (rule) =>
            rule.protocols.includes(p.protocol) &&
            rule.destinations.some((d) => reaches(d.prefix) && d.firstPort <= port && port <= d.lastPort),
        )
      }
      default:
        return named.some(
          (rule) =>
            rule.protocols.includes(p.protocol) &&
            rule.destinations.some((d) => reaches(d.prefix) && d.firstPort === 0 && d.lastPort === 65_535),
        )
    }
  }

  #remember({ protocol, src, dst, transport }: Reading): void {
    if (protocol !== UDP && protocol !== SCTP) return
    this.#use([protocol, dst, word(transport, 2), src, word(transport, 0)].join())
    if (this.#flows.size > 512) this.#flows.delete(this.#flows.values().next().value!)
  }

  #isAnswer({ protocol, src, dst, transport }: Reading): boolean {
    const flow = [protocol, src, word(transport, 0), dst, word(transport, 2)].join()
    const isKnown = this.#flows.has(flow)
    if (isKnown) this.#use(flow)
    return isKnown
  }

  /** A Set keeps the order of insertion: the least recently used is the first. */
  #use(flow: string): void {
    this.#flows.delete(flow)
    this.#flows.add(flow)
  }
}

function read(packet: Uint8Array): Reading | undefined {
  if (packet.length < 20) return undefined
  const version = packet[0]! >> 4
  if (version === 4) {
    const [head, total] = [(packet[0]! & 15) * 4, word(packet, 2)]
    if (head < 20 || head > total || total > packet.length) return undefined
    const [src, dst] = [packet.slice(12, 16), packet.slice(16, 20)]
    const isMore = (packet[6]! & 0x20) !== 0
    return finish(false, src, dst, packet[9]!, word(packet, 6) & 0x1fff, isMore, packet.slice(head, total))
  }
  if (version !== 6 || packet.length < 40 || 40 + word(packet, 4) > packet.length) return undefined
  const [src, dst, payload] = [packet.slice(8, 24), packet.slice(24, 40), packet.slice(40, 40 + word(packet, 4))]
  if (packet[6] !== 44) return finish(true, src, dst, packet[6]!, 0, false, payload)
  if (payload.length < 8) return undefined
  return finish(true, src, dst, payload[0]!, word(payload, 2) >> 3, false, payload.slice(8))
}

function finish(
  isV6: boolean,
  src: Uint8Array,
  dst: Uint8Array,
  protocol: number,
  offset: number,
  isMoreOfV4: boolean,
  transport: Uint8Array,
): Reading | undefined {
  const isLaterFragment = offset > 0
  const reading: Reading = { isV6, src, dst, protocol: isLaterFragment ? -1 : protocol, isLaterFragment, transport }
  if (isLaterFragment) return offset * 8 < 80 || protocol === TSMP ? undefined : reading
  if (protocol === 0 || protocol === 255 || (protocol === TSMP && isMoreOfV4)) return undefined
  const least = protocol === (isV6 ? ICMP6 : ICMP) ? 4 : protocol === 2 && !isV6 ? 8 : (LEAST_BYTES.get(protocol) ?? 0)
  return transport.length < least ? undefined : reading
}

function preliminary({ isV6, dst, isLaterFragment }: Reading): BookVerdict | undefined {
  if (holds(isV6 ? 'ff00::/8' : '224.0.0.0/4', dst)) return 'multicast'
  const isLinkLocal = holds(isV6 ? 'fe80::/10' : '169.254.0.0/16', dst)
  if (isLinkLocal && dst.join() !== METADATA_SERVICE.join()) return 'link_local_unicast'
  return isLaterFragment ? 'accept' : undefined
}

function isIcmpAnswer({ isV6, transport }: Reading): boolean {
  if (transport.length < 8) return false
  const [type, code] = transport as unknown as [number, number]
  return (type === (isV6 ? 129 : 0) && code === 0) || (isV6 ? [1, 2, 3, 4] : [3, 11, 18]).includes(type)
}

function isSyn(transport: Uint8Array): boolean {
  return (transport[13]! & 0x12) === 0x02
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!
}

function holds(text: string, ip: Uint8Array): boolean {
  const prefix = parsePrefix(text)
  return prefix.ok && prefixContains(prefix.value, ip)
}

function isSame(address: string, ip: Uint8Array): boolean {
  const parsed = parseIp(address)
  return parsed.ok && parsed.value.join() === ip.join()
}
