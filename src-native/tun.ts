/** The TUN device through the addon: batches in from a reader thread, batches out. Linux. */
import { constants } from 'node:os'
import type { Addon, ReaderHandle, TunOffload } from './addon.ts'
import { SlotBatch } from './slots.ts'
import { openTunDevice, TunState } from './tun-device.ts'

const BATCH_SLOTS = 128

export interface TunHandlers {
  /** `slot.payload(index)` holds the packet, with room behind it for padding; lent for the duration of the call. */
  readonly onPacket: (batch: SlotBatch, slot: number) => void
  readonly onBatchEnd: () => void
  /** The interface was taken down, came up again, or is gone for good (`down`, and nothing after it). */
  readonly onState: (state: 'up' | 'down') => void
}

/** What the data path needs of an interface, or of who stands in its place; only an interface has a name. */
export type HostInterface = Pick<Tun, 'offload' | 'write' | 'flush' | 'close'> & { readonly name: string | undefined }

export class Tun {
  readonly name: string
  readonly #addon: Addon
  readonly #fd: number
  /** Super-packets both ways: one system call for a whole run of a TCP flow. */
  readonly offload: TunOffload
  readonly #handlers: TunHandlers
  readonly #out: SlotBatch
  readonly #in: readonly SlotBatch[]
  readonly #reader: ReaderHandle
  readonly #state: TunState
  #closed = false

  constructor(addon: Addon, name: string, mtuBytes: number, slotBytes: number, handlers: TunHandlers) {
    const { fd, name: given, offload } = openTunDevice(addon, name, mtuBytes)
    this.name = given
    this.#addon = addon
    this.#fd = fd
    this.offload = offload
    this.#handlers = handlers
    this.#out = new SlotBatch(slotBytes, BATCH_SLOTS)
    const { handle, buffers } = addon.startReader(
      fd,
      offload > 0 ? 'tun-offload' : 'tun',
      slotBytes,
      BATCH_SLOTS,
      (batch, count) => this.#receive(batch, count),
    )
    this.#reader = handle
    this.#in = buffers.map((buffer) => new SlotBatch(slotBytes, buffer))
    this.#state = new TunState(addon, fd, handlers.onState)
  }

  #receive(index: number, count: number): void {
    if (this.#closed) return
    if (count < 0) {
      this.#state.gone()
      return
    }
    const batch = this.#in[index]!
    for (let slot = 0; slot < count; slot++) this.#handlers.onPacket(batch, slot)
    this.#handlers.onBatchEnd()
  }

  /** Queues a packet for the host; false when it does not fit. */
  write(packet: Uint8Array): boolean {
    if (this.#out.isFull()) this.flush()
    const room = this.#out.add(packet.length)
    room?.set(packet)
    return room !== undefined
  }

  flush(): void {
    const batch = this.#out
    if (batch.count === 0 || this.#closed) return
    const error = this.#addon.writeTun(this.#fd, batch.buffer, batch.slotBytes, batch.count, this.offload)
    batch.count = 0
    if (error === constants.errno.EIO || error === constants.errno.EBADF) this.#state.check()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#state.close()
    this.#addon.stopReader(this.#reader)
    this.#addon.closeFd(this.#fd)
  }
}
