/**
 * D-Bus messages, little endian: as much as a client needs that calls methods and hears signals. Not the socket, not the
 * greeting. [D-Bus specification 0.43, "Marshaling", "Message Protocol"]
 *
 *  0 'l'  1 type  2 flags  3 version  4 body length u32  8 serial u32  12 header fields a(yv)  … to 8 bytes, then the body
 *
 * Values: numbers for y n q i u d, bigint for x t, boolean, string for s o g, `Uint8Array` for ay, arrays for a… and
 * for structs, `[key, value]` for dictionary entries, `{ signature, value }` for variants.
 */
import { type Bytes, viewOf } from './bytes.ts'
import { bad, type Decoded, ok } from './decoded.ts'
import { parseUtf8, utf8 } from './text.ts'

export type DbusValue = number | bigint | boolean | string | Uint8Array | readonly DbusValue[] | DbusVariant
export interface DbusVariant {
  readonly signature: string
  readonly value: DbusValue
}

export const dbusType = { call: 1, reply: 2, error: 3, signal: 4 } as const

export interface DbusMessage {
  readonly type: number
  readonly flags: number
  readonly serial: number
  readonly path?: string | undefined
  readonly interface?: string | undefined
  readonly member?: string | undefined
  readonly errorName?: string | undefined
  readonly replySerial?: number | undefined
  readonly destination?: string | undefined
  readonly sender?: string | undefined
  readonly signature?: string | undefined
  readonly body: readonly DbusValue[]
}

export const MAX_DBUS_BYTES = 16 << 20
const MAX_DEPTH = 32
const FIELDS = [
  ['path', 1, 'o'],
  ['interface', 2, 's'],
  ['member', 3, 's'],
  ['errorName', 4, 's'],
  ['replySerial', 5, 'u'],
  ['destination', 6, 's'],
  ['sender', 7, 's'],
  ['signature', 8, 'g'],
] as const

const SIZES: { readonly [code: string]: number } = { y: 1, b: 4, n: 2, q: 2, i: 4, u: 4, x: 8, t: 8, d: 8 }

function alignOf(type: string): number {
  const code = type[0]!
  if (code === 's' || code === 'o' || code === 'a') return 4
  if (code === 'g' || code === 'v') return 1
  return code === '(' || code === '{' ? 8 : (SIZES[code] ?? 1)
}

/** The complete types that a signature lists; undefined when it is none. */
export function splitSignature(signature: string): string[] | undefined {
  const types: string[] = []
  for (let at = 0; at < signature.length; ) {
    const end = endOfType(signature, at, 0)
    if (end === undefined) return undefined
    types.push(signature.slice(at, end))
    at = end
  }
  return types
}

function endOfType(signature: string, at: number, depth: number): number | undefined {
  const code = signature[at]
  if (code === undefined || depth > MAX_DEPTH) return undefined
  if (code in SIZES || 'sogv'.includes(code)) return at + 1
  if (code === 'a') {
    if (signature[at + 1] !== '{') return endOfType(signature, at + 1, depth + 1)
    const key = endOfType(signature, at + 2, depth + 1)
    const value = key === undefined || key !== at + 3 ? undefined : endOfType(signature, key, depth + 1)
    return value !== undefined && signature[value] === '}' ? value + 1 : undefined
  }
  if (code !== '(') return undefined
  let next: number | undefined = at + 1
  while (next !== undefined && signature[next] !== ')') next = endOfType(signature, next, depth + 1)
  return next === undefined || next === at + 1 ? undefined : next + 1
}

class Writer {
  bytes = new Uint8Array(256)
  length = 0

  #room(count: number): number {
    const at = this.length
    if (at + count > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.bytes.length * 2, at + count))
      larger.set(this.bytes)
      this.bytes = larger
    }
    this.length += count
    return at
  }

  align(size: number): void {
    this.#room((size - (this.length % size)) % size)
  }

  u32(value: number): void {
    this.align(4)
    const at = this.#room(4)
    viewOf(this.bytes).setUint32(at, value, true)
  }

  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length)
    this.bytes.set(bytes, at)
  }

  write(type: string, value: DbusValue): void {
    const code = type[0]!
    if (code in SIZES) {
      this.align(SIZES[code]!)
      const at = this.#room(SIZES[code]!)
      fixed[code]!.write(viewOf(this.bytes), at, value as never)
      return
    }
    switch (code) {
      case 's':
      case 'o': {
        const text = utf8(value as string)
        this.u32(text.length)
        this.raw(text)
        this.raw(Uint8Array.of(0))
        return
      }
      case 'g': {
        const text = utf8(value as string)
        this.raw(Uint8Array.of(text.length))
        this.raw(text)
        this.raw(Uint8Array.of(0))
        return
      }
      case 'v': {
        const variant = value as DbusVariant
        this.write('g', variant.signature)
        this.write(variant.signature, variant.value)
        return
      }
      case 'a': {
        const item = type.slice(1)
        this.u32(0)
        const lengthAt = this.length - 4
        this.align(alignOf(item))
        const start = this.length
        if (value instanceof Uint8Array) this.raw(value)
        else for (const one of value as readonly DbusValue[]) this.write(item, one)
        viewOf(this.bytes).setUint32(lengthAt, this.length - start, true)
        return
      }
      default: {
        this.align(8)
        const types = splitStruct(type)
        for (const [i, inner] of types.entries()) this.write(inner, (value as readonly DbusValue[])[i]!)
      }
    }
  }
}

function splitStruct(type: string): string[] {
  return splitSignature(type.slice(1, -1)) ?? []
}

