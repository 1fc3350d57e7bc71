/**
 * IP packets inside the tunnel: IPv4/IPv6 headers and the first words of TCP, UDP, SCTP, ICMP and TSMP, read as the
 * packet filter must read them; and builders for the few packets the daemon makes itself. Not a filter, not a stack.
 * [RFC 791, RFC 8200, RFC 9293, RFC 768, RFC 792, RFC 4443; filter reading: tsmp-filter.md §3, §6]
 *
 *  IPv4   0 version·IHL  1 DSCP  2 total length  4 id  6 flags·fragment offset/8  8 TTL  9 protocol  10 checksum
 *         12 source  16 destination  20 options…
 *  IPv6   0 version·class·flow  4 payload length  6 next header  7 hop limit  8 source  24 destination
 *  frag   0 next header  2 offset/8 (13 bits)·more flag  4 id
 */
import type { IpText } from '../../src-contract/ids.ts'
import { viewOf } from './bytes.ts'
import { bad, type Decoded, ok } from './decoded.ts'
import { ipText } from './ip.ts'

export const ipProtocol = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
  tsmp: 99,
  sctp: 132,
} as const
const HOP_BY_HOP = 0
const IPV6_FRAGMENT = 44
/** Never a real protocol here: what a damaged, truncated or deceptive packet is called, so that nothing accepts it. */
export const UNKNOWN_PROTOCOL = -1

export const tcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const

/** Complete minimal transport headers; a first fragment with less is `UNKNOWN_PROTOCOL`. */
const MIN_TRANSPORT_BYTES: { readonly [protocol: number]: number } = { 1: 4, 2: 8, 6: 20, 17: 8, 58: 4, 99: 7, 132: 12 }
/** Later fragments starting before 80 bytes could overwrite a transport header that was already judged. */
const MIN_LATER_FRAGMENT_OFFSET = 10

export type Fragment = 'none' | 'first' | 'later'

/** Views into the packet; valid as long as the packet is. */
export class ParsedPacket {
  readonly bytes: Uint8Array
  readonly version: 4 | 6
  /** As the filter names it: {@link UNKNOWN_PROTOCOL} when the transport header is not whole. */
  readonly protocol: number
  readonly fragment: Fragment
  /** Where the transport header (or a later fragment's data) starts. */
  readonly transportOffset: number

  constructor(bytes: Uint8Array, version: 4 | 6, protocol: number, fragment: Fragment, transportOffset: number) {
    this.bytes = bytes
    this.version = version
    this.protocol = protocol
    this.fragment = fragment
    this.transportOffset = transportOffset
  }
  get src(): Uint8Array {
    return this.version === 4 ? this.bytes.subarray(12, 16) : this.bytes.subarray(8, 24)
  }
  get dst(): Uint8Array {
    return this.version === 4 ? this.bytes.subarray(16, 20) : this.bytes.subarray(24, 40)
  }
  get srcText(): IpText {
    return ipText(this.src)
  }
  get dstText(): IpText {
    return ipText(this.dst)
  }
  get #hasPorts(): boolean {
    const p = this.protocol
    return this.fragment !== 'later' && (p === ipProtocol.tcp || p === ipProtocol.udp || p === ipProtocol.sctp)
  }
  /** 0 where the protocol has none. */
  get srcPort(): number {
    return this.#hasPorts ? u16(this.bytes, this.transportOffset) : 0
  }
  get dstPort(): number {
    return this.#hasPorts ? u16(this.bytes, this.transportOffset + 2) : 0
  }
  get tcpFlags(): number {
    return this.protocol === ipProtocol.tcp && this.fragment !== 'later' ? this.bytes[this.transportOffset + 13]! : 0
  }
  /** A connection request: SYN without ACK. */
  get isTcpSyn(): boolean {
    return (this.tcpFlags & (tcpFlag.syn | tcpFlag.ack)) === tcpFlag.syn
  }
  /** The ICMP message of the packet's own family; undefined unless its whole 8-byte header is here. */
  get icmp(): { readonly type: number; readonly code: number; readonly id: number; readonly seq: number } | undefined {
    const own = this.version === 4 ? ipProtocol.icmp : ipProtocol.icmpv6
    if (this.protocol !== own || this.fragment === 'later') return undefined
    const at = this.transportOffset
    if (this.bytes.length < at + 8) return undefined
    return {
      type: this.bytes[at]!,
      code: this.bytes[at + 1]!,
      id: u16(this.bytes, at + 4),
      seq: u16(this.bytes, at + 6),
    }
  }
  /** Transport header and everything behind it. */
  get transport(): Uint8Array {
    return this.bytes.subarray(this.transportOffset)
  }
  /** What the transport carries; for protocols without a known header the same as {@link transport}. */
  get payload(): Uint8Array {
    return this.bytes.subarray(Math.min(this.bytes.length, this.transportOffset + this.#transportHeaderBytes()))
  }
  #transportHeaderBytes(): number {
    if (this.fragment === 'later') return 0
    switch (this.protocol) {
      case ipProtocol.tcp:
        return Math.max(20, (this.bytes[this.transportOffset + 12]! >> 4) * 4)
      case ipProtocol.udp:
      case ipProtocol.icmp:
      case ipProtocol.icmpv6:
        return 8
      case ipProtocol.sctp:
        return 12
      default:
        return 0
    }
  }
}

