/**
 * Sending one file to a peer's PeerAPI: asks what it has, goes on behind that, streams the rest no faster than the peer
 * takes it. Who is a target is not its affair (`engine/taildrop`). [features.md §2; docs/rules/taildrop.md TD-8]
 */
import { createHash } from 'node:crypto'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import { decodeBlock, MAX_BLOCK_LINE } from '../../../src-protocol/machines/taildrop/block-hashes.ts'
import { escapeName } from '../../../src-protocol/machines/taildrop/file-name.ts'
import { errorText } from '../log/log.ts'
import type { Dialer, DialResult } from '../proxies/dialer-port.ts'
import { ByteSource } from './byte-source.ts'

/** Between two signs of life of the peer: while it lists what it has, while it takes bytes, until its last word. */
const PATIENCE = { listMs: 10_000, takeMs: 60_000, lastWordMs: 300_000 }
const AGAIN_AFTER_MS = 3_000
const MAX_ANSWER_BYTES = 16 << 10

export interface PeerSend {
  /** `http://100.64.0.2:35210` */
  readonly baseUrl: string
  readonly name: string
  /** undefined = nobody knows. */
  readonly length: number | undefined
  readonly body: Readable
  readonly signal: AbortSignal
  /** What of the file the peer has or is being sent; the first call comes when the peer has answered at all. */
  readonly onProgress: (bytes: number) => void
}

export type PeerSendResult =
  /** Its own words; 200 means that the file is there. */
  | { readonly kind: 'answered'; readonly status: number; readonly text: string; readonly resumedAt: number }
  | { readonly kind: 'unreachable'; readonly reason: string }
  | { readonly kind: 'broke-off'; readonly reason: string }

export async function sendToPeer(dialer: Dialer, send: PeerSend, patience = PATIENCE): Promise<PeerSendResult> {
  const source = new ByteSource(send.body)
  const { hostname, port } = new URL(send.baseUrl)
  const host = hostname.replace(/^\[|\]$/g, '')
  const target: Target = { path: `/v0/put/${escapeName(send.name)}`, signal: send.signal, patience }
  let stream: Duplex | string = await dialTo(dialer, host, Number(port), send.signal)
  if (typeof stream === 'string') return { kind: 'unreachable', reason: stream }
  let resumedAt = 0
  try {
    resumedAt = await findOffset(stream, target, source)
  } catch (error) {
    if (error instanceof SourceError) return { kind: 'broke-off', reason: errorText(error.cause) }
    if (send.signal.aborted) return { kind: 'broke-off', reason: 'cancelled' }
    return { kind: 'broke-off', reason: errorText(error) }
  } finally {
    stream.destroy()
  }
  stream = await dialTo(dialer, host, Number(port), send.signal)
  if (typeof stream === 'string') return { kind: 'unreachable', reason: stream }
  try {
    send.onProgress(resumedAt)
    const answer = await put(stream, target, { source, resumedAt, length: send.length, onProgress: send.onProgress })
    return { kind: 'answered', ...answer, resumedAt }
  } catch (error) {
    return { kind: 'broke-off', reason: send.signal.aborted ? 'cancelled' : errorText(error) }
  } finally {
    stream.destroy()
  }
}

interface Target {
  readonly path: string
  readonly signal: AbortSignal
  readonly patience: typeof PATIENCE
}

/** What the file is read from failed, not the peer. */
class SourceError extends Error {}

/**
 * The connection, or why there is none. One that is not there soon is begun a second time, from another port: after
 * thousands of connections a stock peer swallows some that look like old ones.
 */
async function dialTo(dialer: Dialer, host: string, port: number, signal: AbortSignal): Promise<Duplex | string> {
  const settled = new AbortController()
  const attempt = (): Promise<DialResult> => dialer.dial(host, port, AbortSignal.any([signal, settled.signal]))
  const first = attempt()
  const second = Promise.race([first, after(AGAIN_AFTER_MS)]).then((early) => early ?? attempt())
  const dialed = await firstConnected([first, second])
  settled.abort()
  for (const one of [first, second]) {
    one.then(
      (other) => other !== dialed && other.kind === 'connected' && other.stream.destroy(),
      () => {}, // given up
    )
  }
  return dialed.kind === 'connected' ? dialed.stream : signal.aborted ? 'cancelled' : dialed.message
}

