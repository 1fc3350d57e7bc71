/**
 * A small TCP/IP end of the line: IP packets and calls in, IP packets and events out. IPv4 and IPv6, TCP, UDP, answers to
 * echo requests. Fragments are not put together, ICMP errors are not believed, there are no IP options: inside the tunnel
 * nobody needs them. [docs/rules/netstack.md; ADR 0008]
 *
 * Handlers and calls only take note; `flush` hands out what came of it. Call it once per batch of packets, so that a
 * batch is acknowledged once.
 */
import type { Ms } from '../../../src-contract/ids.ts'
import { equalBytes } from '../../wire/bytes.ts'
import { bad, type Decoded, ok } from '../../wire/decoded.ts'
import {
  encodeIcmpEcho,
  encodeUdpPacket,
  type Flow,
  internetChecksum,
  ipProtocol,
  type ParsedPacket,
  parsePacket,
  tcpFlag,
  transportChecksum,
} from '../../wire/packet.ts'
import { DeadlineQueue } from '../deadline-queue.ts'
import type { MemoryPool } from './memory-grant.ts'
import { type ConnectionEvent, TcpConnection } from './tcp-connection.ts'
import { decodeSegment, encodeSegment, type Segment } from './tcp-segment.ts'

const MAX_CONNECTIONS = 4_096
/** Asked for and not yet open, of all and of one address: a flood of SYNs gets no further. */
const MAX_HALF_OPEN = 512
const MAX_HALF_OPEN_OF_ONE = 128
const MAX_TIME_WAIT = 1_024
/** What fast streams share beyond the small buffers that everyone has. */
const SHARED_BYTES = 128 << 20
const MAX_WAKES_AT_ONCE = 1_024
const UDP_HEADER_BYTES = 8
const FIRST_EPHEMERAL_PORT = 32_768
const EPHEMERAL_PORTS = 65_536 - FIRST_EPHEMERAL_PORT

export type ConnectionId = number

export type NetstackEffect =
  | { readonly kind: 'packet'; readonly bytes: Uint8Array }
  /** Somebody wants to connect; `flow.src` is whom they called. Say `accept` or `abort`. */
  | { readonly kind: 'asked'; readonly connection: ConnectionId; readonly flow: Flow }
  | { readonly kind: 'connection'; readonly connection: ConnectionId; readonly event: ConnectionEvent }
  /** `flow.src` is whom it was sent to: an answer goes along `flow`. */
  | { readonly kind: 'datagram'; readonly flow: Flow; readonly payload: Uint8Array }

export interface NetstackOptions {
  readonly mtuBytes: number
  /** Unpredictable, 32 bits. */
  readonly random32: () => number
}

interface Entry {
  readonly id: ConnectionId
  readonly key: string
  readonly remote: string
  readonly connection: TcpConnection
  isHalfOpen: boolean
}

export class Netstack {
  readonly #o: NetstackOptions
  readonly #byKey = new Map<string, Entry>()
  readonly #byId = new Map<ConnectionId, Entry>()
  readonly #deadlines = new DeadlineQueue<Entry>()
  readonly #memory: MemoryPool = { freeBytes: SHARED_BYTES }
  readonly #halfOpenOf = new Map<string, number>()
  #halfOpen = 0
  /** In the order in which they began to wait. */
  readonly #timeWait = new Set<Entry>()
  #touched = new Set<Entry>()
  #effects: NetstackEffect[] = []
  #own: readonly Uint8Array[] = []
  #lastId = 0
  readonly #drops = new Map<string, number>()

  constructor(options: NetstackOptions) {
    this.#o = options
  }

  get connectionCount(): number {
    return this.#byId.size
  }

  /** Dropped packets by reason. */
  get drops(): ReadonlyMap<string, number> {
    return this.#drops
  }

  /** Our own addresses: echo requests to them are answered. */
  setAddresses(addresses: readonly Uint8Array[]): void {
    this.#own = addresses
  }

  /** The packet must stay as it is: what came in it is handed on as views. */
  handlePacket(bytes: Uint8Array, now: Ms): void {
    const problem = this.#handle(bytes, now)
    if (problem !== undefined) this.#drops.set(problem, (this.#drops.get(problem) ?? 0) + 1)
  }

