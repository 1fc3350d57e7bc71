/**
 * Both data paths by hand, for tests: no sockets, no interface, no clock but the test's. What goes out is kept, what
 * comes in is given, and everything of a turn is delivered right after it, as in the real ones.
 */
import type { IpPort } from '../src-contract/ids.ts'
import { concat } from '../src-protocol/wire/bytes.ts'
import { loadAddon } from './addon.ts'
import { nodeAead } from './aead.ts'
import type { DataPath, DoorEvent } from './door.ts'
import { NativePath } from './native.ts'
import type { AeadName, NativeFunctions } from './native-addon.ts'
import { addressOfSocket, DatagramSource, type SlotBatch, type SocketAddress, socketAddress } from './slots.ts'
import type { TunHandlers } from './tun.ts'
import { openTwin } from './twin.ts'
import type { UdpHandlers, UdpTransport } from './udp.ts'

const MTU_BYTES = 1280
const ADDRESS_BYTES = 28
/** What IPv4 can hold. */
const MAX_DATAGRAM_BYTES = 65_507
const OFFLOAD_HEADER_BYTES = 10

export const clock = { nowMs: 0 }

export interface End {
  readonly path: DataPath
  /** Datagrams that have gone out. */
  readonly sent: { to: IpPort; bytes: Uint8Array }[]
  /** Packets that the host has got. */
  readonly written: Uint8Array[]
  receive(from: IpPort, ...datagrams: Uint8Array[]): void
  /** Packets of the host, in one batch; needs `hasHost`. */
  fromHost(...packets: Uint8Array[]): void
  /**
   * A TCP or UDP super-packet of the host, or (0 bytes a segment) a packet, its checksum left to the device. undefined:
   * this one gets its packets cut and finished.
   */
  readonly fromHostJoined: ((packet: Uint8Array, segmentBytes: number) => void) | undefined
}

export interface EndOptions {
  readonly hasHost?: boolean
  readonly mtuBytes?: number
  /** A plain WireGuard device. */
  readonly isPlain?: boolean
}

export interface EndKind {
  readonly name: string
  open(onEvents: (events: DoorEvent[]) => void, options?: EndOptions): Promise<End>
}

/** The twin, and the native path with each AEAD there is. */
export function endKinds(): EndKind[] {
  const found = loadAddon()
  const natives: AeadName[] = ['openssl', 'openssl-evp', 'ipsec-mb']
  return [
    { name: 'twin', open: openTwinEnd },
    ...natives.map((aead) => ({
      name: `native, ${aead}`,
      open: (onEvents: (events: DoorEvent[]) => void, options?: EndOptions) => {
        if (!found.ok) throw new Error(found.reason)
        return Promise.resolve(openNativeEnd(found.addon.dataPath, aead, onEvents, options ?? {}))
      },
    })),
  ].filter(({ name }) => name === 'twin' || (found.ok && found.addon.dataPath.hasBackend(name.slice(8) as AeadName)))
}

class MemoryUdp implements UdpTransport {
  readonly kind = 'addon'
  readonly ports = { v4: 41641, v6: undefined }
  readonly handlers: UdpHandlers
  readonly sent: { to: IpPort; bytes: Uint8Array }[] = []
  #queue: { to: IpPort; bytes: Uint8Array }[] = []

