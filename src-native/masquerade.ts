/**
 * A peer that knows us by another address than our own: shared-in nodes, whose network uses ours already. What it sends to
 * that address is for our own one; what we send from our own one comes from that address. [PKT-1]
 */
import { changeChecksum, changeUdpChecksum, putU32, sumOf } from './checksum.ts'
import type { AddressPair } from './door.ts'
import { ICMP6, type PacketFields, TCP, UDP } from './packet-fields.ts'
import { type ParsedPrefix, prefixOf } from './prefix-map.ts'

const DCCP = 33
const UDP_LITE = 136

/** At most one address of each family, as words. */
export interface OwnAddresses {
  readonly v4: ParsedPrefix | undefined
  readonly v6: ParsedPrefix | undefined
}

export const NO_ADDRESSES: OwnAddresses = { v4: undefined, v6: undefined }

/** Text of the wrong family is no address. */
export function parsePair(pair: AddressPair): OwnAddresses {
  const v4 = pair.v4 === undefined ? undefined : prefixOf(`${pair.v4}/32`)
  const v6 = pair.v6 === undefined ? undefined : prefixOf(`${pair.v6}/128`)
  return { v4: v4?.family === 4 ? v4 : undefined, v6: v6?.family === 6 ? v6 : undefined }
}

export function isEmptyPair(pair: OwnAddresses): boolean {
  return pair.v4 === undefined && pair.v6 === undefined
}

/** Changes packet, checksums and `p`, or nothing. `seen`: what the peer calls us; `own`: what we are. */
export function masqueradeIn(packet: Uint8Array, p: PacketFields, seen: OwnAddresses, own: OwnAddresses): void {
  const from = p.family === 4 ? seen.v4 : seen.v6
  const to = p.family === 4 ? own.v4 : own.v6
  if (from === undefined || to === undefined) return
  if (p.d0 !== from.w0 || p.d1 !== from.w1 || p.d2 !== from.w2 || p.d3 !== from.w3) return
  replace(packet, p, p.family === 4 ? 16 : 24, to)
  p.d0 = to.w0
  p.d1 = to.w1
  p.d2 = to.w2
  p.d3 = to.w3
}

export function masqueradeOut(packet: Uint8Array, p: PacketFields, seen: OwnAddresses, own: OwnAddresses): void {
  const from = p.family === 4 ? own.v4 : own.v6
  const to = p.family === 4 ? seen.v4 : seen.v6
  if (from === undefined || to === undefined) return
  if (p.s0 !== from.w0 || p.s1 !== from.w1 || p.s2 !== from.w2 || p.s3 !== from.w3) return
  replace(packet, p, p.family === 4 ? 12 : 8, to)
  p.s0 = to.w0
  p.s1 = to.w1
  p.s2 = to.w2
  p.s3 = to.w3
}

function replace(packet: Uint8Array, p: PacketFields, at: number, to: ParsedPrefix): void {
  const end = at + (p.family === 4 ? 4 : 16)
  const removed = sumOf(packet, at, end)
  putU32(packet, at, to.w0)
  if (p.family === 6) {
    putU32(packet, at + 4, to.w1)
    putU32(packet, at + 8, to.w2)
    putU32(packet, at + 12, to.w3)
  }
  const added = sumOf(packet, at, end)
  if (p.family === 4) changeChecksum(packet, 10, removed, added)
  changeTransportChecksum(packet, p, removed, added)
}

/** Transports whose checksum covers the addresses. A later fragment has none, nor has what we do not understand. */
function changeTransportChecksum(packet: Uint8Array, p: PacketFields, removed: number, added: number): void {
  const at = p.transportAt
  switch (p.protocol) {
    case TCP:
      changeChecksum(packet, at + 16, removed, added)
      break
    case UDP:
      changeUdpChecksum(packet, at + 6, removed, added)
      break
    case DCCP:
    case UDP_LITE:
      if (p.totalBytes - at >= 8) changeChecksum(packet, at + 6, removed, added)
      break
    case ICMP6:
      if (p.family === 6) changeChecksum(packet, at + 2, removed, added)
      break
  }
}
