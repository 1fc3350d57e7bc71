/**
 * The HTTP proxy: CONNECT to anything, and plain requests with a whole address. HTTP itself is Node's.
 * [RFC 9110 §9.3.6, §7.6.1; docs/rules/netstack.md NST-32]
 */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream'
import type { Dialer, DialFailure } from './dialer-port.ts'
import { joinStreams } from './join-streams.ts'

const HEAD_MS = 10_000
const MAX_HEADER_BYTES = 16 << 10
/** These concern one connection, not what is said over it. */
const HOP_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const STATUSES: { readonly [R in DialFailure['reason']]: number } = {
  'unknown-name': 502,
  refused: 502,
  timeout: 504,
  unreachable: 502,
  busy: 503,
}

/** Not listening: it is given its connections. */
export function createHttpProxy(dialer: Dialer): Server {
  const server = createServer(
    { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: HEAD_MS, requestTimeout: 0, connectionsCheckingInterval: 2_000 },
    (incoming, response) => void forward(dialer, incoming, response),
  )
  server.on('connect', (incoming, socket, head) => void tunnel(dialer, incoming, socket, head))
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', () => socket.destroy())
    else socket.destroy()
  })
  return server
}

async function tunnel(dialer: Dialer, incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  socket.on('error', () => {}) // it shows in the streams that are joined
  const target = parseAuthority(incoming.url ?? '')
  if (target === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', () => socket.destroy())
    return
  }
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  const result = await dialer.dial(target.host, target.port, gone.signal)
  if (result.kind === 'failed') {
    const body = `${result.message}\n`
    const length = Buffer.byteLength(body)
    const status = STATUSES[result.reason] === 504 ? '504 Gateway Timeout' : `${STATUSES[result.reason]} Bad Gateway`
    socket.end(
      `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${length}\r\n\r\n${body}`,
      () => socket.destroy(),
    )
    return
  }
  if (socket.destroyed) {
    result.stream.destroy()
    return
  }
  socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
  joinStreams(socket, result.stream, head)
}

/** `name:port`, `1.2.3.4:port`, `[v6]:port`. */
export function parseAuthority(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255}):(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  return match?.[1] === undefined || port < 1 || port > 65_535 ? undefined : { host: match[1], port }
}

async function forward(dialer: Dialer, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = URL.canParse(incoming.url ?? '') ? new URL(incoming.url ?? '') : undefined
  if (url === undefined || url.protocol !== 'http:') {
    answer(response, 400, 'This is a proxy: it takes CONNECT host:port, and requests for whole http:// addresses.')
    return
  }
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const result = await dialer.dial(url.hostname, url.port === '' ? 80 : Number(url.port), gone.signal)
  if (result.kind === 'failed') {
    answer(response, STATUSES[result.reason], result.message)
    return
  }
  if (response.destroyed) {
    result.stream.destroy()
    return
  }
  const { stream } = result
  const outgoing = request(
    {
      createConnection: () => stream,
      method: incoming.method ?? 'GET',
      path: `${url.pathname}${url.search}`,
      headers: { ...endToEnd(incoming), host: url.host, connection: 'close' },
      maxHeaderSize: MAX_HEADER_BYTES * 4,
    },
    (reply) => {
      response.writeHead(reply.statusCode ?? 502, endToEnd(reply))
      pipeline(reply, response, () => stream.destroy())
    },
  )
  outgoing.on('error', (error) => {
    stream.destroy()
    if (response.headersSent) response.destroy()
    else answer(response, 502, error.message)
  })
  response.once('close', () => outgoing.destroy())
  pipeline(incoming, outgoing, () => {}) // an error is one of `outgoing`, or of who asked, who is gone
}

function endToEnd({ headers }: IncomingMessage): IncomingMessage['headers'] {
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()))
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_HEADERS.has(name) && !named.has(name)))
}

function answer(response: ServerResponse, status: number, message: string): void {
  if (response.destroyed) return
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' })
  response.end(`${message}\n`)
}
