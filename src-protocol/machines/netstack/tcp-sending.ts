/**
 * What of our stream is under way, what was lost, and what is sent next. Places as in `tcp-connection.ts`; no bytes.
 * [RFC 5681 §3.2; RFC 6582 without SACK; RFC 6675 with it]
 */
import type { Ms } from '../../../src-contract/ids.ts'
import { Congestion } from './congestion.ts'
import { type Range, RangeSet } from './range-set.ts'
import { RoundTrip } from './round-trip.ts'

const REPEATS_THAT_MEAN_LOSS = 3
/** Of what arrived later than the oldest: so much tells, with SACK. */
const SEGMENTS_THAT_MEAN_LOSS = 3

interface Recovery {
  /** It is over when everything before this place has arrived. */
  readonly until: number
  /** After silence everything counts as lost; else what lies before something that arrived. */
  readonly isAfterSilence: boolean
  /** From here on lost bytes are not sent again yet. */
  resendFrom: number
  /** The first segment goes out whatever the window says. */
  mustSend: boolean
}

export class TcpSending {
  readonly roundTrip = new RoundTrip()
  usesSack = false
  readonly #mss: number
  readonly #congestion: Congestion
  readonly #arrived = new RangeSet()
  #oldest = 0
  #next = 0
  #repeats = 0
  #recovery: Recovery | undefined
  /** One segment at a time is timed, and none that was sent twice. [RFC 6298 §3] */
  #timed: { readonly place: number; readonly at: Ms } | undefined

  constructor(mss: number) {
    this.#mss = mss
    this.#congestion = new Congestion(mss)
  }

  /** The oldest place that is not acknowledged, and the first that was never sent. */
  get oldest(): number {
    return this.#oldest
  }

  get next(): number {
    return this.#next
  }

  get isIdle(): boolean {
    return this.#oldest === this.#next
  }

  sent(to: number, now: Ms): void {
    this.sentRange(this.#next, to, now)
  }

  sentRange(from: number, to: number, now: Ms): void {
    if (from < this.#next) {
      this.#timed = undefined
      if (this.#recovery !== undefined) {
        this.#recovery.resendFrom = Math.max(this.#recovery.resendFrom, to)
        this.#recovery.mustSend = false
      }
    } else this.#timed ??= { place: to, at: now }
    this.#next = Math.max(this.#next, to)
  }

  /** `wasResent`: nothing can be told from how long it took. */
  acknowledged(place: number, now: Ms, wasResent = false): void {
    const bytes = place - this.#oldest
    const wasFull = this.#underWay() + 2 * this.#mss >= this.#congestion.windowBytes
    this.#oldest = place
    this.#repeats = 0
    this.#arrived.cut(place)
    this.roundTrip.progressed()
    const timed = this.#timed
    if (timed !== undefined && place >= timed.place) {
      if (!wasResent) this.roundTrip.measured(now - timed.at)
      this.#timed = undefined
    }
    const recovery = this.#recovery
    if (recovery === undefined) {
      if (wasFull) this.#congestion.acknowledged(bytes, this.roundTrip.smoothedMs ?? 0, now)
    } else if (place >= recovery.until) this.#recovery = undefined
    else {
      recovery.resendFrom = Math.max(recovery.resendFrom, place)
      if (recovery.isAfterSilence) this.#congestion.acknowledged(bytes, this.roundTrip.smoothedMs ?? 0, now)
      else if (!this.usesSack) {
        recovery.resendFrom = place // the next hole begins right here
        recovery.mustSend = true
      }
    }
  }

  /** The other side has this, out of order. */
  hasArrived(from: number, to: number): void {
    this.#arrived.add(from, to)
  }

  /** An acknowledgement that acknowledged nothing new. */
  repeated(): void {
    this.#repeats++
    if (this.#recovery !== undefined) return
    const after = this.#arrived.countWithin(this.#oldest, this.#next)
    if (this.#repeats < REPEATS_THAT_MEAN_LOSS && after < SEGMENTS_THAT_MEAN_LOSS * this.#mss) return
    this.#congestion.lost()
    this.#recovery = { until: this.#next, isAfterSilence: false, resendFrom: this.#oldest, mustSend: true }
  }

  /** Nothing was heard for too long. What was said to have arrived may have been thrown away since. [RFC 2018 §8] */
  timedOut(): void {
    this.#congestion.timedOut()
    this.#arrived.clear()
    this.#repeats = 0
    this.#timed = undefined
    this.#recovery = { until: this.#next, isAfterSilence: true, resendFrom: this.#oldest, mustSend: true }
  }

  /** What to send next: lost bytes first, then new ones before `limit`. `last` is where all that is to be said ends. */
  choose(limit: number, last: number): Range | undefined {
    const recovery = this.#recovery
    const free = this.#congestion.windowBytes - this.#underWay()
    if (recovery !== undefined) {
      const lost = this.#arrived.gapWithin(Math.max(recovery.resendFrom, this.#oldest), this.#lostEnd(recovery))
      if (lost !== undefined) {
        if (!recovery.mustSend && free < this.#mss) return undefined
        return { from: lost.from, to: Math.min(lost.to, lost.from + this.#mss) }
      }
      recovery.mustSend = false
    }
    const size = Math.min(this.#mss, limit - this.#next)
    if (size <= 0 || (free < size && !this.isIdle)) return undefined
    // small pieces wait while others are under way, unless they are the last [RFC 9293 §3.8.6.2.1]
    if (size < this.#mss && this.#next + size < last && !this.isIdle) return undefined
    return { from: this.#next, to: this.#next + size }
  }

  #lostEnd(recovery: Recovery): number {
    if (recovery.isAfterSilence) return recovery.until
    if (this.usesSack && !this.#arrived.isEmpty) return this.#arrived.highest ?? this.#oldest
    return Math.min(this.#oldest + this.#mss, recovery.until)
  }

  /** Bytes that are believed to be on their way. */
  #underWay(): number {
    const all = this.#next - this.#oldest
    const recovery = this.#recovery
    if (recovery === undefined) return all - this.#arrived.countWithin(this.#oldest, this.#next)
    const lostEnd = this.#lostEnd(recovery)
    const resent = Math.max(this.#oldest, recovery.resendFrom)
    const lost = lostEnd > resent ? lostEnd - resent - this.#arrived.countWithin(resent, lostEnd) : 0
    const arrived = this.usesSack ? this.#arrived.countWithin(this.#oldest, this.#next) : this.#repeats * this.#mss
    return Math.max(0, all - lost - arrived)
  }
}
