/**
 * The client's side of one relay connection, on the level of frames: login, what arrives, answers to pings, liveness.
 * Sans-IO: bytes in, events out; the stream itself is `src-daemon/io/derp`, the set of relays `src-daemon/engine/relays.ts`.
 *                                                                                                       [derp.md §3, §4]
 */
import type { Ms } from '../../src-contract/ids.ts'
import { copyOf, equalBytes } from '../wire/bytes.ts'
import type { Crypto } from '../wire/crypto.ts'
import {
  DERP_VERSION,
  decodeHealth,
  decodePacket,
  decodePeerGone,
  decodeServerInfo,
  decodeServerKey,
  encodeClientInfo,
  encodeFrame,
  encodeNotePreferred,
  encodeSendPacket,
  FRAME,
  FRAME_HEADER_BYTES,
  FrameReader,
  KEY_BYTES,
  MAX_PACKET_BYTES,
  type ServerInfo,
} from '../wire/derp.ts'

/** Servers say something at least every 65 s; twice that is dead. */
export const SILENCE_LIMIT_MS: Ms = 120_000
/** A probe after a network change must be answered this fast. */
export const PROBE_LIMIT_MS: Ms = 3_000
/** From the open stream to the server's welcome. */
export const LOGIN_LIMIT_MS: Ms = 10_000

export type DerpEvent =
  | { readonly kind: 'write'; readonly bytes: Uint8Array }
  /** The server has accepted us. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'packet'; readonly from: Uint8Array; readonly packet: Uint8Array }
  | { readonly kind: 'peerGone'; readonly peer: Uint8Array }
  /** The server's own trouble in words; empty = healthy again. */
  | { readonly kind: 'health'; readonly text: string }
  /** The connection is of no use any more. */
  | { readonly kind: 'failed'; readonly reason: string }

export interface DerpClientOptions {
  readonly crypto: Crypto
  readonly nodePrivate: Uint8Array
  readonly isHome: boolean
}

export class DerpClient {
  readonly #crypto: Crypto
  readonly #nodePrivate: Uint8Array
  readonly #reader = new FrameReader()
  #isHome: boolean
  #serverPublic: Uint8Array | undefined
  #isReady = false
  #hasFailed = false
  #heardMs: Ms
  readonly #openedMs: Ms
  #probe: { readonly data: Uint8Array; readonly sentMs: Ms } | undefined
  #allowance: Allowance | undefined

