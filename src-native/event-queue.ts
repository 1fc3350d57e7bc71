/**
 * What goes up through the door: collected while packets are handled, delivered once per turn and never re-entrantly.
 * Activity is one line per peer and delivery. Drops are counted here too, by reason.
 */
import type { DoorEvent } from './door.ts'
import type { PeerEntry } from './peer-entry.ts'

export class EventQueue {
  readonly #onEvents: (events: DoorEvent[]) => void
  readonly #beforeDelivery: () => void
  readonly #drops = new Map<string, number>()
  #events: DoorEvent[] = []
  #active: PeerEntry[] = []
  #isPlanned = false
  #isDelivering = false
  #closed = false

  /** `beforeDelivery` sends what waits in outgoing batches: packets do not wait for JavaScript's opinion. */
  constructor(onEvents: (events: DoorEvent[]) => void, beforeDelivery: () => void) {
    this.#onEvents = onEvents
    this.#beforeDelivery = beforeDelivery
  }

  push(event: DoorEvent): void {
    this.#events.push(event)
    this.plan()
  }

  /** Call before setting the first flag of a peer's activity. */
  touch(peer: PeerEntry): void {
    if (!peer.hasActivity()) this.#active.push(peer)
  }

  drop(reason: string): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1)
  }

  drops(): { [reason: string]: number } {
    return Object.fromEntries(this.#drops)
  }

  /** Everything of this turn goes out together, right after the code that is running now. */
  plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    queueMicrotask(() => {
      if (this.#isPlanned) this.deliver()
    })
  }

  deliver(): void {
    this.#isPlanned = false
    if (this.#closed) return
    this.#beforeDelivery()
    if (this.#isDelivering) {
      this.plan()
      return
    }
    const events = this.#events
    this.#events = []
    const active = this.#active
    if (active.length > 0) {
      this.#active = []
      for (const peer of active) if (!peer.isRemoved) events.push(peer.takeActivity())
    }
    if (events.length === 0) return
    this.#isDelivering = true
    try {
      this.#onEvents(events)
    } finally {
      this.#isDelivering = false
    }
  }

  /** Sends and tells what waits, then nothing more. */
  close(): void {
    this.deliver()
    this.#closed = true
  }
}
