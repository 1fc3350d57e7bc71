/**
 * DNS over TCP for one address that exists only inside the tunnel: as much of TCP as a server needs that answers one
 * host over an interface in memory. It takes connections, puts requests in order, sends answers within the window, and
 * sends again what was not acknowledged. It does not probe, pace or grow windows: there is no network in between. A
 * machine: packets in, packets out. [RFC 9293 §3; RFC 7766; docs/rules/dns.md DNS-11; ADR 0007]
 */
import type { Ms } from '../../../src-contract/ids.ts'
import { type Bytes, concat, viewOf } from '../../wire/bytes.ts'
import { ipText } from '../../wire/ip.ts'
import {
  encodeIpPacket,
  type Flow,
  ipProtocol,
  type ParsedPacket,
  tcpFlag,
  transportChecksum,
} from '../../wire/packet.ts'

const MAX_CONNECTIONS = 256
const IDLE_MS: Ms = 10_000
const RESEND_MS: Ms = 200
const MAX_RESENDS = 6
const WINDOW_BYTES = 65_535
/** What a request of a host may hold back before we take more: one longest message. */
const MAX_PENDING_BYTES = 65_537
const MAX_QUEUED_BYTES = 1 << 20
const SEQUENCES = 2 ** 32

export type TcpEffect =
  | { readonly kind: 'packet'; readonly bytes: Bytes }
  /** One whole request; answer with `answer(connection, …)`. */
  | { readonly kind: 'request'; readonly connection: number; readonly bytes: Bytes }

interface Connection {
  readonly id: number
  readonly key: string
  /** From us to the host. */
  readonly flow: Flow
  readonly segmentBytes: number
  state: 'opening' | 'open' | 'closing'
  /** Next byte expected. */
  receiveNext: number
  /** Oldest byte that is not acknowledged; `queue` begins there. */
  sendBase: number
  /** How much of `queue` is under way. */
  inFlight: number
  queue: Bytes
  peerWindow: number
  pending: Bytes
  /** Requests that are not answered yet. */
  owed: number
  hasPeerClosed: boolean
  isOurFinSent: boolean
  resendAt: Ms | undefined
  resends: number
  idleAt: Ms
}

export interface TcpResponderOptions {
  readonly random32: () => number
  readonly port: number
}

export class TcpResponder {
  readonly #o: TcpResponderOptions
  readonly #byKey = new Map<string, Connection>()
  readonly #byId = new Map<number, Connection>()
  #nextId = 1

  constructor(options: TcpResponderOptions) {
    this.#o = options
  }

  get connectionCount(): number {
    return this.#byId.size
  }

  handlePacket(packet: ParsedPacket, now: Ms): TcpEffect[] {
    if (packet.protocol !== ipProtocol.tcp || packet.fragment !== 'none') return []
    const segment = readSegment(packet)
    if (segment === undefined) return []
    if ((segment.flags & tcpFlag.rst) !== 0) {
      const known = this.#byKey.get(segment.key)
      if (known !== undefined && segment.seq === known.receiveNext) this.#drop(known)
      return []
    }
    const known = this.#byKey.get(segment.key)
    if (known === undefined) return this.#handleStranger(packet, segment, now)
    return this.#handleSegment(known, segment, now)
  }

  /** Answers go out in the order in which they come. */
  answer(connection: number, message: Uint8Array, now: Ms): TcpEffect[] {
    const known = this.#byId.get(connection)
    if (known === undefined) return []
    known.owed--
    if (known.queue.length + message.length > MAX_QUEUED_BYTES) return this.#reset(known)
    const length = new Uint8Array(2)
    viewOf(length).setUint16(0, message.length)
    known.queue = concat(known.queue, length, message)
    return this.#push(known, now)
  }