  constructor({ crypto, nodePrivate, isHome }: DerpClientOptions, now: Ms) {
    this.#crypto = crypto
    this.#nodePrivate = nodePrivate
    this.#isHome = isHome
    this.#heardMs = now
    this.#openedMs = now
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** Our login is on its way: packets may follow it. */
  get takesPackets(): boolean {
    return this.#serverPublic !== undefined && !this.#hasFailed
  }

  handleBytes(bytes: Uint8Array, now: Ms): DerpEvent[] {
    if (this.#hasFailed) return []
    this.#heardMs = now
    const frames = this.#reader.push(bytes)
    if (!frames.ok) return [this.#fail(frames.reason)]
    const events: DerpEvent[] = []
    for (const { type, payload } of frames.value) {
      events.push(...this.#handleFrame(type, payload, now))
      if (this.#hasFailed) break
    }
    return events
  }

  /** Bytes of a packet for a peer; undefined when it is lost: too large, too many, or before `takesPackets`. */
  encodePacket(destination: Uint8Array, packet: Uint8Array, now: Ms): Uint8Array | undefined {
    if (!this.takesPackets || packet.length > MAX_PACKET_BYTES) return undefined
    const costBytes = FRAME_HEADER_BYTES + KEY_BYTES + packet.length
    if (this.#allowance?.take(costBytes, now) === false) return undefined
    return encodeSendPacket(destination, packet)
  }

  setHome(isHome: boolean): DerpEvent[] {
    if (this.#isHome === isHome) return []
    this.#isHome = isHome
    return this.#serverPublic === undefined ? [] : [{ kind: 'write', bytes: encodeNotePreferred(isHome) }]
  }

  /** Is the stream still alive? Fails within three seconds if not. */
  probe(now: Ms): DerpEvent[] {
    if (!this.#isReady || this.#probe !== undefined) return []
    const data = this.#crypto.randomBytes(8)
    this.#probe = { data, sentMs: now }
    return [{ kind: 'write', bytes: encodeFrame(FRAME.ping, data) }]
  }

  nextWake(): Ms | undefined {
    if (this.#hasFailed) return undefined
    const silence = this.#heardMs + SILENCE_LIMIT_MS
    if (!this.#isReady) return Math.min(silence, this.#openedMs + LOGIN_LIMIT_MS)
    return this.#probe === undefined ? silence : Math.min(silence, this.#probe.sentMs + PROBE_LIMIT_MS)
  }

  wake(now: Ms): DerpEvent[] {
    if (this.#hasFailed) return []
    if (!this.#isReady && now - this.#openedMs >= LOGIN_LIMIT_MS) return [this.#fail('login-timeout')]
    if (this.#probe !== undefined && now - this.#probe.sentMs >= PROBE_LIMIT_MS) return [this.#fail('no-answer')]
    if (now - this.#heardMs >= SILENCE_LIMIT_MS) return [this.#fail('silence')]
    return []
  }

  #handleFrame(type: number, payload: Uint8Array, now: Ms): DerpEvent[] {
    if (this.#serverPublic === undefined) return type === FRAME.serverKey ? this.#login(payload) : []
    switch (type) {
      case FRAME.serverInfo: {
        const info = decodeServerInfo(this.#crypto, this.#nodePrivate, this.#serverPublic, payload)
        if (!info.ok) return [this.#fail(`server-info-${info.reason}`)]
        this.#allowance = allowanceOf(info.value, now)
        const isFirst = !this.#isReady
        this.#isReady = true
        return isFirst ? [{ kind: 'ready' }] : []
      }
      case FRAME.recvPacket: {
        const packet = decodePacket(payload)
        // Short known frames are skipped, not fatal.
        return packet.ok
          ? [{ kind: 'packet', from: copyOf(packet.value.key), packet: copyOf(packet.value.packet) }]
          : []
      }
      case FRAME.peerGone: {
        const gone = decodePeerGone(payload)
        return gone.ok ? [{ kind: 'peerGone', peer: gone.value.key }] : []
      }
      case FRAME.ping:
        return payload.length < 8 ? [] : [{ kind: 'write', bytes: encodeFrame(FRAME.pong, payload.subarray(0, 8)) }]
      case FRAME.pong:
        if (this.#probe !== undefined && equalBytes(payload.subarray(0, 8), this.#probe.data)) this.#probe = undefined
        return []
      case FRAME.health: {
        const text = decodeHealth(payload)
        return text.ok ? [{ kind: 'health', text: text.value.slice(0, 500) }] : []
      }
      default:
        return [] // keep-alives, and whatever newer servers say
    }
  }

  #login(payload: Uint8Array): DerpEvent[] {
    const key = decodeServerKey(payload)
    if (!key.ok) return [this.#fail(`server-key-${key.reason}`)]
    const info = { version: DERP_VERSION, CanAckPings: true }
    const hello = encodeClientInfo(this.#crypto, this.#nodePrivate, key.value, info)
    if (hello === undefined) return [this.#fail('server-key-low-order')]
    this.#serverPublic = key.value
    const events: DerpEvent[] = [{ kind: 'write', bytes: hello }]
    if (this.#isHome) events.push({ kind: 'write', bytes: encodeNotePreferred(true) })
    return events
  }

  #fail(reason: string): DerpEvent {
    this.#hasFailed = true
    return { kind: 'failed', reason }
  }
}

/** What the server lets us send: a bucket of bytes that fills at its rate. */
class Allowance {
  readonly #bytesPerMs: number
  readonly #burstBytes: number
  #bytes: number
  #filledMs: Ms

  constructor(bytesPerSecond: number, burstBytes: number, now: Ms) {
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#burstBytes = burstBytes
    this.#bytes = burstBytes
    this.#filledMs = now
  }

  take(bytes: number, now: Ms): boolean {
    this.#bytes = Math.min(this.#burstBytes, this.#bytes + (now - this.#filledMs) * this.#bytesPerMs)
    this.#filledMs = now
    if (this.#bytes < bytes) return false
    this.#bytes -= bytes
    return true
  }
}

/** Only a server that names both a rate and a burst limits us. */
function allowanceOf(info: ServerInfo, now: Ms): Allowance | undefined {
  const { TokenBucketBytesPerSecond: rate = 0, TokenBucketBytesBurst: burst = 0 } = info
  return rate > 0 && burst > 0 ? new Allowance(rate, burst, now) : undefined
}
