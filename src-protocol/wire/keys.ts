/**
 * Keys between raw bytes and text: a prefix and lower-case hexadecimal of exactly 32 bytes.      [control.md §1.1]
 * The zero key is "none"; the empty string is always an error.
 */
import type { DiscoKeyText, MachineKeyText, NodeKeyText } from '../../src-contract/ids.ts'
import { isAllZero, parseHex, toBase64, toHex } from './bytes.ts'
import { bad, type Decoded } from './decoded.ts'

export const KEY_BYTES = 32

const NODE = 'nodekey:'
const MACHINE = 'mkey:'
const DISCO = 'discokey:'
const PRIVATE = 'privkey:'
const CHALLENGE = 'chalpub:'
const ZEROS = '0'.repeat(2 * KEY_BYTES)

export const ZERO_NODE_KEY = (NODE + ZEROS) as NodeKeyText
export const ZERO_MACHINE_KEY = (MACHINE + ZEROS) as MachineKeyText
export const ZERO_DISCO_KEY = (DISCO + ZEROS) as DiscoKeyText

export function nodeKeyText(raw: Uint8Array): NodeKeyText {
  return keyText(NODE, raw) as NodeKeyText
}
export function machineKeyText(raw: Uint8Array): MachineKeyText {
  return keyText(MACHINE, raw) as MachineKeyText
}
export function discoKeyText(raw: Uint8Array): DiscoKeyText {
  return keyText(DISCO, raw) as DiscoKeyText
}
export function challengeKeyText(raw: Uint8Array): string {
  return keyText(CHALLENGE, raw)
}
/** For the state file only. */
export function privateKeyText(raw: Uint8Array): string {
  return keyText(PRIVATE, raw)
}

export function parseNodeKey(text: string): Decoded<Uint8Array> {
  return parseKey(NODE, text)
}
export function parseMachineKey(text: string): Decoded<Uint8Array> {
  return parseKey(MACHINE, text)
}
export function parseDiscoKey(text: string): Decoded<Uint8Array> {
  return parseKey(DISCO, text)
}
export function parseChallengeKey(text: string): Decoded<Uint8Array> {
  return parseKey(CHALLENGE, text)
}
export function parsePrivateKey(text: string): Decoded<Uint8Array> {
  return parseKey(PRIVATE, text)
}

/** Whether the text says "no key": absent, or any prefix followed by zeros. */
export function isZeroKey(text: string | undefined): boolean {
  return text === undefined || /^[a-z]*:?0*$/.test(text)
}

/** `[2J47r]`: how logs and people name a node. */
export function shortNodeKey(key: NodeKeyText | Uint8Array): string {
  const raw = typeof key === 'string' ? parseNodeKey(key) : ({ ok: true, value: key } as const)
  return raw.ok && !isAllZero(raw.value) ? `[${toBase64(raw.value).slice(0, 5)}]` : '[-]'
}

/** `d:` and the first 16 digits. */
export function shortDiscoKey(key: DiscoKeyText): string {
  return `d:${key.slice(DISCO.length, DISCO.length + 16)}`
}

function keyText(prefix: string, raw: Uint8Array): string {
  if (raw.length !== KEY_BYTES) throw new RangeError(`a key has ${KEY_BYTES} bytes, not ${raw.length}`)
  return prefix + toHex(raw)
}

function parseKey(prefix: string, text: string): Decoded<Uint8Array> {
  if (typeof text !== 'string' || !text.startsWith(prefix)) return bad('key-prefix')
  if (text.length !== prefix.length + 2 * KEY_BYTES) return bad('key-length')
  return parseHex(text.slice(prefix.length))
}

const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Bytes that must not reach a log, an error text or a JSON document by accident. */
export class Secret {
  readonly #bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }
  expose(): Uint8Array {
    return this.#bytes
  }
  toString(): string {
    return '[secret]'
  }
  toJSON(): string {
    return '[secret]'
  }
  [INSPECT](): string {
    return '[secret]'
  }
}
