/**
 * One TCP connection: segments, calls of its user and time in; segments and events out. Places in both streams are plain
 * numbers that never wrap (0 is the SYN, 1 the first byte); only segments carry 32 bits of them.
 * [RFC 9293 §3.10; RFC 6298; RFC 5681, 6582 and 6675 (recovery), RFC 5961 (forged segments); docs/rules/netstack.md]
 *
 * Not here: which connection a segment belongs to, listening, TIME-WAIT reuse (`netstack.ts`). Not at all: urgent data,
 * simultaneous open, timestamps, Nagle's algorithm (a proxy passes on at once what it is given).
 */
import type { Ms } from '../../../src-contract/ids.ts'
import { type Flow, tcpFlag } from '../../wire/packet.ts'
import { MemoryGrant, type MemoryPool } from './memory-grant.ts'
import { Reassembly } from './reassembly.ts'
import { SendBuffer } from './send-buffer.ts'
import { encodeSegment, type Segment, type SegmentHead, sackOptions, synOptions } from './tcp-segment.ts'
import { TcpSending } from './tcp-sending.ts'

export const BUFFER_FIRST_BYTES = 128 << 10
export const BUFFER_MOST_BYTES = 4 << 20
/** Of our own windows; the largest of them needs it. */
const OUR_SCALE = 7
const DELAYED_ACK_MS: Ms = 40
/** So long may somebody think about who may connect. */
const ASKED_MS: Ms = 30_000
const FIRST_SYN_MS: Ms = 1_000
const MAX_SYN_TRIES = 6
const MAX_SYN_ACK_TRIES = 4
/** About two minutes of silence. [RFC 1122 §4.2.3.5] */
const MAX_RESENDS = 10
/** Probes of a closed window go on as long as they are answered. [RFC 9293 §3.8.6.1] */
const TIME_WAIT_MS: Ms = 30_000
const KEEPALIVE_IDLE_MS: Ms = 30 * 60_000
const KEEPALIVE_GAP_MS: Ms = 75_000
const MAX_KEEPALIVES = 8
/** Answers to segments that may be forged, per second. [RFC 5961 §7] */
const MAX_CHALLENGES = 10
/** Of who says nothing of it. [RFC 9293 §3.7.1] */
const DEFAULT_MSS = 536
const SMALLEST_MSS = 64

/** `asked`: a SYN came, and nobody has said yet whether it is wanted. */
export type Phase = 'asked' | 'synSent' | 'synReceived' | 'open' | 'timeWait' | 'closed'

/** `done`: both sides said that they are. `refused`: nobody listens there. `timeout`: no answer for too long. */
export type CloseReason = 'done' | 'reset' | 'refused' | 'timeout' | 'aborted'

export type ConnectionEvent =
  | { readonly kind: 'open' }
  /** The next bytes; say `consumed` when they are used up. Views of the packet that brought them. */
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** The other side will send no more. */
  | { readonly kind: 'end' }
  /** There is room to write again. */
  | { readonly kind: 'room' }
  | { readonly kind: 'closed'; readonly reason: CloseReason }

export interface ConnectionOutput {
  packet(bytes: Uint8Array): void
  event(event: ConnectionEvent): void
}

export interface ConnectionOptions {
  /** `src` is ours. */
  readonly flow: Flow
  readonly firstSequence: number
  /** What a packet may be, with its IP header. */
  readonly mtuBytes: number
  readonly memory: MemoryPool
  readonly output: ConnectionOutput
}

export class TcpConnection {
  readonly flow: Flow
  readonly #output: ConnectionOutput
  readonly #iss: number
  readonly #ourMss: number
  readonly #sendGrant: MemoryGrant
  readonly #receiveGrant: MemoryGrant
  #phase: Phase = 'closed'

  readonly #buffer = new SendBuffer(1)
  #sending: TcpSending
  #peerScale = 0
  #hasScale = false
  #hasSack = false
  /** Where the other side's window ends, and the largest that it ever was. */
  #windowEnd = 1
  #largestWindow = 0
  #windowSeq = 0
  #windowAck = 0
  #isEndWanted = false
  #wantsRoom = false

