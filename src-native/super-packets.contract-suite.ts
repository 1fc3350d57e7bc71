/**
 * What a device makes of a super-packet that the kernel leaves to it, by the specifications: RFC 9293, RFC 768, RFC 6864,
 * Linux' segmentation-offloads.rst. Independent of the code under test.
 */
import { concat, viewOf } from '../src-protocol/wire/bytes.ts'
import { internetChecksum, ipProtocol, transportChecksum } from '../src-protocol/wire/packet.ts'

const FIN_PSH = 0x09
const CWR = 0x80

interface Layout {
  readonly isV4: boolean
  readonly isTcp: boolean
  readonly ipBytes: number
  /** IP and transport header. */
  readonly headBytes: number
  /** Of the transport checksum, from the start of the transport header. */
  readonly checksumAt: number
}

function layoutOf(packet: Uint8Array): Layout {
  const isV4 = packet[0]! >> 4 === 4
  const isTcp = packet[isV4 ? 9 : 6] === ipProtocol.tcp
  const ipBytes = isV4 ? (packet[0]! & 15) * 4 : 40
  const headBytes = ipBytes + (isTcp ? (packet[ipBytes + 12]! >> 4) * 4 : 8)
  return { isV4, isTcp, ipBytes, headBytes, checksumAt: isTcp ? 16 : 6 }
}

export function payloadOf(packet: Uint8Array): Uint8Array {
  return packet.subarray(layoutOf(packet).headBytes)
}

export function cutSuperPacket(packet: Uint8Array, segmentBytes: number): Uint8Array[] {
  const { isV4, isTcp, ipBytes, headBytes } = layoutOf(packet)
  const payload = packet.subarray(headBytes)
  const count = Math.ceil(payload.length / segmentBytes)
  return Array.from({ length: count }, (_, i) => {
    const piece = concat(packet.subarray(0, headBytes), payload.subarray(i * segmentBytes, (i + 1) * segmentBytes))
    const view = viewOf(piece)
    if (isV4) {
      view.setUint16(2, piece.length)
      view.setUint16(4, view.getUint16(4) + i)
    } else {
      view.setUint16(4, piece.length - 40)
    }
    if (isTcp) {
      view.setUint32(ipBytes + 4, view.getUint32(ipBytes + 4) + i * segmentBytes)
      if (i < count - 1) piece[ipBytes + 13]! &= ~FIN_PSH
      if (i > 0) piece[ipBytes + 13]! &= ~CWR
    } else {
      view.setUint16(ipBytes + 4, piece.length - ipBytes)
    }
    return finish(piece)
  })
}

/** Both checksums as they must be. */
export function finish(packet: Uint8Array): Uint8Array {
  const { isV4, isTcp, ipBytes, checksumAt } = layoutOf(packet)
  const done = packet.slice()
  const view = viewOf(done)
  if (isV4) {
    view.setUint16(10, 0)
    view.setUint16(10, internetChecksum(done.subarray(0, ipBytes)))
  }
  view.setUint16(ipBytes + checksumAt, 0)
  view.setUint16(ipBytes + checksumAt, transportSum(done, isTcp ? ipProtocol.tcp : ipProtocol.udp, ipBytes) || 0xffff)
  return done
}

/** As the kernel hands it over: the checksum field holds the sum of the pseudo header, not inverted. */
export function unfinish(packet: Uint8Array): Uint8Array {
  const { isTcp, ipBytes, checksumAt } = layoutOf(packet)
  const partial = packet.slice()
  const nothing = packet.slice()
  nothing.fill(0, ipBytes)
  viewOf(partial).setUint16(
    ipBytes + checksumAt,
    ~transportSum(nothing, isTcp ? ipProtocol.tcp : ipProtocol.udp, ipBytes) & 0xffff,
  )
  return partial
}

function transportSum(packet: Uint8Array, protocol: number, ipBytes: number): number {
  const [src, dst] =
    packet[0]! >> 4 === 4
      ? [packet.subarray(12, 16), packet.subarray(16, 20)]
      : [packet.subarray(8, 24), packet.subarray(24, 40)]
  return transportChecksum(src, dst, protocol, packet.subarray(ipBytes))
}
