/**
 * STUN as this field speaks it: one request form, one answer form. Servers stay silent to every other STUN client.
 *                                                                                                        [RFC 5389]
 *   request 40:  0 00 01 · 2 00 14 · 4 cookie · 8 transaction 12 · 20 SOFTWARE "tailnode" · 32 FINGERPRINT
 *   answer 32/44: 0 01 01 · 2 length · 4 cookie · 8 transaction 12 · 20 XOR-MAPPED-ADDRESS
 */
import type { IpPort } from '../../src-contract/ids.ts'
import { copyOf, equalBytes, viewOf } from './bytes.ts'
import { bad, type Decoded, ok } from './decoded.ts'
import { ipPort, parseIpPort } from './ip.ts'
import { utf8 } from './text.ts'

export const TRANSACTION_ID_BYTES = 12
const HEADER_BYTES = 20
const COOKIE = 0x2112a442
const BINDING_REQUEST = 0x0001
const BINDING_SUCCESS = 0x0101
const MAPPED_ADDRESS = 0x0001
const XOR_MAPPED_ADDRESS = 0x0020
/** The number of XOR-MAPPED-ADDRESS in an early draft, still in use. */
const XOR_MAPPED_ADDRESS_DRAFT = 0x8020
const SOFTWARE = 0x8022
const FINGERPRINT = 0x8028
const FINGERPRINT_XOR = 0x5354554e
const FAMILY_V4 = 1
const FAMILY_V6 = 2
const SOFTWARE_NAME = utf8('tailnode')

export function isStun(datagram: Uint8Array): boolean {
  return datagram.length >= HEADER_BYTES && (datagram[0]! & 0xc0) === 0 && viewOf(datagram).getUint32(4) === COOKIE
}

/** An answer, as the shared data sockets tell it from the rest. */
export function isStunResponse(datagram: Uint8Array): boolean {
  return isStun(datagram) && viewOf(datagram).getUint16(0) === BINDING_SUCCESS
}

export function encodeStunRequest(transactionId: Uint8Array): Uint8Array {
  const request = new Uint8Array(40)
  const view = viewOf(request)
  view.setUint16(0, BINDING_REQUEST)
  view.setUint16(2, 20)
  view.setUint32(4, COOKIE)
  request.set(transactionId.subarray(0, TRANSACTION_ID_BYTES), 8)
  view.setUint16(20, SOFTWARE)
  view.setUint16(22, SOFTWARE_NAME.length)
  request.set(SOFTWARE_NAME, 24)
  view.setUint16(32, FINGERPRINT)
  view.setUint16(34, 4)
  view.setUint32(36, fingerprint(request.subarray(0, 32)))
  return request
}

/** What a server demands: SOFTWARE "tailnode", and a right FINGERPRINT as the last attribute. Answers the transaction. */
export function decodeStunRequest(datagram: Uint8Array): Decoded<Uint8Array> {
  if (!isStun(datagram)) return bad('not-stun')
  const view = viewOf(datagram)
  if (view.getUint16(0) !== BINDING_REQUEST) return bad('not-a-request')
  let named = false
  let last: Attribute | undefined
  for (const attribute of attributes(datagram, datagram.length)) {
    if (attribute === undefined) return bad('attribute')
    if (attribute.type === SOFTWARE && equalBytes(attribute.value, SOFTWARE_NAME)) named = true
    last = attribute
  }
  if (!named) return bad('software')
  if (last?.type !== FINGERPRINT || last.value.length !== 4) return bad('no-fingerprint')
  if (viewOf(last.value).getUint32(0) !== fingerprint(datagram.subarray(0, datagram.length - 8)))
    return bad('fingerprint')
  return ok(copyOf(datagram, 8, HEADER_BYTES))
}