  #irs = 0
  #receiveNext = 0
  /** Where the window that we told ends. */
  #toldEnd = 0
  #unconsumed = 0
  readonly #early = new Reassembly()
  #peerFinAt: number | undefined
  #hasPeerEnded = false
  #isPeerFirst = false

  #segmentsToAck = 0
  #isAckDue = false
  #ackAt: Ms | undefined
  #resendAt: Ms | undefined
  #resends = 0
  #aliveAt: Ms = 0
  #keepalives = 0
  #timeWaitUntil: Ms | undefined
  #challengesSince: Ms = 0
  #challenges = 0

  constructor(options: ConnectionOptions) {
    this.flow = options.flow
    this.#output = options.output
    this.#iss = options.firstSequence
    this.#ourMss = options.mtuBytes - (options.flow.src.length === 4 ? 40 : 60)
    this.#sending = new TcpSending(this.#ourMss)
    this.#sendGrant = new MemoryGrant(options.memory, BUFFER_FIRST_BYTES, BUFFER_MOST_BYTES)
    this.#receiveGrant = new MemoryGrant(options.memory, BUFFER_FIRST_BYTES, BUFFER_MOST_BYTES)
  }

  get phase(): Phase {
    return this.#phase
  }

  /** The next sequence number that we expect: a new life of the same ports must begin behind it. */
  get nextSequence(): number {
    return this.#wireReceive(this.#receiveNext)
  }

  // The user's calls

  connect(now: Ms): void {
    this.#phase = 'synSent'
    this.#aliveAt = now
    this.#sending.sent(1, now)
    this.#sendSyn(now)
  }

  /** Somebody asks for a connection; {@link accept} or {@link abort} answers. */
  asked(segment: Segment, now: Ms): void {
    this.#phase = 'asked'
    this.#aliveAt = now
    this.#takeSyn(segment)
  }

