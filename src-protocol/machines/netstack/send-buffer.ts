/** Bytes of a stream that are not acknowledged yet, by their place in it. Keeps what it is given; copies on the way out. */
export class SendBuffer {
  readonly #chunks: Uint8Array[] = []
  /** Place of the first byte of each chunk. */
  readonly #starts: number[] = []
  #start: number
  #end: number

  constructor(start: number) {
    this.#start = start
    this.#end = start
  }

  get end(): number {
    return this.#end
  }

  get size(): number {
    return this.#end - this.#start
  }

  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#chunks.push(bytes)
    this.#starts.push(this.#end)
    this.#end += bytes.length
  }

  /** Fills `room` with what begins at `place`; the caller asks only for what is here. */
  copy(place: number, room: Uint8Array): void {
    let index = this.#indexOf(place)
    for (let done = 0; done < room.length; index++) {
      const chunk = this.#chunks[index]!
      const from = place + done - this.#starts[index]!
      const part = chunk.subarray(from, from + room.length - done)
      room.set(part, done)
      done += part.length
    }
  }

  /** Everything before `place` has arrived. */
  release(place: number): void {
    this.#start = Math.max(this.#start, Math.min(place, this.#end))
    let gone = 0
    while (gone < this.#chunks.length && this.#starts[gone]! + this.#chunks[gone]!.length <= this.#start) gone++
    if (gone === 0) return
    this.#chunks.splice(0, gone)
    this.#starts.splice(0, gone)
  }

  clear(): void {
    this.release(this.#end)
  }

  /** The last chunk that begins at or before `place`. */
  #indexOf(place: number): number {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#starts[middle]! <= place) low = middle
      else high = middle - 1
    }
    return low
  }
}
