/**
 * The daemon's bus: an endless answer with one JSON object per line. `openWatch` returns once the daemon has registered
 * the watcher, so that a command sent afterwards cannot outrun its notification.
 */
import type { IncomingMessage } from 'node:http'
import type { Notify } from '../src-contract/localapi/notify.ts'
import { parseLossless } from './json.ts'
import { errorOfSocket, LocalApiError } from './local-api-error.ts'
import type { SocketTransport } from './request.ts'

export interface WatchOptions {
  /** Bits of `watchMask`. */
  mask: number
  signal?: AbortSignal
  /** A longer line ends the watch; a full netmap of 10 000 peers is about 20 MB. */
  maxLineBytes?: number
}

export interface Watch extends AsyncIterable<Notify> {
  close(): void
}

const MAX_LINE_BYTES = 64 * 1024 * 1024
const NEWLINE = 10

export async function openWatch(transport: SocketTransport, options: WatchOptions): Promise<Watch> {
  const response = await transport.open('GET', '/localapi/v0/watch-ipn-bus', {
    query: { mask: options.mask },
    signal: options.signal,
  })
  response.socket.setTimeout(0) // silence is normal here
  return {
    close: () => response.destroy(),
    [Symbol.asyncIterator]: () => notifications(response, transport.socketPath, options),
  }
}

/** Ends when the daemon ends the stream; throws LocalApiError when it broke, the signal's reason when aborted. */
async function* notifications(response: IncomingMessage, socketPath: string, options: WatchOptions) {
  const lines = new LineSplitter(options.maxLineBytes ?? MAX_LINE_BYTES)
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      for (const line of lines.push(part)) yield parseNotify(line)
    }
    if (lines.pending) throw new LocalApiError('bad-reply', 'the watch ended in the middle of a message')
  } catch (error) {
    options.signal?.throwIfAborted()
    if (error instanceof LocalApiError) throw error
    throw errorOfSocket(error, socketPath)
  } finally {
    response.destroy()
  }
}

function parseNotify(line: string): Notify {
  let value: unknown
  try {
    value = parseLossless(line)
  } catch (error) {
    throw new LocalApiError('bad-reply', 'the watch carried something that is not JSON', { cause: error })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new LocalApiError('bad-reply', 'the watch carried something that is not a notification')
  return value as Notify
}

/** Bytes in, whole lines out; holds at most one unfinished line. */
export class LineSplitter {
  readonly #maxBytes: number
  #parts: Buffer[] = []
  #size = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get pending(): boolean {
    return this.#size > 0
  }

  *push(bytes: Buffer): Generator<string> {
    let start = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      this.#hold(bytes.subarray(start, end))
      start = end + 1
      const line = Buffer.concat(this.#parts).toString('utf8')
      this.#parts = []
      this.#size = 0
      if (line.trim() !== '') yield line
    }
    this.#hold(bytes.subarray(start))
  }

  #hold(part: Buffer): void {
    if (part.length === 0) return
    this.#size += part.length
    if (this.#size > this.#maxBytes)
      throw new LocalApiError('bad-reply', `a notification is longer than ${this.#maxBytes} bytes`)
    this.#parts.push(part)
  }
}