  accept(now: Ms): void {
    if (this.#phase !== 'asked') return
    this.#phase = 'synReceived'
    this.#sending.sent(1, now)
    this.#sendSyn(now)
  }

  get hasRoom(): boolean {
    return this.#buffer.size < this.#sendGrant.bytes
  }

  /** Everything is taken, but who goes on while there is no {@link hasRoom} is told of it by `room` only once. */
  write(bytes: Uint8Array): void {
    if (this.#isEndWanted || this.#isOver) return
    this.#buffer.add(bytes)
    if (!this.hasRoom) this.#wantsRoom = true
  }

  /** We will send no more. */
  end(): void {
    this.#isEndWanted = true
  }

  consumed(bytes: number): void {
    this.#unconsumed = Math.max(0, this.#unconsumed - bytes)
    if (this.#phase !== 'open' || this.#hasPeerEnded) return
    this.#receiveGrant.moved(bytes)
    const told = this.#toldEnd - this.#receiveNext
    const gained = this.#wantedEnd() - this.#toldEnd
    if (gained >= this.#receiveGrant.bytes / 4 || (told < this.#ourMss && gained >= this.#ourMss)) this.#isAckDue = true
  }

  /** At once, and the other side is told. */
  abort(): void {
    if (this.#isOver) return
    if (this.#phase === 'asked') this.#send({ seq: 0, flags: tcpFlag.rst | tcpFlag.ack })
    else if (this.#phase !== 'synSent') {
      this.#send({ seq: this.#wireSend(this.#sending.next), flags: tcpFlag.rst | tcpFlag.ack })
    }
    this.#close('aborted')
  }

  // Segments

  handle(segment: Segment, now: Ms): void {
    if (this.#phase === 'closed') return
    if (this.#phase === 'synSent') {
      this.#handleWhileAsking(segment, now)
      return
    }
    const place = this.#receiveNext + ((segment.seq - this.#wireReceive(this.#receiveNext)) | 0)
    if ((segment.flags & tcpFlag.rst) !== 0) this.#handleReset(place, now)
    else if ((segment.flags & tcpFlag.syn) !== 0) this.#handleSyn(place, now)
    else if (this.#phase !== 'asked') this.#handleOrdinary(segment, place, now)
  }

  /** [RFC 9293 §3.10.7.3] */
  #handleWhileAsking(segment: Segment, now: Ms): void {
    const hasAck = (segment.flags & tcpFlag.ack) !== 0
    if (hasAck && segment.ack !== this.#wireSend(1)) {
      if ((segment.flags & tcpFlag.rst) === 0) this.#send({ seq: segment.ack, flags: tcpFlag.rst })
      return
    }
    if ((segment.flags & tcpFlag.rst) !== 0) {
      if (hasAck) this.#close('refused')
      return
    }
    if (!hasAck || (segment.flags & tcpFlag.syn) === 0) return
    this.#takeSyn(segment)
    this.#open(segment, now)
    this.#isAckDue = true
  }

  /** Only the exact number ends it; what merely might be right is asked about. [RFC 5961 §3.2] */
  #handleReset(place: number, now: Ms): void {
    if (place === this.#receiveNext) this.#close(this.#phase === 'timeWait' ? 'done' : 'reset')
    else if (place > this.#receiveNext && place < this.#toldEnd) this.#challenge(now)
  }

  /** Our answer to it was lost, or it is forged. [RFC 5961 §4.2] */
  #handleSyn(place: number, now: Ms): void {
    if (this.#phase === 'asked') return
    if (this.#phase === 'synReceived' && place === this.#receiveNext - 1) {
      if (this.#mayChallenge(now)) this.#sendSyn(now)
    } else this.#challenge(now)
  }

  #handleOrdinary(segment: Segment, place: number, now: Ms): void {
    if ((segment.flags & tcpFlag.ack) === 0) return
    const hasFin = (segment.flags & tcpFlag.fin) !== 0
    const length = segment.payload.length + (hasFin ? 1 : 0)
    const isInside =
      length === 0
        ? place >= this.#receiveNext && place <= this.#toldEnd
        : place + length > this.#receiveNext && (place < this.#toldEnd || place === this.#receiveNext)
    if (!isInside) {
      // an old one again: our acknowledgement was lost, or a probe
      if (this.#mayChallenge(now)) this.#acknowledge()
      return
    }
    if (!this.#handleAck(segment, now)) return
    this.#aliveAt = now
    this.#keepalives = 0
    if (length > 0) this.#handleBytes(segment, place, hasFin, now)
    if (this.#phase === 'open' && this.#sending.oldest > this.#endPlace && this.#isEndWanted && this.#hasPeerEnded) {
      this.#finish(now)
    }
  }

  /** Answers whether the segment goes on to be looked at. */
  #handleAck(segment: Segment, now: Ms): boolean {
    const sending = this.#sending
    const ack = sending.oldest + ((segment.ack - this.#wireSend(sending.oldest)) | 0)
    if (this.#phase === 'synReceived') {
      if (ack !== 1) {
        this.#send({ seq: segment.ack, flags: tcpFlag.rst })
        return false
      }
      this.#open(segment, now)
      return true
    }
    if (ack > sending.next || ack < sending.oldest - this.#largestWindow) {
      this.#challenge(now) // [RFC 5961 §5.2]
      return false
    }
    const before = this.#windowEnd
    this.#takeWindow(segment, ack)
    if (this.#hasSack) for (const [from, to] of segment.sacks) this.#takeSack(from, to)
    if (ack > sending.oldest) {
      const moved = ack - sending.oldest
      sending.acknowledged(ack, now)
      this.#buffer.release(Math.min(ack, this.#endPlace))
      this.#sendGrant.moved(moved)
      this.#resends = 0
      this.#resendAt = sending.isIdle ? undefined : now + sending.roundTrip.rtoMs
      if (this.#wantsRoom && this.#buffer.size <= this.#sendGrant.bytes / 2) {
        this.#wantsRoom = false
        this.#output.event({ kind: 'room' })
      }
    } else if (ack === sending.oldest) {
      const isDuplicate = segment.payload.length === 0 && !sending.isIdle && this.#windowEnd === before
      if (isDuplicate || segment.sacks.length > 0) sending.repeated()
      if (sending.isIdle) this.#resends = 0 // the answer to a probe
    }
    return true
  }

  /** [RFC 9293 §3.10.7.4, SND.WL1 and SND.WL2] */
  #takeWindow(segment: Segment, ack: number): void {
    const isNewer = (segment.seq - this.#windowSeq) | 0
    if (isNewer < 0 || (isNewer === 0 && ack < this.#windowAck)) return
    this.#windowSeq = segment.seq
    this.#windowAck = ack
    const window = segment.window * 2 ** this.#peerScale
    this.#windowEnd = ack + window
    this.#largestWindow = Math.max(this.#largestWindow, window)
  }

  #takeSack(from: number, to: number): void {
    const { oldest, next } = this.#sending
    const start = oldest + ((from - this.#wireSend(oldest)) | 0)
    const end = oldest + ((to - this.#wireSend(oldest)) | 0)
    if (start >= oldest && end > start && end <= next) this.#sending.hasArrived(start, end)
  }

  #handleBytes(segment: Segment, place: number, hasFin: boolean, now: Ms): void {
    const end = place + segment.payload.length
    // what lies beyond the window is not ours to keep
    const room = Math.max(0, this.#toldEnd - place)
    const payload = segment.payload.length > room ? segment.payload.subarray(0, room) : segment.payload
    if (hasFin && payload.length === segment.payload.length) this.#peerFinAt ??= end
    if (place > this.#receiveNext) {
      if (!this.#hasPeerEnded) this.#early.add(place, payload, this.#receiveNext)
      this.#acknowledge() // at once, each of them: the other side counts
      return
    }
    const fresh = payload.subarray(this.#receiveNext - place)
    if (this.#early.isEmpty) this.#deliver(fresh)
    else if (!this.#hasPeerEnded) {
      this.#early.add(this.#receiveNext, fresh, this.#receiveNext)
      for (const bytes of this.#early.take(this.#receiveNext)) this.#deliver(bytes)
      this.#isAckDue = true
    }
    this.#segmentsToAck++
    if (this.#segmentsToAck >= 2 || payload.length < segment.payload.length) this.#isAckDue = true
    else this.#ackAt ??= now + DELAYED_ACK_MS
    if (this.#peerFinAt !== undefined && this.#receiveNext >= this.#peerFinAt && !this.#hasPeerEnded) {
      this.#hasPeerEnded = true
      this.#isPeerFirst = this.#sending.next <= this.#endPlace
      this.#receiveNext = this.#peerFinAt + 1
      this.#early.clear()
      this.#isAckDue = true
      this.#output.event({ kind: 'end' })
    } else if (this.#hasPeerEnded) this.#isAckDue = true
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#hasPeerEnded) return
    const limit = this.#peerFinAt === undefined ? bytes.length : Math.max(0, this.#peerFinAt - this.#receiveNext)
    const taken = bytes.length > limit ? bytes.subarray(0, limit) : bytes
    if (taken.length === 0) return
    this.#receiveNext += taken.length
    this.#unconsumed += taken.length
    this.#output.event({ kind: 'data', bytes: taken })
  }

  #takeSyn(segment: Segment): void {
    this.#irs = segment.seq
    this.#receiveNext = 1
    this.#toldEnd = 1
    this.#hasScale = segment.windowScale !== undefined
    this.#peerScale = segment.windowScale ?? 0
    this.#hasSack = segment.isSackPermitted
    this.#sending = new TcpSending(Math.min(Math.max(segment.mss ?? DEFAULT_MSS, SMALLEST_MSS), this.#ourMss))
    if (this.#phase === 'synSent') this.#sending.sent(1, this.#aliveAt)
    this.#sending.usesSack = this.#hasSack
  }

  #open(segment: Segment, now: Ms): void {
    const isAnswer = this.#phase === 'synSent'
    this.#phase = 'open'
    this.#aliveAt = now
    this.#sending.acknowledged(1, now, this.#resends > 0)
    this.#resends = 0
    this.#resendAt = undefined
    this.#windowSeq = segment.seq
    this.#windowAck = 1
    const window = isAnswer ? segment.window : segment.window * 2 ** this.#peerScale // [RFC 7323 §2.2]
    this.#windowEnd = 1 + window
    this.#largestWindow = window
    this.#output.event({ kind: 'open' })
  }

  /** Everything is said on both sides. Who was done first waits for stragglers. [RFC 9293 §3.6.1] */
  #finish(now: Ms): void {
    if (this.#isPeerFirst) {
      this.#close('done')
      return
    }
    this.#release()
    this.#phase = 'timeWait'
    this.#timeWaitUntil = now + TIME_WAIT_MS
    if (this.#isAckDue) this.#acknowledge()
    this.#output.event({ kind: 'closed', reason: 'done' })
  }

  #close(reason: CloseReason): void {
    const wasTold = this.#phase === 'timeWait'
    this.#release()
    this.#phase = 'closed'
    if (!wasTold) this.#output.event({ kind: 'closed', reason })
  }

  #release(): void {
    this.#buffer.clear()
    this.#early.clear()
    this.#sendGrant.release()
    this.#receiveGrant.release()
    this.#resendAt = undefined
    this.#ackAt = undefined
  }

  get #isOver(): boolean {
    return this.#phase === 'closed' || this.#phase === 'timeWait'
  }

  // Time

  nextWake(): Ms | undefined {
    if (this.#phase === 'closed') return undefined
    if (this.#phase === 'asked') return this.#aliveAt + ASKED_MS
    if (this.#timeWaitUntil !== undefined) return this.#timeWaitUntil
    const keepaliveAt =
      this.#phase === 'open' ? this.#aliveAt + KEEPALIVE_IDLE_MS + this.#keepalives * KEEPALIVE_GAP_MS : undefined
    return Math.min(
      this.#resendAt ?? Number.POSITIVE_INFINITY,
      this.#ackAt ?? Number.POSITIVE_INFINITY,
      keepaliveAt ?? Number.POSITIVE_INFINITY,
    )
  }

  wake(now: Ms): void {
    if (this.#phase === 'asked' && now >= this.#aliveAt + ASKED_MS) {
      this.abort()
      return
    }
    if (this.#timeWaitUntil !== undefined && now >= this.#timeWaitUntil) {
      this.#close('done')
      return
    }
    if (this.#ackAt !== undefined && now >= this.#ackAt) this.#isAckDue = true
    if (this.#resendAt !== undefined && now >= this.#resendAt) this.#resend(now)
    if (this.#phase !== 'open') return
    if (now < this.#aliveAt + KEEPALIVE_IDLE_MS + this.#keepalives * KEEPALIVE_GAP_MS) return
    if (this.#keepalives++ >= MAX_KEEPALIVES) this.#giveUp()
    else this.#probe()
  }

  #resend(now: Ms): void {
    const sending = this.#sending
    this.#resends++
    if (this.#phase === 'synSent' || this.#phase === 'synReceived') {
      if (this.#resends >= (this.#phase === 'synSent' ? MAX_SYN_TRIES : MAX_SYN_ACK_TRIES)) this.#giveUp()
      else this.#sendSyn(now)
      return
    }
    if (this.#resends > MAX_RESENDS) {
      this.#giveUp()
      return
    }
    sending.roundTrip.expired()
    this.#resendAt = now + sending.roundTrip.rtoMs
    if (sending.isIdle) this.#probe()
    else sending.timedOut()
  }

  #giveUp(): void {
    if (this.#phase === 'open')
      this.#send({ seq: this.#wireSend(this.#sending.next), flags: tcpFlag.rst | tcpFlag.ack })
    this.#close('timeout')
  }

  // Sending

  /** Sends what may be sent now. Once per turn, when all that came has been handled. */
  flush(now: Ms): void {
    if (this.#phase === 'open') {
      this.#sendBytes(now)
      if (this.#isAckDue) this.#acknowledge()
    } else if (this.#phase === 'timeWait' && this.#isAckDue) this.#acknowledge()
  }

  /** The place of our FIN, once there is one to send. */
  get #endPlace(): number {
    return this.#buffer.end
  }

  #sendBytes(now: Ms): void {
    const sending = this.#sending
    let wasIdle = sending.isIdle
    const last = this.#endPlace + (this.#isEndWanted ? 1 : 0)
    for (;;) {
      const range = sending.choose(Math.min(last, Math.max(this.#windowEnd, sending.next)), last)
      if (range === undefined) break
      const { from, to } = range
      const hasFin = to > this.#endPlace
      const bytes = (hasFin ? to - 1 : to) - from
      const isLast = to >= last
      const flags = tcpFlag.ack | (isLast ? tcpFlag.psh : 0) | (hasFin ? tcpFlag.fin : 0)
      this.#send({ seq: this.#wireSend(from), flags }, bytes, (room) => this.#buffer.copy(from, room))
      sending.sentRange(from, to, now)
      if (wasIdle) sending.roundTrip.progressed() // the wait was for a window
      if (wasIdle || this.#resendAt === undefined) this.#resendAt = now + sending.roundTrip.rtoMs
      wasIdle = false
    }
    // the window is closed and nothing is under way that would bring news of it
    if (sending.isIdle && sending.next < last) this.#resendAt ??= now + sending.roundTrip.rtoMs
    else if (sending.isIdle) this.#resendAt = undefined
  }

  /** Makes the other side say where it is. */
  #probe(): void {
    this.#send({ seq: this.#wireSend(this.#sending.oldest - 1), flags: tcpFlag.ack })
  }

  #acknowledge(): void {
    const seq = this.#wireSend(this.#sending.next)
    if (!this.#hasSack || this.#early.isEmpty) this.#send({ seq, flags: tcpFlag.ack })
    else {
      const ranges = this.#early.ranges.map(({ from, to }) => [this.#wireReceive(from), this.#wireReceive(to)] as const)
      this.#send({ seq, flags: tcpFlag.ack, options: sackOptions(ranges) })
    }
  }

  #challenge(now: Ms): void {
    if (this.#mayChallenge(now)) this.#acknowledge()
  }

  #mayChallenge(now: Ms): boolean {
    if (now - this.#challengesSince >= 1_000) {
      this.#challengesSince = now
      this.#challenges = 0
    }
    return this.#challenges++ < MAX_CHALLENGES
  }

  #sendSyn(now: Ms): void {
    const isAnswer = this.#phase === 'synReceived'
    const scale = !isAnswer || this.#hasScale ? OUR_SCALE : undefined
    const options = synOptions(this.#ourMss, scale, !isAnswer || this.#hasSack)
    this.#send({ seq: this.#iss, flags: isAnswer ? tcpFlag.syn | tcpFlag.ack : tcpFlag.syn, options })
    this.#resendAt = now + FIRST_SYN_MS * 2 ** this.#resends
  }

  /** Never takes back what was told. */
  #wantedEnd(): number {
    const free = Math.max(0, this.#receiveGrant.bytes - this.#unconsumed)
    return Math.max(this.#toldEnd, this.#receiveNext + free)
  }

  #send(
    head: Pick<SegmentHead, 'seq' | 'flags' | 'options'>,
    payloadBytes?: number,
    fill?: (room: Uint8Array) => void,
  ): void {
    const isSyn = (head.flags & tcpFlag.syn) !== 0
    const scale = this.#hasScale && !isSyn ? OUR_SCALE : 0
    const end = this.#wantedEnd()
    // a gain that is not worth a word is not told either [RFC 9293 §3.8.6.2.2]
    const gained = end - this.#toldEnd
    const isWorth = gained >= Math.min(this.#receiveGrant.bytes / 2, this.#ourMss)
    const wanted = (isWorth ? end : this.#toldEnd) - this.#receiveNext
    const window = Math.min(Math.max(0, Math.floor(wanted / 2 ** scale)), 0xffff)
    this.#toldEnd = Math.max(this.#toldEnd, this.#receiveNext + window * 2 ** scale)
    if ((head.flags & tcpFlag.ack) !== 0) {
      this.#segmentsToAck = 0
      this.#isAckDue = false
      this.#ackAt = undefined
    }
    const ack = (head.flags & tcpFlag.ack) !== 0 ? this.#wireReceive(this.#receiveNext) : 0
    this.#output.packet(encodeSegment(this.flow, { ...head, ack, window }, payloadBytes, fill))
  }

  #wireSend(place: number): number {
    return (this.#iss + place) >>> 0
  }

  #wireReceive(place: number): number {
    return (this.#irs + place) >>> 0
  }
}
