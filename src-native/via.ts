/**
 * 4via6, the router's side: many sites may use the same IPv4 network; each is reached by IPv6 addresses that hold its
 * number. Packets of peers to such an address become IPv4 for the host's own stack, which routes and masquerades them;
 * answers become IPv6 again. TCP, UDP and echo, unfragmented. [PKT-5; RFC 7915]
 *
 *   fd7a:115c:a1e0:0b1a : site u32 : IPv4 address u32
 */
import {
  changeChecksum,
  changeUdpChecksum,
  checksumIpv4Header,
  folded,
  getU16,
  putU16,
  putU32,
  sumOf,
} from './checksum.ts'
import type { PeerId } from './door.ts'
import { FRAGMENT, ICMP4, ICMP6, type PacketFields, TCP, UDP } from './packet-fields.ts'
import { PrefixMap, prefixOf } from './prefix-map.ts'
import { type ViaEnds, ViaFlows, type ViaTuple } from './via-flows.ts'

/** Between the two header lengths, without options and extension headers. */
export const VIA_GROWTH_BYTES = 20
const V4_HEADER_BYTES = 20
const V6_HEADER_BYTES = 40
const PREFIX_0 = 0xfd7a115c
const PREFIX_1 = 0xa1e00b1a
/** The site must be named in full. */
const SITE_BITS = 96
const ECHO_REQUEST_4 = 8
const ECHO_REPLY_4 = 0
const ECHO_REQUEST_6 = 128
const ECHO_REPLY_6 = 129
const DONT_FRAGMENT = 0x4000

export type ViaInDrop = 'via-fragment' | 'via-unsupported' | 'via-target' | 'via-source' | 'via-conflict'
export type ViaOutDrop = 'via-fragment' | 'via-options'

/**
 * IPv6 → IPv4, in place: the packet ends where it ended, and starts where the answer says. `p` describes it before;
 * `source` is the IPv4 address it is to come from.
 */
export function viaToV4(packet: Uint8Array, p: PacketFields, source: number): number {
  const transport = p.transportAt
  const start = transport - V4_HEADER_BYTES
  const size = p.totalBytes - transport
  const traffic = ((packet[0]! << 4) | (packet[1]! >> 4)) & 0xff
  const hopLimit = packet[7]!
  const before = sumOf(packet, 8, V6_HEADER_BYTES)
  packet[start] = 0x45
  packet[start + 1] = traffic
  putU16(packet, start + 2, V4_HEADER_BYTES + size)
  putU16(packet, start + 4, 0)
  putU16(packet, start + 6, DONT_FRAGMENT)
  packet[start + 8] = hopLimit
  packet[start + 9] = p.protocol === ICMP6 ? ICMP4 : p.protocol
  putU32(packet, start + 12, source)
  putU32(packet, start + 16, p.d3)
  checksumIpv4Header(packet, start, V4_HEADER_BYTES)
  const after = sumOf(packet, start + 12, start + V4_HEADER_BYTES)
  if (p.protocol === TCP) changeChecksum(packet, transport + 16, before, after)
  else if (p.protocol === UDP) changeUdpChecksum(packet, transport + 6, before, after)
  else {
    changeChecksum(packet, transport + 2, before + ICMP6 + size + (ECHO_REQUEST_6 << 8), ECHO_REQUEST_4 << 8)
    packet[transport] = ECHO_REQUEST_4
  }
  return start
}

/** IPv4 of `length` bytes at `VIA_GROWTH_BYTES` → IPv6 at 0. */
export function viaToV6(room: Uint8Array, length: number, ends: ViaEnds): void {
  const v4 = VIA_GROWTH_BYTES
  const size = Math.min(getU16(room, v4 + 2), length) - V4_HEADER_BYTES
  const tos = room[v4 + 1]!
  const ttl = room[v4 + 8]!
  const protocol = room[v4 + 9]!
  const before = sumOf(room, v4 + 12, v4 + V4_HEADER_BYTES)
  room[0] = 0x60 | (tos >> 4)
  room[1] = tos << 4
  putU16(room, 2, 0)
  putU16(room, 4, size)
  room[6] = protocol === ICMP4 ? ICMP6 : protocol
  room[7] = ttl
  for (let i = 0; i < 4; i++) {
    putU32(room, 8 + i * 4, ends.destination[i]!)
    putU32(room, 24 + i * 4, ends.source[i]!)
  }
  const after = sumOf(room, 8, V6_HEADER_BYTES)
  const transport = V6_HEADER_BYTES
  if (protocol === TCP) changeChecksum(room, transport + 16, before, after)
  else if (protocol === ICMP4) {
    changeChecksum(room, transport + 2, ECHO_REPLY_4 << 8, (ECHO_REPLY_6 << 8) + after + ICMP6 + size)
    room[transport] = ECHO_REPLY_6
  } else if (getU16(room, transport + 6) !== 0) changeUdpChecksum(room, transport + 6, before, after)
  else {
    // IPv6 wants a checksum; the sum runs as far as UDP says that it goes.
    const said = getU16(room, transport + 4)
    const covered = said >= 8 && said <= size ? said : size
    const sum = ~folded(after + UDP + covered + sumOf(room, transport, transport + covered)) & 0xffff
    putU16(room, transport + 6, sum === 0 ? 0xffff : sum)
  }
}

