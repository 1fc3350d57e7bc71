/**
 * DNS over HTTPS at servers whose addresses are known beforehand: one HTTP/2 connection a server, kept for a while;
 * HTTP/1.1 for those that have no other. Names are never looked up to get here. [RFC 8484]
 */
import http2, { type ClientHttp2Session } from 'node:http2'
import https from 'node:https'
import { isIP } from 'node:net'
import tls, { type SecureContext, type TLSSocket } from 'node:tls'
import { MAX_DNS_BYTES } from '../../../src-protocol/wire/dns.ts'
import { trustedRoots } from '../tls-roots.ts'

const CONNECT_LIMIT_MS = 1_500
const IDLE_MS = 30_000
const MEDIA_TYPE = 'application/dns-message'

type Connection =
  | { readonly kind: 'h2'; readonly session: ClientHttp2Session }
  | { readonly kind: 'h1'; readonly agent: https.Agent }

export class HttpsOrigins {
  readonly #secureContext: SecureContext | undefined
  readonly #connections = new Map<string, Promise<Connection>>()

  constructor(secureContext: SecureContext | undefined) {
    this.#secureContext = secureContext
  }

  async post(url: string, addresses: readonly string[], bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const parsed = new URL(url)
    const connection = await this.#connection(parsed, addresses)
    signal.throwIfAborted()
    return connection.kind === 'h2'
      ? postHttp2(connection.session, parsed, bytes, signal)
      : postHttp1(connection.agent, parsed, bytes, signal)
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.then(end, () => {})
    this.#connections.clear()
  }

  #connection(url: URL, addresses: readonly string[]): Promise<Connection> {
    const known = this.#connections.get(url.origin)
    if (known !== undefined) return known
    const fresh = this.#open(url, addresses)
    this.#connections.set(url.origin, fresh)
    fresh.catch(() => this.#forget(url.origin, fresh))
    return fresh
  }

  #forget(origin: string, connection: Promise<Connection>): void {
    if (this.#connections.get(origin) === connection) this.#connections.delete(origin)
  }

  async #open(url: URL, addresses: readonly string[]): Promise<Connection> {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const port = url.port === '' ? 443 : Number(url.port)
    const candidates = addresses.length === 0 ? [host] : addresses
    const open = (address: string): Promise<TLSSocket> => connectTls(address, port, host, this.#secureContext)
    let last: unknown
    for (const address of candidates) {
      try {
        const socket = await open(address)
        if (socket.alpnProtocol !== 'h2') {
          socket.destroy()
          return { kind: 'h1', agent: http1Agent(() => open(address)) }
        }
        const session = http2.connect(url.origin, { createConnection: () => socket })
        const forget = (): void => void this.#connections.delete(url.origin)
        session.on('error', forget).on('close', forget).on('goaway', forget)
        session.setTimeout(IDLE_MS, () => session.close())
        session.unref()
        return { kind: 'h2', session }
      } catch (error) {
        last = error
      }
    }
    throw last
  }
}

function end(connection: Connection): void {
  if (connection.kind === 'h2') connection.session.destroy()
  else connection.agent.destroy()
}

function connectTls(
  address: string,
  port: number,
  host: string,
  context: SecureContext | undefined,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      host: address,
      port,
      ALPNProtocols: ['h2', 'http/1.1'],
      secureContext: context ?? trustedRoots(),
      ...(isIP(host) === 0 ? { servername: host } : {}),
    })
    const late = setTimeout(() => socket.destroy(new Error(`${address}: no connection in time`)), CONNECT_LIMIT_MS)
    socket.once('error', reject)
    socket.once('close', () => clearTimeout(late))
    socket.once('secureConnect', () => {
      clearTimeout(late)
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

function http1Agent(open: () => Promise<TLSSocket>): https.Agent {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 4 })
  agent.createConnection = (_options, callback) => {
    open().then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as never),
    )
    return undefined as never
  }
  return agent
}

function postHttp2(session: ClientHttp2Session, url: URL, bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const path = url.pathname + url.search
    const headers = { ':method': 'POST', ':path': path, 'content-type': MEDIA_TYPE, accept: MEDIA_TYPE }
    const stream = session.request({ ...headers, 'content-length': bytes.length }, { signal })
    collect(stream, resolve, reject)
    stream.on('response', (reply) => {
      if (reply[':status'] !== 200) stream.destroy(new Error(`HTTP ${reply[':status']}`))
    })
    stream.end(bytes)
  })
}

function postHttp1(agent: https.Agent, url: URL, bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': MEDIA_TYPE, Accept: MEDIA_TYPE, 'Content-Length': bytes.length }
    const request = https.request(url, { method: 'POST', headers, agent, signal })
    request.on('error', reject)
    request.on('response', (response) => {
      if (response.statusCode !== 200) response.destroy(new Error(`HTTP ${response.statusCode}`))
      collect(response, resolve, reject)
    })
    request.end(bytes)
  })
}

function collect(
  stream: NodeJS.ReadableStream & { destroy(error?: Error): unknown },
  resolve: (bytes: Uint8Array) => void,
  reject: (error: Error) => void,
): void {
  const chunks: Buffer[] = []
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > MAX_DNS_BYTES) stream.destroy(new Error('the answer is too long'))
    else chunks.push(chunk)
  })
  stream.on('end', () => resolve(Buffer.concat(chunks)))
  stream.on('error', reject)
  stream.on('close', () => reject(new Error('closed'))) // after `end` this changes nothing
}
