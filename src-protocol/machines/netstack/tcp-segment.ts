/**
 * TCP segments with the options that the netstack knows. Not the meaning of anything in them. [RFC 9293 §3.1; RFC 7323 §2;
 * RFC 2018]
 *
 *   0 source port  2 destination port  4 sequence  8 acknowledgement  12 header words·reserved  13 flags  14 window
 *  16 checksum  18 urgent  20 options…
 */
import { viewOf } from '../../wire/bytes.ts'
import { bad, type Decoded, ok } from '../../wire/decoded.ts'
import { type Flow, internetChecksum, ipProtocol, type ParsedPacket, transportChecksum } from '../../wire/packet.ts'

export const tcpHeaderBytes = 20

const OPTION_END = 0
const OPTION_NOP = 1
const OPTION_MSS = 2
const OPTION_WINDOW_SCALE = 3
const OPTION_SACK_PERMITTED = 4
const OPTION_SACK = 5
/** RFC 7323 §2.3: more is taken as this. */
const LARGEST_SCALE = 14
/** What does not fit 40 bytes of options besides nothing else. */
const MAX_SACKS = 3

/** First byte and the byte after the last, as on the wire. */
export type SackRange = readonly [from: number, to: number]

export interface Segment {
  readonly srcPort: number
  readonly dstPort: number
  readonly seq: number
  readonly ack: number
  readonly flags: number
  /** As on the wire, not scaled. */
  readonly window: number
  readonly mss: number | undefined
  readonly windowScale: number | undefined
  readonly isSackPermitted: boolean
  readonly sacks: readonly SackRange[]
  /** A view of the packet. */
  readonly payload: Uint8Array
}

const NO_SACKS: readonly SackRange[] = []

export function decodeSegment(packet: ParsedPacket): Decoded<Segment> {
  const { transport } = packet
  if (transport.length < tcpHeaderBytes) return bad('tcp-short')
  const headerBytes = (transport[12]! >> 4) * 4
  if (headerBytes < tcpHeaderBytes || headerBytes > transport.length) return bad('tcp-header')
  if (transportChecksum(packet.src, packet.dst, ipProtocol.tcp, transport) !== 0) return bad('tcp-checksum')
  const view = viewOf(transport)
  let mss: number | undefined
  let windowScale: number | undefined
  let isSackPermitted = false
  let sacks = NO_SACKS
  for (let at = tcpHeaderBytes; at < headerBytes; ) {
    const kind = transport[at]!
    if (kind === OPTION_END) break
    if (kind === OPTION_NOP) {
      at++
      continue
    }
    const length = at + 1 < headerBytes ? transport[at + 1]! : 0
    if (length < 2 || at + length > headerBytes) break
    if (kind === OPTION_MSS && length === 4) mss = view.getUint16(at + 2)
    else if (kind === OPTION_WINDOW_SCALE && length === 3) windowScale = Math.min(transport[at + 2]!, LARGEST_SCALE)
    else if (kind === OPTION_SACK_PERMITTED && length === 2) isSackPermitted = true
    else if (kind === OPTION_SACK && length >= 10 && length % 8 === 2) sacks = readSacks(view, at + 2, (length - 2) / 8)
    at += length
  }
  return ok({
    srcPort: view.getUint16(0),
    dstPort: view.getUint16(2),
    seq: view.getUint32(4),
    ack: view.getUint32(8),
    flags: transport[13]!,
    window: view.getUint16(14),
    mss,
    windowScale,
    isSackPermitted,
    sacks,
    payload: transport.subarray(headerBytes),
  })
}

function readSacks(view: DataView, at: number, count: number): SackRange[] {
  return Array.from(
    { length: count },
    (_, i): SackRange => [view.getUint32(at + i * 8), view.getUint32(at + i * 8 + 4)],
  )
}

/** MSS, and where wanted scale and permission; padded to words. */
export function synOptions(mss: number, windowScale: number | undefined, isSackPermitted: boolean): Uint8Array {
  const bytes = [OPTION_MSS, 4, mss >> 8, mss & 255]
  if (windowScale !== undefined) bytes.push(OPTION_NOP, OPTION_WINDOW_SCALE, 3, windowScale)
  if (isSackPermitted) bytes.push(OPTION_NOP, OPTION_NOP, OPTION_SACK_PERMITTED, 2)
  return Uint8Array.from(bytes)
}

export function sackOptions(ranges: readonly SackRange[]): Uint8Array {
  const told = ranges.slice(0, MAX_SACKS)
  if (told.length === 0) return NO_OPTIONS
  const bytes = new Uint8Array(4 + told.length * 8)
  bytes.set([OPTION_NOP, OPTION_NOP, OPTION_SACK, 2 + told.length * 8])
  const view = viewOf(bytes)
  for (const [i, [from, to]] of told.entries()) {
    view.setUint32(4 + i * 8, from)
    view.setUint32(8 + i * 8, to)
  }
  return bytes
}

const NO_OPTIONS = new Uint8Array(0)

export interface SegmentHead {
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly window: number
  readonly options?: Uint8Array
}

/** The whole IP packet, in one piece of memory; `fill` writes the payload in its place. */
export function encodeSegment(
  flow: Flow,
  head: SegmentHead,
  payloadBytes = 0,
  fill: (room: Uint8Array) => void = () => {},
): Uint8Array {
  const options = head.options ?? NO_OPTIONS
  const isV4 = flow.src.length === 4
  const ipBytes = isV4 ? 20 : 40
  const headerBytes = tcpHeaderBytes + options.length
  const packet = new Uint8Array(ipBytes + headerBytes + payloadBytes)
  const view = viewOf(packet)
  if (isV4) {
    packet[0] = 0x45
    view.setUint16(2, packet.length)
    packet[6] = 0x40 // do not fragment
    packet[8] = 64
    packet[9] = ipProtocol.tcp
    packet.set(flow.src, 12)
    packet.set(flow.dst, 16)
    view.setUint16(10, internetChecksum(packet.subarray(0, 20)))
  } else {
    packet[0] = 0x60
    view.setUint16(4, packet.length - 40)
    packet[6] = ipProtocol.tcp
    packet[7] = 64
    packet.set(flow.src, 8)
    packet.set(flow.dst, 24)
  }
  view.setUint16(ipBytes, flow.srcPort)
  view.setUint16(ipBytes + 2, flow.dstPort)
  view.setUint32(ipBytes + 4, head.seq)
  view.setUint32(ipBytes + 8, head.ack)
  packet[ipBytes + 12] = (headerBytes / 4) << 4
  packet[ipBytes + 13] = head.flags
  view.setUint16(ipBytes + 14, head.window)
  packet.set(options, ipBytes + tcpHeaderBytes)
  if (payloadBytes > 0) fill(packet.subarray(ipBytes + headerBytes))
  const segment = packet.subarray(ipBytes)
  view.setUint16(ipBytes + 16, transportChecksum(flow.src, flow.dst, ipProtocol.tcp, segment))
  return packet
}
