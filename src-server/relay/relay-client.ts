/**
 * One client's connection at the relay: login, its two queues, its one writer. Where packets go is the relay's business
 * (`relay-server.ts`). A slow client loses its oldest packets; nobody ever waits for it.          [derp.md §3.2, §6.1-6.2]
 */
import type { Duplex } from 'node:stream'
import type { Crypto } from '../../src-protocol/wire/crypto.ts'
import {
  decodeClientInfo,
  encodeFrame,
  encodePeerGone,
  encodeServerInfo,
  encodeServerKey,
  FRAME,
  FrameReader,
  type PeerGoneReason,
} from '../../src-protocol/wire/derp.ts'

/** What a client needs from the relay around it. */
export interface RelayCore {
  readonly crypto: Crypto
  readonly privateKey: Uint8Array
  readonly publicKey: Uint8Array
  /** Answers whether this key may use the relay. */
  admit(client: RelayClient, nodeKey: Uint8Array): boolean
  route(client: RelayClient, destination: Uint8Array, packet: Uint8Array): void
  /** It sent something. */
  active(client: RelayClient): void
  left(client: RelayClient): void
}

const QUEUE_LENGTH = 32
const LOGIN_TIMEOUT_MS = 10_000
const KEEP_ALIVE_MS = 60_000
const KEEP_ALIVE_SPREAD_MS = 5000
/** Whoever takes nothing for so long is disconnected. The reference waits 2 s; a busy machine may stall longer than that. */
const WRITE_TIMEOUT_MS = 5000
const MAX_PACKET_BYTES = 65_536
/** The longest frame a client has reason to send is its login. */
const MAX_FRAME_BYTES = 256 << 10
const KEY_BYTES = 32

const DISCO_MAGIC = [0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac] as const
const MIN_DISCO_BYTES = 62

/** Key discovery traffic has a queue of its own, so that a bulk transfer cannot push it out. */
export function isDiscoPacket(packet: Uint8Array): boolean {
  return packet.length >= MIN_DISCO_BYTES && DISCO_MAGIC.every((byte, i) => packet[i] === byte)
}