/** Or the last failure. */
function firstConnected(attempts: readonly Promise<DialResult>[]): Promise<DialResult> {
  return new Promise((resolve, reject) => {
    let left = attempts.length
    const note = (dialed: DialResult): void => {
      left--
      if (dialed.kind === 'connected' || left === 0) resolve(dialed)
    }
    for (const attempt of attempts) attempt.then(note, reject)
  })
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => void setTimeout(resolve, ms, undefined).unref())
}

/** The end of what the peer has and is the same as ours; the source stands there afterwards. */
async function findOffset(stream: Duplex, { path, signal, patience }: Target, source: ByteSource): Promise<number> {
  const request = open(stream, { method: 'GET', path, headers: {} })
  request.end()
  const response = await answerOf(request, signal, patience.listMs)
  if (response.statusCode !== 200) return 0 // too old to go on, or it will say why to the file itself
  let offset = 0
  for await (const line of linesOf(response, patience.listMs)) {
    const block = decodeBlock(line)
    if (!block.ok) break
    const { size, sha256Hex } = block.value
    const ours = await source.take(size).catch((cause) => {
      throw new SourceError('source', { cause })
    })
    const isSame = ours.length === size && createHash('sha256').update(ours).digest('hex') === sha256Hex
    if (!isSame) {
      source.putBack(ours)
      break
    }
    offset += size
  }
  return offset
}

interface Body {
  readonly source: ByteSource
  readonly resumedAt: number
  readonly length: number | undefined
  readonly onProgress: (bytes: number) => void
}

async function put(stream: Duplex, target: Target, body: Body): Promise<{ status: number; text: string }> {
  const { source, resumedAt, length, onProgress } = body
  const { path, signal, patience } = target
  const headers: Record<string, string> = {
    ...(resumedAt > 0 ? { Range: `bytes=${resumedAt}-` } : {}),
    ...(length === undefined ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(length - resumedAt) }),
  }
  const request = open(stream, { method: 'PUT', path, headers })
  let sent = resumedAt
  let movedMs = performance.now()
  const answered = answerOf(request, signal, undefined)
  answered.catch(() => {}) // awaited below
  const watch = setInterval(() => {
    if (!request.writableNeedDrain) movedMs = performance.now()
    else if (performance.now() - movedMs > patience.takeMs)
      request.destroy(new Error(`the peer took nothing for ${patience.takeMs / 1000} s`))
  }, patience.takeMs / 4)
  request.on('drain', () => {
    movedMs = performance.now()
  })
  let late: NodeJS.Timeout | undefined
  try {
    const piped = source.pipeTo(request, (count) => {
      sent += count
      onProgress(sent)
    })
    piped.catch(() => {}) // a source that fails ends it; what comes after the answer does not count
    await Promise.race([piped, answered])
    const silent = (): void => void stream.destroy(new Error('the peer does not say whether it has the file'))
    late = setTimeout(silent, patience.lastWordMs)
    const response = await answered
    return { status: response.statusCode ?? 0, text: await shortText(response) }
  } finally {
    clearInterval(watch)
    clearTimeout(late)
  }
}

function open(
  stream: Duplex,
  { method, path, headers }: { method: string; path: string; headers: Record<string, string> },
): ClientRequest {
  return httpRequest({ createConnection: () => stream, method, path, headers: { ...headers, Host: 'peer' } })
}

function answerOf(request: ClientRequest, signal: AbortSignal, withinMs: number | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const give = (error: Error): void => void request.destroy(error)
    const onAbort = (): void => give(new Error('cancelled'))
    const timer =
      withinMs === undefined ? undefined : setTimeout(() => give(new Error('the peer does not answer')), withinMs)
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
    request.once('response', (response) => {
      response.on('error', () => {}) // whoever reads it hears of it
      clearTimeout(timer)
      resolve(response)
    })
    request.on('error', (error) => {
      done()
      reject(error)
    })
    request.once('close', done)
    request.once('upgrade', (_response, socket) => void socket.destroy())
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
  })
}

/** Lines of at most so many characters; silence ends them with an error. */
async function* linesOf(response: IncomingMessage, silenceMs: number): AsyncIterable<string> {
  let rest = ''
  response.setEncoding('latin1')
  response.setTimeout(silenceMs, () => void response.destroy(new Error('the peer went silent')))
  for await (const chunk of response as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
    if (rest.length > MAX_BLOCK_LINE) return
  }
}

async function shortText(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      size += part.length
      if (size > MAX_ANSWER_BYTES) break
      parts.push(part)
    }
  } catch {
    // its status is what counts; the words broke off
  }
  return Buffer.concat(parts).toString('utf8')
}
