/** Bytes as they come, of which some may be looked at before they go on. Not for two readers. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>
  #front: Uint8Array[] = []

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#chunks = body[Symbol.asyncIterator]()
  }

  /** Exactly as many, fewer only at the end. */
  async take(count: number): Promise<Buffer> {
    const parts: Uint8Array[] = []
    let left = count
    while (left > 0) {
      const chunk = await this.next()
      if (chunk === undefined) break
      parts.push(chunk.subarray(0, left))
      if (chunk.length > left) this.putBack(chunk.subarray(left))
      left -= Math.min(left, chunk.length)
    }
    return Buffer.concat(parts)
  }

  putBack(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#front.unshift(bytes)
  }

  /** undefined = the end. */
  async next(): Promise<Uint8Array | undefined> {
    const first = this.#front.shift()
    if (first !== undefined) return first
    const next = await this.#chunks.next()
    return next.done === true ? undefined : next.value
  }
}
