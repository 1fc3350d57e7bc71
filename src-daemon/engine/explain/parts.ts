/**
 * A network cut where the answer may change: between the ends of all networks that lie in it, every address has the same
 * answer. Pure.
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import { ipText, type Prefix, prefixText } from '../../../src-protocol/wire/ip.ts'

/** Both ends included. */
export interface Part {
  readonly first: bigint
  readonly last: bigint
}

export function cutNetwork(whole: Prefix, networks: Iterable<Prefix>): Part[] {
  const { first, last } = endsOf(whole)
  const starts = new Set([first])
  for (const network of networks) {
    if (network.ip.length !== whole.ip.length || network.bits <= whole.bits) continue
    const ends = endsOf(network)
    if (ends.first >= first && ends.first <= last) starts.add(ends.first)
    if (ends.last >= first && ends.last < last) starts.add(ends.last + 1n)
  }
  const sorted = [...starts].sort((a, b) => (a < b ? -1 : 1))
  return sorted.map((start, i) => ({ first: start, last: (sorted[i + 1] ?? last + 1n) - 1n }))
}

/** Neighbours become one. In order. */
export function joinParts(parts: readonly Part[]): Part[] {
  const joined: Part[] = []
  for (const part of parts) {
    const before = joined.at(-1)
    if (before !== undefined && before.last + 1n === part.first)
      joined[joined.length - 1] = { ...part, first: before.first }
    else joined.push(part)
  }
  return joined
}

/** As few networks as possible. */
export function networksOfPart({ first, last }: Part, widthBits: number): PrefixText[] {
  const networks: PrefixText[] = []
  for (let start = first; start <= last; ) {
    let hostBits = 0
    while (
      hostBits < widthBits &&
      (start >> BigInt(hostBits)) % 2n === 0n &&
      start + (2n << BigInt(hostBits)) - 1n <= last
    )
      hostBits++
    networks.push(prefixText({ ip: bytesOf(start, widthBits), bits: widthBits - hostBits }))
    start += 1n << BigInt(hostBits)
  }
  return networks
}

export function addressOf(number: bigint, widthBits: number): IpText {
  return ipText(bytesOf(number, widthBits))
}

export function sizeOf({ first, last }: Part): bigint {
  return last - first + 1n
}

function endsOf({ ip, bits }: Prefix): Part {
  const hostBits = BigInt(ip.length * 8 - bits)
  const number = ip.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  const first = (number >> hostBits) << hostBits
  return { first, last: first + (1n << hostBits) - 1n }
}

function bytesOf(number: bigint, widthBits: number): Uint8Array {
  const ip = new Uint8Array(widthBits / 8)
  let rest = number
  for (let i = ip.length - 1; i >= 0; i--) {
    ip[i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return ip
}
