/**
 * The netstack in the place of the interface: packets for the host come to it, its packets leave as the host's do. Drives
 * the machine and one timer. Who may connect to what is told from outside. [docs/rules/netstack.md; ADR 0008]
 */
import { SlotBatch, slotBytesFor } from '../../../src-native/slots.ts'
import type { HostInterface, TunHandlers } from '../../../src-native/tun.ts'
import { type ConnectionId, Netstack } from '../../../src-protocol/machines/netstack/netstack.ts'
import type { Flow } from '../../../src-protocol/wire/packet.ts'
import { OverlayStream } from './overlay-stream.ts'

export interface NetstackHostOptions {
  readonly mtuBytes: number
  readonly random32: () => number
  readonly now: () => number
}

/** An attempt of another machine to connect; one of the two is called once. */
export interface IncomingCall {
  /** `src` is whom they called, `dst` who they are. */
  readonly flow: Flow
  accept(): OverlayStream
  refuse(): void
  /** It was given up meanwhile. */
  onGone: () => void
}

export class NetstackHost implements HostInterface {
  readonly name = undefined
  readonly offload = 0
  onCall: (call: IncomingCall) => void = (call) => call.refuse()
  onDatagram: (flow: Flow, payload: Uint8Array) => void = () => {}
  readonly #o: NetstackHostOptions
  readonly #stack: Netstack
  readonly #out: SlotBatch
  readonly #streams = new Map<ConnectionId, OverlayStream>()
  readonly #calls = new Map<ConnectionId, IncomingCall>()
  #handlers: TunHandlers | undefined
  #in: Uint8Array[] = []
  #isPumping = false
  #isPlanned = false
  #timer: NodeJS.Timeout | undefined
  #timerAt: number | undefined
  #closed = false

  constructor(options: NetstackHostOptions) {
    this.#o = options
    this.#stack = new Netstack(options)
    this.#out = new SlotBatch(slotBytesFor(options.mtuBytes), 1)
  }

  /** Where its packets go. */
  attach(handlers: TunHandlers): HostInterface {
    this.#handlers = handlers
    return this
  }

  get connectionCount(): number {
    return this.#stack.connectionCount
  }

  setAddresses(addresses: readonly Uint8Array[]): void {
    this.#stack.setAddresses(addresses)
  }

  /** The stream emits `connect`, or ends with an error. Undefined: too many connections. */
  connect(to: {
    readonly src: Uint8Array
    readonly dst: Uint8Array
    readonly dstPort: number
  }): OverlayStream | undefined {
    const opened = this.#stack.connect(to, this.#o.now())
    return opened.ok ? this.#streamOf(opened.value) : undefined
  }

  /** False when it does not fit a packet. */
  sendDatagram(flow: Flow, payload: Uint8Array): boolean {
    const isSent = this.#stack.sendDatagram(flow, payload)
    this.#plan()
    return isSent
  }

  // As the data path's interface

  write(packet: Uint8Array): boolean {
    this.#in.push(packet.slice()) // it is the data path's memory, and ours for longer
    return true
  }

  flush(): void {
    this.#pump()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const stream of this.#streams.values()) stream.destroy()
    this.#streams.clear()
    this.#calls.clear()
  }

  // Turning the machine

  /** Until it is quiet. Called again from within, it is already at it. */
  #pump(): void {
    if (this.#isPumping || this.#closed) return
    this.#isPumping = true
    try {
      while (this.#turn());
    } finally {
      this.#isPumping = false
    }
    this.#arm()
  }

  #turn(): boolean {
    const now = this.#o.now()
    const packets = this.#in
    if (packets.length > 0) this.#in = []
    for (const packet of packets) this.#stack.handlePacket(packet, now)
    const effects = this.#stack.flush(now)
    for (const effect of effects) {
      if (effect.kind === 'packet') this.#send(effect.bytes)
      else if (effect.kind === 'datagram') this.onDatagram(effect.flow, effect.payload)
      else if (effect.kind === 'asked') this.#announce(effect.connection, effect.flow)
      else {
        const { connection, event } = effect
        this.#streams.get(connection)?.handle(event)
        if (event.kind !== 'closed') continue
        this.#streams.delete(connection)
        this.#calls.get(connection)?.onGone()
        this.#calls.delete(connection)
      }
    }
    return effects.length > 0 || this.#in.length > 0
  }

  #send(bytes: Uint8Array): void {
    const batch = this.#out
    batch.count = 0
    const room = batch.add(bytes.length)
    if (room === undefined || this.#handlers === undefined) return
    room.set(bytes)
    this.#handlers.onPacket(batch, 0)
  }

  #announce(id: ConnectionId, flow: Flow): void {
    const call: IncomingCall = {
      flow,
      accept: () => {
        this.#calls.delete(id)
        this.#stack.accept(id, this.#o.now())
        return this.#streamOf(id)
      },
      refuse: () => {
        this.#calls.delete(id)
        this.#stack.abort(id)
        this.#plan()
      },
      onGone: () => {},
    }
    this.#calls.set(id, call)
    this.onCall(call)
  }

  #streamOf(id: ConnectionId): OverlayStream {
    const stack = this.#stack
    const stream = new OverlayStream({
      write: (bytes) => {
        const hasRoom = stack.write(id, bytes)
        this.#plan()
        return hasRoom
      },
      end: () => {
        stack.end(id)
        this.#plan()
      },
      abort: () => {
        stack.abort(id)
        this.#plan()
      },
      consumed: (bytes) => {
        stack.consumed(id, bytes)
        this.#plan()
      },
    })
    this.#streams.set(id, stream)
    this.#plan()
    return stream
  }

  /** Everything of this turn together, right after the code that is running now. */
  #plan(): void {
    if (this.#isPlanned || this.#isPumping) return
    this.#isPlanned = true
    queueMicrotask(() => {
      this.#isPlanned = false
      if (this.#closed) return
      this.#pump()
      this.#handlers?.onBatchEnd()
    })
  }

  #arm(): void {
    const next = this.#stack.nextWake()
    if (next === this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = next
    if (next === undefined) return
    this.#timer = setTimeout(
      () => {
        this.#timerAt = undefined
        this.#stack.wake(this.#o.now())
        this.#pump()
        this.#handlers?.onBatchEnd()
      },
      Math.max(0, Math.ceil(next - this.#o.now())),
    )
    this.#timer.unref()
  }
}
