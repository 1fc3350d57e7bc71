/**
 * Domain names: wire form ⇄ text. Text is lower case, without the final dot (the root is ""), bytes that would be
 * mistaken are escaped (`\.` `\\` `\DDD`), so that equal names are equal strings. [RFC 1035 §3.1, §4.1.4, §5.1; RFC 4343]
 *
 *  label    1–63 length · bytes      end    0      pointer  11xxxxxx xxxxxxxx, offset from the start of the message
 */
import type { Bytes } from './bytes.ts'
import { bad, type Decoded, ok } from './decoded.ts'

export const MAX_NAME_BYTES = 255
export const MAX_LABEL_BYTES = 63
const POINTER = 0xc0
/** As many as a name can have labels: each record's name could lead through the whole message. */
const MAX_POINTERS = 127
/** No name is in the header: its bytes change on the way. */
const HEADER_BYTES = 12
const DOT = 0x2e
const BACKSLASH = 0x5c

export interface NameAt {
  readonly name: string
  /** The first byte behind it. */
  readonly end: number
}

/** Pointers must lead backwards, each further than the last, so that no message can send us in circles. */
export function decodeDnsName(message: Uint8Array, start: number): Decoded<NameAt> {
  let name = ''
  let at = start
  let end = -1
  let lowest = start
  let total = 0
  let pointers = 0
  for (;;) {
    const length = message[at]
    if (length === undefined) return bad('dns-name-short')
    if (length === 0) return ok({ name, end: end < 0 ? at + 1 : end })
    if ((length & POINTER) === POINTER) {
      const low = message[at + 1]
      if (low === undefined) return bad('dns-name-short')
      const target = ((length & 0x3f) << 8) | low
      if (target < HEADER_BYTES || target >= lowest || ++pointers > MAX_POINTERS) return bad('dns-pointer')
      if (end < 0) end = at + 2
      lowest = target
      at = target
      continue
    }
    if (length > MAX_LABEL_BYTES) return bad('dns-label')
    total += length + 1
    if (total + 1 > MAX_NAME_BYTES) return bad('dns-name-long')
    if (at + 1 + length > message.length) return bad('dns-name-short')
    if (name !== '') name += '.'
    for (let i = at + 1; i <= at + length; i++) name += byteText(message[i]!)
    at += 1 + length
  }
}

function byteText(byte: number): string {
  if (byte >= 0x41 && byte <= 0x5a) return String.fromCharCode(byte | 0x20)
  if (byte === DOT || byte === BACKSLASH) return `\\${String.fromCharCode(byte)}`
  if (byte > 0x20 && byte < 0x7f) return String.fromCharCode(byte)
  return `\\${String(byte).padStart(3, '0')}`
}

/** Uncompressed wire form of a name as a person or a server wrote it; a final dot is allowed. */
export function parseDnsName(text: string): Decoded<Bytes> {
  const bytes: number[] = []
  let label: number[] = []
  const endLabel = (): boolean => {
    if (label.length === 0 || label.length > MAX_LABEL_BYTES) return false
    bytes.push(label.length, ...label)
    label = []
    return true
  }
  const whole = text === '.' ? '' : text
  for (let i = 0; i < whole.length; i++) {
    const code = whole.charCodeAt(i)
    if (code === BACKSLASH) {
      const digits = whole.slice(i + 1, i + 4)
      if (/^\d{3}$/.test(digits) && Number(digits) < 256) {
        label.push(Number(digits))
        i += 3
      } else if (i + 1 < whole.length && whole.charCodeAt(i + 1) < 0x80) label.push(whole.charCodeAt(++i))
      else return bad('dns-name-escape')
    } else if (code === DOT) {
      if (!endLabel()) return bad('dns-label')
    } else if (code < 0x80) label.push(code)
    else return bad('dns-name-ascii')
    if (bytes.length > MAX_NAME_BYTES) return bad('dns-name-long')
  }
  if (label.length > 0 && !endLabel()) return bad('dns-label')
  if (bytes.length + 1 > MAX_NAME_BYTES) return bad('dns-name-long')
  return ok(Uint8Array.from([...bytes, 0]))
}

/** The text form that {@link decodeDnsName} gives; undefined when it is no name. */
export function canonicalDnsName(text: string): string | undefined {
  const wire = parseDnsName(text)
  if (!wire.ok) return undefined
  const back = decodeDnsName(wire.value, 0)
  return back.ok ? back.value.name : undefined
}

/** Whether `name` is `suffix` or lies below it; both canonical. Everything lies below the root. */
export function isWithin(name: string, suffix: string): boolean {
  if (suffix === '') return true
  if (!name.endsWith(suffix)) return false
  if (name.length === suffix.length) return true
  if (name[name.length - suffix.length - 1] !== '.') return false
  // an escaped dot does not end a label
  let slashes = 0
  while (name[name.length - suffix.length - 2 - slashes] === '\\') slashes++
  return slashes % 2 === 0
}

/** The name without its first label; undefined for the root. */
export function parentName(name: string): string | undefined {
  for (let i = 0; i < name.length; i++) {
    if (name[i] === '\\') i++
    else if (name[i] === '.') return name.slice(i + 1)
  }
  return name === '' ? undefined : ''
}
