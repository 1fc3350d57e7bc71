/**
 * A connection of the netstack as a stream of Node, so that sockets, HTTP and pipes take it like any other. What the
 * reader does not take stays unacknowledged in the window; what the netstack cannot take holds the writer back.
 */
import { Duplex } from 'node:stream'
import type { CloseReason, ConnectionEvent } from '../../../src-protocol/machines/netstack/tcp-connection.ts'

/** What the stream does to its connection. */
export interface StreamConnection {
  /** Answers whether there is room for more. */
  write(bytes: Uint8Array): boolean
  end(): void
  abort(): void
  consumed(bytes: number): void
}

const CODES: { readonly [R in Exclude<CloseReason, 'done'>]: string } = {
  reset: 'ECONNRESET',
  refused: 'ECONNREFUSED',
  timeout: 'ETIMEDOUT',
  aborted: 'ECONNABORTED',
}

export class OverlayStream extends Duplex {
  readonly #connection: StreamConnection
  #unread = 0
  #afterRoom: (() => void) | undefined
  #isOver = false

  constructor(connection: StreamConnection) {
    super({ allowHalfOpen: true, highWaterMark: 256 << 10 })
    this.#connection = connection
  }

  /** What happened to the connection. `open` is told as `connect`. */
  handle(event: ConnectionEvent): void {
    switch (event.kind) {
      case 'open':
        this.emit('connect')
        return
      case 'data':
        if (this.push(event.bytes)) this.#connection.consumed(event.bytes.length)
        else this.#unread += event.bytes.length
        return
      case 'end':
        this.push(null)
        return
      case 'room': {
        const after = this.#afterRoom
        this.#afterRoom = undefined
        after?.()
        return
      }
      case 'closed':
        this.#isOver = true
        if (event.reason !== 'done') this.destroy(closeError(event.reason))
    }
  }

  override _read(): void {
    if (this.#unread === 0) return
    this.#connection.consumed(this.#unread)
    this.#unread = 0
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#connection.write(chunk)) done()
    else this.#afterRoom = () => done()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#connection.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // when both sides said all that they had to, the netstack brings the rest of it to an end by itself
    const isComplete = error === null && this.readableEnded && this.writableFinished
    if (!this.#isOver && !isComplete) this.#connection.abort()
    this.#afterRoom = undefined
    done(error)
  }
}

export function closeError(reason: Exclude<CloseReason, 'done'>): Error {
  const code = CODES[reason]
  return Object.assign(new Error(`the connection ended: ${reason}`), { code })
}