/** The packet without padding behind it: WireGuard pads to 16 bytes, so the IP header says where the packet ends. */
export function trimToIpLength(bytes: Uint8Array): Decoded<Uint8Array> {
  const length = ipLength(bytes)
  if (!length.ok) return length
  return ok(length.value === bytes.length ? bytes : bytes.subarray(0, length.value))
}

function ipLength(bytes: Uint8Array): Decoded<number> {
  if (bytes.length < 20) return bad('short')
  const version = bytes[0]! >> 4
  if (version === 4) {
    const headerBytes = (bytes[0]! & 15) * 4
    const total = u16(bytes, 2)
    if (headerBytes < 20 || total < headerBytes) return bad('ip-header')
    return total <= bytes.length ? ok(total) : bad('ip-length')
  }
  if (version === 6) {
    if (bytes.length < 40) return bad('short')
    const total = 40 + u16(bytes, 4)
    return total <= bytes.length ? ok(total) : bad('ip-length')
  }
  return bad('ip-version')
}

/** Refuses only what is no IP packet; a doubtful transport header is a packet of {@link UNKNOWN_PROTOCOL}. */
export function parsePacket(padded: Uint8Array): Decoded<ParsedPacket> {
  const trimmed = trimToIpLength(padded)
  if (!trimmed.ok) return trimmed
  const bytes = trimmed.value
  return ok(bytes[0]! >> 4 === 4 ? parseV4(bytes) : parseV6(bytes))
}

function parseV4(bytes: Uint8Array): ParsedPacket {
  const flags = u16(bytes, 6)
  return transport(bytes, 4, bytes[9]!, (bytes[0]! & 15) * 4, flags & 0x1fff, (flags & 0x2000) !== 0)
}

function parseV6(bytes: Uint8Array): ParsedPacket {
  const next = bytes[6]!
  if (next === HOP_BY_HOP) return new ParsedPacket(bytes, 6, UNKNOWN_PROTOCOL, 'none', 40)
  if (next !== IPV6_FRAGMENT) return transport(bytes, 6, next, 40, 0, false)
  if (bytes.length < 48) return new ParsedPacket(bytes, 6, UNKNOWN_PROTOCOL, 'none', 40)
  const word = u16(bytes, 42)
  return transport(bytes, 6, bytes[40]!, 48, word >> 3, (word & 1) !== 0)
}

function transport(
  bytes: Uint8Array,
  version: 4 | 6,
  protocol: number,
  at: number,
  fragmentOffset: number,
  hasMore: boolean,
): ParsedPacket {
  const fragment: Fragment = fragmentOffset > 0 ? 'later' : hasMore ? 'first' : 'none'
  return new ParsedPacket(bytes, version, judge(), fragment, at)

  function judge(): number {
    if (protocol === 255) return UNKNOWN_PROTOCOL
    if (fragment === 'later') return fragmentOffset < MIN_LATER_FRAGMENT_OFFSET ? UNKNOWN_PROTOCOL : protocol
    if (bytes.length < at + (MIN_TRANSPORT_BYTES[protocol] ?? 0)) return UNKNOWN_PROTOCOL
    if (protocol === ipProtocol.tsmp && fragment === 'first') return UNKNOWN_PROTOCOL
    return protocol
  }
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

/** The internet checksum of the concatenation, where every part but the last has an even length. [RFC 1071] */
export function internetChecksum(...parts: Uint8Array[]): number {
  let sum = 0
  for (const part of parts) sum += sumWords(part, 0, part.length)
  return foldedChecksum(sum)
}

function sumWords(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0
  for (let i = from; i < to; i += 2) sum += (bytes[i]! << 8) | (i + 1 < to ? bytes[i + 1]! : 0)
  return sum
}

function foldedChecksum(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000)
  return ~folded & 0xffff
}

