/**
 * Segments that arrived before their turn. Keeps each byte once (what came first stays), and so few pieces that crumbs
 * cannot use up memory: what is dropped is sent again. [RFC 9293 §3.10.7.4]
 */
import { type Range, RangeSet } from './range-set.ts'

const MAX_PIECES = 1_024

interface Piece {
  readonly from: number
  readonly bytes: Uint8Array
}

export class Reassembly {
  #pieces: Piece[] = []
  readonly #held = new RangeSet()
  #latest: Range | undefined

  /** For SACK: the stretch that grew last comes first. [RFC 2018 §4] */
  get ranges(): readonly Range[] {
    const ranges = this.#held.ranges
    const latest = this.#latest
    const first = latest && ranges.find((range) => range.from <= latest.from && range.to >= latest.to)
    return first === undefined ? ranges : [first, ...ranges.filter((range) => range !== first)]
  }

  get isEmpty(): boolean {
    return this.#held.isEmpty
  }

  /** What begins at `next` is always taken: it is on its way out. */
  add(from: number, bytes: Uint8Array, next: number): void {
    const to = from + bytes.length
    for (;;) {
      const gap = this.#held.gapWithin(from, to)
      if (gap === undefined || (this.#pieces.length >= MAX_PIECES && gap.from > next)) return
      const piece = { from: gap.from, bytes: bytes.subarray(gap.from - from, gap.to - from) }
      const index = this.#pieces.findLastIndex((other) => other.from < piece.from) + 1
      this.#pieces.splice(index, 0, piece)
      this.#held.add(gap.from, gap.to)
      this.#latest = gap
    }
  }

  /** What continues at `place`, in order. */
  take(place: number): Uint8Array[] {
    let next = place
    const taken: Uint8Array[] = []
    let used = 0
    for (const piece of this.#pieces) {
      if (piece.from > next) break
      used++
      const fresh = piece.bytes.subarray(Math.max(0, next - piece.from))
      if (piece.from + piece.bytes.length <= next) continue
      taken.push(fresh)
      next += fresh.length
    }
    if (used > 0) this.#pieces.splice(0, used)
    this.#held.cut(next)
    return taken
  }

  clear(): void {
    this.#pieces = []
    this.#held.clear()
  }
}
