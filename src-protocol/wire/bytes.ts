/** Byte arrays: joining, comparing, hexadecimal and base64. Nothing here knows a protocol. */
import { bad, type Decoded, ok } from './decoded.ts'

export type Bytes = Uint8Array<ArrayBuffer>

export const EMPTY: Bytes = new Uint8Array(0)

export function concat(...parts: Uint8Array[]): Bytes {
  let length = 0
  for (const part of parts) length += part.length
  const joined = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

/** A copy for keeps. `slice` would be a view when the bytes are a Node Buffer. */
export function copyOf(bytes: Uint8Array, start = 0, end = bytes.length): Bytes {
  return new Uint8Array(bytes.subarray(start, end))
}

/** A view of exactly these bytes, also when they are a slice of a larger buffer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Compares public values; secrets go through `Crypto.equal`, which takes the same time for every input. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export function isAllZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false
  return true
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += HEX[byte]
  return text
}

/** The value of one hexadecimal digit by its character code; -1 for everything else. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  if (code >= 97 && code <= 102) return code - 87
  if (code >= 65 && code <= 70) return code - 55
  return -1
}

/** Strict: an even number of digits of either case and nothing else. */
export function parseHex(text: string): Decoded<Bytes> {
  if (text.length % 2 !== 0) return bad('hex-length')
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) {
    const high = hexDigit(text.charCodeAt(2 * i))
    const low = hexDigit(text.charCodeAt(2 * i + 1))
    if (high < 0 || low < 0) return bad('hex-digit')
    bytes[i] = high * 16 + low
  }
  return ok(bytes)
}

/** For constants and tests: white space is ignored and a mistake throws. */
export function fromHex(text: string): Bytes {
  const parsed = parseHex(text.replace(/\s/g, ''))
  if (!parsed.ok) throw new TypeError(`not hexadecimal: ${parsed.reason}`)
  return parsed.value
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const BASE64_VALUE = new Int8Array(128).fill(-1)
for (let i = 0; i < 64; i++) BASE64_VALUE[BASE64.charCodeAt(i)] = i

/** Standard base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i
    const triple = (bytes[i]! << 16) | ((left > 1 ? bytes[i + 1]! : 0) << 8) | (left > 2 ? bytes[i + 2]! : 0)
    text += BASE64[triple >> 18]! + BASE64[(triple >> 12) & 63]!
    text += left > 1 ? BASE64[(triple >> 6) & 63]! : '='
    text += left > 2 ? BASE64[triple & 63]! : '='
  }
  return text
}

/** Standard alphabet, padding required, unused low bits must be zero: one text per value. */
export function parseBase64(text: string): Decoded<Bytes> {
  if (text.length % 4 !== 0) return bad('base64-length')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const digits = text.length - padding
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  let bits = 0
  let held = 0
  let out = 0
  for (let i = 0; i < digits; i++) {
    const code = text.charCodeAt(i)
    const value = code < 128 ? BASE64_VALUE[code]! : -1
    if (value < 0) return bad('base64-digit')
    held = ((held << 6) | value) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[out++] = (held >> bits) & 0xff
    }
  }
  if ((held & ((1 << bits) - 1)) !== 0) return bad('base64-padding')
  return ok(bytes)
}
