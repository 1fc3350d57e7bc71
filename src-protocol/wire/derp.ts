/**
 * DERP: the relay's framed messages over a TLS stream, for both ends. Connections and queues are elsewhere
 * (`machines/derp-client.ts`, `src-server/relay`).
 *
 *   type u8 · length u32be · payload[length]
 *
 * Unknown frames are skipped by both sides, and so are bytes behind what is known here.
 */
import { concat, copyOf, equalBytes, viewOf } from './bytes.ts'
import type { Crypto } from './crypto.ts'
import { bad, type Decoded, ok } from './decoded.ts'
import { parseJson, writeJson } from './json.ts'
import { parseUtf8, utf8 } from './text.ts'

export const FRAME = {
  serverKey: 0x01,
  clientInfo: 0x02,
  serverInfo: 0x03,
  sendPacket: 0x04,
  recvPacket: 0x05,
  keepAlive: 0x06,
  notePreferred: 0x07,
  peerGone: 0x08,
  peerPresent: 0x09,
  forwardPacket: 0x0a,
  watchConns: 0x10,
  closePeer: 0x11,
  ping: 0x12,
  pong: 0x13,
  health: 0x14,
  restarting: 0x15,
} as const

/** Why a peer is not reachable at this relay any more. */
export const PEER_GONE = { disconnected: 0x00, notHere: 0x01 } as const
export type PeerGoneReason = (typeof PEER_GONE)[keyof typeof PEER_GONE]

export const DERP_VERSION = 2
export const FRAME_HEADER_BYTES = 5
export const MAX_FRAME_BYTES = 1 << 20
export const MAX_PACKET_BYTES = 65536
export const KEY_BYTES = 32
const NONCE_BYTES = 24
const TAG_BYTES = 16
/** "DERP🔑" */
const MAGIC = Uint8Array.of(0x44, 0x45, 0x52, 0x50, 0xf0, 0x9f, 0x94, 0x91)
const MAX_SERVER_KEY_BYTES = 1024
const MAX_INFO_BYTES = 256 * 1024

export interface Frame {
  readonly type: number
  /** A view; valid until the next push. */
  readonly payload: Uint8Array
}

export function encodeFrame(type: number, ...payload: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(FRAME_HEADER_BYTES)
  const frame = concat(header, ...payload)
  frame[0] = type
  viewOf(frame).setUint32(1, frame.length - FRAME_HEADER_BYTES)
  return frame
}

/** Cuts a byte stream into frames. A frame over the cap is fatal: the stream cannot be trusted any more. */
export class FrameReader {
  readonly #maxFrameBytes: number
  #rest: Uint8Array = new Uint8Array(0)
  /** Parts that arrived while a long frame is incomplete; joined once, when it is whole. */
  #parts: Uint8Array[] = []
  #partBytes = 0
  #neededBytes = FRAME_HEADER_BYTES
  #failed: string | undefined

  constructor(maxFrameBytes: number = MAX_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes
  }