export class Via {
  #nets = new PrefixMap<true>()
  readonly #flows = new ViaFlows()
  #isOn = false

  /** Nothing else of this class may be used while it is off. */
  get isOn(): boolean {
    return this.#isOn
  }

  /** Those of our networks that are such prefixes. */
  setNets(localNets: readonly string[]): void {
    this.#nets = new PrefixMap()
    this.#isOn = false
    for (const text of localNets) {
      const prefix = prefixOf(text)
      if (prefix === undefined || prefix.family !== 6 || prefix.bits < SITE_BITS) continue
      if (prefix.w0 !== PREFIX_0 || prefix.w1 !== PREFIX_1) continue
      this.#nets.set(prefix, true)
      this.#isOn = true
    }
  }

  /** Whether an inbound packet is to be translated. */
  serves(p: PacketFields): boolean {
    if (p.family !== 6 || p.d0 !== PREFIX_0 || p.d1 !== PREFIX_1) return false
    return this.#nets.lookup(6, p.d0, p.d1, p.d2, p.d3) === true
  }

  /** Remembers the flow, or says why the packet is dropped. `source`: the peer's IPv4 address, 0 = none. */
  admit(packet: Uint8Array, p: PacketFields, peer: PeerId, source: number, nowMs: number): ViaInDrop | undefined {
    // A fragment header may say that this is the whole packet.
    if (p.protocol === FRAGMENT || (p.transportAt !== V6_HEADER_BYTES && (packet[43]! & 1) !== 0)) return 'via-fragment'
    if (!isTranslated(p, ECHO_REQUEST_6)) return 'via-unsupported'
    if (isRefusedTarget(p.d3)) return 'via-target'
    if (source === 0) return 'via-source'
    const isEcho = p.isIcmp()
    const tuple: ViaTuple = {
      protocol: isEcho ? ICMP4 : p.protocol,
      source,
      destination: p.d3,
      sourcePort: isEcho ? p.icmpIdentifier : p.sourcePort,
      destinationPort: isEcho ? 0 : p.destinationPort,
    }
    const ends: ViaEnds = { peer, source: [p.s0, p.s1, p.s2, p.s3], destination: [p.d0, p.d1, p.d2, p.d3] }
    return this.#flows.remember(tuple, ends, p.tcpFlags, nowMs) ? undefined : 'via-conflict'
  }

  /** An inbound IPv4 packet must not be taken for part of a translated flow, nor its answers: false = drop it. */
  admitPlain(p: PacketFields, nowMs: number): boolean {
    if (p.family !== 4 || !isTranslated(p, ECHO_REQUEST_4)) return true
    const isEcho = p.isIcmp()
    const sourcePort = isEcho ? p.icmpIdentifier : p.sourcePort
    const destinationPort = isEcho ? 0 : p.destinationPort
    return this.#flows.giveUp(
      { protocol: p.protocol, source: p.s0, destination: p.d0, sourcePort, destinationPort },
      nowMs,
    )
  }

  /** What an outbound packet of this peer becomes: itself (undefined), an answer to a translated flow, or nothing. */
  answers(packet: Uint8Array, p: PacketFields, peer: PeerId, nowMs: number): ViaEnds | ViaOutDrop | undefined {
    if (p.family !== 4 || !isTranslated(p, ECHO_REPLY_4)) return undefined
    const isEcho = p.isIcmp()
    const sourcePort = isEcho ? p.icmpIdentifier : p.destinationPort
    const destinationPort = isEcho ? 0 : p.sourcePort
    const tuple = { protocol: p.protocol, source: p.d0, destination: p.s0, sourcePort, destinationPort }
    const ends = this.#flows.answer(tuple, peer, p.tcpFlags, nowMs)
    if (ends === undefined) return undefined
    if ((packet[6]! & 0x20) !== 0) return 'via-fragment'
    return packet[0] === 0x45 ? ends : 'via-options'
  }
}

function isTranslated(p: PacketFields, echoType: number): boolean {
  if (p.protocol === TCP || p.protocol === UDP) return true
  return p.isIcmp() && p.icmpType === echoType && p.icmpCode === 0
}

/**
 * What no peer may reach through us by such an address: this network, loopback, link-local, multicast and beyond, and the
 * tailnet's own range, where the rules for the IPv4 address itself hold.
 */
function isRefusedTarget(ip: number): boolean {
  const first = ip >>> 24
  return first === 0 || first === 127 || first >= 224 || ip >>> 16 === 0xa9fe || ip >>> 22 === 0x64400000 >>> 22
}
