/**
 * WireGuard messages: layouts only. The handshake's cryptography lives in `machines/wireguard/handshake.ts`, the MACs in
 * `machines/wireguard/cookies.ts`, transport data behind the data path's door.        [WireGuard §5.4, little-endian]
 *
 *   Initiation 148                     Response 92                         Cookie reply 64        Transport 32 + n
 *     0  4 type 1 (01 00 00 00)          0  4 type 2                         0  4 type 3            0  4 type 4
 *     4  4 sender index                  4  4 sender index                   4  4 receiver index    4  4 receiver index
 *     8 32 ephemeral public              8  4 receiver index                 8 24 nonce             8  8 counter
 *    40 48 sealed static public         12 32 ephemeral public              32 32 sealed cookie    16    sealed packet
 *    88 28 sealed TAI64N                44 16 sealed nothing
 *   116 16 MAC1                         60 16 MAC1
 *   132 16 MAC2 or zeros                76 16 MAC2 or zeros
 *
 * The three reserved bytes belong to the type. Types 1–3 have exactly these sizes; whatever is shorter than 32 bytes is
 * noise by agreement (senders append one-byte tails on purpose).
 */
import { type Bytes, concat, viewOf } from './bytes.ts'
import { bad, type Decoded, ok } from './decoded.ts'

export const INITIATION_BYTES = 148
export const RESPONSE_BYTES = 92
export const COOKIE_REPLY_BYTES = 64
export const TRANSPORT_HEADER_BYTES = 16
export const TAG_BYTES = 16
/** A keepalive: header and the tag of nothing. */
export const MIN_TRANSPORT_BYTES = TRANSPORT_HEADER_BYTES + TAG_BYTES
export const MAC_BYTES = 16
export const COOKIE_NONCE_BYTES = 24
export const TIMESTAMP_BYTES = 12

export type MessageType = 1 | 2 | 3 | 4

export interface Initiation {
  readonly sender: number
  readonly ephemeral: Uint8Array
  /** 48 bytes: the sender's static public key. */
  readonly sealedStatic: Uint8Array
  /** 28 bytes: TAI64N. */
  readonly sealedTimestamp: Uint8Array
}

export interface Response {
  readonly sender: number
  readonly receiver: number
  readonly ephemeral: Uint8Array
  /** 16 bytes: the tag of nothing. */
  readonly sealedNothing: Uint8Array
}

export interface CookieReply {
  readonly receiver: number
  readonly nonce: Uint8Array
  readonly sealedCookie: Uint8Array
}

export interface TransportHeader {
  readonly receiver: number
  readonly counter: number
}

/** 0: not a WireGuard message, by type or by size. */
export function messageType(bytes: Uint8Array): MessageType | 0 {
  if (bytes.length < MIN_TRANSPORT_BYTES || bytes[1] !== 0 || bytes[2] !== 0 || bytes[3] !== 0) return 0
  switch (bytes[0]) {
    case 1:
      return bytes.length === INITIATION_BYTES ? 1 : 0
    case 2:
      return bytes.length === RESPONSE_BYTES ? 2 : 0
    case 3:
      return bytes.length === COOKIE_REPLY_BYTES ? 3 : 0
    case 4:
      return 4
    default:
      return 0
  }
}

/** With both MACs zero; {@link macFields} says where they go. */
export function encodeInitiation(message: Initiation): Bytes {
  const bytes = new Uint8Array(INITIATION_BYTES)
  const view = viewOf(bytes)
  view.setUint32(0, 1, true)
  view.setUint32(4, message.sender, true)
  bytes.set(message.ephemeral, 8)
  bytes.set(message.sealedStatic, 40)
  bytes.set(message.sealedTimestamp, 88)
  return bytes
}

/** Fields are views into `bytes`. */
export function decodeInitiation(bytes: Uint8Array): Decoded<Initiation> {
  if (messageType(bytes) !== 1) return bad('not-initiation')
  return ok({
    sender: viewOf(bytes).getUint32(4, true),
    ephemeral: bytes.subarray(8, 40),
    sealedStatic: bytes.subarray(40, 88),
    sealedTimestamp: bytes.subarray(88, 116),
  })
}

