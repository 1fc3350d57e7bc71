/** As much of DER as a self-signed certificate needs: encoding only.                                        [X.690] */
import { concat } from '../../src-protocol/wire/bytes.ts'
import { utf8 } from '../../src-protocol/wire/text.ts'

function element(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const content = concat(...parts)
  if (content.length < 0x80) return concat(Uint8Array.of(tag, content.length), content)
  if (content.length < 0x100) return concat(Uint8Array.of(tag, 0x81, content.length), content)
  return concat(Uint8Array.of(tag, 0x82, content.length >> 8, content.length & 0xff), content)
}

export const sequence = (...parts: Uint8Array[]) => element(0x30, ...parts)
export const set = (...parts: Uint8Array[]) => element(0x31, ...parts)
export const octets = (bytes: Uint8Array) => element(0x04, bytes)
export const bits = (bytes: Uint8Array, unusedBits = 0) => element(0x03, Uint8Array.of(unusedBits), bytes)
export const text = (value: string) => element(0x0c, utf8(value))
export const isTrue = () => element(0x01, Uint8Array.of(0xff))
/** `[n]`, constructed. */
export const tagged = (n: number, ...content: Uint8Array[]) => element(0xa0 | n, ...content)
/** `[n]`, primitive and implicit. */
export const raw = (n: number, bytes: Uint8Array) => element(0x80 | n, bytes)

/** A positive number, big-endian. */
export function integer(bytes: Uint8Array): Uint8Array {
  return element(0x02, bytes[0]! >= 0x80 ? concat(Uint8Array.of(0), bytes) : bytes)
}

export function objectId(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split('.').map(Number)
  const bytes = [first! * 40 + second!]
  for (const arc of rest) {
    const septets = [arc & 0x7f]
    for (let left = arc >>> 7; left > 0; left >>>= 7) septets.unshift((left & 0x7f) | 0x80)
    bytes.push(...septets)
  }
  return element(0x06, Uint8Array.from(bytes))
}

/** UTCTime up to 2049, GeneralizedTime after that.                                            [RFC 5280 §4.1.2.5] */
export function time(at: Date): Uint8Array {
  const digits = `${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`
  return at.getUTCFullYear() < 2050 ? element(0x17, utf8(digits.slice(2))) : element(0x18, utf8(digits))
}
