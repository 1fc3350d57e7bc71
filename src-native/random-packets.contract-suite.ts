/** Random packets and tables for differential tests: from a seed, few addresses and ports, so that they meet. */
import { parseIp } from '../src-protocol/wire/ip.ts'
import type { CompiledRule, FilterTable } from './door.ts'

/** xorshift32: the same everywhere, for a seed that can be told. */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0 || 1
  }
  u32(): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return x >>> 0
  }
  below(limit: number): number {
    return this.u32() % limit
  }
  chance(percent: number): boolean {
    return this.below(100) < percent
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }
  some<T>(items: readonly T[], most: number): T[] {
    return Array.from({ length: this.below(most + 1) }, () => this.pick(items))
  }
}

export const OWN_V4 = '100.64.0.1'
export const OWN_V6 = 'fd7a:115c:a1e0::1'
export const PEERS_V4 = ['100.64.0.2', '100.64.0.3', '100.64.7.4']
export const PEERS_V6 = ['fd7a:115c:a1e0::2', 'fd7a:115c:a1e0::3', 'fd7a:115c:a1e0:7::4']
/** By which a peer may know us. */
export const SEEN_V4 = '100.64.9.9'
export const SEEN_V6 = 'fd7a:115c:a1e0::9999'
/** 10.1.2.3 at two sites, and a target that nobody may reach so. */
const VIA = ['fd7a:115c:a1e0:b1a:0:7:a01:203', 'fd7a:115c:a1e0:b1a:0:8:a01:203', 'fd7a:115c:a1e0:b1a:0:7:7f00:1']
export const VIA_PREFIXES = [
  'fd7a:115c:a1e0:b1a:0:7::/96',
  'fd7a:115c:a1e0:b1a:0:8:a01:200/120',
  'fd7a:115c:a1e0:b1a::/64',
]
const DISCO_MAGIC = [0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac]
export const OWN_DISCO = new Uint8Array(32).fill(0x5d)
const OTHERS_V4 = [
  '10.1.2.3',
  '10.1.9.9',
  '192.168.1.7',
  '169.254.169.254',
  '169.254.3.4',
  '224.0.0.1',
  '8.8.8.8',
  '0.0.0.0',
  '100.100.100.100',
  SEEN_V4,
]
const OTHERS_V6 = [
  'fd00:1::5',
  '2001:db8::1',
  'fe80::1',
  'ff02::1',
  '::',
  '2001:db8:1::9',
  'fd7a:115c:a1e0::53',
  SEEN_V6,
  ...VIA,
]
const PREFIXES_V4 = [
  '0.0.0.0/0',
  '100.64.0.0/10',
  '100.64.0.0/24',
  '100.64.0.2/32',
  '100.64.7.4/32',
  '10.0.0.0/8',
  '10.1.0.0/16',
  '10.1.2.3/32',
  '100.64.0.1/32',
]
const PREFIXES_V6 = [
  '::/0',
  'fd7a:115c:a1e0::/48',
  'fd7a:115c:a1e0::2/128',
  'fd7a:115c:a1e0:7::/64',
  'fd00:1::/32',
  'fd7a:115c:a1e0::1/128',
  '2001:db8::/32',
]
const PROTOCOLS = [6, 6, 6, 17, 17, 17, 1, 58, 2, 132, 99, 255, 0, 44, 43, 50, 47]

export function randomRules(dice: Dice): CompiledRule[] {
  return Array.from({ length: dice.below(14) }, () => {
    const pool = dice.chance(60) ? PREFIXES_V4 : PREFIXES_V6
    return {
      sources: dice.some(pool, 3),
      capabilitySources: dice.chance(25) ? dice.some(pool, 2) : [],
      destinations: Array.from({ length: dice.below(4) }, () => {
        const [a, b] = [randomPort(dice), randomPort(dice)]
        const all = dice.chance(30)
        return {
          prefix: dice.pick(pool),
          firstPort: all ? 0 : Math.min(a, b),
          lastPort: all ? 65_535 : Math.max(a, b),
        }
      }),
      protocols: dice.chance(50) ? [6, 17, 1, 58] : dice.some(PROTOCOLS, 4),
    }
  })
}

export function randomTable(dice: Dice): FilterTable {
  return {
    rules: randomRules(dice),
    localNets: [`${OWN_V4}/32`, `${OWN_V6}/128`, ...dice.some([...PREFIXES_V4, ...PREFIXES_V6, ...VIA_PREFIXES], 4)],
    shieldsUp: dice.chance(15),
    peerApi: dice.chance(30) ? [{ address: dice.pick([OWN_V4, OWN_V6]), port: randomPort(dice) }] : [],
  }
}

export function randomPrefixes(dice: Dice): string[] {
  return dice.some([...PREFIXES_V4, ...PREFIXES_V6], 4)
}

function randomPort(dice: Dice): number {
  return dice.chance(80) ? dice.pick([0, 1, 22, 53, 80, 443, 5000, 65_534, 65_535]) : dice.below(65_536)
}

function randomAddress(dice: Dice, v6: boolean, peer: number | undefined): Uint8Array {
  const own = v6 ? OWN_V6 : OWN_V4
  const peers = v6 ? PEERS_V6 : PEERS_V4
  const likely = peer === undefined ? own : peers[peer]!
  const text = dice.chance(75) ? likely : dice.pick([own, ...peers, ...(v6 ? OTHERS_V6 : OTHERS_V4)])
  return bytesOf(text)
}

