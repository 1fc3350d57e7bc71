/** Bytes as they come, of which the first may be looked at before the rest is piped on. Not for two readers. */
import type { Readable, Writable } from 'node:stream'

export class ByteSource {
  readonly #body: Readable
  #chunks: AsyncIterator<Uint8Array> | undefined
  #front: Uint8Array[] = []

  constructor(body: Readable) {
    this.#body = body
  }

  /** Exactly as many, fewer only at the end. */
  async take(count: number): Promise<Buffer> {
    const parts: Uint8Array[] = []
    let left = count
    while (left > 0) {
      const chunk = await this.#next()
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

  /** The rest, no faster than it is taken. By events: promises for each chunk would cost more than the bytes. */
  async pipeTo(target: Writable, onBytes: (count: number) => void): Promise<void> {
    await this.#chunks?.return?.()
    const body = this.#body
    for (const chunk of this.#front) {
      onBytes(chunk.length)
      target.write(chunk)
    }
    await new Promise<void>((resolve, reject) => {
      const onData = (chunk: Uint8Array): void => onBytes(chunk.length)
      const leave = (): void => {
        body.off('data', onData).off('end', done).off('error', onError).off('close', onClose)
        target.off('close', done)
        body.unpipe(target)
        body.on('error', () => {}) // what follows is nobody's concern
      }
      const done = (): void => {
        leave()
        resolve()
      }
      const onError = (error: Error): void => {
        leave()
        reject(error)
      }
      const onClose = (): void => onError(new Error('what was being sent broke off'))
      if (body.readableEnded) {
        target.end()
        return done()
      }
      if (body.destroyed) return onClose()
      body.on('data', onData).once('end', done).once('error', onError).once('close', onClose)
      target.once('close', done)
      body.pipe(target)
    })
  }

  /** undefined = the end. */
  async #next(): Promise<Uint8Array | undefined> {
    const first = this.#front.shift()
    if (first !== undefined) return first
    // leaving it must not end the stream
    this.#chunks ??= this.#body.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>
    const next = await this.#chunks.next()
    return next.done === true ? undefined : next.value
  }
}