  constructor(handlers: UdpHandlers) {
    this.handlers = handlers
  }
  reserve(to: SocketAddress, length: number): Uint8Array | undefined {
    if (to.family === 6 || length > MAX_DATAGRAM_BYTES) return undefined
    const bytes = new Uint8Array(length)
    this.#queue.push({ to: to.text, bytes })
    return bytes
  }
  flush(): void {
    this.sent.push(...this.#queue.splice(0))
  }
  truncated(): number {
    return 0
  }
  async close(): Promise<void> {}
}

async function openTwinEnd(
  onEvents: (events: DoorEvent[]) => void,
  { hasHost = false, mtuBytes = MTU_BYTES, isPlain = false }: EndOptions = {},
): Promise<End> {
  const written: Uint8Array[] = []
  let udp: MemoryUdp | undefined
  let tun: TunHandlers | undefined
  const path = await openTwin(
    { tunName: undefined, mtuBytes, udpPort: 0, fwmark: 0, onEvents },
    {
      openUdp: async (_port, handlers) => {
        udp = new MemoryUdp(handlers)
        return udp
      },
      openTun: hasHost
        ? (handlers) => {
            tun = handlers
            return {
              name: 'memory',
              offload: 0,
              write: (packet: Uint8Array) => written.push(packet.slice()) > 0,
              flush() {},
              close() {},
            }
          }
        : undefined,
      nowMs: () => clock.nowMs,
      aead: nodeAead,
      isPlain,
    },
  )
  const { handlers, sent } = udp!
  return {
    path,
    sent,
    written,
    receive(from, ...datagrams) {
      const source = new DatagramSource()
      source.load(socketAddress(from)!.words, 0)
      for (const bytes of datagrams) handlers.onDatagram(bytes, source)
      handlers.onBatchEnd()
    },
    fromHost(...packets) {
      for (const packet of packets) {
        const room = new Uint8Array(packet.length + 64)
        room.set(packet)
        const batch = {
          length: () => packet.length,
          payload: (_slot: number, size?: number) => room.subarray(0, size ?? packet.length),
        } as unknown as SlotBatch
        tun!.onPacket(batch, 0)
      }
      tun!.onBatchEnd()
    },
    fromHostJoined: undefined,
  }
}

function openNativeEnd(
  native: NativeFunctions,
  aead: AeadName,
  onEvents: (events: DoorEvent[]) => void,
  { hasHost = false, mtuBytes = MTU_BYTES, isPlain = false }: EndOptions,
): End {
  const options = { tunName: undefined, mtuBytes, udpPort: 0, fwmark: 0, onEvents, aead, isPlain }
  const inner = new NativePath(native, options, hasHost ? 2 : 1)
  const { handle } = inner
  const sent: End['sent'] = []
  const written: Uint8Array[] = []
  const collect = () => {
    for (const { address, bytes } of readOut(native.takeSent(handle))) {
      sent.push({ to: addressOfSocket(address), bytes })
    }
    for (const { bytes } of readOut(native.takeWritten(handle))) written.push(bytes)
  }
  const deliver = () => {
    native.flush(handle)
    inner.deliver()
    native.flush(handle)
    collect()
  }
  const feedHost = (header: (packet: Uint8Array) => Uint8Array, packets: readonly Uint8Array[]) => {
    native.setClock(handle, clock.nowMs)
    for (const packet of packets) native.feedHost(handle, concat(header(packet), packet))
    deliver()
  }
  let isPlanned = false
  const plan = () => {
    if (isPlanned) return
    isPlanned = true
    queueMicrotask(() => {
      isPlanned = false
      deliver()
    })
  }
  const path = new Proxy<DataPath>(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        native.setClock(handle, clock.nowMs)
        const result: unknown = member.apply(target, args)
        if (name === 'close') collect()
        else plan()
        return result
      }
    },
  })
  return {
    path,
    sent,
    written,
    receive(from, ...datagrams) {
      native.setClock(handle, clock.nowMs)
      const address = new Uint8Array(socketAddress(from)!.words.buffer)
      for (const bytes of datagrams) native.feedNetwork(handle, address, bytes)
      deliver()
    },
    fromHost: (...packets) => feedHost(() => new Uint8Array(OFFLOAD_HEADER_BYTES), packets),
    fromHostJoined: (packet, segmentBytes) => feedHost(() => offloadHeader(packet, segmentBytes), [packet]),
  }
}

/** `addon/offload.h` */
function offloadHeader(packet: Uint8Array, segmentBytes: number): Uint8Array {
  const isV4 = packet[0]! >> 4 === 4
  const isTcp = packet[isV4 ? 9 : 6] === 6
  const header = new Uint8Array(OFFLOAD_HEADER_BYTES)
  const view = new DataView(header.buffer)
  header.set([1, segmentBytes === 0 ? 0 : !isTcp ? 5 : isV4 ? 1 : 4])
  view.setUint16(4, segmentBytes, true)
  view.setUint16(6, isV4 ? (packet[0]! & 15) * 4 : 40, true)
  view.setUint16(8, isTcp ? 16 : 6, true)
  return header
}

/** `addon/datapath/recorder.h`: 28 bytes of address, u32 length, bytes. */
function* readOut(buffer: ArrayBuffer): Generator<{ address: Uint8Array; bytes: Uint8Array }> {
  const view = new DataView(buffer)
  for (let at = 0; at < buffer.byteLength; ) {
    const length = view.getUint32(at + ADDRESS_BYTES, true)
    const start = at + ADDRESS_BYTES + 4
    yield { address: new Uint8Array(buffer, at, ADDRESS_BYTES), bytes: new Uint8Array(buffer, start, length) }
    at = start + length
  }
}
