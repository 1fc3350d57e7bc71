/**
 * The secure channel of the control protocol: handshake Noise_IK_25519_ChaChaPoly_BLAKE2s, records, early payload.
 * Not the HTTP around it (`src-daemon/io/control`, `src-server`), not the stream over a socket
 * (`src-protocol/crypto/noise-stream.ts`).                     [Noise rev 34 §7; control.md §2.4-2.6, vectors §10]
 *
 *  initiation 101   0 version u16be  2 type=1  3 length u16be=96  5 ephemeral 32  37 static+tag 48  85 tag 16
 *  response    51   0 type=2  1 length u16be=48  3 ephemeral 32  35 tag 16
 *  error            0 type=3  1 length u16be  3 UTF-8 text (nobody vouches for it)
 *  record           0 type=4  1 length u16be  3 ciphertext+tag, at most 4096 bytes with its header
 *  early payload    0 FF FF FF 'T' 'S'  5 length u32be  9 JSON
 *
 * Deviation of the protocol from Noise: the record counter is big-endian in the nonce.
 */
import { concat, EMPTY, equalBytes, viewOf } from './bytes.ts'
import type { Crypto } from './crypto.ts'
import { bad, type Decoded, ok } from './decoded.ts'
import { isJsonObject, parseJson, writeJson } from './json.ts'
import { displayText, parseUtf8, utf8 } from './text.ts'

export const INITIATION_BYTES = 101
export const RESPONSE_BYTES = 51

const MAX_FRAME_BYTES = 4096
const RECORD_HEADER_BYTES = 3
const TAG_BYTES = 16
const KEY_BYTES = 32
export const MAX_RECORD_PLAINTEXT_BYTES = MAX_FRAME_BYTES - RECORD_HEADER_BYTES - TAG_BYTES

const TYPE_INITIATION = 1
const TYPE_RESPONSE = 2
const TYPE_ERROR = 3
const TYPE_RECORD = 4
const MAX_ERROR_TEXT_BYTES = 200

const PROTOCOL_NAME = utf8('Noise_IK_25519_ChaChaPoly_BLAKE2s')
const ZERO_NONCE = new Uint8Array(12)

/** What both ends know after the handshake; `send` and `receive` are as this end sees them. */
export interface NoiseKeys {
  readonly send: Uint8Array
  readonly receive: Uint8Array
  readonly handshakeHash: Uint8Array
}

export interface InitiatorOptions {
  readonly crypto: Crypto
  readonly machinePrivate: Uint8Array
  readonly serverPublic: Uint8Array
  /** The capability version; both ends mix it in. */
  readonly version: number
  /** For known-answer tests; fresh otherwise. */
  readonly ephemeral?: Uint8Array
}

export interface Initiator {
  /** The 101 bytes that travel in the upgrade request's header. */
  readonly message: Uint8Array
  /** Takes the server's 51 bytes. */
  finish(reply: Uint8Array): Decoded<NoiseKeys>
}

export function startInitiator(o: InitiatorOptions): Initiator {
  const { crypto } = o
  const noise = new SymmetricState(crypto, o.version, o.serverPublic)
  const ephemeral = o.ephemeral ?? crypto.newPrivateKey()
  const ephemeralPublic = crypto.x25519PublicKey(ephemeral)
  noise.mixHash(ephemeralPublic)
  const es = crypto.x25519(ephemeral, o.serverPublic)
  const ss = crypto.x25519(o.machinePrivate, o.serverPublic)
  if (es === undefined || ss === undefined) throw new RangeError('the server key is a low-order point')
  noise.mixKey(es)
  const sealedStatic = noise.seal(crypto.x25519PublicKey(o.machinePrivate))
  noise.mixKey(ss)
  const tag = noise.seal(EMPTY)
  const header = Uint8Array.of(o.version >> 8, o.version & 0xff, TYPE_INITIATION, 0, INITIATION_BYTES - 5)
  return {
    message: concat(header, ephemeralPublic, sealedStatic, tag),
    finish(reply) {
      const body = responseBody(reply)
      if (!body.ok) return body
      const serverEphemeral = body.value.subarray(0, KEY_BYTES)
      noise.mixHash(serverEphemeral)
      const ee = crypto.x25519(ephemeral, serverEphemeral)
      const se = crypto.x25519(o.machinePrivate, serverEphemeral)
      if (ee === undefined || se === undefined) return bad('noise-low-order')
      noise.mixKey(ee)
      noise.mixKey(se)
      if (noise.open(body.value.subarray(KEY_BYTES)) === undefined) return bad('noise-auth')
      const { first, second } = noise.split()
      return ok({ send: first, receive: second, handshakeHash: noise.hash })
    },
  }
}

