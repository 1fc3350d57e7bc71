/**
 * `POST /ts2021`: from an HTTP/1.1 upgrade to HTTP/2 inside Noise. The machine key that the handshake proves goes along
 * with every request; nothing is bound to a connection, clients open several.                   [control.md §2.3-2.7]
 */
import type { IncomingMessage } from 'node:http'
import { performServerHandshake, type ServerHttp2Session } from 'node:http2'
import type { Duplex } from 'node:stream'
import { nodeCrypto } from '../../src-protocol/crypto/node-crypto.ts'
import { NoiseStream } from '../../src-protocol/crypto/noise-stream.ts'
import { parseBase64 } from '../../src-protocol/wire/bytes.ts'
import { challengeKeyText, machineKeyText } from '../../src-protocol/wire/keys.ts'
import { encodeEarlyPayload, encodeErrorFrame, respond } from '../../src-protocol/wire/noise.ts'
import { answerMachine, type MachineDoor } from './machine-api.ts'
import { mostFrequent, networkOf } from './networks.ts'
import { type Caller, isSupported } from './register.ts'

export const CONTROL_UPGRADE = 'tailscale-control-protocol'

/** The client must start HTTP/2 within this time. */
const START_TIMEOUT_MS = 15_000
/** A connection without any request open is closed after this time. */
const IDLE_MS = 120_000
/** Dead clients are found out by HTTP/2 pings. */
const PING_EVERY_MS = 25_000
const PING_TIMEOUT_MS = 20_000
const SETTINGS = { initialWindowSize: 1 << 20, maxConcurrentStreams: 100, enablePush: false }
/** Whoever is no node yet has room to register, and no more. */
const STRANGER_SETTINGS = { initialWindowSize: 128 << 10, maxConcurrentStreams: 8, enablePush: false }
/** Connections of machines that are no nodes; beyond it the network with the most of them loses its oldest one. */
export const MAX_STRANGERS = 256
/** What a refused client has to read its refusal; after it the connection is gone, whatever the other side does. */
const LINGER_MS = 2_000

export class ControlConnections {
  readonly #door: MachineDoor
  readonly #serverPrivate: Uint8Array
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #strangers = new Map<ServerHttp2Session, Caller>()

  constructor(door: MachineDoor, serverPrivate: Uint8Array) {
    this.#door = door
    this.#serverPrivate = serverPrivate
  }

  get count(): number {
    return this.#sessions.size
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (request.method !== 'POST') {
      refuse(socket, 405, 'expected POST')
      return
    }
    const header = request.headers['x-tailscale-handshake']
    const initiation = typeof header === 'string' ? parseBase64(header) : undefined
    if (!initiation?.ok) {
      refuse(socket, 400, 'missing or unreadable X-Tailscale-Handshake')
      return
    }
    const accepted = respond({ crypto: nodeCrypto, serverPrivate: this.#serverPrivate, initiation: initiation.value })
    if (!accepted.ok) {
      refuse(socket, 400, `bad handshake: ${accepted.reason}`)
      return
    }

    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${CONTROL_UPGRADE}\r\nConnection: upgrade\r\n\r\n`)
    if (!isSupported(accepted.value.version)) {
      endSoon(socket, encodeErrorFrame(`unsupported client version: ${accepted.value.version}`))
      return
    }
    socket.write(accepted.value.reply)
    const stream = new NoiseStream({ socket, keys: accepted.value.keys, role: 'server', head })
    stream.write(
      encodeEarlyPayload({
        nodeKeyChallenge: challengeKeyText(nodeCrypto.x25519PublicKey(nodeCrypto.newPrivateKey())),
      }),
    )
    this.#serve(stream, {
      machineKey: machineKeyText(accepted.value.machinePublic),
      network: networkOf(request.socket.remoteAddress),
    })
  }

  #serve(transport: Duplex, caller: Caller): void {
    const { machineKey } = caller
    const isKnown = this.#door.registry.knowsMachine(machineKey)
    const session = performServerHandshake(
      transport,
      isKnown ? { settings: SETTINGS, maxSessionMemory: 64 } : { settings: STRANGER_SETTINGS, maxSessionMemory: 2 },
    )
    this.#sessions.add(session)
    if (!isKnown) this.#admitStranger(session, caller)
    let open = 0
    let idle = setTimeout(() => session.destroy(), START_TIMEOUT_MS)
    const ping = setInterval(() => this.#ping(session), PING_EVERY_MS)
    session.on('stream', (stream, headers) => {
      clearTimeout(idle)
      open++
      stream.on('error', (error) => this.#door.log('request-error', { machineKey, error: error.message }))
      stream.once('close', () => {
        if (--open === 0 && !session.destroyed) idle = setTimeout(() => session.close(), IDLE_MS)
      })
      answerMachine(this.#door, caller, stream, headers).catch((error: unknown) => {
        this.#door.log('request-failed', { machineKey, error: String(error) })
        if (!stream.headersSent && !stream.closed && !stream.destroyed) {
          stream.respond({ ':status': 500 })
          stream.end('internal error')
        }
      })
    })
    session.on('error', (error) => this.#door.log('connection-error', { machineKey, error: error.message }))
    session.once('close', () => {
      clearTimeout(idle)
      clearInterval(ping)
      this.#sessions.delete(session)
      this.#strangers.delete(session)
      transport.destroy()
    })
    transport.on('error', (error) => this.#door.log('connection-error', { machineKey, error: error.message }))
    transport.once('close', () => session.destroy())
  }

  #admitStranger(session: ServerHttp2Session, caller: Caller): void {
    this.#strangers.set(session, caller)
    if (this.#strangers.size <= MAX_STRANGERS) return
    for (const [open, { machineKey }] of this.#strangers)
      if (this.#door.registry.knowsMachine(machineKey)) this.#strangers.delete(open) // it has joined meanwhile
    if (this.#strangers.size <= MAX_STRANGERS) return
    const loudest = mostFrequent([...this.#strangers.values()].map(({ network }) => network))
    for (const [open, { network }] of this.#strangers) {
      if (network !== loudest) continue
      open.destroy()
      return
    }
  }

  #ping(session: ServerHttp2Session): void {
    if (session.destroyed) return
    const late = setTimeout(() => session.destroy(), PING_TIMEOUT_MS)
    const isSent = session.ping((error) => {
      clearTimeout(late)
      if (error !== null) session.destroy()
    })
    if (!isSent) clearTimeout(late)
  }

  close(): void {
    for (const session of [...this.#sessions]) session.destroy()
  }
}

export function refuse(socket: Duplex, status: number, text: string): void {
  endSoon(
    socket,
    `HTTP/1.1 ${status} Refused\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  )
}

/** The last words; a client that never closes its side does not keep the connection. */
export function endSoon(socket: Duplex, words: string | Uint8Array): void {
  const late = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(late))
  socket.end(words)
  socket.resume()
}
