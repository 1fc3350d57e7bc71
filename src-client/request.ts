/**
 * One HTTP exchange with the daemon over its Unix socket. Not the LocalAPI's vocabulary: that is `local-client.ts`.
 *
 * Reads share kept-alive connections; everything else gets a connection of its own, so that a command is never lost
 * on (or repeated over) a connection the daemon was just closing.
 */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { errorOfSocket, errorOfStatus, LocalApiError } from './local-api-error.ts'

export interface RequestOptions {
  query?: Readonly<Record<string, string | number | boolean | undefined>>
  /** A stream goes as it comes: with a `Content-Length` header of that many bytes, else in chunks. */
  body?: string | Uint8Array | Readable
  headers?: Readonly<Record<string, string>>
  signal?: AbortSignal | undefined
  /** Silence allowed until and between bytes of the answer; 0 = none set. */
  timeoutMs?: number
  /** Status codes that are a success; default 2xx. */
  expect?: readonly number[]
}

export interface Reply {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
}

export const DEFAULT_TIMEOUT_MS = 10_000
export const MAX_REPLY_BYTES = 128 * 1024 * 1024
const MAX_ERROR_BYTES = 64 * 1024
/** The daemon accepts this authority or none. */
const HOST = 'local-tailscaled.sock'

export class SocketTransport {
  readonly socketPath: string
  readonly #agent: Agent
  readonly #headers: Record<string, string>

  constructor(socketPath: string, headers: Record<string, string>) {
    this.socketPath = socketPath
    this.#agent = new Agent({ keepAlive: true, maxFreeSockets: 2 })
    this.#headers = headers
  }

  /** Sends and waits for the header; the body is the caller's. Error statuses are thrown. */
  async open(method: string, path: string, options: RequestOptions = {}, retried = false): Promise<IncomingMessage> {
    options.signal?.throwIfAborted()
    const shared = method === 'GET' || method === 'HEAD'
    let req: ClientRequest | undefined
    let arrived: IncomingMessage | undefined
    let response: IncomingMessage
    try {
      response = await new Promise<IncomingMessage>((resolve, reject) => {
        req = httpRequest({
          socketPath: this.socketPath,
          method,
          path: withQuery(path, options.query),
          agent: shared ? this.#agent : false,
          headers: { ...this.#headers, ...options.headers, Host: HOST, ...lengthHeader(method, options.body) },
          ...(options.signal === undefined ? {} : { signal: options.signal }),
        })
        const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
        if (timeoutMs > 0)
          req.setTimeout(timeoutMs, () => {
            const late = new LocalApiError('timeout', `the daemon did not answer within ${timeoutMs / 1000} s`)
            if (arrived === undefined) req?.destroy(late)
            else arrived.destroy(late)
          })
        req.on('response', (incoming) => {
          arrived = incoming
          resolve(incoming)
        })
        req.on('upgrade', (_res, socket) => {
          socket.destroy()
          reject(new LocalApiError('bad-reply', 'the daemon switched protocols unasked'))
        })
        req.on('error', reject)
        if (options.body instanceof Readable) stream(options.body, req)
        else req.end(options.body)
      })
    } catch (error) {
      options.signal?.throwIfAborted()
      if (error instanceof LocalApiError) throw error
      const errno = (error as { code?: string }).code
      if (shared && !retried && req?.reusedSocket === true && (errno === 'ECONNRESET' || errno === 'EPIPE'))
        return this.open(method, path, options, true)
      if (errno?.startsWith('HPE_'))
        throw new LocalApiError('bad-reply', 'that is not an HTTP server', { cause: error })
      throw errorOfSocket(error, this.socketPath)
    }
    const status = response.statusCode ?? 0
    const accepted = options.expect?.includes(status) ?? (status >= 200 && status < 300)
    if (accepted) return response
    const body = await this.#collect(response, MAX_ERROR_BYTES, options.signal)
    throw errorOfStatus(status, response.statusMessage ?? '', body.toString('utf8'))
  }

  async exchange(method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    const response = await this.open(method, path, options)
    const body = await this.#collect(response, MAX_REPLY_BYTES, options.signal)
    return { status: response.statusCode ?? 0, headers: response.headers, body }
  }

  async #collect(response: IncomingMessage, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const parts: Buffer[] = []
    let size = 0
    try {
      for await (const part of response as AsyncIterable<Buffer>) {
        size += part.length
        if (size > maxBytes) throw new LocalApiError('bad-reply', `the answer is larger than ${maxBytes} bytes`)
        parts.push(part)
      }
    } catch (error) {
      signal?.throwIfAborted()
      throw error instanceof LocalApiError ? error : errorOfSocket(error, this.socketPath)
    } finally {
      response.destroy()
    }
    return Buffer.concat(parts)
  }

  /** Closes idle connections; running exchanges end as broken. */
  close(): void {
    this.#agent.destroy()
  }
}

/** An answer that comes before the end ends the reading. */
function stream(body: Readable, req: ClientRequest): void {
  body.once('error', (error) => void req.destroy(error))
  req.once('response', () => void body.unpipe(req))
  req.once('close', () => void body.destroy())
  body.pipe(req)
}

function withQuery(path: string, query: RequestOptions['query']): string {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined)
  if (pairs.length === 0) return path
  const text = new URLSearchParams(pairs.map(([key, value]): [string, string] => [key, String(value)])).toString()
  return `${path}${path.includes('?') ? '&' : '?'}${text}`
}

function lengthHeader(method: string, body: RequestOptions['body']): Record<string, string> {
  if (body instanceof Readable) return {}
  if (body !== undefined) return { 'Content-Length': String(Buffer.byteLength(body)) }
  return method === 'GET' || method === 'HEAD' ? {} : { 'Content-Length': '0' }
}
