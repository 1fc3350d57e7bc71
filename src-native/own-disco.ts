/** Disco packets of our own inside the tunnel: a path that leads through itself. Dropped, or it would be found to work. [PKT-2] */
import { type PacketFields, UDP } from './packet-fields.ts'

const MAGIC = [0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac]
const KEY_BYTES = 32
const UDP_BYTES = 8

export class OwnDisco {
  #head: Uint8Array | undefined

  /** undefined: no key, nothing is ours. */
  set(key: Uint8Array | undefined): void {
    if (key !== undefined && key.length !== KEY_BYTES) throw new RangeError('a disco key has 32 bytes')
    this.#head = key && Uint8Array.from([...MAGIC, ...key])
  }

  isIn(packet: Uint8Array, p: PacketFields): boolean {
    const head = this.#head
    if (head === undefined || p.protocol !== UDP) return false
    const at = p.transportAt + UDP_BYTES
    if (p.totalBytes < at + head.length) return false
    for (let i = 0; i < head.length; i++) if (packet[at + i] !== head[i]) return false
    return true
  }
}