/** A packet from `from` to `to` (index of a peer, undefined = us), more or less. Never empty. */
export function randomPacket(dice: Dice, from: number | undefined, to: number | undefined): Uint8Array {
  const v6 = dice.chance(35)
  const [source, destination] = [randomAddress(dice, v6, from), randomAddress(dice, v6, to)]
  const protocol = dice.chance(90) ? dice.pick(PROTOCOLS) : dice.below(256)
  const packet = v6 ? v6Packet(dice, protocol, source, destination) : v4Packet(dice, protocol, source, destination)
  if (dice.chance(8)) packet[dice.below(packet.length)] = dice.below(256)
  return dice.chance(4) ? packet.slice(0, 1 + dice.below(packet.length)) : packet
}

/** Between a peer and 10.1.2.3 at some site, or by plain IPv4; few ports, so that flows meet. */
export function randomViaPacket(dice: Dice, peer: number, way: 'in' | 'out'): Uint8Array {
  const v6 = way === 'in' && dice.chance(80)
  const protocol = dice.pick(v6 ? [6, 17, 58] : [6, 17, 1])
  const far = bytesOf(v6 ? PEERS_V6[peer]! : PEERS_V4[peer]!)
  const near = bytesOf(v6 ? dice.pick(VIA) : '10.1.2.3')
  const packet = (v6 ? v6Packet : v4Packet)(dice, protocol, way === 'in' ? far : near, way === 'in' ? near : far)
  const at = v6 ? 40 : (packet[0]! & 15) * 4
  const ports = protocol === 6 || protocol === 17
  const client = dice.pick([22, 53])
  const words = !ports ? [[0, 8, 128, 129][dice.below(4)]! << 8] : way === 'in' ? [client, 80] : [80, client]
  for (const [i, word] of words.entries())
    if (at + i * 2 + 2 <= packet.length) packet.set([word >> 8, word & 0xff], at + i * 2)
  return packet
}

function bytesOf(text: string): Uint8Array {
  const parsed = parseIp(text)
  if (!parsed.ok) throw new Error(text)
  return parsed.value
}

function v4Packet(dice: Dice, protocol: number, source: Uint8Array, destination: Uint8Array): Uint8Array {
  const words = dice.chance(85) ? 5 : 5 + dice.below(11)
  const transport = randomTransport(dice, protocol)
  const packet = new Uint8Array(words * 4 + transport.length)
  const total = dice.chance(96) ? packet.length : dice.below(packet.length + 8)
  const fragment = dice.chance(80) ? 0 : dice.pick([1, 9, 10, 11, 100]) | (dice.chance(50) ? 0x2000 : 0)
  const more = fragment === 0 && dice.chance(8) ? 0x2000 : 0
  packet.set([0x40 | words, 0, total >> 8, total & 0xff, 0, 0, (fragment | more) >> 8, fragment & 0xff, 64, protocol])
  packet.set(source, 12)
  packet.set(destination, 16)
  packet.set(transport, words * 4)
  return packet
}

function v6Packet(dice: Dice, protocol: number, source: Uint8Array, destination: Uint8Array): Uint8Array {
  const isFragment = dice.chance(15)
  const transport = randomTransport(dice, protocol)
  const extension = isFragment ? [protocol, 0, ...fragmentField(dice), 0, 0, 0, 1] : []
  const packet = new Uint8Array(40 + extension.length + transport.length)
  const payload = dice.chance(96) ? packet.length - 40 : dice.below(packet.length + 8)
  packet.set([0x60, 0, 0, 0, payload >> 8, payload & 0xff, isFragment ? 44 : protocol, 64])
  packet.set(source, 8)
  packet.set(destination, 24)
  packet.set(extension, 40)
  packet.set(transport, 40 + extension.length)
  return packet
}

function fragmentField(dice: Dice): [number, number] {
  const value = (dice.pick([0, 0, 1, 9, 10, 11, 100]) << 3) | dice.below(2)
  return [value >> 8, value & 0xff]
}

function randomTransport(dice: Dice, protocol: number): Uint8Array {
  const bytes = new Uint8Array(dice.chance(90) ? 20 + dice.below(60) : dice.below(24))
  for (let i = 0; i < bytes.length; i++) bytes[i] = dice.below(256)
  const put = (at: number, ...values: number[]) => {
    for (const [i, value] of values.entries()) if (at + i < bytes.length) bytes[at + i] = value
  }
  switch (protocol) {
    case 6:
    case 17:
    case 132: {
      const [a, b] = [randomPort(dice), dice.chance(30) ? dice.below(1500) : randomPort(dice)]
      put(0, a >> 8, a & 0xff, b >> 8, b & 0xff)
      if (protocol === 17 && dice.chance(10))
        put(8, ...DISCO_MAGIC, ...OWN_DISCO.subarray(0, dice.chance(80) ? 32 : 31))
      if (protocol === 17 && dice.chance(10)) put(6, 0, 0)
      // A header of up to fifteen words, and options of which some make sense.
      if (protocol === 6) put(12, (5 + dice.below(11)) << 4)
      if (protocol === 6 && dice.chance(50))
        put(20, ...dice.some([0, 1, 1], 3), 2, dice.chance(80) ? 4 : dice.below(8), 9)
      if (protocol === 6) put(13, dice.pick([0x02, 0x12, 0x10, 0x18, 0x04, 0x42, 0x00]))
      break
    }
    case 1:
      put(0, dice.pick([0, 3, 8, 11, 12, 18, 5]), dice.pick([0, 0, 0, 1]), 0, 0, 0, 77)
      break
    case 58:
      put(0, dice.pick([128, 129, 1, 2, 3, 4, 5, 135]), dice.pick([0, 0, 0, 1]), 0, 0, 0, 77)
      break
    default:
      break
  }
  return bytes
}