export class RelayClient {
  /** Set once the login is done. */
  nodeKey: Uint8Array | undefined
  isHome = false
  droppedPackets = 0
  readonly #core: RelayCore
  readonly #socket: Duplex
  readonly #reader = new FrameReader(MAX_FRAME_BYTES)
  readonly #disco: Uint8Array[] = []
  readonly #data: Uint8Array[] = []
  readonly #urgent: Uint8Array[] = []
  #pong: Uint8Array | undefined
  #isBlocked = false
  #takesDiscoNext = true
  #loginTimer: NodeJS.Timeout | undefined
  #keepAliveTimer: NodeJS.Timeout | undefined
  #writeTimer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(core: RelayCore, socket: Duplex, head: Uint8Array) {
    this.#core = core
    this.#socket = socket
    socket.on('data', (bytes: Uint8Array) => this.#handleBytes(bytes))
    socket.on('drain', () => this.#handleDrain())
    socket.on('error', () => this.close()) // a peer that goes away is no news
    socket.on('end', () => this.close())
    socket.on('close', () => this.close())
    this.#loginTimer = setTimeout(() => this.close(), LOGIN_TIMEOUT_MS)
    socket.write(encodeServerKey(core.publicKey))
    if (head.length > 0) this.#handleBytes(head)
  }

  /** Takes a packet from `source`, or loses an older one. */
  enqueue(source: Uint8Array, packet: Uint8Array): void {
    const frame = Buffer.allocUnsafe(5 + KEY_BYTES + packet.length)
    frame[0] = FRAME.recvPacket
    frame.writeUInt32BE(KEY_BYTES + packet.length, 1)
    frame.set(source, 5)
    frame.set(packet, 5 + KEY_BYTES)
    const queue = isDiscoPacket(packet) ? this.#disco : this.#data
    if (queue.length >= QUEUE_LENGTH) {
      queue.shift()
      this.droppedPackets++
    }
    queue.push(frame)
    this.#pump()
  }

  tellGone(peer: Uint8Array, reason: PeerGoneReason): void {
    if (this.#urgent.length >= 2 * QUEUE_LENGTH) this.#urgent.shift()
    this.#urgent.push(encodePeerGone(peer, reason))
    this.#pump()
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#loginTimer)
    clearTimeout(this.#keepAliveTimer)
    clearTimeout(this.#writeTimer)
    this.#socket.destroy()
    this.#core.left(this)
  }

  #handleBytes(bytes: Uint8Array): void {
    if (this.#isClosed) return
    const frames = this.#reader.push(bytes)
    if (!frames.ok) {
      this.close()
      return
    }
    for (const frame of frames.value) {
      if (this.#isClosed) return
      if (this.nodeKey === undefined) this.#handleLogin(frame.type, frame.payload)
      else this.#handleFrame(frame.type, frame.payload)
    }
  }

  #handleLogin(type: number, payload: Uint8Array): void {
    if (type !== FRAME.clientInfo) {
      this.close()
      return
    }
    const info = decodeClientInfo(this.#core.crypto, this.#core.privateKey, payload)
    if (!info.ok || !this.#core.admit(this, info.value.nodeKey)) {
      this.close()
      return
    }
    clearTimeout(this.#loginTimer)
    this.nodeKey = Uint8Array.from(info.value.nodeKey)
    this.#urgent.push(encodeServerInfo(this.#core.crypto, this.#core.privateKey, this.nodeKey, { version: 2 }))
    this.#pump()
    this.#keepAliveTimer = setTimeout(() => this.#keepAlive(), KEEP_ALIVE_MS + Math.random() * KEEP_ALIVE_SPREAD_MS)
  }

  #handleFrame(type: number, payload: Uint8Array): void {
    this.#core.active(this)
    switch (type) {
      case FRAME.sendPacket:
        if (payload.length < KEY_BYTES || payload.length > KEY_BYTES + MAX_PACKET_BYTES) this.close()
        else this.#core.route(this, payload.subarray(0, KEY_BYTES), payload.subarray(KEY_BYTES))
        return
      case FRAME.ping:
        if (payload.length < 8 || payload.length > 1000) this.close()
        else {
          this.#pong ??= encodeFrame(FRAME.pong, payload.subarray(0, 8))
          this.#pump()
        }
        return
      case FRAME.notePreferred:
        if (payload.length === 1) this.isHome = payload[0] === 1
        else this.close()
        return
      case FRAME.forwardPacket:
      case FRAME.watchConns:
      case FRAME.closePeer:
        this.close() // only relays of one mesh may do this, and this one has no mesh
        return
      default: // newer clients may say more
    }
  }

  #keepAlive(): void {
    this.#urgent.push(encodeFrame(FRAME.keepAlive, new Uint8Array(0)))
    this.#pump()
    this.#keepAliveTimer = setTimeout(() => this.#keepAlive(), KEEP_ALIVE_MS)
  }

  #next(): Uint8Array | undefined {
    const urgent = this.#urgent.shift()
    if (urgent !== undefined) return urgent
    if (this.#pong !== undefined) {
      const pong = this.#pong
      this.#pong = undefined
      return pong
    }
    this.#takesDiscoNext = !this.#takesDiscoNext
    return this.#takesDiscoNext
      ? (this.#disco.shift() ?? this.#data.shift())
      : (this.#data.shift() ?? this.#disco.shift())
  }

  /** Writes until the socket has enough; frames of one turn leave in one write. */
  #pump(): void {
    if (this.#isBlocked || this.#isClosed) return
    this.#socket.cork()
    process.nextTick(() => this.#socket.uncork())
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) {
      if (this.#socket.write(frame)) continue
      this.#isBlocked = true
      this.#writeTimer = setTimeout(() => this.close(), WRITE_TIMEOUT_MS)
      return
    }
  }

  #handleDrain(): void {
    clearTimeout(this.#writeTimer)
    this.#isBlocked = false
    this.#pump()
  }
}
