/**
 * The LocalAPI's HTTP server on a Unix socket: who is calling, is it one of ours, may it, and the reply's form. What the
 * calls do is in `handlers/`. [docs/rules/localapi.md LA-1, LA-2]
 */
import { chmod, mkdir, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { writeJson } from '../../src-protocol/wire/json.ts'
import { errorCode, errorText, type Log } from '../io/log/log.ts'
import type { PeerCredentials } from '../io/users/port.ts'
import { findRoute } from './dispatch.ts'
import { plainError, type Reply } from './reply.ts'
import type { ApiRequest, RouteTable } from './request.ts'
import { isForeignRequest } from './request-checks.ts'
import { mayCall, noRights, operatorCommand, type Rights, rightsOf } from './rights.ts'

const MAX_BODY_BYTES = 1 << 20
const MAX_HEADER_BYTES = 16 << 10
const HEAD_LIMIT_MS = 5_000
const BODY_LIMIT_MS = 30_000
const UNREAD_LIMIT_MS = 1_000
/** Clients keep connections; closing one just as it is used again would look like a failed call. */
const IDLE_LIMIT_MS = 600_000
const MAX_CONNECTIONS_PER_UID = 256

export interface LocalApiOptions {
  readonly socketPath: string
  readonly routes: RouteTable
  /** undefined where the platform cannot tell; then the socket's mode keeps others out. */
  readonly credentialsOf: ((socket: Socket) => PeerCredentials | undefined) | undefined
  readonly daemonUid: number
  readonly operatorUid: () => Promise<number | undefined>
  readonly log: Log
}

export class SocketInUseError extends Error {
  override readonly name = 'SocketInUseError'
}

export interface LocalApiServer {
  close(): Promise<void>
}

export async function openLocalApi(options: LocalApiOptions): Promise<LocalApiServer> {
  await refuseIfAnswered(options.socketPath)
  const folder = dirname(options.socketPath)
  const made = await mkdir(folder, { recursive: true, mode: 0o755 })
  if (made !== undefined) await chmod(folder, 0o755) // whatever our umask is: others must reach the socket
  await rm(options.socketPath, { force: true })
  const api = new LocalApi(options)
  await api.listen()
  return api
}

class LocalApi implements LocalApiServer {
  readonly #options: LocalApiOptions
  readonly #server: Server
  readonly #callers = new WeakMap<Socket, PeerCredentials>()
  readonly #connections = new Map<number, number>()

  constructor(options: LocalApiOptions) {
    this.#options = options
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: HEAD_LIMIT_MS,
        requestTimeout: 0, // files may take their time; other bodies are bounded below
        keepAliveTimeout: IDLE_LIMIT_MS,
        connectionsCheckingInterval: 2_000,
        requireHostHeader: false,
      },
      (request, response) => void this.#answer(request, response),
    )
    this.#server.on('connection', (socket) => this.#admit(socket))
    this.#server.on('connect', (_request, socket) =>
      socket.end('HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n\r\n'),
    )
    this.#server.on('clientError', (error, socket) => this.#refuseBadHead(error, socket as Socket))
  }

  async listen(): Promise<void> {
    const { socketPath, credentialsOf } = this.#options
    const mask = process.umask(0o177) // nobody gets in between listen and chmod
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject)
        this.#server.listen(socketPath, resolve)
      })
    } finally {
      process.umask(mask)
    }
    if (credentialsOf !== undefined) await chmod(socketPath, 0o666)
    else this.#options.log.warn('no-peer-credentials', { consequence: 'only the daemon user may use the socket' })
  }

  async close(): Promise<void> {
    const done = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await done
    await rm(this.#options.socketPath, { force: true })
  }

  #admit(socket: Socket): void {
    socket.on('error', () => {}) // a client that leaves early is its own affair
    const { credentialsOf, daemonUid } = this.#options
    const caller = credentialsOf === undefined ? { pid: 0, uid: daemonUid, gid: 0 } : credentialsOf(socket)
    if (caller === undefined) return
    const open = this.#connections.get(caller.uid) ?? 0
    if (open >= MAX_CONNECTIONS_PER_UID) {
      socket.destroy()
      return
    }
    this.#callers.set(socket, caller)
    this.#connections.set(caller.uid, open + 1)
    socket.once('close', () => this.#connections.set(caller.uid, (this.#connections.get(caller.uid) ?? 1) - 1))
  }

  #refuseBadHead(error: Error, socket: Socket): void {
    if (errorCode(error) === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    // Whoever sent half a request may never close its side.
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', () => socket.destroy())
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of SECURITY_HEADERS) response.setHeader(name, value)
    let reply: Reply
    try {
      reply = await this.#reply(request, response)
    } catch (error) {
      if (response.destroyed) return
      if (error instanceof BodyError) reply = plainError(error.status, error.message)
      else {
        this.#options.log.error('localapi-failed', { method: request.method, path: pathOf(request), error })
        reply = plainError(500, errorText(error))
      }
    }
    if (response.destroyed) return
    if (!request.complete && !request.destroyed && reply.kind !== 'stream') endUnread(request, response)
    send(request, response, reply)
  }

  async #reply(request: IncomingMessage, response: ServerResponse): Promise<Reply> {
    const target = request.url ?? ''
    if (isForeignRequest({ target, headers: request.headers, rawHeaders: request.rawHeaders })) {
      return plainError(403, 'invalid localapi request')
    }
    const url = new URL(target, 'http://local-tailscaled.sock')
    if (url.pathname === '/') return { kind: 'text', status: 200, text: 'tailscaled\n' }
    if (url.pathname === '/server-status') return { kind: 'json', status: 200, value: {} }
    const match = findRoute(this.#options.routes, request.method ?? 'GET', url.pathname)
    if (match.kind === 'unknown') return plainError(404, '404 page not found')
    const caller = this.#callers.get(request.socket)
    const rights = await this.#rightsOf(caller)
    if (match.kind === 'wrong-method') {
      response.setHeader('Allow', match.allowed.join(', '))
      return plainError(405, `want ${match.allowed.join(' or ')}`)
    }
    if (!mayCall(rights, match.route.needs)) return plainError(403, `${match.path} access denied${this.#wayIn(rights)}`)
    const body = match.route.streamsBody === true ? '' : await readBody(request)
    const query = url.searchParams
    if (request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true) {
      for (const [name, value] of new URLSearchParams(body)) query.append(name, value)
    }
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const apiRequest: ApiRequest = {
      method: request.method ?? 'GET',
      rest: match.rest,
      query,
      headers: request.headers,
      caller,
      rights,
      signal: gone.signal,
      body,
      incoming: request,
    }
    return await match.route.handle(apiRequest)
  }

  /** For programs without a command line of their own to suggest. [PV-8] */
  #wayIn(rights: Rights): string {
    if (!rights.read) return ''
    return `; only root and the operator may. To be the operator, run: ${operatorCommand(this.#options.socketPath)}`
  }

  async #rightsOf(caller: PeerCredentials | undefined): Promise<Rights> {
    if (caller === undefined) return noRights
    const { daemonUid, operatorUid } = this.#options
    const isKnown = caller.uid === 0 || caller.uid === daemonUid
    return rightsOf(caller, { daemonUid, operatorUid: isKnown ? undefined : await operatorUid() })
  }
}