/** Checksum over the pseudo header and a transport segment whose own checksum field is zero. */
export function transportChecksum(src: Uint8Array, dst: Uint8Array, protocol: number, segment: Uint8Array): number {
  const tail = new Uint8Array(8)
  viewOf(tail).setUint32(0, segment.length)
  tail[7] = protocol
  return internetChecksum(src, dst, tail, segment)
}

/** One packet: header with exact length, then `segment`. Both addresses are of one family. */
export function encodeIpPacket(
  src: Uint8Array,
  dst: Uint8Array,
  protocol: number,
  segment: Uint8Array,
  options: { readonly id?: number; readonly hopLimit?: number } = {},
): Uint8Array<ArrayBuffer> {
  const packet = ipPacket(src, dst, protocol, segment.length, options.id ?? 0, options.hopLimit ?? 64)
  packet.set(segment, packet.length - segment.length)
  return packet
}

/** The header, and room for the segment. Thousands a second are made of it: no views, one buffer. */
function ipPacket(
  src: Uint8Array,
  dst: Uint8Array,
  protocol: number,
  segmentBytes: number,
  id: number,
  hopLimit: number,
): Uint8Array<ArrayBuffer> {
  if (src.length !== dst.length) throw new RangeError('addresses of two families in one packet')
  if (src.length === 4) {
    const packet = new Uint8Array(20 + segmentBytes)
    packet[0] = 0x45
    putU16(packet, 2, packet.length)
    putU16(packet, 4, id)
    packet[8] = hopLimit
    packet[9] = protocol
    packet.set(src, 12)
    packet.set(dst, 16)
    putU16(packet, 10, foldedChecksum(sumWords(packet, 0, 20)))
    return packet
  }
  const packet = new Uint8Array(40 + segmentBytes)
  packet[0] = 0x60
  packet[1] = (id >> 16) & 0xf
  putU16(packet, 2, id)
  putU16(packet, 4, segmentBytes)
  packet[6] = protocol
  packet[7] = hopLimit
  packet.set(src, 8)
  packet.set(dst, 24)
  return packet
}

function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value
}

export interface Flow {
  readonly src: Uint8Array
  readonly dst: Uint8Array
  readonly srcPort: number
  readonly dstPort: number
}

export function encodeUdpPacket(flow: Flow, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const { src, dst } = flow
  const segmentBytes = 8 + payload.length
  const packet = ipPacket(src, dst, ipProtocol.udp, segmentBytes, 0, 64)
  const at = packet.length - segmentBytes
  putU16(packet, at, flow.srcPort)
  putU16(packet, at + 2, flow.dstPort)
  putU16(packet, at + 4, segmentBytes)
  packet.set(payload, at + 8)
  const pseudoHeader = sumWords(src, 0, src.length) + sumWords(dst, 0, dst.length) + segmentBytes + ipProtocol.udp
  // zero means "no checksum" on the wire
  putU16(packet, at + 6, foldedChecksum(pseudoHeader + sumWords(packet, at, packet.length)) || 0xffff)
  return packet
}

