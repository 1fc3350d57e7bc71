/**
 * What a bad line does to frames, as a pure queue: loss, delay with jitter, duplication, reordering, a rate with a bounded
 * queue. Frames go in with the time, and come out when they are due. One queue for each direction.
 */
export interface Impairment {
  readonly delayMs: number
  /** Uniform, ± this much; jitter alone never reorders. */
  readonly jitterMs: number
  readonly lossPercent: number
  readonly duplicatePercent: number
  /** Each frame comes once more this much later, as from somebody who has recorded it. 0 = none does. */
  readonly replayMs: number
  /** This share of frames skips the delay and overtakes. */
  readonly reorderPercent: number
  /** 0 = unlimited. */
  readonly rateMbit: number
  /** Larger packets vanish without a word, as in a tunnel whose ICMP is filtered. 0 = none do. */
  readonly maxPacketBytes: number
  /** Frames of full size that may wait for the rate, or as many bytes of others; more are dropped, whatever their size. */
  readonly queueFrames: number
}

export const perfectLine: Impairment = {
  delayMs: 0,
  jitterMs: 0,
  lossPercent: 0,
  duplicatePercent: 0,
  replayMs: 0,
  reorderPercent: 0,
  rateMbit: 0,
  maxPacketBytes: 0,
  queueFrames: 1000,
}

const ETHERNET_BYTES = 14
const FULL_FRAME_BYTES = 1500 + ETHERNET_BYTES

interface Waiting {
  readonly dueMs: number
  readonly order: number
  readonly frame: Uint8Array
}

export class ImpairedQueue {
  impairment: Impairment
  readonly counters = { in: 0, out: 0, lost: 0, overflow: 0, tooLarge: 0 }
  readonly #random01: () => number
  /** Sorted by due time, then by arrival. */
  readonly #waiting: Waiting[] = []
  #order = 0
  #lineFreeMs = 0
  #lastDueMs = 0

  constructor(impairment: Impairment, random01: () => number) {
    this.impairment = impairment
    this.#random01 = random01
  }

  put(frame: Uint8Array, nowMs: number): void {
    const { lossPercent, duplicatePercent, replayMs, maxPacketBytes } = this.impairment
    this.counters.in++
    if (maxPacketBytes > 0 && frame.length > maxPacketBytes + ETHERNET_BYTES) {
      this.counters.tooLarge++
      return
    }
    if (this.#chance(lossPercent)) {
      this.counters.lost++
      return
    }
    this.#schedule(frame, nowMs)
    if (this.#chance(duplicatePercent)) this.#schedule(frame, nowMs)
    if (replayMs > 0) this.#insert(frame, nowMs + replayMs)
  }

  /** Frames whose time has come, in order. */
  due(nowMs: number): Uint8Array[] {
    let count = 0
    while (count < this.#waiting.length && this.#waiting[count]!.dueMs <= nowMs) count++
    this.counters.out += count
    return this.#waiting.splice(0, count).map(({ frame }) => frame)
  }

  nextDueMs(): number | undefined {
    return this.#waiting[0]?.dueMs
  }

  #chance(percent: number): boolean {
    return percent > 0 && this.#random01() * 100 < percent
  }

  #schedule(frame: Uint8Array, nowMs: number): void {
    const { delayMs, jitterMs, reorderPercent, rateMbit, queueFrames } = this.impairment
    let leavesMs = nowMs
    if (rateMbit > 0) {
      const frameMs = (frame.length * 8) / (rateMbit * 1000)
      const queueMs = (queueFrames * FULL_FRAME_BYTES * 8) / (rateMbit * 1000)
      if (this.#lineFreeMs - nowMs > queueMs) {
        this.counters.overflow++
        return
      }
      leavesMs = this.#lineFreeMs = Math.max(this.#lineFreeMs, nowMs) + frameMs
    }
    const overtakes = this.#chance(reorderPercent)
    const jitter = jitterMs === 0 ? 0 : (this.#random01() * 2 - 1) * jitterMs
    const dueMs = overtakes ? nowMs : Math.max(leavesMs + delayMs + jitter, this.#lastDueMs)
    if (!overtakes) this.#lastDueMs = dueMs
    this.#insert(frame, dueMs)
  }

  #insert(frame: Uint8Array, dueMs: number): void {
    const entry = { dueMs, order: this.#order++, frame }
    let at = this.#waiting.length
    while (at > 0 && this.#waiting[at - 1]!.dueMs > dueMs) at--
    this.#waiting.splice(at, 0, entry)
  }
}