const SECURITY_HEADERS: readonly (readonly [string, string])[] = [
  [
    'Content-Security-Policy',
    "default-src 'none'; frame-ancestors 'none'; script-src 'none'; script-src-elem 'none'; script-src-attr 'none'",
  ],
  ['X-Frame-Options', 'DENY'],
  ['X-Content-Type-Options', 'nosniff'],
  ['Tailscale-Cap', '131'],
]

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (reply.kind === 'stream') {
    reply.run(response)
    return
  }
  response.statusCode = reply.status
  if (reply.kind === 'empty') {
    response.end()
    return
  }
  const isJson = reply.kind === 'json'
  const body = isJson
    ? `${writeJson(reply.value, reply.indent)}\n`
    : reply.text.endsWith('\n')
      ? reply.text
      : `${reply.text}\n`
  response.setHeader('Content-Type', isJson ? 'application/json' : 'text/plain; charset=utf-8')
  if (isJson) for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value)
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.end(request.method === 'HEAD' ? undefined : body)
}

class BodyError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Whoever still sends gets the time to read the answer: closing with bytes unread would take it back. */
function endUnread(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request
  request.on('error', () => {})
  response.once('finish', () => {
    const timer = setTimeout(() => socket.destroy(), UNREAD_LIMIT_MS)
    socket.once('close', () => clearTimeout(timer))
    request.once('end', () => clearTimeout(timer))
  })
}

async function readBody(request: IncomingMessage): Promise<string> {
  const late = setTimeout(() => request.destroy(), BODY_LIMIT_MS)
  try {
    return await bodyText(request)
  } finally {
    clearTimeout(late)
  }
}

async function bodyText(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > MAX_BODY_BYTES) throw new BodyError(413, 'request body too large')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?')[0]?.slice(0, 200) ?? ''
}

/** A live daemon keeps its socket; a dead one's file is only in the way. */
async function refuseIfAnswered(path: string): Promise<void> {
  const found = await stat(path).catch((error) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) return
  if (!found.isSocket()) throw new SocketInUseError(`${path} exists and is not a socket`)
  const isAnswered = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
  if (isAnswered) throw new SocketInUseError(`another daemon is listening on ${path}`)
}
