/**
 * Packets in a batch buffer, as the addon reads and writes them (`addon/slot.h`).
 *
 *   0  4  payload length
 *   4 28  struct sockaddr_in / sockaddr_in6 exactly as Linux has it (unused for TUN):
 *         u16 family (host order) · u16 port (network order) · v4: address 4 · v6: flow 4, address 16, scope 4
 *  32  …  payload
 *
 * Written for little-endian hosts, which all supported ones are; `addon.ts` is Linux only.
 */
import type { IpPort } from '../src-contract/ids.ts'
import { ipPort, parseIpPort } from '../src-protocol/wire/ip.ts'

export const SLOT_HEADER_BYTES = 32
const ADDRESS_WORDS = 7
const AF_INET = 2
const AF_INET6 = 10

/** Slots that hold one packet of this size with room for WireGuard's header, tag and padding. */
export function slotBytesFor(mtuBytes: number): number {
  const needed = SLOT_HEADER_BYTES + mtuBytes + 128
  return Math.max(2048, Math.ceil(needed / 64) * 64)
}

/** Where a datagram goes: parsed once, copied into each slot. */
export interface SocketAddress {
  readonly family: 4 | 6
  readonly text: IpPort
  /** `struct sockaddr` as seven words. */
  readonly words: Uint32Array
}

export function socketAddress(text: IpPort): SocketAddress | undefined {
  const parsed = parseIpPort(text)
  if (!parsed.ok) return undefined
  const { ip, port } = parsed.value
  const bytes = new Uint8Array(ADDRESS_WORDS * 4)
  const family = ip.length === 4 ? 4 : 6
  bytes[0] = family === 4 ? AF_INET : AF_INET6
  bytes[2] = port >> 8
  bytes[3] = port & 0xff
  bytes.set(ip, family === 4 ? 4 : 8)
  return { family, text, words: new Uint32Array(bytes.buffer) }
}

/** Where a datagram came from; one reused object per reader, so copy what you keep. */
export class DatagramSource {
  readonly words = new Uint32Array(ADDRESS_WORDS)
  readonly #bytes = new Uint8Array(this.words.buffer)

  load(words: Uint32Array, at: number): void {
    const own = this.words
    own[0] = words[at]!
    own[1] = words[at + 1]!
    if ((own[0]! & 0xffff) === AF_INET) return
    own[2] = words[at + 2]!
    own[3] = words[at + 3]!
    own[4] = words[at + 4]!
    own[5] = words[at + 5]!
  }

  /** Compares address and port with what {@link copyTo} left. */
  same(other: Uint32Array): boolean {
    const own = this.words
    if (own[0] !== other[0]) return false
    if ((own[0]! & 0xffff) === AF_INET) return own[1] === other[1]
    return own[2] === other[2] && own[3] === other[3] && own[4] === other[4] && own[5] === other[5]
  }

  copyTo(target: Uint32Array): void {
    target.set(this.words)
  }

  text(): IpPort {
    return addressOfSocket(this.#bytes)
  }
}

/** Text of a `struct sockaddr` of 28 bytes. */
export function addressOfSocket(bytes: Uint8Array): IpPort {
  const port = (bytes[2]! << 8) | bytes[3]!
  return bytes[0] === AF_INET ? ipPort(bytes.slice(4, 8), port) : ipPort(bytes.slice(8, 24), port)
}

/** A batch being filled by us, or one lent by a reader. */
export class SlotBatch {
  readonly buffer: ArrayBuffer
  readonly bytes: Uint8Array
  readonly words: Uint32Array
  readonly slotBytes: number
  readonly capacity: number
  count = 0

  constructor(slotBytes: number, source: number | ArrayBuffer) {
    this.buffer = typeof source === 'number' ? new ArrayBuffer(slotBytes * source) : source
    this.bytes = new Uint8Array(this.buffer)
    this.words = new Uint32Array(this.buffer)
    this.slotBytes = slotBytes
    this.capacity = Math.floor(this.buffer.byteLength / slotBytes)
  }

  /** The payload of a slot; `room` ≥ its length shows the bytes behind it too (padding in place). */
  payload(slot: number, room?: number): Uint8Array {
    const start = slot * this.slotBytes + SLOT_HEADER_BYTES
    return this.bytes.subarray(start, start + (room ?? this.length(slot)))
  }

  length(slot: number): number {
    return this.words[(slot * this.slotBytes) >> 2]!
  }

  /** Takes the next slot; undefined when the packet does not fit one. The caller sees to it that the batch is not full. */
  add(length: number, to?: SocketAddress): Uint8Array | undefined {
    if (length > this.slotBytes - SLOT_HEADER_BYTES) return undefined
    const slot = this.count++
    const at = (slot * this.slotBytes) >> 2
    this.words[at] = length
    if (to !== undefined) this.words.set(to.words, at + 1)
    return this.payload(slot, length)
  }

  isFull(): boolean {
    return this.count === this.capacity
  }
}
