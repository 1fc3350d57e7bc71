/**
 * Echo requests of the host to the service addresses, 100.100.100.100 and fd7a:115c:a1e0::53: nobody else is there to
 * answer them. [PKT-3]
 */
import { changeChecksum } from './checksum.ts'
import type { PacketFields } from './packet-fields.ts'

const REQUEST = { 4: 8, 6: 128 } as const
const REPLY = { 4: 0, 6: 129 } as const

export function isServiceEcho(packet: Uint8Array, p: PacketFields): boolean {
  const isV4 = p.family === 4
  const toService = isV4
    ? p.d0 === 0x64646464
    : p.d0 === 0xfd7a115c && p.d1 === 0xa1e00000 && p.d2 === 0 && p.d3 === 0x53
  if (!toService || !p.isIcmp() || p.icmpType !== REQUEST[p.family] || p.icmpCode !== 0) return false
  return isV4 ? (packet[6]! & 0x20) === 0 : p.transportAt === 40 // not of a fragment
}

/** Turns the request into its reply, in place. */
export function answerEcho(packet: Uint8Array, p: PacketFields): void {
  const at = p.family === 4 ? 12 : 8
  const size = p.family === 4 ? 4 : 16
  const source = Uint8Array.from(packet.subarray(at, at + size))
  packet.copyWithin(at, at + size, at + 2 * size)
  packet.set(source, at + size)
  changeChecksum(packet, p.transportAt + 2, REQUEST[p.family] << 8, REPLY[p.family] << 8)
  packet[p.transportAt] = REPLY[p.family]
}
