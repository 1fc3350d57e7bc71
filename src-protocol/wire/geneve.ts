/**
 * The eight bytes in front of a datagram that goes through a peer relay.                    [RFC 8926, fixed header only]
 *
 *   0 version 2 bits = 0 · option length 6 bits = 0
 *   1 0x80 = control (relay handshake), rest 0
 *   2 protocol u16: 0x7A11 disco, 0x7A12 WireGuard
 *   4 VNI u24
 *   7 zero
 */
import { viewOf } from './bytes.ts'

export const GENEVE_BYTES = 8
export const GENEVE_DISCO = 0x7a11
export const GENEVE_WIREGUARD = 0x7a12

export interface Geneve {
  readonly control: boolean
  readonly protocol: typeof GENEVE_DISCO | typeof GENEVE_WIREGUARD
  readonly vni: number
}

export function encodeGeneve({ control, protocol, vni }: Geneve): Uint8Array {
  const header = new Uint8Array(GENEVE_BYTES)
  const view = viewOf(header)
  header[1] = control ? 0x80 : 0
  view.setUint16(2, protocol)
  view.setUint32(4, (vni & 0xffffff) << 8)
  return header
}

/** undefined for everything that is not exactly such a header: the datagram is then something else. */
export function decodeGeneve(datagram: Uint8Array): Geneve | undefined {
  if (datagram.length < GENEVE_BYTES) return undefined
  if ((datagram[0]! & 0xc0) !== 0 || (datagram[1]! & 0x3f) !== 0 || datagram[7] !== 0) return undefined
  const view = viewOf(datagram)
  const protocol = view.getUint16(2)
  if (protocol !== GENEVE_DISCO && protocol !== GENEVE_WIREGUARD) return undefined
  return { control: (datagram[1]! & 0x80) !== 0, protocol, vni: view.getUint32(4) >>> 8 }
}