/** A bare TCP segment; for tests and the filter's own rejects. */
export function encodeTcpPacket(
  flow: Flow,
  tcp: { readonly flags: number; readonly seq?: number; readonly ack?: number; readonly payload?: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const payload = tcp.payload ?? new Uint8Array(0)
  const segment = new Uint8Array(20 + payload.length)
  const view = viewOf(segment)
  view.setUint16(0, flow.srcPort)
  view.setUint16(2, flow.dstPort)
  view.setUint32(4, tcp.seq ?? 0)
  view.setUint32(8, tcp.ack ?? 0)
  segment[12] = 5 << 4
  segment[13] = tcp.flags
  view.setUint16(14, 0xffff)
  segment.set(payload, 20)
  view.setUint16(16, transportChecksum(flow.src, flow.dst, ipProtocol.tcp, segment))
  return encodeIpPacket(flow.src, flow.dst, ipProtocol.tcp, segment)
}

export interface IcmpEcho {
  readonly src: Uint8Array
  readonly dst: Uint8Array
  readonly kind: 'request' | 'reply'
  readonly id: number
  readonly seq: number
  readonly payload?: Uint8Array
}

export function encodeIcmpEcho(echo: IcmpEcho): Uint8Array<ArrayBuffer> {
  const isV4 = echo.src.length === 4
  const payload = echo.payload ?? new Uint8Array(0)
  const segment = new Uint8Array(8 + payload.length)
  const view = viewOf(segment)
  segment[0] = isV4 ? (echo.kind === 'request' ? 8 : 0) : echo.kind === 'request' ? 128 : 129
  view.setUint16(4, echo.id)
  view.setUint16(6, echo.seq)
  segment.set(payload, 8)
  const protocol = isV4 ? ipProtocol.icmp : ipProtocol.icmpv6
  view.setUint16(
    2,
    isV4 ? internetChecksum(segment) : transportChecksum(echo.src, echo.dst, ipProtocol.icmpv6, segment),
  )
  return encodeIpPacket(echo.src, echo.dst, protocol, segment)
}

// TSMP: what Tailscale nodes say to each other inside the tunnel. [tsmp-filter.md §6]

export const TSMP_PING_DATA_BYTES = 8

export type TsmpMessage =
  | { readonly kind: 'ping'; readonly data: Uint8Array }
  /** `peerApiPort` 0 = none. */
  | { readonly kind: 'pong'; readonly data: Uint8Array; readonly peerApiPort: number }
  | {
      readonly kind: 'rejected'
      readonly protocol: number
      /** ASCII: A ACL, S shields-up, F forwarding off, W host firewall, T unknown transit address. */
      readonly reason: number
      /** Of the rejected flow: its initiator's port first. */
      readonly srcPort: number
      readonly dstPort: number
      readonly maybeBroken: boolean
    }
  | { readonly kind: 'discoKey'; readonly discoKey: Uint8Array }
  | { readonly kind: 'unknown'; readonly type: number }

const TSMP_REJECTED = 0x21
const TSMP_DISCO_KEY = 0x61
const TSMP_PONG = 0x6f
const TSMP_PING = 0x70

export function decodeTsmp(message: Uint8Array): Decoded<TsmpMessage> {
  const type = message[0]
  switch (type) {
    case undefined:
      return bad('tsmp-short')
    case TSMP_PING:
      if (message.length < 9) return bad('tsmp-short')
      return ok({ kind: 'ping', data: message.subarray(1, 9) })
    case TSMP_PONG:
      if (message.length < 9) return bad('tsmp-short')
      return ok({
        kind: 'pong',
        data: message.subarray(1, 9),
        peerApiPort: message.length < 11 ? 0 : u16(message, 9),
      })
    case TSMP_REJECTED:
      if (message.length < 7) return bad('tsmp-short')
      return ok({
        kind: 'rejected',
        protocol: message[1]!,
        reason: message[2]!,
        srcPort: u16(message, 3),
        dstPort: u16(message, 5),
        maybeBroken: ((message[7] ?? 0) & 1) !== 0,
      })
    case TSMP_DISCO_KEY:
      if (message.length < 33) return bad('tsmp-short')
      return ok({ kind: 'discoKey', discoKey: message.subarray(1, 33) })
    default:
      return ok({ kind: 'unknown', type })
  }
}

export function encodeTsmp(message: Exclude<TsmpMessage, { kind: 'unknown' }>): Uint8Array<ArrayBuffer> {
  switch (message.kind) {
    case 'ping':
      return tsmp(TSMP_PING, message.data)
    case 'pong':
      return tsmp(TSMP_PONG, message.data, [message.peerApiPort >> 8, message.peerApiPort & 0xff])
    case 'discoKey':
      return tsmp(TSMP_DISCO_KEY, message.discoKey)
    case 'rejected': {
      const { srcPort, dstPort } = message
      const ports = [srcPort >> 8, srcPort & 0xff, dstPort >> 8, dstPort & 0xff]
      return tsmp(TSMP_REJECTED, [message.protocol, message.reason, ...ports], message.maybeBroken ? [1] : [])
    }
  }
}

function tsmp(type: number, body: Uint8Array | number[], tail: number[] = []): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(1 + body.length + tail.length)
  message[0] = type
  message.set(body, 1)
  message.set(tail, 1 + body.length)
  return message
}

export function encodeTsmpPacket(
  src: Uint8Array,
  dst: Uint8Array,
  message: Exclude<TsmpMessage, { kind: 'unknown' }>,
  id = 0,
): Uint8Array<ArrayBuffer> {
  return encodeIpPacket(src, dst, ipProtocol.tsmp, encodeTsmp(message), { id })
}

/** The answer to a TSMP ping: addresses swapped, identification inverted. */
export function encodeTsmpPongTo(ping: ParsedPacket, data: Uint8Array, peerApiPort: number): Uint8Array<ArrayBuffer> {
  const id = ping.version === 4 ? ~u16(ping.bytes, 4) & 0xffff : ~viewOf(ping.bytes).getUint32(0) & 0xfffff
  return encodeTsmpPacket(ping.dst, ping.src, { kind: 'pong', data, peerApiPort }, id)
}
