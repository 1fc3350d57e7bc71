/** UDP through the addon: reader threads with recvmmsg, batches out with sendmmsg and segmentation offload. */
import { getSystemErrorName } from 'node:util'
import type { IpPort } from '../src-contract/ids.ts'
import type { Addon, ReaderHandle } from './addon.ts'
import { addressOfSocket, DatagramSource, SlotBatch, type SocketAddress } from './slots.ts'
import { openBothFamilies, type UdpHandlers, type UdpOptions, type UdpPorts, type UdpTransport } from './udp.ts'

const BATCH_SLOTS = 128

export async function openAddonUdp(addon: Addon, options: UdpOptions, handlers: UdpHandlers): Promise<UdpTransport> {
  const opened = await openBothFamilies(options.port, async (family, port) => {
    const { fd, port: bound } = addon.openUdp(family, port, options.mark)
    return { port: bound, socket: fd }
  })
  const v4 = new Socket(addon, opened.v4, options.slotBytes, handlers)
  const v6 = opened.v6 === undefined ? undefined : new Socket(addon, opened.v6, options.slotBytes, handlers)
  return new AddonUdp(v4, v6, opened.ports)
}

class AddonUdp implements UdpTransport {
  readonly kind = 'addon'
  readonly ports: UdpPorts
  readonly #v4: Socket
  readonly #v6: Socket | undefined

  constructor(v4: Socket, v6: Socket | undefined, ports: UdpPorts) {
    this.#v4 = v4
    this.#v6 = v6
    this.ports = ports
  }

  reserve(to: SocketAddress, length: number): Uint8Array | undefined {
    return (to.family === 4 ? this.#v4 : this.#v6)?.reserve(to, length)
  }

  flush(): void {
    this.#v4.flush()
    this.#v6?.flush()
  }

  truncated(): number {
    return this.#v4.truncated() + (this.#v6?.truncated() ?? 0)
  }

  async close(): Promise<void> {
    this.#v4.close()
    this.#v6?.close()
  }
}

class Socket {
  readonly #addon: Addon
  readonly #fd: number
  readonly #handlers: UdpHandlers
  readonly #out: SlotBatch
  readonly #in: readonly SlotBatch[]
  readonly #reader: ReaderHandle
  readonly #source = new DatagramSource()
  #offload: 0 | 1 = 1
  #closed = false

  constructor(addon: Addon, fd: number, slotBytes: number, handlers: UdpHandlers) {
    this.#addon = addon
    this.#fd = fd
    this.#handlers = handlers
    this.#out = new SlotBatch(slotBytes, BATCH_SLOTS)
    const { handle, buffers } = addon.startReader(fd, 'udp', slotBytes, BATCH_SLOTS, (batch, count) =>
      this.#receive(batch, count),
    )
    this.#reader = handle
    this.#in = buffers.map((buffer) => new SlotBatch(slotBytes, buffer))
  }

  #receive(index: number, count: number): void {
    const batch = this.#in[index]!
    for (let slot = 0; slot < count && !this.#closed; slot++) {
      this.#source.load(batch.words, ((slot * batch.slotBytes) >> 2) + 1)
      this.#handlers.onDatagram(batch.payload(slot), this.#source)
    }
    this.#handlers.onBatchEnd()
  }

  reserve(to: SocketAddress, length: number): Uint8Array | undefined {
    if (this.#closed) return undefined
    if (this.#out.isFull()) this.flush()
    return this.#out.add(length, to)
  }

  flush(): void {
    const batch = this.#out
    if (batch.count === 0 || this.#closed) return
    const failures = this.#addon.sendUdp(this.#fd, batch.buffer, batch.slotBytes, batch.count, this.#offload)
    const targets = failures === undefined ? [] : this.#failed(failures)
    batch.count = 0
    for (const { to, code } of targets) this.#handlers.onSendFailed(to, code)
  }

  #failed(failures: readonly number[]): { to: IpPort; code: string }[] {
    const list: { to: IpPort; code: string }[] = []
    for (let i = 0; i < failures.length; i += 2) {
      const slot = failures[i]!
      if (slot < 0) this.#offload = 0
      else
        list.push({
          to: addressOfSocket(this.#out.bytes.subarray(slot * this.#out.slotBytes + 4)),
          code: getSystemErrorName(-failures[i + 1]!),
        })
    }
    return list
  }

  truncated(): number {
    return this.#closed ? 0 : this.#addon.readerTruncated(this.#reader)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#addon.stopReader(this.#reader)
    this.#addon.closeFd(this.#fd)
  }
}