function responseBody(reply: Uint8Array): Decoded<Uint8Array> {
  if (reply.length < RECORD_HEADER_BYTES) return bad('noise-short')
  if (reply[0] === TYPE_ERROR) return bad('noise-refused')
  if (reply[0] !== TYPE_RESPONSE) return bad('noise-type')
  if (reply.length !== RESPONSE_BYTES || viewOf(reply).getUint16(1) !== RESPONSE_BYTES - RECORD_HEADER_BYTES) {
    return bad('noise-length')
  }
  return ok(reply.subarray(RECORD_HEADER_BYTES))
}

/** The text of an error frame in place of the response, shortened; undefined when it is none or not complete. */
export function errorFrameText(frame: Uint8Array): string | undefined {
  if (frame.length < RECORD_HEADER_BYTES || frame[0] !== TYPE_ERROR) return undefined
  const length = viewOf(frame).getUint16(1)
  const text = frame.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + length)
  return text.length === length ? displayText(text, MAX_ERROR_TEXT_BYTES) : undefined
}

export function encodeErrorFrame(text: string): Uint8Array {
  const bytes = utf8(text).subarray(0, MAX_ERROR_TEXT_BYTES)
  return concat(Uint8Array.of(TYPE_ERROR, bytes.length >> 8, bytes.length & 0xff), bytes)
}

export interface ResponderOptions {
  readonly crypto: Crypto
  readonly serverPrivate: Uint8Array
  readonly initiation: Uint8Array
  readonly ephemeral?: Uint8Array
}

export interface Accepted {
  readonly reply: Uint8Array
  readonly keys: NoiseKeys
  /** Authenticated: who is at the other end. */
  readonly machinePublic: Uint8Array
  /** The client's capability version. */
  readonly version: number
}

export function respond(o: ResponderOptions): Decoded<Accepted> {
  const { crypto, initiation } = o
  if (initiation.length !== INITIATION_BYTES) return bad('noise-length')
  const view = viewOf(initiation)
  if (initiation[2] !== TYPE_INITIATION) return bad('noise-type')
  if (view.getUint16(3) !== INITIATION_BYTES - 5) return bad('noise-length')
  const version = view.getUint16(0)
  const noise = new SymmetricState(crypto, version, crypto.x25519PublicKey(o.serverPrivate))
  const clientEphemeral = initiation.subarray(5, 37)
  noise.mixHash(clientEphemeral)
  const es = crypto.x25519(o.serverPrivate, clientEphemeral)
  if (es === undefined) return bad('noise-low-order')
  noise.mixKey(es)
  const machinePublic = noise.open(initiation.subarray(37, 85))
  if (machinePublic === undefined) return bad('noise-auth')
  const ss = crypto.x25519(o.serverPrivate, machinePublic)
  if (ss === undefined) return bad('noise-low-order')
  noise.mixKey(ss)
  if (noise.open(initiation.subarray(85)) === undefined) return bad('noise-auth')

  const ephemeral = o.ephemeral ?? crypto.newPrivateKey()
  const ephemeralPublic = crypto.x25519PublicKey(ephemeral)
  noise.mixHash(ephemeralPublic)
  const ee = crypto.x25519(ephemeral, clientEphemeral)
  const se = crypto.x25519(ephemeral, machinePublic)
  if (ee === undefined || se === undefined) return bad('noise-low-order')
  noise.mixKey(ee)
  noise.mixKey(se)
  const header = Uint8Array.of(TYPE_RESPONSE, 0, RESPONSE_BYTES - RECORD_HEADER_BYTES)
  const reply = concat(header, ephemeralPublic, noise.seal(EMPTY))
  const { first, second } = noise.split()
  return ok({ reply, machinePublic, version, keys: { send: second, receive: first, handshakeHash: noise.hash } })
}

