/**
 * SOCKS version 5 as a server reads and writes it. Pure. [RFC 1928]
 *
 *   greeting  5 · methods n · n methods                       → 5 · method
 *   request   5 · command · 0 · type · address · port u16     → 5 · reply · 0 · type · address · port u16
 *   address   1: 4 bytes · 3: length and name · 4: 16 bytes
 */
import { concat, viewOf } from '../../../src-protocol/wire/bytes.ts'
import { bad, type Decoded, ok } from '../../../src-protocol/wire/decoded.ts'
import { ipText } from '../../../src-protocol/wire/ip.ts'

export const SOCKS_VERSION = 5
export const socksMethod = { none: 0, unacceptable: 0xff } as const
export const socksCommand = { connect: 1, bind: 2, udpAssociate: 3 } as const
export const socksReply = {
  succeeded: 0,
  failure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  expired: 6,
  badCommand: 7,
  badAddress: 8,
} as const

const TYPE_V4 = 1
const TYPE_NAME = 3
const TYPE_V6 = 4

export interface SocksRequest {
  readonly command: number
  readonly host: string
  readonly port: number
}

/** `value` undefined: more bytes are needed. `bytes`: how many were used. */
export type Partly<T> = Decoded<{ readonly value: T; readonly bytes: number } | undefined>

export function decodeGreeting(bytes: Uint8Array): Partly<{ readonly methods: Uint8Array }> {
  if (bytes.length > 0 && bytes[0] !== SOCKS_VERSION) return bad('socks-version')
  if (bytes.length < 2 || bytes.length < 2 + bytes[1]!) return ok(undefined)
  const end = 2 + bytes[1]!
  return ok({ value: { methods: bytes.subarray(2, end) }, bytes: end })
}

export function decodeRequest(bytes: Uint8Array): Partly<SocksRequest> {
  if (bytes.length > 0 && bytes[0] !== SOCKS_VERSION) return bad('socks-version')
  if (bytes.length < 5) return ok(undefined)
  const address = decodeAddress(bytes, 3)
  if (!address.ok) return address
  if (address.value === undefined) return ok(undefined)
  const { host, port, end } = address.value
  return ok({ value: { command: bytes[1]!, host, port }, bytes: end })
}

function decodeAddress(
  bytes: Uint8Array,
  at: number,
): Decoded<{ readonly host: string; readonly port: number; readonly end: number } | undefined> {
  const type = bytes[at]
  const start = type === TYPE_NAME ? at + 2 : at + 1
  const length = type === TYPE_V4 ? 4 : type === TYPE_V6 ? 16 : type === TYPE_NAME ? bytes[at + 1]! : -1
  if (length === -1) return bad('socks-address-type')
  if (type === TYPE_NAME && length === 0) return bad('socks-name')
  const end = start + length + 2
  if (bytes.length < end) return ok(undefined)
  const raw = bytes.slice(start, start + length)
  if (type === TYPE_NAME && raw.some((byte) => byte <= 0x20 || byte >= 0x7f)) return bad('socks-name')
  const host = type === TYPE_NAME ? String.fromCharCode(...raw) : ipText(raw)
  return ok({ host, port: viewOf(bytes).getUint16(end - 2), end })
}

export const encodeMethod = (method: number): Uint8Array => Uint8Array.of(SOCKS_VERSION, method)

/** With an address where the client is to know one, else zeros. */
export function encodeReply(reply: number, address: Uint8Array = new Uint8Array(4), port = 0): Uint8Array {
  const type = address.length === 4 ? TYPE_V4 : TYPE_V6
  return concat(Uint8Array.of(SOCKS_VERSION, reply, 0, type), address, Uint8Array.of(port >> 8, port & 255))
}
