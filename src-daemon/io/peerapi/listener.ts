/**
 * An HTTP/1.1 listener on one of our own addresses. The tunnel encrypts and says who asks; here hostile and slow clients
 * are bounded: connections and open requests for each peer, the head's size and time, silence. [docs/rules/peerapi.md PA-2]
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { IpText } from '../../../src-contract/ids.ts'
import { ipText, parseIp } from '../../../src-protocol/wire/ip.ts'
import { errorCode } from '../log/log.ts'
import type { PeerApiListener, PeerApiListenerOptions, PeerApiReply } from './port.ts'

const MAX_CONNECTIONS = 256
const MAX_CONNECTIONS_PER_PEER = 32
/** Also of those that one connection sends without waiting for replies. */
const MAX_OPEN_PER_PEER = 32
const MAX_HEAD_BYTES = 16 << 10
/** What is still read of a request that has been answered. */
const LINGER = { bytes: 4 << 20, ms: 1_000 }
/** How long a peer may take for a request's head, and how long it may be silent in the midst of anything. */
const PATIENCE = { headMs: 5_000, silenceMs: 30_000 }

export async function openPeerApiListener(
  options: PeerApiListenerOptions,
  patience = PATIENCE,
): Promise<PeerApiListener> {
  const listener = new Listener(options, patience)
  let last: unknown
  for (const port of options.ports) {
    try {
      await listener.listen(port)
      return listener
    } catch (error) {
      last = error
      if (errorCode(error) !== 'EADDRINUSE') break
    }
  }
  throw last
}

class Listener implements PeerApiListener {
  readonly #o: PeerApiListenerOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #connections = new Map<IpText, number>()
  readonly #open = new Map<IpText, number>()

  constructor(options: PeerApiListenerOptions, { headMs, silenceMs }: typeof PATIENCE) {
    this.#o = options
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEAD_BYTES,
        headersTimeout: headMs,
        requestTimeout: 0, // files may take their time; silence is bounded below
        keepAliveTimeout: silenceMs,
        connectionsCheckingInterval: headMs / 5,
      },
      (request, response) => void this.#answer(request, response),
    )
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#server.timeout = silenceMs
    this.#server.on('connection', (socket) => this.#admit(socket))
    this.#server.on('clientError', (_error, socket) => socket.destroy())
    this.#server.on('connect', (_request, socket) => socket.destroy())
    this.#server.on('upgrade', (_request, socket) => socket.destroy())
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host: this.#o.address, port, exclusive: true }, () => {
        this.#server.off('error', reject)
        this.#server.on('error', () => {}) // of accepting one connection: no descriptor left, for example
        resolve()
      })
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroy()
    })
  }

  #admit(socket: Socket): void {
    const peer = canonical(socket.remoteAddress)
    const count = peer === undefined ? 0 : (this.#connections.get(peer) ?? 0)
    if (peer === undefined || count >= MAX_CONNECTIONS_PER_PEER || !this.#o.admits(peer)) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    this.#connections.set(peer, count + 1)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      lower(this.#connections, peer)
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request
    const remoteAddress = canonical(socket.remoteAddress)
    const localAddress = canonical(socket.localAddress)
    if (remoteAddress === undefined || localAddress === undefined) return void socket.destroy()
    const open = this.#open.get(remoteAddress) ?? 0
    if (open >= MAX_OPEN_PER_PEER) return await send(response, plain(503, 'too many requests at once'))
    this.#open.set(remoteAddress, open + 1)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    try {
      const [path = '/', query = ''] = splitOnce(request.url ?? '/')
      const reply = await this.#o.handle({
        remoteAddress,
        localAddress,
        localPort: socket.localPort ?? 0,
        method: request.method ?? '',
        path,
        query: new URLSearchParams(query),
        headers: request.headers,
        body: request,
        signal: gone.signal,
        allowSilence: (ms) => socket.setTimeout(ms),
        cut: () => socket.destroy(),
      })
      socket.setTimeout(this.#server.timeout)
      await send(response, reply)
    } catch {
      socket.destroy() // its body broke off, or ours is the fault: the routes log their own
    } finally {
      lower(this.#open, remoteAddress)
    }
  }
}

async function send(response: ServerResponse, { status, contentType, body }: PeerApiReply): Promise<void> {
  if (response.destroyed) return
  response.writeHead(status, {
    'Content-Type': contentType,
    ...(body instanceof Uint8Array ? { 'Content-Length': body.length } : {}),
    // for browsers that are led here
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
  })
  if (response.req.method === 'HEAD') response.end()
  else if (!(body instanceof Uint8Array)) await pipeline(body, response)
  else if (response.req.complete) response.end(body)
  else if (!response.req.destroyed) {
    const { socket } = response.req
    response.write(body)
    await linger(response.req)
    if (response.req.complete) response.end()
    else response.end(() => socket.destroySoon())
  }
}

/**
 * Whoever sends on after the answer is not listened to, but gets the time to read it: a connection that is closed with
 * bytes unread takes the answer back.
 */
function linger(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let left = LINGER.bytes
    const timer = setTimeout(resolve, LINGER.ms)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    request.once('close', done).once('error', done).once('end', done)
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length
      if (left < 0) done()
    })
  })
}

export function plain(status: number, text: string): PeerApiReply {
  return { status, contentType: 'text/plain; charset=utf-8', body: Buffer.from(`${text}\n`) }
}

function splitOnce(url: string): [string, string] {
  const at = url.indexOf('?')
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

function canonical(address: string | undefined): IpText | undefined {
  const ip = parseIp((address ?? '').replace(/%.*$/, ''))
  return ip.ok ? ipText(ip.value) : undefined
}

function lower(counts: Map<IpText, number>, key: IpText): void {
  const left = (counts.get(key) ?? 1) - 1
  if (left === 0) counts.delete(key)
  else counts.set(key, left)
}
