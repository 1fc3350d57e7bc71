/**
 * How large a buffer may get: a little from the start, more for a stream that moves, as long as the whole stack has
 * some. So thousands of idle or stuck connections hold little, and a few fast ones much.
 */
export interface MemoryPool {
  freeBytes: number
}

export class MemoryGrant {
  readonly #pool: MemoryPool
  readonly #firstBytes: number
  readonly #mostBytes: number
  #extraBytes = 0

  constructor(pool: MemoryPool, firstBytes: number, mostBytes: number) {
    this.#pool = pool
    this.#firstBytes = firstBytes
    this.#mostBytes = mostBytes
  }

  get bytes(): number {
    return this.#firstBytes + this.#extraBytes
  }

  /** So much has moved on. */
  moved(bytes: number): void {
    const more = Math.min(bytes, this.#mostBytes - this.bytes, this.#pool.freeBytes)
    if (more <= 0) return
    this.#extraBytes += more
    this.#pool.freeBytes -= more
  }

  release(): void {
    this.#pool.freeBytes += this.#extraBytes
    this.#extraBytes = 0
  }
}