/** Noise's CipherState and SymmetricState in one: here every key encrypts one message, so the nonce is always zero. */
class SymmetricState {
  hash: Uint8Array
  readonly #crypto: Crypto
  #chainingKey: Uint8Array
  #key: Uint8Array = EMPTY

  constructor(crypto: Crypto, version: number, responderPublic: Uint8Array) {
    this.#crypto = crypto
    this.hash = crypto.blake2s(PROTOCOL_NAME) // 33 bytes: too long to serve as the hash itself
    this.#chainingKey = this.hash
    this.mixHash(utf8(`Tailscale Control Protocol v${version}`))
    this.mixHash(responderPublic)
  }
  mixHash(data: Uint8Array): void {
    this.hash = this.#crypto.blake2s(this.hash, data)
  }
  mixKey(input: Uint8Array): void {
    const { first, second } = this.#hkdf(input)
    this.#chainingKey = first
    this.#key = second
  }
  seal(plaintext: Uint8Array): Uint8Array {
    const sealed = this.#crypto.chachaSeal(this.#key, ZERO_NONCE, plaintext, this.hash)
    this.mixHash(sealed)
    return sealed
  }
  open(sealed: Uint8Array): Uint8Array | undefined {
    const plaintext = this.#crypto.chachaOpen(this.#key, ZERO_NONCE, sealed, this.hash)
    if (plaintext !== undefined) this.mixHash(sealed)
    return plaintext
  }
  /** The transport keys: initiator to responder first. */
  split(): { first: Uint8Array; second: Uint8Array } {
    return this.#hkdf(EMPTY)
  }
  #hkdf(input: Uint8Array): { first: Uint8Array; second: Uint8Array } {
    const temporary = this.#crypto.hmacBlake2s(this.#chainingKey, input)
    const first = this.#crypto.hmacBlake2s(temporary, Uint8Array.of(1))
    return { first, second: this.#crypto.hmacBlake2s(temporary, first, Uint8Array.of(2)) }
  }
}

/** The 12-byte nonce of successive records. A counter below 2^53 outlives every connection. */
class RecordNonce {
  readonly bytes = new Uint8Array(12)
  readonly #view = viewOf(this.bytes)
  #counter = 0
  next(): Uint8Array {
    this.#view.setUint32(4, Math.floor(this.#counter / 2 ** 32))
    this.#view.setUint32(8, this.#counter >>> 0)
    this.#counter++
    return this.bytes
  }
}

export class RecordWriter {
  readonly #crypto: Crypto
  readonly #key: Uint8Array
  readonly #nonce = new RecordNonce()

  constructor(crypto: Crypto, key: Uint8Array) {
    this.#crypto = crypto
    this.#key = key
  }
  /** One or more whole records; nothing for an empty plaintext. */
  seal(plaintext: Uint8Array): Uint8Array {
    const records = Math.ceil(plaintext.length / MAX_RECORD_PLAINTEXT_BYTES)
    const out = new Uint8Array(plaintext.length + records * (RECORD_HEADER_BYTES + TAG_BYTES))
    let at = 0
    for (let from = 0; from < plaintext.length; from += MAX_RECORD_PLAINTEXT_BYTES) {
      const part = plaintext.subarray(from, from + MAX_RECORD_PLAINTEXT_BYTES)
      const sealed = this.#crypto.chachaSeal(this.#key, this.#nonce.next(), part, EMPTY)
      out[at] = TYPE_RECORD
      out[at + 1] = sealed.length >> 8
      out[at + 2] = sealed.length & 0xff
      out.set(sealed, at + RECORD_HEADER_BYTES)
      at += RECORD_HEADER_BYTES + sealed.length
    }
    return out
  }
}

