/**
 * The established secure channel over a socket, as an ordinary duplex stream that HTTP/2 can run on at both ends.
 * The client's end takes off the server's early payload; the handshake itself happens before (`wire/noise.ts`).
 *
 *   client   new NoiseStream({ socket, keys, role: 'client', head })   then http2.connect over it
 *   server   new NoiseStream({ socket, keys, role: 'server', head })   write the early payload, then
 *            http2.performServerHandshake(stream)
 */
import { Duplex } from 'node:stream'
import { concat, EMPTY } from '../wire/bytes.ts'
import type { Crypto } from '../wire/crypto.ts'
import { decodeEarlyPayload, type EarlyPayload, type NoiseKeys, RecordReader, RecordWriter } from '../wire/noise.ts'
import { nodeCrypto } from './node-crypto.ts'

export interface NoiseStreamOptions {
  /** Usually a net.Socket or tls.TLSSocket; the stream owns it from now on and closes with it. */
  readonly socket: Duplex
  readonly keys: NoiseKeys
  readonly role: 'client' | 'server'
  /** Bytes that were read from the socket behind the handshake. */
  readonly head?: Uint8Array
  readonly crypto?: Crypto
}

export class NoiseStream extends Duplex {
  readonly #socket: Duplex
  readonly #writer: RecordWriter
  readonly #reader: RecordReader
  /** What may still be an early payload; undefined once that is decided. */
  #early: Uint8Array | undefined
  #earlyPayload: EarlyPayload | undefined
  #isHalfClosed = false

  constructor(o: NoiseStreamOptions) {
    super({ allowHalfOpen: true })
    const crypto = o.crypto ?? nodeCrypto
    this.#socket = o.socket
    this.#writer = new RecordWriter(crypto, o.keys.send)
    this.#reader = new RecordReader(crypto, o.keys.receive)
    this.#early = o.role === 'client' ? EMPTY : undefined
    o.socket.on('data', (bytes: Uint8Array) => this.#handleBytes(bytes))
    o.socket.on('end', () => this.#endReadable())
    o.socket.on('error', (error: Error) => this.destroy(error))
    o.socket.on('close', () => this.#handleClose())
    o.socket.pause()
    if (o.head !== undefined && o.head.length > 0) this.#handleBytes(o.head)
    // the socket may have ended or died while the handshake was being computed, and says so only once
    if (o.socket.destroyed) queueMicrotask(() => this.#handleClose())
    else if (o.socket.readableEnded) this.#endReadable()
  }

  /** The server's early payload once it has been read; servers need not send one. */
  get earlyPayload(): EarlyPayload | undefined {
    return this.#earlyPayload
  }

  #handleBytes(bytes: Uint8Array): void {
    if (this.destroyed) return
    const records = this.#reader.push(bytes)
    if (!records.ok) {
      this.destroy(new NoiseStreamError(records.reason))
      return
    }
    for (const plaintext of records.value) if (!this.#handlePlaintext(plaintext)) this.#socket.pause()
  }

  /** Answers false when the reader has enough for now. */
  #handlePlaintext(plaintext: Uint8Array): boolean {
    if (this.#early === undefined) return this.push(plaintext)
    const stream = concat(this.#early, plaintext)
    const read = decodeEarlyPayload(stream)
    if (!read.ok) {
      this.destroy(new NoiseStreamError(read.reason))
      return false
    }
    if (read.value.kind === 'incomplete') {
      this.#early = stream
      return true
    }
    this.#early = undefined
    if (read.value.kind === 'none') return this.push(stream)
    this.#earlyPayload = read.value.payload
    const rest = stream.subarray(read.value.bytes)
    return rest.length === 0 || this.push(rest)
  }

  #endReadable(): void {
    if (this.#isHalfClosed) return
    this.#isHalfClosed = true
    this.push(null)
  }

  #handleClose(): void {
    this.#endReadable()
    this.destroy()
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(this.#writer.seal(chunk), done)
  }

  /** HTTP/2 writes headers and data as separate chunks; together they need fewer records and packets. */
  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
    this.#socket.write(this.#writer.seal(concat(...chunks.map((c) => c.chunk))), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }
}

/** The channel broke its own rules: a wrong tag, type or length. `code` is the decoder's reason. */
export class NoiseStreamError extends Error {
  readonly code: string
  constructor(reason: string) {
    super(`the secure control channel failed: ${reason}`)
    this.name = 'NoiseStreamError'
    this.code = reason
  }
}