export function encodeStunResponse(transactionId: Uint8Array, mapped: IpPort): Uint8Array {
  const parsed = parseIpPort(mapped)
  if (!parsed.ok) throw new Error(`not an address and port: ${mapped}`)
  const { ip, port } = parsed.value
  const response = new Uint8Array(HEADER_BYTES + 8 + ip.length)
  const view = viewOf(response)
  view.setUint16(0, BINDING_SUCCESS)
  view.setUint16(2, 8 + ip.length)
  view.setUint32(4, COOKIE)
  response.set(transactionId.subarray(0, TRANSACTION_ID_BYTES), 8)
  view.setUint16(20, XOR_MAPPED_ADDRESS)
  view.setUint16(22, 4 + ip.length)
  response[25] = ip.length === 4 ? FAMILY_V4 : FAMILY_V6
  view.setUint16(26, port ^ (COOKIE >>> 16))
  response.set(xored(ip, response), 28)
  return response
}

export interface StunAnswer {
  readonly transactionId: Uint8Array
  /** Where the server saw us; a v4-mapped IPv6 address comes out as IPv4. */
  readonly mapped: IpPort
}

/** Lenient as the field is: surplus bytes are ignored, fingerprints are not checked, the last address wins. */
export function decodeStunResponse(datagram: Uint8Array): Decoded<StunAnswer> {
  if (!isStun(datagram)) return bad('not-stun')
  const view = viewOf(datagram)
  if (view.getUint16(0) !== BINDING_SUCCESS) return bad('not-a-response')
  const end = HEADER_BYTES + view.getUint16(2)
  if (end > datagram.length) return bad('short')
  let mapped: IpPort | undefined
  let plain: IpPort | undefined
  for (const attribute of attributes(datagram, end)) {
    if (attribute === undefined) return bad('attribute')
    const { type, value } = attribute
    if (type === XOR_MAPPED_ADDRESS || type === XOR_MAPPED_ADDRESS_DRAFT) mapped = address(value, datagram) ?? mapped
    else if (type === MAPPED_ADDRESS) plain = address(value, undefined) ?? plain
  }
  const found = mapped ?? plain
  if (found === undefined) return bad('no-address')
  return ok({ transactionId: copyOf(datagram, 8, HEADER_BYTES), mapped: found })
}

interface Attribute {
  readonly type: number
  readonly value: Uint8Array
}

/** Attributes up to `end`, each padded to four bytes; undefined once for what does not fit. */
function* attributes(datagram: Uint8Array, end: number): Generator<Attribute | undefined> {
  const view = viewOf(datagram)
  let at = HEADER_BYTES
  while (at < end) {
    if (at + 4 > end) return yield undefined
    const length = view.getUint16(at + 2)
    const start = at + 4
    if (start + length > end) return yield undefined
    yield { type: view.getUint16(at), value: datagram.subarray(start, start + length) }
    at = start + ((length + 3) & ~3)
  }
}

/** 0 zero · 1 family · 2 port · 4 address; both xored with cookie ‖ transaction when a header is given. */
function address(value: Uint8Array, header: Uint8Array | undefined): IpPort | undefined {
  const bytes = value[1] === FAMILY_V4 ? 4 : value[1] === FAMILY_V6 ? 16 : 0
  if (bytes === 0 || value.length < 4 + bytes) return undefined
  const port = viewOf(value).getUint16(2)
  const ip = value.subarray(4, 4 + bytes)
  return header === undefined ? ipPort(ip, port) : ipPort(xored(ip, header), port ^ (COOKIE >>> 16))
}

function xored(ip: Uint8Array, header: Uint8Array): Uint8Array {
  return ip.map((byte, i) => byte ^ header[4 + i]!)
}

function fingerprint(bytes: Uint8Array): number {
  return (crc32(bytes) ^ FINGERPRINT_XOR) >>> 0
}

const CRC_TABLE: readonly number[] = Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value >>> 0
})

/** CRC-32 (IEEE 802.3, reflected). */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]!
  return (crc ^ 0xffffffff) >>> 0
}