  #handle(bytes: Uint8Array, now: Ms): string | undefined {
    const parsed = parsePacket(bytes)
    if (!parsed.ok) return parsed.reason
    const packet = parsed.value
    if (packet.fragment !== 'none') return 'fragment'
    if (packet.version === 4 && internetChecksum(packet.bytes.subarray(0, (packet.bytes[0]! & 15) * 4)) !== 0) {
      return 'ip-checksum'
    }
    switch (packet.protocol) {
      case ipProtocol.tcp:
        return this.#handleTcp(packet, now)
      case ipProtocol.udp:
        return this.#handleUdp(packet)
      case ipProtocol.icmp:
      case ipProtocol.icmpv6:
        return this.#handleIcmp(packet)
      default:
        return 'protocol'
    }
  }

  // TCP

  #handleTcp(packet: ParsedPacket, now: Ms): string | undefined {
    const decoded = decodeSegment(packet)
    if (!decoded.ok) return decoded.reason
    const segment = decoded.value
    if (segment.srcPort === 0 || segment.dstPort === 0) return 'tcp-port'
    const key = keyOf(packet.dst, segment.dstPort, packet.src, segment.srcPort)
    const known = this.#byKey.get(key)
    if (known !== undefined && !this.#isNewLife(known, segment)) {
      known.connection.handle(segment, now)
      this.#touched.add(known)
      return undefined
    }
    if (known !== undefined) this.#remove(known)
    return this.#handleStranger(packet, segment, key, now)
  }

  /** The same ports again, and what belongs to the old life cannot be mistaken for it. [RFC 9293 §3.10.7.4] */
  #isNewLife({ connection }: Entry, segment: Segment): boolean {
    const isSyn = (segment.flags & (tcpFlag.syn | tcpFlag.ack | tcpFlag.rst)) === tcpFlag.syn
    return isSyn && connection.phase === 'timeWait' && ((segment.seq - connection.nextSequence) | 0) > 0
  }

  #handleStranger(packet: ParsedPacket, segment: Segment, key: string, now: Ms): string | undefined {
    const flow: Flow = {
      src: packet.dst.slice(),
      dst: packet.src.slice(),
      srcPort: segment.dstPort,
      dstPort: segment.srcPort,
    }
    if ((segment.flags & tcpFlag.rst) !== 0) return undefined
    if ((segment.flags & (tcpFlag.syn | tcpFlag.ack | tcpFlag.fin)) !== tcpFlag.syn) {
      this.#effects.push({ kind: 'packet', bytes: refusal(flow, segment) })
      return undefined
    }
    const remote = String.fromCharCode(...flow.dst)
    const ofOne = this.#halfOpenOf.get(remote) ?? 0
    if (this.#halfOpen >= MAX_HALF_OPEN || ofOne >= MAX_HALF_OPEN_OF_ONE) return 'tcp-half-open' // it asks again
    if (this.#byId.size >= MAX_CONNECTIONS) return 'tcp-connections'
    const entry = this.#add(flow, key, remote)
    entry.isHalfOpen = true
    this.#halfOpen++
    this.#halfOpenOf.set(remote, ofOne + 1)
    entry.connection.asked(segment, now)
    this.#touched.add(entry)
    this.#effects.push({ kind: 'asked', connection: entry.id, flow })
    return undefined
  }

  #add(flow: Flow, key: string, remote: string): Entry {
    const id = ++this.#lastId
    const connection = new TcpConnection({
      flow,
      firstSequence: this.#o.random32(),
      mtuBytes: this.#o.mtuBytes,
      memory: this.#memory,
      output: {
        packet: (bytes) => this.#effects.push({ kind: 'packet', bytes }),
        event: (event) => this.#effects.push({ kind: 'connection', connection: id, event }),
      },
    })
    const entry: Entry = { id, key, remote, connection, isHalfOpen: false }
    this.#byKey.set(key, entry)
    this.#byId.set(id, entry)
    return entry
  }

  /** From one of our addresses, from a free port of it. */
  connect(
    to: { readonly src: Uint8Array; readonly dst: Uint8Array; readonly dstPort: number },
    now: Ms,
  ): Decoded<ConnectionId> {
    if (this.#byId.size >= MAX_CONNECTIONS) return bad('too-many')
    const first = this.#o.random32() % EPHEMERAL_PORTS
    for (let i = 0; i < EPHEMERAL_PORTS; i++) {
      const srcPort = FIRST_EPHEMERAL_PORT + ((first + i) % EPHEMERAL_PORTS)
      const key = keyOf(to.src, srcPort, to.dst, to.dstPort)
      if (this.#byKey.has(key)) continue
      const entry = this.#add({ ...to, srcPort }, key, '')
      entry.connection.connect(now)
      this.#touched.add(entry)
      return ok(entry.id)
    }
    return bad('no-port')
  }

  accept(id: ConnectionId, now: Ms): void {
    this.#with(id)?.accept(now)
  }

  /** Answers whether there is room for more; when not, `room` says that there is again. */
  write(id: ConnectionId, bytes: Uint8Array): boolean {
    const connection = this.#with(id)
    connection?.write(bytes)
    return connection?.hasRoom ?? true
  }

  end(id: ConnectionId): void {
    this.#with(id)?.end()
  }

  abort(id: ConnectionId): void {
    this.#with(id)?.abort()
  }

  consumed(id: ConnectionId, bytes: number): void {
    this.#with(id)?.consumed(bytes)
  }

  #with(id: ConnectionId): TcpConnection | undefined {
    const entry = this.#byId.get(id)
    if (entry !== undefined) this.#touched.add(entry)
    return entry?.connection
  }

  // UDP and ICMP

  #handleUdp(packet: ParsedPacket): string | undefined {
    const { transport } = packet
    const bytes = (transport[4]! << 8) | transport[5]!
    if (bytes < UDP_HEADER_BYTES || bytes > transport.length) return 'udp-length'
    const segment = transport.subarray(0, bytes)
    const hasChecksum = segment[6] !== 0 || segment[7] !== 0
    if (!hasChecksum && packet.version === 6) return 'udp-checksum'
    if (hasChecksum && transportChecksum(packet.src, packet.dst, ipProtocol.udp, segment) !== 0) return 'udp-checksum'
    if (packet.srcPort === 0 || packet.dstPort === 0) return 'udp-port'
    const flow: Flow = {
      src: packet.dst.slice(),
      dst: packet.src.slice(),
      srcPort: packet.dstPort,
      dstPort: packet.srcPort,
    }
    this.#effects.push({ kind: 'datagram', flow, payload: segment.subarray(UDP_HEADER_BYTES) })
    return undefined
  }

  /** Answers whether it fits a packet; nothing is sent in pieces. */
  sendDatagram(flow: Flow, payload: Uint8Array): boolean {
    const headers = (flow.src.length === 4 ? 20 : 40) + UDP_HEADER_BYTES
    if (payload.length + headers > this.#o.mtuBytes) return false
    this.#effects.push({ kind: 'packet', bytes: encodeUdpPacket(flow, payload) })
    return true
  }

  #handleIcmp(packet: ParsedPacket): string | undefined {
    const echo = packet.icmp
    const isV4 = packet.version === 4
    if (echo === undefined || echo.type !== (isV4 ? 8 : 128) || echo.code !== 0) return 'icmp-other'
    if (!this.#own.some((address) => equalBytes(address, packet.dst))) return 'icmp-elsewhere'
    const sum = isV4
      ? internetChecksum(packet.transport)
      : transportChecksum(packet.src, packet.dst, ipProtocol.icmpv6, packet.transport)
    if (sum !== 0) return 'icmp-checksum'
    const { id, seq } = echo
    const reply = encodeIcmpEcho({ src: packet.dst, dst: packet.src, kind: 'reply', id, seq, payload: packet.payload })
    this.#effects.push({ kind: 'packet', bytes: reply })
    return undefined
  }

  // Time and output

  nextWake(): Ms | undefined {
    return this.#deadlines.next()
  }

  wake(now: Ms): void {
    for (const entry of this.#deadlines.takeDue(now, MAX_WAKES_AT_ONCE)) {
      entry.connection.wake(now)
      this.#touched.add(entry)
    }
  }

  /** Everything that came of what happened since the last time, in order. */
  flush(now: Ms): NetstackEffect[] {
    const touched = this.#touched
    if (touched.size > 0) this.#touched = new Set()
    for (const entry of touched) {
      if (this.#byId.get(entry.id) !== entry) continue
      const { connection } = entry
      connection.flush(now)
      const { phase } = connection
      if (phase === 'closed') {
        this.#remove(entry)
        continue
      }
      if (entry.isHalfOpen && phase !== 'asked' && phase !== 'synReceived') this.#noLongerHalfOpen(entry)
      if (phase === 'timeWait') this.#waitOut(entry)
      this.#deadlines.set(entry, connection.nextWake())
    }
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  /** The oldest of those that only wait make room. */
  #waitOut(entry: Entry): void {
    this.#timeWait.add(entry)
    if (this.#timeWait.size <= MAX_TIME_WAIT) return
    for (const oldest of this.#timeWait) {
      this.#remove(oldest)
      return
    }
  }

  #noLongerHalfOpen(entry: Entry): void {
    entry.isHalfOpen = false
    this.#halfOpen--
    const left = (this.#halfOpenOf.get(entry.remote) ?? 1) - 1
    if (left > 0) this.#halfOpenOf.set(entry.remote, left)
    else this.#halfOpenOf.delete(entry.remote)
  }

  #remove(entry: Entry): void {
    if (entry.isHalfOpen) this.#noLongerHalfOpen(entry)
    this.#timeWait.delete(entry)
    this.#deadlines.set(entry, undefined)
    this.#byId.delete(entry.id)
    if (this.#byKey.get(entry.key) === entry) this.#byKey.delete(entry.key)
  }
}

/** Both ends as one string: quicker than their texts. */
function keyOf(own: Uint8Array, ownPort: number, other: Uint8Array, otherPort: number): string {
  return String.fromCharCode(ownPort, otherPort, ...own, ...other)
}

/** What belongs to nothing. [RFC 9293 §3.10.7.1] */
function refusal(flow: Flow, segment: Segment): Uint8Array {
  if ((segment.flags & tcpFlag.ack) !== 0) {
    return encodeSegment(flow, { seq: segment.ack, ack: 0, flags: tcpFlag.rst, window: 0 })
  }
  const length = segment.payload.length + (segment.flags & tcpFlag.syn ? 1 : 0) + (segment.flags & tcpFlag.fin ? 1 : 0)
  const ack = (segment.seq + length) >>> 0
  return encodeSegment(flow, { seq: 0, ack, flags: tcpFlag.rst | tcpFlag.ack, window: 0 })
}
