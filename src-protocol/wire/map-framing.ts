/**
 * The network map's message stream: a little-endian u32 length before each message, and the zstd frame that holds a
 * message without compressing it (stock clients always decompress). Not JSON, not real zstd.      [control.md §4.2]
 *
 *  message   0 length u32le  4 bytes
 *  frame     0 28 B5 2F FD  4 descriptor  5 content size (1, 2 or 4 bytes)  then blocks of ≤ 128 KiB:
 *            0 u24le: last (bit 0) · type 0 = raw (bits 1-2) · size << 3    3 bytes              [RFC 8878 §3.1]
 */
import { concat, EMPTY, viewOf } from './bytes.ts'
import { bad, type Decoded, ok } from './decoded.ts'

const LENGTH_BYTES = 4

export function encodeMapMessage(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const framed = new Uint8Array(LENGTH_BYTES + message.length)
  viewOf(framed).setUint32(0, message.length, true)
  framed.set(message, LENGTH_BYTES)
  return framed
}

/** Bytes in any slices → whole messages. A message beyond the limit is a fault and ends the stream. */
export class MapMessageReader {
  readonly #maxBytes: number
  #chunks: Uint8Array[] = []
  #held = 0
  #fault: string | undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }
  push(bytes: Uint8Array): Decoded<Uint8Array[]> {
    if (this.#fault !== undefined) return bad(this.#fault)
    if (bytes.length > 0) this.#chunks.push(bytes)
    this.#held += bytes.length
    const messages: Uint8Array[] = []
    while (this.#held >= LENGTH_BYTES) {
      const length = viewOf(this.#peek(LENGTH_BYTES)).getUint32(0, true)
      if (length > this.#maxBytes) {
        this.#fault = 'map-size'
        this.#chunks = []
        this.#held = 0
        return bad(this.#fault)
      }
      if (this.#held < LENGTH_BYTES + length) break
      messages.push(this.#take(LENGTH_BYTES + length).subarray(LENGTH_BYTES))
    }
    return ok(messages)
  }
  /** Whether the stream stands between two messages. */
  get isAtBoundary(): boolean {
    return this.#held === 0
  }
  /** The first bytes as one view; a large message stays in its chunks until it is whole, so joining costs once. */
  #peek(count: number): Uint8Array {
    if (this.#chunks[0]!.length >= count) return this.#chunks[0]!
    let joined: Uint8Array = EMPTY
    for (const chunk of this.#chunks) {
      joined = concat(joined, chunk.subarray(0, count - joined.length))
      if (joined.length === count) break
    }
    return joined
  }
  #take(count: number): Uint8Array {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : concat(...this.#chunks)
    this.#chunks = all.length > count ? [all.subarray(count)] : []
    this.#held -= count
    return all.subarray(0, count)
  }
}

const ZSTD_MAGIC = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd)
const MAX_BLOCK_BYTES = 131_072

/** A complete zstd frame around the bytes as they are. */
export function storedZstdFrame(content: Uint8Array): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [ZSTD_MAGIC, frameHeader(content.length)]
  let at = 0
  do {
    const block = content.subarray(at, at + MAX_BLOCK_BYTES)
    at += block.length
    const header = (block.length << 3) | (at >= content.length ? 1 : 0)
    parts.push(Uint8Array.of(header & 0xff, (header >> 8) & 0xff, header >> 16), block)
  } while (at < content.length)
  return concat(...parts)
}

/** Single segment, no checksum, no dictionary; the size field is as short as it can be. */
function frameHeader(size: number): Uint8Array {
  if (size < 256) return Uint8Array.of(0x20, size)
  if (size < 65_792) return Uint8Array.of(0x60, (size - 256) & 0xff, (size - 256) >> 8)
  const header = new Uint8Array(5)
  header[0] = 0xa0
  viewOf(header).setUint32(1, size, true)
  return header
}
