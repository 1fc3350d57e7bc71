/** Disjoint ranges of a stream in ascending order, no two touching: what arrived out of order, or was told to have. */
export interface Range {
  readonly from: number
  /** The byte after the last. */
  readonly to: number
}

export class RangeSet {
  #ranges: Range[] = []

  get ranges(): readonly Range[] {
    return this.#ranges
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0
  }

  get highest(): number | undefined {
    return this.#ranges.at(-1)?.to
  }

  /** Answers how many bytes are new. */
  add(from: number, to: number): number {
    if (from >= to) return 0
    const before = this.#ranges.filter((range) => range.to < from)
    const after = this.#ranges.filter((range) => range.from > to)
    const touched = this.#ranges.slice(before.length, this.#ranges.length - after.length)
    const known = touched.reduce((sum, range) => sum + range.to - range.from, 0)
    const merged = { from: Math.min(from, touched[0]?.from ?? from), to: Math.max(to, touched.at(-1)?.to ?? to) }
    this.#ranges = [...before, merged, ...after]
    return merged.to - merged.from - known
  }

  /** Forgets what lies before `place`. */
  cut(place: number): void {
    const first = this.#ranges[0]
    if (first === undefined || first.from >= place) return
    this.#ranges = this.#ranges
      .filter((range) => range.to > place)
      .map((range) => (range.from < place ? { from: place, to: range.to } : range))
  }

  clear(): void {
    this.#ranges = []
  }

  /** Bytes of ours between two places. */
  countWithin(from: number, to: number): number {
    let count = 0
    for (const range of this.#ranges) count += Math.max(0, Math.min(range.to, to) - Math.max(range.from, from))
    return count
  }

  /** The first stretch at or after `from` and before `to` that is not ours. */
  gapWithin(from: number, to: number): Range | undefined {
    let start = from
    for (const range of this.#ranges) {
      if (range.to <= start) continue
      if (range.from > start) return start < to ? { from: start, to: Math.min(range.from, to) } : undefined
      start = range.to
    }
    return start < to ? { from: start, to } : undefined
  }
}
