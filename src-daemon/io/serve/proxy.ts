/**
 * Requests handed on to a program behind us. undici speaks HTTP with it; here is what a proxy adds: which headers pass,
 * streams both ways that wait for each other, trailers, upgrades, and an answer when nobody is there.
 * [docs/rules/serve.md SVE-5, SVE-8]
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Agent, Dispatcher } from 'undici'
import { connectionNames, isOfOneHop, passesOn } from '../../../src-protocol/machines/serve/identity-headers.ts'
import type { ProxyTarget } from '../../../src-protocol/machines/serve/proxy-target.ts'
import { errorText } from '../log/log.ts'

type Pair = readonly [name: string, value: string]
type Raw = readonly (string | Buffer)[] | undefined | null

export interface ProxyOrder {
  readonly target: ProxyTarget
  /** With the query. */
  readonly path: string
  /** After those of the request that pass on. */
  readonly headers: readonly Pair[]
}

const CONNECT_MS = 10_000
/** To one program at once; further requests wait. */
const MAX_CONNECTIONS = 256
const MAX_HEAD_BYTES = 64 << 10
/** Of the answer: a stream of events may be silent for as long as it likes once it has begun. */
const ANSWER_MS = 300_000

export class ReverseProxy {
  readonly #agents = new Map<string, Agent>()
  readonly #onFailure: (target: ProxyTarget, reason: string) => void

  constructor(onFailure: (target: ProxyTarget, reason: string) => void) {
    this.#onFailure = onFailure
  }

  async close(): Promise<void> {
    const agents = [...this.#agents.values()]
    this.#agents.clear()
    await Promise.all(agents.map((agent) => agent.destroy()))
  }

  handle(request: IncomingMessage, response: ServerResponse, order: ProxyOrder): void {
    const { target } = order
    const hasBody =
      request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
    const options: Dispatcher.DispatchOptions = {
      origin: originOf(target),
      path: order.path,
      method: request.method ?? 'GET',
      headers: headersFor(request, order).flat(),
      body: hasBody ? request : null,
      headersTimeout: ANSWER_MS,
      bodyTimeout: 0,
    }
    const relay = new Relay(request, response, (reason) => this.#fail(response, target, reason))
    this.#agentOf(target)
      .then((agent) => agent.dispatch(options, relay))
      .catch((error: unknown) => this.#fail(response, target, errorText(error)))
  }

  /** WebSocket and its like: whatever the program answers reaches the caller, and after a 101 the bytes of both. */
  upgrade(request: IncomingMessage, near: Duplex, head: Uint8Array, order: ProxyOrder): void {
    const { target } = order
    const headers: { [name: string]: string | string[] } = {}
    const hop: Pair[] = [
      ['Upgrade', request.headers.upgrade ?? ''],
      ['Connection', 'Upgrade'],
    ]
    for (const [name, value] of [...headersFor(request, order), ...hop]) {
      const known = headers[name]
      headers[name] = known === undefined ? value : [known, value].flat()
    }
    const far: ClientRequest = (target.scheme === 'https' ? httpsRequest : httpRequest)({
      ...(target.socketPath === undefined
        ? { host: target.host, port: target.port }
        : { socketPath: target.socketPath }),
      path: order.path,
      method: request.method,
      headers,
      rejectUnauthorized: !target.isInsecure,
      maxHeaderSize: MAX_HEAD_BYTES,
      timeout: CONNECT_MS,
      agent: false,
    })
    near.on('error', () => far.destroy())
    near.once('close', () => far.destroy())
    far.once('timeout', () => far.destroy(new Error('no answer within 10 s')))
    far.once('error', (error) => {
      this.#onFailure(target, error.message)
      if (!near.destroyed) near.end(plainHead(502, 'Bad Gateway'))
    })
    far.once('response', (answer) => {
      near.write(headText(answer))
      answer.pipe(near)
    })
    far.once('upgrade', (answer, socket, farHead) => {
      socket.setTimeout(0)
      near.write(headText(answer))
      if (farHead.length > 0) near.write(farHead)
      if (head.length > 0) socket.write(head)
      socket.on('error', () => near.destroy())
      socket.once('close', () => near.destroy())
      near.once('close', () => socket.destroy())
      near.pipe(socket)
      socket.pipe(near)
    })
    far.end()
  }

  #fail(response: ServerResponse, target: ProxyTarget, reason: string): void {
    if (response.destroyed) return
    this.#onFailure(target, reason)
    if (response.headersSent) {
      response.destroy() // half an answer must not look whole
      return
    }
    const body =
      'Whoever should answer here does not. The owner of this machine can see why in the log of its daemon.\n'
    response.writeHead(502, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(body) })
    response.end(body)
  }

  /** The library is loaded with the first request: most daemons never need its megabytes. */
  async #agentOf(target: ProxyTarget): Promise<Agent> {
    const library = await import('undici')
    const key = `${originOf(target)} ${target.socketPath ?? ''} ${target.isInsecure}`
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    const agent = new library.Agent({
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      maxHeaderSize: MAX_HEAD_BYTES,
      connect: {
        timeout: CONNECT_MS,
        rejectUnauthorized: !target.isInsecure,
        ...(target.socketPath === undefined ? {} : { socketPath: target.socketPath }),
      },
    })
    this.#agents.set(key, agent)
    return agent
  }
}

