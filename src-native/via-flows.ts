/**
 * Translated flows: IPv4 five-tuple → the IPv6 addresses it stands for. A fixed number, least recently used out first. While
 * one lives, no other may have its five-tuple: two sites may hold the same IPv4 address. [PKT-5.5, 5.6]
 */
import type { PeerId } from './door.ts'
import { TCP, UDP } from './packet-fields.ts'

export const VIA_FLOW_CAPACITY = 4096

/** How long silence means that a flow still holds its tuple. [RFC 5382 REQ-5, RFC 4787 REQ-5, RFC 5508 REQ-2] */
const TCP_MS = 7_440_000
const TCP_CLOSING_MS = 240_000
const UDP_MS = 300_000
const ECHO_MS = 60_000

const FIN = 0x01
const SYN = 0x02
const RST = 0x04

/** Four big-endian words each. */
export interface ViaEnds {
  readonly peer: PeerId
  readonly source: readonly [number, number, number, number]
  readonly destination: readonly [number, number, number, number]
}

/** Seen from the peer. Echo: its identifier is the source port. */
export interface ViaTuple {
  readonly protocol: number
  readonly source: number
  readonly destination: number
  readonly sourcePort: number
  readonly destinationPort: number
}

interface Flow {
  readonly protocol: number
  ends: ViaEnds
  usedAtMs: number
  isClosing: boolean
}

export class ViaFlows {
  /** In order of use. */
  readonly #flows = new Map<string, Flow>()
  readonly #capacity: number

  constructor(capacity = VIA_FLOW_CAPACITY) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#flows.size
  }

  /** A packet of the peer. False: the tuple belongs to another living flow. */
  remember(tuple: ViaTuple, ends: ViaEnds, tcpFlags: number, nowMs: number): boolean {
    const key = keyOf(tuple)
    let flow = this.#flows.get(key)
    if (flow === undefined) {
      if (this.#flows.size >= this.#capacity) this.#evict()
      flow = { protocol: tuple.protocol, ends, usedAtMs: nowMs, isClosing: false }
    } else if (!sameEnds(flow.ends, ends)) {
      if (isAlive(flow, nowMs)) return false
      flow.ends = ends
      flow.isClosing = false
    }
    this.#touch(key, flow)
    use(flow, tcpFlags, nowMs)
    return true
  }

  /** The ends of the flow that an outbound packet to this peer answers. */
  answer(tuple: ViaTuple, peer: PeerId, tcpFlags: number, nowMs: number): ViaEnds | undefined {
    const key = keyOf(tuple)
    const flow = this.#flows.get(key)
    if (flow === undefined || flow.ends.peer !== peer) return undefined
    this.#touch(key, flow)
    use(flow, tcpFlags, nowMs)
    return flow.ends
  }

  /** The tuple is to be used without translation. False: it belongs to a living flow. */
  giveUp(tuple: ViaTuple, nowMs: number): boolean {
    const key = keyOf(tuple)
    const flow = this.#flows.get(key)
    if (flow === undefined) return true
    if (isAlive(flow, nowMs)) return false
    this.#flows.delete(key)
    return true
  }

  #touch(key: string, flow: Flow): void {
    this.#flows.delete(key)
    this.#flows.set(key, flow)
  }

  #evict(): void {
    for (const key of this.#flows.keys()) {
      this.#flows.delete(key)
      return
    }
  }
}

function keyOf(tuple: ViaTuple): string {
  return `${tuple.protocol} ${tuple.source} ${tuple.destination} ${tuple.sourcePort} ${tuple.destinationPort}`
}

function sameEnds(a: ViaEnds, b: ViaEnds): boolean {
  return (
    a.peer === b.peer &&
    a.source.every((word, i) => word === b.source[i]) &&
    a.destination.every((word, i) => word === b.destination[i])
  )
}

function isAlive(flow: Flow, nowMs: number): boolean {
  return nowMs < flow.usedAtMs + limitOf(flow)
}

function limitOf({ protocol, isClosing }: Flow): number {
  if (protocol === UDP) return UDP_MS
  if (protocol !== TCP) return ECHO_MS
  return isClosing ? TCP_CLOSING_MS : TCP_MS
}

function use(flow: Flow, tcpFlags: number, nowMs: number): void {
  flow.usedAtMs = Math.max(flow.usedAtMs, nowMs)
  if ((tcpFlags & SYN) !== 0) flow.isClosing = false
  if ((tcpFlags & (FIN | RST)) !== 0) flow.isClosing = true
}
