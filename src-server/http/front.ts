/** One HTTP(S) listener and the parts that answer on it: the control server, the relay, or both on one port. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { ListenAddress } from '../config/address.ts'
import { endSoon, refuse } from '../control/ts2021.ts'
import { listenOn } from './listen.ts'

export interface FrontPart {
  /** Answers whether the request was its business. */
  handleRequest(request: IncomingMessage, response: ServerResponse, path: string): boolean
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, path: string): boolean
}

export interface FrontOptions {
  readonly listen: ListenAddress
  readonly purpose: string
  readonly tls: { readonly cert: string; readonly key: string } | undefined
  readonly parts: readonly FrontPart[]
}

export interface Front {
  readonly port: number
  close(): Promise<void>
}

export async function openFront(o: FrontOptions): Promise<Front> {
  const timeouts = {
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 15_000,
    connectionsCheckingInterval: 5000,
  }
  // HTTP/1.1 only: over HTTP/2 there is no upgrade, neither to the control protocol nor to the relay's
  const server: Server =
    o.tls === undefined
      ? createServer(timeouts)
      : createTlsServer({
          ...timeouts,
          ...o.tls,
          minVersion: 'TLSv1.2',
          ALPNProtocols: ['http/1.1'],
          handshakeTimeout: 10_000,
        })
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const path = pathOf(request)
    if (o.parts.some((part) => part.handleRequest(request, response, path))) return
    sendText(response, 404, 'not found\n')
  })
  /** Node forgets a socket once it is upgraded. */
  const upgraded = new Set<Duplex>()
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    socket.on('error', () => socket.destroy()) // a peer that goes away is no news
    prepare(socket)
    const path = pathOf(request)
    if (!o.parts.some((part) => part.handleUpgrade(request, socket, head, path))) refuse(socket, 404, 'not found\n')
  })
  server.on('clientError', (_error, socket) => {
    if (socket.writable) endSoon(socket, 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    else socket.destroy()
  })
  const port = await listenOn(server, o.listen, o.purpose)
  return {
    port,
    close: async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      server.close(() => resolve())
      server.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
      await promise
    },
  }
}

/** Long-lived connections: no delay, no HTTP timeouts, and dead peers are noticed. */
function prepare(socket: Duplex): void {
  const tcp = socket as Duplex & {
    setNoDelay?: (on: boolean) => void
    setKeepAlive?: (on: boolean, delayMs: number) => void
    setTimeout?: (ms: number) => void
  }
  tcp.setNoDelay?.(true)
  tcp.setKeepAlive?.(true, 30_000)
  tcp.setTimeout?.(0)
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0]!
}

export function queryOf(request: IncomingMessage): URLSearchParams {
  return new URLSearchParams((request.url ?? '').split('?').slice(1).join('?'))
}

export function sendText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: { readonly [name: string]: string } = {},
): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(text)),
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  })
  response.end(text)
}

export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: { readonly [name: string]: string } = {},
): void {
  sendText(response, status, JSON.stringify(value), { 'Content-Type': 'application/json', ...headers })
}

/** Undefined: larger than the limit. Time limits are the listener's. */
export async function readRequest(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | undefined> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length
    if (size > maxBytes) return undefined
    parts.push(part)
  }
  return Buffer.concat(parts)
}
