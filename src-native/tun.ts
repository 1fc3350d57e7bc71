/** The TUN device through the addon: batches in from a reader thread, batches out. Linux. */
import { writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import type { Addon, ReaderHandle } from './addon.ts'
import { SlotBatch } from './slots.ts'

const BATCH_SLOTS = 128
const STATE_CHECK_MS = 1000

export interface TunHandlers {
  /** `slot.payload(index)` holds the packet, with room behind it for padding; lent for the duration of the call. */
  readonly onPacket: (batch: SlotBatch, slot: number) => void
  readonly onBatchEnd: () => void
  /** The interface was taken down, came up again, or is gone for good (`down`, and nothing after it). */
  readonly onState: (state: 'up' | 'down') => void
}

export class Tun {
  readonly name: string
  readonly #addon: Addon
  readonly #fd: number
  /** Super-packets both ways: one system call for a whole run of a TCP flow. */
  readonly #offload: boolean
  readonly #handlers: TunHandlers
  readonly #out: SlotBatch
  readonly #in: readonly SlotBatch[]
  readonly #reader: ReaderHandle
  readonly #stateTimer: NodeJS.Timeout
  #up = true
  #gone = false
  #closed = false

  constructor(addon: Addon, name: string, mtuBytes: number, slotBytes: number, handlers: TunHandlers) {
    const { fd, name: given, offload } = openTun(addon, name, mtuBytes)
    try {
      noLinkLocal(given)
      addon.bringUp(given)
    } catch (error) {
      addon.closeFd(fd)
      throw error
    }
    this.name = given
    this.#addon = addon
    this.#fd = fd
    this.#offload = offload
    this.#handlers = handlers
    this.#out = new SlotBatch(slotBytes, BATCH_SLOTS)
    const { handle, buffers } = addon.startReader(
      fd,
      offload ? 'tun-offload' : 'tun',
      slotBytes,
      BATCH_SLOTS,
      (batch, count) => this.#receive(batch, count),
    )
    this.#reader = handle
    this.#in = buffers.map((buffer) => new SlotBatch(slotBytes, buffer))
    this.#stateTimer = setInterval(() => this.#checkState(), STATE_CHECK_MS)
    this.#stateTimer.unref()
  }

  #receive(index: number, count: number): void {
    if (this.#closed) return
    if (count < 0) {
      this.#gone = true
      this.#setUp(false)
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
    const error = this.#addon.writeTun(this.#fd, batch.buffer, batch.slotBytes, batch.count, this.#offload ? 1 : 0)
    batch.count = 0
    if (error === constants.errno.EIO || error === constants.errno.EBADF) this.#setUp(false)
  }

  #checkState(): void {
    if (!this.#gone) this.#setUp(this.#addon.tunIsUp(this.#fd))
  }

  #setUp(up: boolean): void {
    if (up === this.#up) return
    this.#up = up
    this.#handlers.onState(up ? 'up' : 'down')
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#stateTimer)
    this.#addon.stopReader(this.#reader)
    this.#addon.closeFd(this.#fd)
  }
}

/** A link-local address would only make the kernel send router solicitations into the tunnel. */
function noLinkLocal(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/addr_gen_mode`, '1')
  } catch (error) {
    // No IPv6 in this kernel, or /proc is read-only in this container: the solicitations are then dropped by the filter.
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOENT' && code !== 'EROFS' && code !== 'EACCES' && code !== 'EPERM') throw error
  }
}

/** With offloads where the kernel has them; `PINTAIL_TUN_PLAIN=1` goes without, to tell a driver's fault from ours. */
function openTun(addon: Addon, name: string, mtuBytes: number): ReturnType<Addon['openTun']> {
  if (process.env.PINTAIL_TUN_PLAIN === '1') return addon.openTun(name, mtuBytes, 'tun-plain')
  try {
    return addon.openTun(name, mtuBytes, 'tun')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error
    return addon.openTun(name, mtuBytes, 'tun-plain')
  }
}
