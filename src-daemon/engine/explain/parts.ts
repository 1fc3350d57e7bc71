/**
 * A network cut where the answer may change: between the ends of all networks that lie in it, every address has the same
 * answer. Pure.
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import { ipBytes, ipText, type Prefix, prefixText } from '../../../src-protocol/wire/ip.ts'

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

/** As few networks as possible, the first of them in words. */
export function networksOfParts(
  parts: readonly Part[],
  widthBits: number,
  limit: number,
): { readonly networks: PrefixText[]; readonly more: number } {
  const networks: PrefixText[] = []
  let more = 0
  for (const { first, last } of parts) {
    for (let start = first; start <= last; ) {
      let hostBits = 0
      while (hostBits < widthBits && isWithin(start, hostBits + 1, last)) hostBits++
      if (networks.length < limit)
        networks.push(prefixText({ ip: bytesOf(start, widthBits), bits: widthBits - hostBits }))
      else more++
      start += 1n << BigInt(hostBits)
    }
  }
  return { networks, more }
}

function isWithin(start: bigint, hostBits: number, last: bigint): boolean {
  const size = 1n << BigInt(hostBits)
  return start % size === 0n && start + size - 1n <= last
}

export function addressOf(number: bigint, widthBits: number): IpText {
  return ipText(bytesOf(number, widthBits))
}

export function numberOfAddress(address: IpText): bigint {
  return numberOf(ipBytes(address))
}

/** One that stands for all; not one of these if there is another. */
export function sampleOf({ first, last }: Part, except: ReadonlySet<bigint>): bigint {
  let sample = first
  while (except.has(sample) && sample < last) sample++
  return except.has(sample) ? first : sample
}

export function sizeOf({ first, last }: Part): bigint {
  return last - first + 1n
}

function endsOf({ ip, bits }: Prefix): Part {
  const hostBits = BigInt(ip.length * 8 - bits)
  const first = (numberOf(ip) >> hostBits) << hostBits
  return { first, last: first + (1n << hostBits) - 1n }
}

function numberOf(ip: Uint8Array): bigint {
  return ip.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
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
