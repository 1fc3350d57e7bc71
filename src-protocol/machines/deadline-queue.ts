/**
 * Which of many things is due next: a binary heap with one deadline per item, so that thousands of sleeping peers cost
 * nothing per event. `set` and `takeDue` are O(log n), `next` is O(1).
 */
import type { Ms } from '../../src-contract/ids.ts'

interface Entry<T> {
  readonly item: T
  at: Ms
}

export class DeadlineQueue<T> {
  readonly #heap: Entry<T>[] = []
  readonly #position = new Map<T, number>()

  get size(): number {
    return this.#heap.length
  }

  next(): Ms | undefined {
    return this.#heap[0]?.at
  }

  /** Moves the item's deadline; undefined or Infinity takes it out. */
  set(item: T, at: Ms | undefined): void {
    const position = this.#position.get(item)
    if (at === undefined || at === Number.POSITIVE_INFINITY) {
      if (position !== undefined) this.#remove(position)
    } else if (position === undefined) {
      this.#heap.push({ item, at })
      this.#position.set(item, this.#heap.length - 1)
      this.#rise(this.#heap.length - 1)
    } else {
      const entry = this.#heap[position]!
      if (entry.at === at) return
      const isEarlier = at < entry.at
      entry.at = at
      if (isEarlier) this.#rise(position)
      else this.#sink(position)
    }
  }

  /** Takes out up to `limit` items whose deadline has come, earliest first. Their owner sets them anew. */
  takeDue(now: Ms, limit: number): T[] {
    const due: T[] = []
    while (due.length < limit) {
      const first = this.#heap[0]
      if (first === undefined || first.at > now) break
      due.push(first.item)
      this.#remove(0)
    }
    return due
  }

  #remove(position: number): void {
    const gone = this.#heap[position]!
    const last = this.#heap.pop()!
    this.#position.delete(gone.item)
    if (last === gone) return
    this.#heap[position] = last
    this.#position.set(last.item, position)
    this.#rise(position)
    this.#sink(this.#position.get(last.item)!)
  }

  #rise(from: number): void {
    let position = from
    while (position > 0) {
      const parent = (position - 1) >> 1
      if (this.#heap[parent]!.at <= this.#heap[position]!.at) return
      this.#swap(position, parent)
      position = parent
    }
  }

  #sink(from: number): void {
    let position = from
    for (;;) {
      const left = 2 * position + 1
      const right = left + 1
      let least = position
      if (left < this.#heap.length && this.#heap[left]!.at < this.#heap[least]!.at) least = left
      if (right < this.#heap.length && this.#heap[right]!.at < this.#heap[least]!.at) least = right
      if (least === position) return
      this.#swap(position, least)
      position = least
    }
  }

  #swap(a: number, b: number): void {
    const first = this.#heap[a]!
    const second = this.#heap[b]!
    this.#heap[a] = second
    this.#heap[b] = first
    this.#position.set(second.item, a)
    this.#position.set(first.item, b)
  }
}
