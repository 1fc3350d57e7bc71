/** The PeerAPI's ports: the same after every start, without anybody remembering them. Pure. [features.md §1] */
import { crc32 } from 'node:zlib'
import type { IpText } from '../../../src-contract/ids.ts'
import { ipBytes } from '../../../src-protocol/wire/ip.ts'

const TRIES = 5

/** In the order in which they are tried; the last is any. */
export function peerApiPorts(address: IpText): number[] {
  const end = Uint8Array.from(ipBytes(address).slice(-3))
  const ports: number[] = []
  for (let i = 0; i < TRIES; i++) {
    ports.push(0x8000 | (crc32(end) & 0xffff))
    end[0] = (end[0] ?? 0) + 1
  }
  return [...ports, 0]
}