  wake(now: Ms): TcpEffect[] {
    const effects: TcpEffect[] = []
    for (const connection of [...this.#byId.values()]) {
      if (now >= connection.idleAt) effects.push(...this.#reset(connection))
      else if (connection.resendAt !== undefined && now >= connection.resendAt)
        effects.push(...this.#resend(connection, now))
    }
    return effects
  }

  nextWake(): Ms | undefined {
    let next: Ms | undefined
    for (const { idleAt, resendAt } of this.#byId.values()) {
      const own = Math.min(idleAt, resendAt ?? Number.POSITIVE_INFINITY)
      if (next === undefined || own < next) next = own
    }
    return next
  }

  #handleStranger(packet: ParsedPacket, segment: Segment, now: Ms): TcpEffect[] {
    const isOpening = (segment.flags & (tcpFlag.syn | tcpFlag.ack)) === tcpFlag.syn
    if (!isOpening || segment.dstPort !== this.#o.port) return [refusal(packet, segment)]
    if (this.#byId.size >= MAX_CONNECTIONS) return [] // it asks again
    const base = this.#o.random32()
    const headers = packet.version === 4 ? 40 : 60
    const connection: Connection = {
      id: this.#nextId++,
      key: segment.key,
      flow: { src: packet.dst.slice(), dst: packet.src.slice(), srcPort: segment.dstPort, dstPort: segment.srcPort },
      segmentBytes: Math.min(segment.mss ?? 536, 1_280 - headers),
      state: 'opening',
      receiveNext: add(segment.seq, 1),
      sendBase: base,
      inFlight: 0,
      queue: new Uint8Array(0),
      peerWindow: segment.window,
      pending: new Uint8Array(0),
      owed: 0,
      hasPeerClosed: false,
      isOurFinSent: false,
      resendAt: now + RESEND_MS,
      resends: 0,
      idleAt: now + IDLE_MS,
    }
    this.#byKey.set(connection.key, connection)
    this.#byId.set(connection.id, connection)
    return [this.#synAck(connection)]
  }

  #handleSegment(connection: Connection, segment: Segment, now: Ms): TcpEffect[] {
    if ((segment.flags & tcpFlag.syn) !== 0) {
      // our answer to it was lost, or a new life of the same port [RFC 5961 §4]
      return [connection.state === 'opening' ? this.#synAck(connection) : this.#ack(connection)]
    }
    if ((segment.flags & tcpFlag.ack) === 0) return []
    const acked = distance(connection.sendBase, segment.ack)
    const outstanding = connection.state === 'opening' ? 1 : connection.inFlight + (connection.isOurFinSent ? 1 : 0)
    if (acked > outstanding) return connection.state === 'opening' ? [] : [this.#ack(connection)]
    connection.idleAt = now + IDLE_MS
    connection.peerWindow = segment.window
    if (connection.state === 'opening') {
      if (acked !== 1) return []
      connection.state = 'open'
      connection.sendBase = add(connection.sendBase, 1)
      connection.resendAt = undefined
      connection.resends = 0
    } else if (acked > 0) {
      const bytes = Math.min(acked, connection.inFlight)
      connection.queue = connection.queue.subarray(bytes)
      connection.inFlight -= bytes
      connection.sendBase = add(connection.sendBase, acked)
      connection.resends = 0
      connection.resendAt = connection.inFlight > 0 ? now + RESEND_MS : undefined
      if (acked > bytes) {
        this.#drop(connection) // our end of it is acknowledged as well: over
        return []
      }
    }
    const effects = this.#take(connection, segment)
    if (!this.#byId.has(connection.id)) return effects
    return [...effects, ...this.#push(connection, now)]
  }

  /** Takes what comes next in order; for all else the host hears what we wait for. */
  #take(connection: Connection, segment: Segment): TcpEffect[] {
    const hasFin = (segment.flags & tcpFlag.fin) !== 0
    if (segment.payload.length === 0 && !hasFin) return []
    const skipped = distance(segment.seq, connection.receiveNext)
    if (skipped > segment.payload.length || connection.hasPeerClosed) return [this.#ack(connection)]
    const fresh = segment.payload.subarray(skipped)
    connection.pending = concat(connection.pending, fresh)
    connection.receiveNext = add(connection.receiveNext, fresh.length)
    if (hasFin) {
      connection.hasPeerClosed = true
      connection.receiveNext = add(connection.receiveNext, 1)
    }
    const requests: TcpEffect[] = []
    for (;;) {
      const { pending } = connection
      if (pending.length < 2) break
      const length = viewOf(pending).getUint16(0)
      if (pending.length < 2 + length) break
      requests.push({ kind: 'request', connection: connection.id, bytes: pending.slice(2, 2 + length) })
      connection.owed++
      connection.pending = pending.subarray(2 + length)
    }
    if (connection.pending.length > MAX_PENDING_BYTES) return this.#reset(connection)
    return [this.#ack(connection), ...requests]
  }

  #push(connection: Connection, now: Ms): TcpEffect[] {
    const effects: TcpEffect[] = []
    if (connection.state !== 'open') return effects
    while (connection.inFlight < connection.queue.length && connection.inFlight < connection.peerWindow) {
      const room = Math.min(connection.segmentBytes, connection.peerWindow - connection.inFlight)
      const part = connection.queue.subarray(connection.inFlight, connection.inFlight + room)
      effects.push(
        this.#segment(connection, add(connection.sendBase, connection.inFlight), tcpFlag.ack | tcpFlag.psh, part),
      )
      connection.inFlight += part.length
    }
    const isAllSent = connection.inFlight === connection.queue.length
    if (connection.hasPeerClosed && connection.owed === 0 && isAllSent && !connection.isOurFinSent) {
      effects.push(this.#segment(connection, add(connection.sendBase, connection.inFlight), tcpFlag.ack | tcpFlag.fin))
      connection.isOurFinSent = true
    }
    const isWaiting = connection.inFlight > 0 || connection.isOurFinSent || !isAllSent
    if (isWaiting) connection.resendAt ??= now + RESEND_MS
    return effects
  }

  /** All of it again, from the oldest; a closed window is asked with one byte. */
  #resend(connection: Connection, now: Ms): TcpEffect[] {
    if (++connection.resends > MAX_RESENDS) return this.#reset(connection)
    const wait = RESEND_MS * 2 ** connection.resends
    if (connection.state === 'opening') {
      connection.resendAt = now + wait
      return [this.#synAck(connection)]
    }
    connection.inFlight = 0
    connection.isOurFinSent = false
    connection.resendAt = now + wait
    if (connection.peerWindow === 0) connection.peerWindow = 1
    return this.#push(connection, now)
  }

  #synAck(connection: Connection): TcpEffect {
    const mss = Uint8Array.of(2, 4, 1_220 >> 8, 1_220 & 255)
    return this.#segment(connection, connection.sendBase, tcpFlag.syn | tcpFlag.ack, undefined, mss)
  }

  #ack(connection: Connection): TcpEffect {
    const next = add(connection.sendBase, connection.inFlight + (connection.isOurFinSent ? 1 : 0))
    return this.#segment(connection, next, tcpFlag.ack)
  }

  #reset(connection: Connection): TcpEffect[] {
    this.#drop(connection)
    const next = add(connection.sendBase, connection.state === 'opening' ? 1 : connection.inFlight)
    return [this.#segment(connection, next, tcpFlag.rst | tcpFlag.ack)]
  }

  #drop(connection: Connection): void {
    this.#byKey.delete(connection.key)
    this.#byId.delete(connection.id)
  }

  #segment(connection: Connection, seq: number, flags: number, payload?: Uint8Array, options?: Uint8Array): TcpEffect {
    return tcpPacket(connection.flow, { seq, ack: connection.receiveNext, flags, payload, options })
  }
}

interface Segment {
  readonly key: string
  readonly srcPort: number
  readonly dstPort: number
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly window: number
  readonly mss: number | undefined
  readonly payload: Uint8Array
}

function readSegment(packet: ParsedPacket): Segment | undefined {
  const { transport } = packet
  const view = viewOf(transport)
  const headerBytes = (transport[12]! >> 4) * 4
  if (headerBytes < 20 || headerBytes > transport.length) return undefined
  let mss: number | undefined
  for (let at = 20; at < headerBytes; ) {
    const kind = transport[at]!
    if (kind === 0) break
    if (kind === 1) {
      at++
      continue
    }
    const length = transport[at + 1] ?? 0
    if (length < 2 || at + length > headerBytes) break
    if (kind === 2 && length === 4) mss = Math.max(64, view.getUint16(at + 2))
    at += length
  }
  return {
    key: `${ipText(packet.src)} ${packet.srcPort} ${packet.version} ${packet.dstPort}`,
    srcPort: packet.srcPort,
    dstPort: packet.dstPort,
    seq: view.getUint32(4),
    ack: view.getUint32(8),
    flags: packet.tcpFlags,
    window: view.getUint16(14), // we offer no scaling, so there is none
    mss,
    payload: transport.subarray(headerBytes),
  }
}

/** What belongs to nothing. [RFC 9293 §3.10.7.1] */
function refusal(packet: ParsedPacket, segment: Segment): TcpEffect {
  const flow = { src: packet.dst, dst: packet.src, srcPort: segment.dstPort, dstPort: segment.srcPort }
  if ((segment.flags & tcpFlag.ack) !== 0) return tcpPacket(flow, { seq: segment.ack, ack: 0, flags: tcpFlag.rst })
  const length = segment.payload.length + (segment.flags & (tcpFlag.syn | tcpFlag.fin) ? 1 : 0)
  return tcpPacket(flow, { seq: 0, ack: add(segment.seq, length), flags: tcpFlag.rst | tcpFlag.ack })
}

function tcpPacket(
  flow: Flow,
  tcp: {
    readonly seq: number
    readonly ack: number
    readonly flags: number
    readonly payload?: Uint8Array | undefined
    readonly options?: Uint8Array | undefined
  },
): TcpEffect {
  const options = tcp.options ?? new Uint8Array(0)
  const payload = tcp.payload ?? new Uint8Array(0)
  const segment = new Uint8Array(20 + options.length + payload.length)
  const view = viewOf(segment)
  view.setUint16(0, flow.srcPort)
  view.setUint16(2, flow.dstPort)
  view.setUint32(4, tcp.seq)
  view.setUint32(8, tcp.ack)
  segment[12] = ((20 + options.length) / 4) << 4
  segment[13] = tcp.flags
  view.setUint16(14, WINDOW_BYTES)
  segment.set(options, 20)
  segment.set(payload, 20 + options.length)
  view.setUint16(16, transportChecksum(flow.src, flow.dst, ipProtocol.tcp, segment))
  return { kind: 'packet', bytes: encodeIpPacket(flow.src, flow.dst, ipProtocol.tcp, segment) }
}

function add(sequence: number, bytes: number): number {
  return (sequence + bytes) % SEQUENCES
}

/** How far `to` lies behind `from`; what lies before it is very far. */
function distance(from: number, to: number): number {
  return (to - from + SEQUENCES) % SEQUENCES
}
