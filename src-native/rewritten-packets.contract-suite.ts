/** Packets for tests of what is rewritten, and whether their checksums are right. Independent of the code under test. */
import { viewOf } from '../src-protocol/wire/bytes.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import {
  encodeIpPacket,
  encodeTcpPacket,
  encodeUdpPacket,
  internetChecksum,
  ipProtocol,
  parsePacket,
  tcpFlag,
  transportChecksum,
} from '../src-protocol/wire/packet.ts'
import { PacketFields } from './packet-fields.ts'

export function fieldsOf(packet: Uint8Array): PacketFields {
  const p = new PacketFields()
  if (!p.read(packet, packet.length)) throw new Error('no packet')
  return p
}

export interface Ends {
  readonly src: string
  readonly dst: string
  readonly srcPort?: number
  readonly dstPort?: number
}

const flowOf = ({ src, dst, srcPort = 5000, dstPort = 80 }: Ends) => ({
  src: ipBytes(src),
  dst: ipBytes(dst),
  srcPort,
  dstPort,
})

export const udpPacket = (ends: Ends, payload: Uint8Array | number = 4) =>
  encodeUdpPacket(flowOf(ends), typeof payload === 'number' ? noise(payload) : payload)

export const tcpPacket = (ends: Ends, flags: number, bytes = 0) =>
  encodeTcpPacket(flowOf(ends), { flags, seq: 1000, ack: 2000, payload: noise(bytes) })

/** A SYN with these option bytes, a multiple of four. */
export function synPacket(ends: Ends, options: readonly number[], flags: number = tcpFlag.syn): Uint8Array {
  const flow = flowOf(ends)
  const segment = new Uint8Array(20 + options.length)
  const view = viewOf(segment)
  view.setUint16(0, flow.srcPort)
  view.setUint16(2, flow.dstPort)
  view.setUint32(4, 0x01020304)
  segment[12] = ((20 + options.length) / 4) << 4
  segment[13] = flags
  view.setUint16(14, 0xfaf0)
  segment.set(options, 20)
  view.setUint16(16, transportChecksum(flow.src, flow.dst, ipProtocol.tcp, segment))
  return encodeIpPacket(flow.src, flow.dst, ipProtocol.tcp, segment)
}

export const mssOption = (mss: number) => [2, 4, mss >> 8, mss & 0xff]

/** The value of the first MSS option. */
export function mssOf(packet: Uint8Array): number | undefined {
  const parsed = parsePacket(packet)
  if (!parsed.ok) throw new Error(parsed.reason)
  const tcp = parsed.value.transport
  for (let at = 20; at < (tcp[12]! >> 4) * 4; at += tcp[at] === 1 ? 1 : tcp[at + 1]!) {
    if (tcp[at] === 2) return (tcp[at + 2]! << 8) | tcp[at + 3]!
  }
  return undefined
}

export function noise(bytes: number): Uint8Array {
  const out = new Uint8Array(bytes)
  for (let i = 0; i < bytes; i++) out[i] = (i * 37 + 11) & 0xff
  return out
}

/** What is wrong with the checksums of an unfragmented packet; undefined = nothing. */
export function wrongChecksum(packet: Uint8Array): string | undefined {
  const parsed = parsePacket(packet)
  if (!parsed.ok) return parsed.reason
  const { version, protocol, src, dst, transport, transportOffset } = parsed.value
  if (version === 4 && internetChecksum(packet.subarray(0, transportOffset)) !== 0) return 'IPv4 header'
  if (protocol === ipProtocol.icmp) return internetChecksum(transport) === 0 ? undefined : 'ICMP'
  if (protocol === ipProtocol.udp && transport[6] === 0 && transport[7] === 0) {
    return version === 4 ? undefined : 'UDP without, in IPv6'
  }
  // With its own checksum in the sum, nothing is left.
  return transportChecksum(src, dst, protocol, transport) === 0 ? undefined : `protocol ${protocol}`
}