const fixed: {
  readonly [code: string]: {
    write(view: DataView, at: number, value: never): void
    read(view: DataView, at: number): number | bigint | boolean
  }
} = {
  y: { write: (view, at, value: number) => view.setUint8(at, value), read: (view, at) => view.getUint8(at) },
  b: {
    write: (view, at, value: boolean) => view.setUint32(at, value ? 1 : 0, true),
    read: (view, at) => view.getUint32(at, true) !== 0,
  },
  n: {
    write: (view, at, value: number) => view.setInt16(at, value, true),
    read: (view, at) => view.getInt16(at, true),
  },
  q: {
    write: (view, at, value: number) => view.setUint16(at, value, true),
    read: (view, at) => view.getUint16(at, true),
  },
  i: {
    write: (view, at, value: number) => view.setInt32(at, value, true),
    read: (view, at) => view.getInt32(at, true),
  },
  u: {
    write: (view, at, value: number) => view.setUint32(at, value, true),
    read: (view, at) => view.getUint32(at, true),
  },
  x: {
    write: (view, at, value: bigint) => view.setBigInt64(at, value, true),
    read: (view, at) => view.getBigInt64(at, true),
  },
  t: {
    write: (view, at, value: bigint) => view.setBigUint64(at, value, true),
    read: (view, at) => view.getBigUint64(at, true),
  },
  d: {
    write: (view, at, value: number) => view.setFloat64(at, value, true),
    read: (view, at) => view.getFloat64(at, true),
  },
}

export function encodeDbus(message: DbusMessage): Bytes {
  const body = new Writer()
  for (const [i, type] of (splitSignature(message.signature ?? '') ?? []).entries()) body.write(type, message.body[i]!)
  const head = new Writer()
  head.raw(Uint8Array.of(0x6c, message.type, message.flags, 1))
  head.u32(body.length)
  head.u32(message.serial)
  const fields = FIELDS.flatMap(([name, code, signature]) => {
    const value = message[name]
    return value === undefined || value === '' ? [] : [[code, { signature, value }]]
  })
  head.write('a(yv)', fields)
  head.align(8)
  head.raw(body.bytes.subarray(0, body.length))
  return head.bytes.slice(0, head.length)
}

/** How long the message at the start of these bytes is; undefined: more is needed to know. */
export function dbusLength(bytes: Uint8Array): Decoded<number | undefined> {
  if (bytes.length < 16) return ok(undefined)
  if (bytes[0] !== 0x6c) return bad('dbus-byte-order')
  const view = viewOf(bytes)
  const fields = view.getUint32(12, true)
  const total = 16 + fields + ((8 - (fields % 8)) % 8) + view.getUint32(4, true)
  return total > MAX_DBUS_BYTES ? bad('dbus-long') : ok(total)
}

class Reader {
  readonly bytes: Uint8Array
  readonly #view: DataView
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = viewOf(bytes)
  }

  align(size: number): void {
    this.at += (size - (this.at % size)) % size
  }

  #take(count: number): number {
    const at = this.at
    if (at + count > this.bytes.length) throw new ShortError()
    this.at += count
    return at
  }

  read(type: string, depth: number): DbusValue {
    if (depth > MAX_DEPTH) throw new ShortError()
    const code = type[0]!
    if (code in SIZES) {
      this.align(SIZES[code]!)
      return fixed[code]!.read(this.#view, this.#take(SIZES[code]!))
    }
    switch (code) {
      case 's':
      case 'o':
        return this.#text(this.read('u', depth) as number)
      case 'g':
        return this.#text(this.read('y', depth) as number)
      case 'v': {
        const signature = this.read('g', depth) as string
        if (splitSignature(signature)?.length !== 1) throw new ShortError()
        return { signature, value: this.read(signature, depth + 1) }
      }
      case 'a': {
        const item = type.slice(1)
        const length = this.read('u', depth) as number
        this.align(alignOf(item))
        const end = this.at + length
        if (end > this.bytes.length) throw new ShortError()
        if (item === 'y') return this.bytes.slice(this.#take(length), end)
        const list: DbusValue[] = []
        while (this.at < end) list.push(this.read(item, depth + 1))
        if (this.at !== end) throw new ShortError()
        return list
      }
      default:
        this.align(8)
        return splitStruct(type).map((inner) => this.read(inner, depth + 1))
    }
  }

  #text(length: number): string {
    const at = this.#take(length + 1)
    const text = parseUtf8(this.bytes.subarray(at, at + length))
    if (!text.ok) throw new ShortError()
    return text.value
  }
}

/** Ends a read; never leaves this file. */
class ShortError extends Error {}

/** One whole message. Unknown header fields are skipped. */
export function decodeDbus(bytes: Uint8Array): Decoded<DbusMessage> {
  const length = dbusLength(bytes)
  if (!length.ok) return length
  if (length.value === undefined || bytes.length < length.value) return bad('dbus-short')
  const reader = new Reader(bytes.subarray(0, length.value))
  try {
    const [, type, flags] = bytes as unknown as [number, number, number]
    reader.at = 8
    const serial = reader.read('u', 0) as number
    const known: { [name: string]: DbusValue } = {}
    for (const entry of reader.read('a(yv)', 0) as [number, DbusVariant][]) {
      const field = FIELDS.find(([, code]) => code === entry[0])
      if (field === undefined) continue
      if (entry[1].signature !== field[2]) return bad('dbus-field')
      known[field[0]] = entry[1].value
    }
    reader.align(8)
    const types = splitSignature((known.signature as string | undefined) ?? '')
    if (types === undefined) return bad('dbus-signature')
    const body = types.map((one) => reader.read(one, 0))
    return ok({ type, flags, serial, ...known, body } as DbusMessage)
  } catch (error) {
    if (error instanceof ShortError) return bad('dbus-value')
    throw error
  }
}
