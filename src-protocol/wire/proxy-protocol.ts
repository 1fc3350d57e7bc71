/**
 * PROXY header: one line or block ahead of a forwarded stream that names its real ends. Versions 1 (text) and 2 (binary).
 * Only written, never read. [haproxy.org: The PROXY protocol, versions 1 & 2, §2.1, §2.2]
 *
 *  v2   0  12 signature · 12  0x21 version 2, PROXY · 13  0x11 TCP4 | 0x21 TCP6 · 14  2 length · addresses, ports
 */
import type { IpText } from '../../src-contract/ids.ts'
import { type Bytes, concat, fromHex } from './bytes.ts'
import { ipBytes } from './ip.ts'

export interface ProxiedEnds {
  readonly source: { readonly address: IpText; readonly port: number }
  readonly destination: { readonly address: IpText; readonly port: number }
}

const SIGNATURE = fromHex('0d0a0d0a000d0a515549540a')

/** Both addresses are of one family. */
export function encodeProxyHeader(version: 1 | 2, { source, destination }: ProxiedEnds): Bytes {
  const isV4 = !source.address.includes(':')
  if (version === 1) {
    const line = `PROXY ${isV4 ? 'TCP4' : 'TCP6'} ${source.address} ${destination.address} ${source.port} ${destination.port}\r\n`
    return Uint8Array.from(line, (character) => character.charCodeAt(0))
  }
  const addresses = concat(ipBytes(source.address), ipBytes(destination.address))
  const ports = Uint8Array.of(source.port >> 8, source.port, destination.port >> 8, destination.port)
  const length = addresses.length + ports.length
  return concat(SIGNATURE, Uint8Array.of(0x21, isV4 ? 0x11 : 0x21, length >> 8, length), addresses, ports)
}
