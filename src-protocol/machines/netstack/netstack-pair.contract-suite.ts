/** Two netstacks and a pipe between them that loses, repeats, delays and damages packets by a seeded chance; time jumps. */

import { type ConnectionId, Netstack, type NetstackEffect } from './netstack.ts'
import type { ConnectionEvent } from './tcp-connection.ts'

export const A = Uint8Array.of(100, 64, 0, 1)
export const B = Uint8Array.of(100, 64, 0, 2)
export const A6 = Uint8Array.from([0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
export const B6 = Uint8Array.from([0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2])

export interface PipeOptions {
  readonly seed: number
  /** Chances, 0 … 1. */
  readonly loss?: number
  readonly duplication?: number
  readonly damage?: number
  readonly delayMs?: number
  readonly jitterMs?: number
}

export function randomFrom(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 2 ** 32
  }
}

export class Side {
  readonly stack: Netstack
  readonly events = new Map<ConnectionId, ConnectionEvent[]>()
  readonly received = new Map<ConnectionId, Uint8Array[]>()
  readonly asked: ConnectionId[] = []
  readonly datagrams: Uint8Array[] = []
  acceptsAll = true
  /** A reader that takes nothing. */
  isStuck = false
  onEvent: (connection: ConnectionId, event: ConnectionEvent) => void = () => {}

  constructor(random: () => number) {
    this.stack = new Netstack({ mtuBytes: 1280, random32: () => Math.floor(random() * 2 ** 32) })
  }

  bytesOf(connection: ConnectionId): Buffer {
    return Buffer.concat(this.received.get(connection) ?? [])
  }

  kindsOf(connection: ConnectionId): string[] {
    return (this.events.get(connection) ?? []).map((event) =>
      event.kind === 'closed' ? `closed ${event.reason}` : event.kind,
    )
  }

  take(effect: NetstackEffect, now: number): void {
    if (effect.kind === 'asked') {
      this.asked.push(effect.connection)
      if (this.acceptsAll) this.stack.accept(effect.connection, now)
    } else if (effect.kind === 'datagram') this.datagrams.push(effect.payload)
    else if (effect.kind === 'connection') {
      const { connection, event } = effect
      if (event.kind === 'data') {
        const list = this.received.get(connection) ?? []
        list.push(event.bytes)
        this.received.set(connection, list)
        if (!this.isStuck) this.stack.consumed(connection, event.bytes.length)
      } else this.events.set(connection, [...(this.events.get(connection) ?? []), event])
      this.onEvent(connection, event)
    }
  }
}

export class Pair {
  now = 0
  readonly a: Side
  readonly b: Side
  sent = 0
  bytesSent = 0
  readonly #random: () => number
  readonly #options: PipeOptions
  #flying: { at: number; to: Side; bytes: Uint8Array }[] = []

  constructor(options: PipeOptions) {
    this.#options = options
    this.#random = randomFrom(options.seed)
    this.a = new Side(this.#random)
    this.b = new Side(this.#random)
  }

  /** Goes on until nothing happens any more, or the time is over. */
  run(untilMs: number, isDone: () => boolean = () => false): void {
    for (;;) {
      this.settle()
      if (isDone()) return
      const next = Math.min(
        this.#flying.reduce((least, { at }) => Math.min(least, at), Number.POSITIVE_INFINITY),
        this.a.stack.nextWake() ?? Number.POSITIVE_INFINITY,
        this.b.stack.nextWake() ?? Number.POSITIVE_INFINITY,
      )
      if (next > untilMs) {
        this.now = Math.max(this.now, Math.min(untilMs, next))
        return
      }
      this.now = Math.max(this.now, next)
      this.a.stack.wake(this.now)
      this.b.stack.wake(this.now)
      const due = this.#flying.filter(({ at }) => at <= this.now).sort((x, y) => x.at - y.at)
      this.#flying = this.#flying.filter(({ at }) => at > this.now)
      for (const { to, bytes } of due) to.stack.handlePacket(bytes, this.now)
    }
  }

  settle(): void {
    for (let isQuiet = false; !isQuiet; ) {
      isQuiet = true
      for (const [from, to] of [
        [this.a, this.b],
        [this.b, this.a],
      ] as const) {
        for (const effect of from.stack.flush(this.now)) {
          isQuiet = false
          if (effect.kind === 'packet') this.#carry(effect.bytes, to)
          else from.take(effect, this.now)
        }
      }
    }
  }

  #carry(bytes: Uint8Array, to: Side): void {
    const { loss = 0, duplication = 0, damage = 0, delayMs = 5, jitterMs = 0 } = this.#options
    this.sent++
    this.bytesSent += bytes.length
    if (bytes.length > 1280) throw new Error(`a packet of ${bytes.length} bytes`)
    if (this.#random() < loss) return
    const copies = this.#random() < duplication ? 2 : 1
    for (let i = 0; i < copies; i++) {
      const copy = bytes.slice()
      if (this.#random() < damage)
        copy[Math.floor(this.#random() * copy.length)]! ^= 1 << Math.floor(this.#random() * 8)
      this.#flying.push({ at: this.now + delayMs + this.#random() * jitterMs, to, bytes: copy })
    }
  }
}
