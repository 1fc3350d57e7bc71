/**
 * Lowers the MSS option of a TCP SYN or SYN-ACK to what the tunnel takes, so that full segments never need to be cut, nor
 * lost where ICMP is. Never raises it; options that make no sense are left alone. [PKT-4]
 */
import { changeChecksum, getU16, putU16 } from './checksum.ts'
import type { PacketFields } from './packet-fields.ts'

export const TCP_SYN = 0x02
const TCP_BYTES = 20
const CHECKSUM_AT = 16
const END = 0
const NOTHING = 1
const MSS = 2

/** IP and TCP header without options. */
export function mssFor(family: 4 | 6, mtuBytes: number): number {
  return Math.max(0, mtuBytes - (family === 4 ? 40 : 60))
}

export function lowerMss(packet: Uint8Array, p: PacketFields, mtuBytes: number): void {
  const tcp = p.transportAt
  const end = tcp + (packet[tcp + 12]! >> 4) * 4
  if (end > p.totalBytes) return
  const most = mssFor(p.family, mtuBytes)
  for (let at = tcp + TCP_BYTES; at < end; ) {
    const kind = packet[at]!
    if (kind === END) return
    if (kind === NOTHING) {
      at++
      continue
    }
    const size = packet[at + 1]!
    if (at + 2 > end || size < 2 || at + size > end) return
    if (kind === MSS && size === 4) lower(packet, tcp, at + 2, most)
    at += size
  }
}

function lower(packet: Uint8Array, tcp: number, at: number, most: number): void {
  const before = getU16(packet, at)
  if (before <= most) return
  putU16(packet, at, most)
  // At an odd place its bytes belong to two words: the sums are those of swapped numbers.
  const isOdd = ((at - tcp) & 1) !== 0
  changeChecksum(packet, tcp + CHECKSUM_AT, isOdd ? swapped(before) : before, isOdd ? swapped(most) : most)
}

function swapped(word: number): number {
  return ((word & 0xff) << 8) | (word >> 8)
}
