/**
 * A port of one of our own addresses that is served: a site, or a stream to a program. [docs/rules/serve.md SVE-7]
 */
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls'
import type { IpText } from '../../../src-contract/ids.ts'
import type { WebAnswer } from '../../../src-protocol/machines/serve/answer.ts'
import { ipText, parseIp } from '../../../src-protocol/wire/ip.ts'
import { errorText, type Log } from '../log/log.ts'
import type { FileServers } from './file-servers.ts'
import { forward } from './forward.ts'
import type { SecureNames, ServedPort, ServeListener } from './port.ts'
import { plainHead, type ReverseProxy } from './proxy.ts'

/** At once, of one address and port: a browser opens six, a busy program some hundreds. */
const MAX_CONNECTIONS = 2_048
const MAX_HEAD_BYTES = 64 << 10
/** How long a caller may take for a request's head and for TLS, and how long a connection may wait for its next request. */
const PATIENCE = { headMs: 10_000, idleMs: 60_000 }

export interface ServingParts {
  readonly proxy: ReverseProxy
  readonly files: FileServers
  readonly log: Log
}

type WebPort = Extract<ServedPort, { kind: 'web' }>
type StreamPort = Extract<ServedPort, { kind: 'stream' }>

export function openServedPort(
  parts: ServingParts,
  address: IpText,
  port: number,
  served: ServedPort,
): Promise<ServeListener> {
  const server = served.kind === 'web' ? webServer(parts, port, served) : streamServer(parts, port, served)
  server.maxConnections = MAX_CONNECTIONS
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {}) // the other end is gone; "close" follows
  })
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address, port, exclusive: true, ipv6Only: address.includes(':') }, () => {
      server.off('error', reject)
      server.on('error', () => {}) // of accepting one connection: no descriptor left, for example
      resolve({ close })
    })
  })
}

// Streams -------------------------------------------------------------------------------------------------------------

function streamServer({ log }: ServingParts, port: number, { tls, plan: planFor }: StreamPort): NetServer {
  const take = (socket: Socket): void => {
    const address = canonical(socket.remoteAddress)
    const local = canonical(socket.localAddress)
    const isWhole = address !== undefined && local !== undefined
    const plan = isWhole ? planFor({ remote: { address, port: socket.remotePort ?? 0 }, local }) : undefined
    if (plan === undefined) socket.destroy()
    else forward(socket, plan.to, plan.header, (reason) => log.warn('serve-forward', { port, reason }))
  }
  const options = { allowHalfOpen: true, pauseOnConnect: tls === undefined, noDelay: true }
  if (tls === undefined) return createServer(options, take)
  const server = createTlsServer({ ...options, ...tlsOptions(tls) }, take)
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}

// Sites ---------------------------------------------------------------------------------------------------------------

function webServer(parts: ServingParts, port: number, { tls, answer }: WebPort): Server {
  const decide = (request: IncomingMessage): WebAnswer => {
    const socket = request.socket as Socket & Partial<TLSSocket>
    const remote = canonical(socket.remoteAddress)
    if (remote === undefined) return { kind: 'refused', status: 400, text: 'who asks is unknown' }
    const sni = tls === undefined ? undefined : (typeof socket.servername === 'string' && socket.servername) || ''
    return answer({ remote, port, sni, host: request.headers.host ?? '', target: request.url ?? '' })
  }
  const options = {
    maxHeaderSize: MAX_HEAD_BYTES,
    headersTimeout: PATIENCE.headMs,
    requestTimeout: 0, // uploads take their time
    keepAliveTimeout: PATIENCE.idleMs,
    connectionsCheckingInterval: PATIENCE.headMs / 5,
    insecureHTTPParser: false,
    noDelay: true,
  }
  /** One request that breaks something must not take the others with it. */
  const guarded = (stream: { destroy(): unknown }, work: () => void): void => {
    try {
      work()
    } catch (error) {
      parts.log.error('serve-request', { port, reason: errorText(error) })
      stream.destroy()
    }
  }
  const handle = (request: IncomingMessage, response: ServerResponse): void =>
    guarded(response, () => carryOut(parts, request, response, decide(request)))
  const server: Server =
    tls === undefined
      ? createHttpServer(options, handle)
      : createHttpsServer({ ...options, ...tlsOptions(tls) }, handle)
  server.on('clientError', (_error, socket) => {
    if (socket.writable && 'bytesWritten' in socket && socket.bytesWritten === 0)
      socket.end(plainHead(400, 'Bad Request'))
    else socket.destroy()
  })
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())
  server.on('connect', (_request, socket) => socket.end(plainHead(405, 'Method Not Allowed')))
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    guarded(socket, () => {
      const plan = decide(request)
      if (plan.kind === 'proxy') parts.proxy.upgrade(request, socket, head, plan)
      else socket.end(plainHead(plan.kind === 'refused' ? plan.status : 400, 'no upgrade here'))
    }),
  )
  return server
}

function carryOut(parts: ServingParts, request: IncomingMessage, response: ServerResponse, plan: WebAnswer): void {
  if (plan.kind === 'proxy') parts.proxy.handle(request, response, plan)
  else if (plan.kind === 'file') parts.files.handle(request, response, plan)
  else {
    request.resume()
    if (plan.kind === 'text') send(response, 200, plan.text)
    else if (plan.kind === 'refused') send(response, plan.status, `${plan.text}\n`)
    else {
      response.setHeader('Location', plan.location)
      send(response, plan.status, '')
    }
  }
}

function send(response: ServerResponse, status: number, text: string): void {
  const body = Buffer.from(text)
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': body.length,
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

function tlsOptions(names: SecureNames): TlsOptions {
  return {
    minVersion: 'TLSv1.2',
    handshakeTimeout: PATIENCE.headMs,
    SNICallback: (name, done) => {
      names(name).then(
        (context) => done(null, context),
        (error: Error) => done(error),
      )
    },
  }
}

function canonical(address: string | undefined): IpText | undefined {
  const ip = parseIp((address ?? '').replace(/%.*$/, ''))
  return ip.ok ? ipText(ip.value) : undefined
}