/** With both MACs zero. */
export function encodeResponse(message: Response): Bytes {
  const bytes = new Uint8Array(RESPONSE_BYTES)
  const view = viewOf(bytes)
  view.setUint32(0, 2, true)
  view.setUint32(4, message.sender, true)
  view.setUint32(8, message.receiver, true)
  bytes.set(message.ephemeral, 12)
  bytes.set(message.sealedNothing, 44)
  return bytes
}

export function decodeResponse(bytes: Uint8Array): Decoded<Response> {
  if (messageType(bytes) !== 2) return bad('not-response')
  const view = viewOf(bytes)
  return ok({
    sender: view.getUint32(4, true),
    receiver: view.getUint32(8, true),
    ephemeral: bytes.subarray(12, 44),
    sealedNothing: bytes.subarray(44, 60),
  })
}

export interface MacFields {
  /** What MAC1 covers, and where it stands. */
  readonly beforeMac1: Uint8Array
  readonly mac1: Uint8Array
  /** What MAC2 covers: everything before it, so MAC1 too. */
  readonly beforeMac2: Uint8Array
  readonly mac2: Uint8Array
}

/** Views into an initiation or a response; writing to them writes the message. */
export function macFields(handshakeMessage: Uint8Array): MacFields {
  const end = handshakeMessage.length
  return {
    beforeMac1: handshakeMessage.subarray(0, end - 2 * MAC_BYTES),
    mac1: handshakeMessage.subarray(end - 2 * MAC_BYTES, end - MAC_BYTES),
    beforeMac2: handshakeMessage.subarray(0, end - MAC_BYTES),
    mac2: handshakeMessage.subarray(end - MAC_BYTES),
  }
}

/** The index its sender wants to be answered under. */
export function senderIndex(handshakeMessage: Uint8Array): number {
  return viewOf(handshakeMessage).getUint32(4, true)
}

export function encodeCookieReply(message: CookieReply): Bytes {
  const head = new Uint8Array(8)
  viewOf(head).setUint32(0, 3, true)
  viewOf(head).setUint32(4, message.receiver, true)
  return concat(head, message.nonce, message.sealedCookie)
}

export function decodeCookieReply(bytes: Uint8Array): Decoded<CookieReply> {
  if (messageType(bytes) !== 3) return bad('not-cookie-reply')
  return ok({
    receiver: viewOf(bytes).getUint32(4, true),
    nonce: bytes.subarray(8, 32),
    sealedCookie: bytes.subarray(32, 64),
  })
}

export function encodeTransportHeader(header: TransportHeader): Bytes {
  const bytes = new Uint8Array(TRANSPORT_HEADER_BYTES)
  writeTransportHeader(bytes, header)
  return bytes
}

/** Into a buffer that has the packet behind it already. */
export function writeTransportHeader(into: Uint8Array, header: TransportHeader): void {
  const view = viewOf(into)
  view.setUint32(0, 4, true)
  view.setUint32(4, header.receiver, true)
  view.setUint32(8, header.counter % 2 ** 32, true)
  view.setUint32(12, Math.floor(header.counter / 2 ** 32), true)
}

/**
 * The header of a transport message; what is sealed starts at {@link TRANSPORT_HEADER_BYTES}.
 * Counters from 2^53 on are refused, where the paper allows up to 2^64 − 2^13 − 1: a number stays exact, and no key lives
 * long enough to get there.
 */
export function decodeTransportHeader(bytes: Uint8Array): Decoded<TransportHeader> {
  if (messageType(bytes) !== 4) return bad('not-transport')
  const view = viewOf(bytes)
  const high = view.getUint32(12, true)
  if (high > 0x1fffff) return bad('counter-range')
  return ok({ receiver: view.getUint32(4, true), counter: high * 2 ** 32 + view.getUint32(8, true) })
}

/** The ChaCha20-Poly1305 nonce of a counter: four zero bytes, then u64. */
export function transportNonce(counter: number): Bytes {
  const nonce = new Uint8Array(12)
  const view = viewOf(nonce)
  view.setUint32(4, counter % 2 ** 32, true)
  view.setUint32(8, Math.floor(counter / 2 ** 32), true)
  return nonce
}