/** Bytes in any slices → plaintexts. The first fault is final: the connection cannot continue after it. */
export class RecordReader {
  readonly #crypto: Crypto
  readonly #key: Uint8Array
  readonly #nonce = new RecordNonce()
  #held: Uint8Array = EMPTY
  #fault: string | undefined

  constructor(crypto: Crypto, key: Uint8Array) {
    this.#crypto = crypto
    this.#key = key
  }
  push(bytes: Uint8Array): Decoded<Uint8Array[]> {
    if (this.#fault !== undefined) return bad(this.#fault)
    const data = this.#held.length === 0 ? bytes : concat(this.#held, bytes)
    const plaintexts: Uint8Array[] = []
    let at = 0
    while (data.length - at >= RECORD_HEADER_BYTES) {
      if (data[at] !== TYPE_RECORD) return this.#fail('noise-type')
      const length = (data[at + 1]! << 8) | data[at + 2]!
      if (length < TAG_BYTES || length > MAX_FRAME_BYTES - RECORD_HEADER_BYTES) return this.#fail('noise-length')
      const end = at + RECORD_HEADER_BYTES + length
      if (data.length < end) break
      const sealed = data.subarray(at + RECORD_HEADER_BYTES, end)
      const plaintext = this.#crypto.chachaOpen(this.#key, this.#nonce.next(), sealed, EMPTY)
      if (plaintext === undefined) return this.#fail('noise-auth')
      if (plaintext.length > 0) plaintexts.push(plaintext)
      at = end
    }
    this.#held = data.slice(at) // at most one incomplete record, detached from the caller's buffer
    return ok(plaintexts)
  }
  #fail(reason: string): Decoded<Uint8Array[]> {
    this.#fault = reason
    this.#held = EMPTY
    return bad(reason)
  }
}

const EARLY_MAGIC = Uint8Array.of(0xff, 0xff, 0xff, 0x54, 0x53)
const EARLY_HEADER_BYTES = 9
const MAX_EARLY_BYTES = 10 << 20

export interface EarlyPayload {
  /** `chalpub:` text. */
  readonly nodeKeyChallenge?: string
}

export function encodeEarlyPayload(payload: EarlyPayload): Uint8Array {
  const json = utf8(writeJson(payload))
  const header = new Uint8Array(EARLY_HEADER_BYTES)
  header.set(EARLY_MAGIC)
  viewOf(header).setUint32(5, json.length)
  return concat(header, json)
}

export type EarlyRead =
  /** The stream starts with HTTP/2 at once. */
  | { readonly kind: 'none' }
  /** Ask again with more bytes. */
  | { readonly kind: 'incomplete' }
  /** `bytes` of the stream were the payload; the rest is HTTP/2. */
  | { readonly kind: 'payload'; readonly payload: EarlyPayload; readonly bytes: number }

/** Looks at the first decrypted bytes from the server. */
export function decodeEarlyPayload(stream: Uint8Array): Decoded<EarlyRead> {
  const seen = Math.min(stream.length, EARLY_MAGIC.length)
  if (!equalBytes(stream.subarray(0, seen), EARLY_MAGIC.subarray(0, seen))) return ok({ kind: 'none' })
  if (stream.length < EARLY_HEADER_BYTES) return ok({ kind: 'incomplete' })
  const length = viewOf(stream).getUint32(5)
  if (length > MAX_EARLY_BYTES) return bad('early-size')
  if (stream.length < EARLY_HEADER_BYTES + length) return ok({ kind: 'incomplete' })
  const text = parseUtf8(stream.subarray(EARLY_HEADER_BYTES, EARLY_HEADER_BYTES + length))
  if (!text.ok) return text
  const json = parseJson(text.value)
  if (!json.ok) return json
  if (!isJsonObject(json.value)) return bad('early-json')
  const challenge = json.value.nodeKeyChallenge
  return ok({
    kind: 'payload',
    payload: typeof challenge === 'string' ? { nodeKeyChallenge: challenge } : {},
    bytes: EARLY_HEADER_BYTES + length,
  })
}