/** One exchange: the program's answer as it comes, no faster than the caller reads. */
class Relay implements Dispatcher.DispatchHandler {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #fail: (reason: string) => void
  #controller: Dispatcher.DispatchController | undefined

  constructor(request: IncomingMessage, response: ServerResponse, fail: (reason: string) => void) {
    this.#request = request
    this.#response = response
    this.#fail = fail
    response.once('close', () => {
      if (!response.writableFinished) this.#controller?.abort(new Error('the caller left'))
    })
    response.on('drain', () => this.#controller?.resume())
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#response.destroyed) controller.abort(new Error('the caller left'))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    _headers: unknown,
    message?: string,
  ): void {
    if (statusCode < 200) return // for this hop
    const pairs = rawPairs(controller.rawHeaders as Raw)
    this.#response.writeHead(statusCode, message ?? '', endToEnd(pairs).flat())
    this.#response.flushHeaders()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#response.write(chunk)) controller.pause()
  }

  onResponseEnd(
    _controller: Dispatcher.DispatchController,
    trailers: { [name: string]: string | string[] | undefined },
  ): void {
    const pairs = Object.entries(trailers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    )
    if (pairs.length > 0 && this.#response.chunkedEncoding !== false)
      this.#response.addTrailers(Object.fromEntries(pairs))
    this.#response.end()
    if (!this.#request.complete) this.#request.resume()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error.message)
  }
}

function originOf({ scheme, host, port }: ProxyTarget): string {
  if (host === undefined) return 'http://localhost'
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function headersFor(request: IncomingMessage, { target, headers }: ProxyOrder): Pair[] {
  const all = rawPairs(request.rawHeaders)
  const named = namedByConnection(all)
  const isSocket = target.socketPath !== undefined
  const kept = all.filter(([name]) => {
    const lower = name.toLowerCase()
    return passesOn(name, named) && lower !== 'expect' && !(isSocket && lower === 'host')
  })
  return [...kept, ...(isSocket ? [['Host', 'localhost'] as const] : []), ...headers]
}

function endToEnd(pairs: readonly Pair[]): Pair[] {
  const named = namedByConnection(pairs)
  return pairs.filter(([name]) => !isOfOneHop(name, named))
}

function namedByConnection(pairs: readonly Pair[]): ReadonlySet<string> {
  return connectionNames(pairs.flatMap(([name, value]) => (name.toLowerCase() === 'connection' ? [value] : [])).join())
}

/** Names and values in turn, as they came. */
function rawPairs(raw: Raw): Pair[] {
  const list = raw ?? []
  const pairs: Pair[] = []
  for (let i = 0; i + 1 < list.length; i += 2) pairs.push([textOf(list[i]!), textOf(list[i + 1]!)])
  return pairs
}

function textOf(part: string | Buffer): string {
  return typeof part === 'string' ? part : part.toString('latin1')
}

function headText(answer: IncomingMessage): string {
  const pairs = rawPairs(answer.rawHeaders)
  const isUpgrade = answer.statusCode === 101
  const kept: Pair[] = isUpgrade ? pairs : [...endToEnd(pairs), ['Connection', 'close']]
  const lines = kept.map(([name, value]) => `${name}: ${value}`)
  return [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage ?? ''}`, ...lines, '', ''].join('\r\n')
}

export function plainHead(status: number, message: string): string {
  return `HTTP/1.1 ${status} ${message}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
}