  push(bytes: Uint8Array): Decoded<Frame[]> {
    if (this.#failed !== undefined) return bad(this.#failed)
    this.#parts.push(bytes)
    this.#partBytes += bytes.length
    if (this.#rest.length + this.#partBytes < this.#neededBytes) return ok([])
    const all = this.#rest.length === 0 && this.#parts.length === 1 ? bytes : concat(this.#rest, ...this.#parts)
    this.#parts = []
    this.#partBytes = 0
    const view = viewOf(all)
    const frames: Frame[] = []
    let at = 0
    this.#neededBytes = FRAME_HEADER_BYTES
    while (all.length - at >= FRAME_HEADER_BYTES) {
      const length = view.getUint32(at + 1)
      if (length > this.#maxFrameBytes) {
        this.#failed = 'frame-too-long'
        this.#rest = new Uint8Array(0)
        return bad('frame-too-long')
      }
      const end = at + FRAME_HEADER_BYTES + length
      if (end > all.length) {
        this.#neededBytes = end - at
        break
      }
      frames.push({ type: all[at]!, payload: all.subarray(at + FRAME_HEADER_BYTES, end) })
      at = end
    }
    this.#rest = at === all.length ? new Uint8Array(0) : copyOf(all, at)
    return ok(frames)
  }
}

// --- login -------------------------------------------------------------------------------------------------------------

/** ServerKey: magic 8 · server public key 32 · future bytes. */
export function encodeServerKey(serverPublic: Uint8Array): Uint8Array {
  return encodeFrame(FRAME.serverKey, MAGIC, serverPublic)
}

export function decodeServerKey(payload: Uint8Array): Decoded<Uint8Array> {
  if (payload.length < MAGIC.length + KEY_BYTES) return bad('short')
  if (payload.length > MAX_SERVER_KEY_BYTES) return bad('long')
  if (!equalBytes(payload.subarray(0, MAGIC.length), MAGIC)) return bad('magic')
  return ok(copyOf(payload, MAGIC.length, MAGIC.length + KEY_BYTES))
}

export interface ClientInfo {
  readonly version: number
  readonly CanAckPings?: boolean
  readonly meshKey?: string
  readonly IsProber?: boolean
  readonly AppName?: string
}

export interface ServerInfo {
  readonly version: number
  readonly TokenBucketBytesPerSecond?: number
  readonly TokenBucketBytesBurst?: number
}

/**
 * ClientInfo: node public key 32 · nonce 24 · box(JSON). Being able to seal it is the proof of identity.
 * undefined when the server's key is a low-order point.
 */
export function encodeClientInfo(
  crypto: Crypto,
  nodePrivate: Uint8Array,
  serverPublic: Uint8Array,
  info: ClientInfo,
  nonce: Uint8Array = crypto.randomBytes(NONCE_BYTES),
): Uint8Array | undefined {
  const shared = crypto.boxSharedKey(nodePrivate, serverPublic)
  if (shared === undefined) return undefined
  const sealed = crypto.boxSeal(shared, nonce, utf8(writeJson(info)))
  return encodeFrame(FRAME.clientInfo, crypto.x25519PublicKey(nodePrivate), nonce, sealed)
}

export function decodeClientInfo(
  crypto: Crypto,
  serverPrivate: Uint8Array,
  payload: Uint8Array,
): Decoded<{ readonly nodeKey: Uint8Array; readonly info: ClientInfo }> {
  if (payload.length < KEY_BYTES + NONCE_BYTES + TAG_BYTES) return bad('short')
  if (payload.length > MAX_INFO_BYTES) return bad('long')
  const nodeKey = copyOf(payload, 0, KEY_BYTES)
  const json = openBox(crypto, serverPrivate, nodeKey, payload.subarray(KEY_BYTES))
  if (!json.ok) return json
  const { version } = json.value
  if (typeof version !== 'number') return bad('version')
  const { CanAckPings, meshKey, IsProber, AppName } = json.value
  return ok({
    nodeKey,
    info: {
      version,
      ...(typeof CanAckPings === 'boolean' ? { CanAckPings } : {}),
      ...(typeof meshKey === 'string' ? { meshKey } : {}),
      ...(typeof IsProber === 'boolean' ? { IsProber } : {}),
      ...(typeof AppName === 'string' ? { AppName } : {}),
    },
  })
}

/** ServerInfo: nonce 24 · box(JSON), for the client with this key. */
export function encodeServerInfo(
  crypto: Crypto,
  serverPrivate: Uint8Array,
  nodeKey: Uint8Array,
  info: ServerInfo,
  nonce: Uint8Array = crypto.randomBytes(NONCE_BYTES),
): Uint8Array {
  const shared = crypto.boxSharedKey(serverPrivate, nodeKey)
  // decodeClientInfo has opened a box from this key, so it is no low-order point.
  if (shared === undefined) throw new Error('ServerInfo for a low-order key')
  return encodeFrame(FRAME.serverInfo, nonce, crypto.boxSeal(shared, nonce, utf8(writeJson(info))))
}

export function decodeServerInfo(
  crypto: Crypto,
  nodePrivate: Uint8Array,
  serverPublic: Uint8Array,
  payload: Uint8Array,
): Decoded<ServerInfo> {
  if (payload.length < NONCE_BYTES + TAG_BYTES) return bad('short')
  if (payload.length > MAX_INFO_BYTES) return bad('long')
  const json = openBox(crypto, nodePrivate, serverPublic, payload)
  if (!json.ok) return json
  const { version, TokenBucketBytesPerSecond: rate, TokenBucketBytesBurst: burst } = json.value
  return ok({
    version: typeof version === 'number' ? version : 0,
    ...(typeof rate === 'number' ? { TokenBucketBytesPerSecond: rate } : {}),
    ...(typeof burst === 'number' ? { TokenBucketBytesBurst: burst } : {}),
  })
}

function openBox(
  crypto: Crypto,
  ownPrivate: Uint8Array,
  otherPublic: Uint8Array,
  nonceAndBox: Uint8Array,
): Decoded<Record<string, unknown>> {
  const shared = crypto.boxSharedKey(ownPrivate, otherPublic)
  if (shared === undefined) return bad('low-order-key')
  const opened = crypto.boxOpen(shared, nonceAndBox.subarray(0, NONCE_BYTES), nonceAndBox.subarray(NONCE_BYTES))
  if (opened === undefined) return bad('box')
  const text = parseUtf8(opened)
  if (!text.ok) return text
  const json = parseJson(text.value)
  if (!json.ok) return json
  if (typeof json.value !== 'object' || json.value === null || Array.isArray(json.value)) return bad('not-an-object')
  return ok(json.value as Record<string, unknown>)
}

// --- packets and notices -----------------------------------------------------------------------------------------------

export function encodeSendPacket(destination: Uint8Array, packet: Uint8Array): Uint8Array {
  return encodeFrame(FRAME.sendPacket, destination, packet)
}

/** Payload of RecvPacket and SendPacket alike: key 32 · packet. */
export function decodePacket(payload: Uint8Array): Decoded<{ readonly key: Uint8Array; readonly packet: Uint8Array }> {
  if (payload.length < KEY_BYTES) return bad('short')
  if (payload.length > KEY_BYTES + MAX_PACKET_BYTES) return bad('long')
  return ok({ key: payload.subarray(0, KEY_BYTES), packet: payload.subarray(KEY_BYTES) })
}

export function encodeNotePreferred(isHome: boolean): Uint8Array {
  return encodeFrame(FRAME.notePreferred, Uint8Array.of(isHome ? 1 : 0))
}

export function encodePeerGone(peer: Uint8Array, reason: PeerGoneReason): Uint8Array {
  return encodeFrame(FRAME.peerGone, peer, Uint8Array.of(reason))
}

/** Old servers leave the reason out: that means disconnected. */
export function decodePeerGone(payload: Uint8Array): Decoded<{ readonly key: Uint8Array; readonly reason: number }> {
  if (payload.length < KEY_BYTES) return bad('short')
  return ok({ key: copyOf(payload, 0, KEY_BYTES), reason: payload[KEY_BYTES] ?? PEER_GONE.disconnected })
}

export function decodeHealth(payload: Uint8Array): Decoded<string> {
  return parseUtf8(payload)
}

export function decodeRestarting(
  payload: Uint8Array,
): Decoded<{ readonly reconnectInMs: number; readonly tryForMs: number }> {
  if (payload.length < 8) return bad('short')
  const view = viewOf(payload)
  return ok({ reconnectInMs: view.getUint32(0), tryForMs: view.getUint32(4) })
}
