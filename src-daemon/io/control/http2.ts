/**
 * The connection to a coordination server: HTTP/2 inside Noise, dialled on demand and shared by all requests. Not what is
 * asked (`src-daemon/engine/control.ts`). Proxies of the environment are not used yet.        [control.md §2; CTL-2.8]
 */
import http2, { type ClientHttp2Session, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2'
import { PassThrough, pipeline, type Readable } from 'node:stream'
import { CAPABILITY_VERSION } from '../../../src-contract/control/versions.ts'
import { equalBytes } from '../../../src-protocol/wire/bytes.ts'
import type { Crypto } from '../../../src-protocol/wire/crypto.ts'
import type { Secret } from '../../../src-protocol/wire/keys.ts'
import { displayText } from '../../../src-protocol/wire/text.ts'
import type { Log } from '../log/log.ts'
import { DIAL_TIMEOUT_MS, dial } from './dial.ts'
import { parseServerUrl, type ServerAddress } from './dial-plan.ts'
import {
  ControlError,
  type ControlRequest,
  type ControlResponse,
  type ControlTransport,
  connectionError,
} from './port.ts'
import { fetchServerKey } from './server-key.ts'
import { SocketOpener, type SocketOpenerOptions } from './sockets.ts'
import type { Upgraded } from './upgrade.ts'

export interface Http2ControlOptions {
  readonly crypto: Crypto
  readonly serverUrl: string
  readonly machineKey: Secret
  readonly log: Log
  readonly wallMs: () => number
  readonly sockets?: SocketOpenerOptions
  /** For tests that need another one. */
  readonly version?: number
}

const WINDOW_BYTES = 4 << 20
/** A dead connection is found by this, also while a request waits for a person and nothing else moves. */
const PING_EVERY_MS = 30_000
const PING_TIMEOUT_MS = 15_000

export class Http2Control implements ControlTransport {
  readonly #o: Http2ControlOptions
  readonly #sockets: SocketOpener
  readonly #version: number
  readonly #closing = new AbortController()
  #server: ServerAddress | undefined
  #serverKey: Uint8Array | undefined
  #session: ClientHttp2Session | undefined
  #dialling: Promise<ClientHttp2Session> | undefined
  /** Cancels the dial under way when the network changed. */
  #dialSwitch = new AbortController()

  constructor(o: Http2ControlOptions) {
    this.#o = o
    this.#sockets = new SocketOpener(o.sockets)
    this.#version = o.version ?? CAPABILITY_VERSION
  }

  async request(request: ControlRequest): Promise<ControlResponse> {
    request.signal.throwIfAborted()
    const session = await abortable(this.#connected(), request.signal)
    return await this.#ask(session, request)
  }

  reset(): void {
    this.#dialSwitch.abort(new ControlError('unreachable', 'the network changed'))
    this.#dialSwitch = new AbortController()
    this.#dialling = undefined
    this.#session?.destroy()
    this.#session = undefined
  }

  close(): void {
    this.#closing.abort(new ControlError('other', 'the control connection is closed'))
    this.reset()
  }

  async #connected(): Promise<ClientHttp2Session> {
    this.#closing.signal.throwIfAborted()
    if (this.#session !== undefined && !this.#session.closed && !this.#session.destroyed) return this.#session
    if (this.#dialling === undefined) {
      const dialling = this.#connect(AbortSignal.any([this.#closing.signal, this.#dialSwitch.signal]))
      this.#dialling = dialling
      const done = (): void => {
        if (this.#dialling === dialling) this.#dialling = undefined
      }
      dialling.then(done, done)
    }
    return await this.#dialling
  }

  async #connect(signal: AbortSignal): Promise<ClientHttp2Session> {
    this.#server ??= parseServerUrl(this.#o.serverUrl)
    const server = this.#server
    const { stream, certificateProblem } = await this.#dial(server, signal)
    if (certificateProblem !== undefined) {
      this.#o.log.warn('certificate-not-trusted', { server: server.authority, problem: certificateProblem })
    }
    const session = http2.connect(`https://${server.authority}`, {
      createConnection: () => stream,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    })
    session.on('connect', () => session.setLocalWindowSize(WINDOW_BYTES))
    session.on('error', (error) => this.#o.log.debug('connection-error', { error }))
    stream.on('error', (error) => this.#o.log.debug('connection-error', { error }))
    const pinging = setInterval(() => ping(session), PING_EVERY_MS)
    session.once('close', () => {
      clearInterval(pinging)
      stream.destroy()
      if (this.#session === session) this.#session = undefined
    })
    if (signal.aborted) {
      session.destroy()
      signal.throwIfAborted()
    }
    this.#session = session
    this.#o.log.debug('connected', { server: server.authority })
    return session
  }

  /** A key fetched earlier may have been replaced; then it is fetched again, once. */
  async #dial(server: ServerAddress, signal: AbortSignal): Promise<Upgraded> {
    const known = this.#serverKey
    const machinePrivate = this.#o.machineKey.expose()
    const options = {
      crypto: this.#o.crypto,
      sockets: this.#sockets,
      server,
      machinePrivate,
      version: this.#version,
      signal,
    }
    try {
      this.#serverKey ??= await this.#fetchKey(server, signal)
      return await dial({ ...options, serverPublic: this.#serverKey })
    } catch (error) {
      this.#serverKey = undefined
      const isPassing = error instanceof ControlError && error.kind === 'unreachable'
      if (known === undefined || isPassing || signal.aborted) throw error
      const serverPublic = await this.#fetchKey(server, signal)
      if (equalBytes(serverPublic, known)) throw error
      this.#o.log.warn('server-key-changed', { server: server.authority })
      const upgraded = await dial({ ...options, serverPublic })
      this.#serverKey = serverPublic
      return upgraded
    }
  }

  #fetchKey(server: ServerAddress, signal: AbortSignal): Promise<Uint8Array> {
    return fetchServerKey(server, this.#sockets, AbortSignal.any([signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)]))
  }

  #ask(session: ClientHttp2Session, request: ControlRequest): Promise<ControlResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<ControlResponse>()
    const { authority } = this.#server!
    const stream = session.request(
      { ':method': request.method, ':path': request.path, ':scheme': 'https', ':authority': authority },
      { endStream: request.body === undefined, signal: request.signal },
    )
    const fail = (error: unknown): void =>
      reject(request.signal.aborted ? request.signal.reason : connectionError(authority, error))
    stream.on('error', fail)
    stream.once('close', () => fail(new ControlError('unreachable', `${authority} closed the connection`)))
    stream.once('response', (headers) => resolve(toResponse(headers, stream, this.#o.wallMs())))
    if (request.body !== undefined) stream.end(request.body)
    return promise
  }
}

function ping(session: ClientHttp2Session): void {
  if (session.destroyed || session.closed) return
  const late = setTimeout(() => session.destroy(), PING_TIMEOUT_MS)
  const isSent = session.ping(() => clearTimeout(late))
  if (!isSent) clearTimeout(late)
}

function toResponse(
  headers: IncomingHttpHeaders & IncomingHttpStatusHeader,
  stream: Readable,
  wallMs: number,
): ControlResponse {
  // Node throws the data of a client stream away when it is complete before anybody began to read: begin at once
  const body = new PassThrough()
  pipeline(stream, body, () => undefined) // the reader of `body` meets the error
  return {
    status: headers[':status'] ?? 0,
    retryAfterMs: retryAfter(headers['retry-after'], wallMs),
    body,
    text: (maxBytes) => readText(body, maxBytes),
  }
}

/** Seconds or a date. Exported for its test. */
export function retryAfter(header: string | undefined, wallMs: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, at - wallMs)
}

async function readText(body: Readable, maxBytes: number): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of body) {
    parts.push(part as Buffer)
    size += (part as Buffer).length
    if (size >= maxBytes) break // leaving the loop destroys the stream
  }
  return displayText(Buffer.concat(parts), maxBytes)
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
