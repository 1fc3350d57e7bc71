import { expect, test } from 'vitest'
import { PacketFields } from './packet-fields.ts'
import { PeerEntry } from './peer-entry.ts'
import { PrefixMap, prefixHolds, prefixOf } from './prefix-map.ts'
import { Routes } from './routes.ts'

const at = (text: string) => {
  const p = prefixOf(`${text}/${text.includes(':') ? 128 : 32}`)!
  return [p.family, p.w0, p.w1, p.w2, p.w3] as const
}

test('the longest prefix wins, in each family', () => {
  const map = new PrefixMap<string>()
  for (const text of [
    '0.0.0.0/0',
    '10.0.0.0/8',
    '10.1.0.0/16',
    '10.1.2.3/32',
    '::/0',
    'fd00::/8',
    'fd00:1::/64',
    'fd00:1::5/128',
  ]) {
    map.set(prefixOf(text)!, text)
  }
  const found = (text: string) => map.lookup(...at(text))
  expect(found('9.9.9.9')).toBe('0.0.0.0/0')
  expect(found('10.9.9.9')).toBe('10.0.0.0/8')
  expect(found('10.1.9.9')).toBe('10.1.0.0/16')
  expect(found('10.1.2.3')).toBe('10.1.2.3/32')
  expect(found('2001::1')).toBe('::/0')
  expect(found('fd99::1')).toBe('fd00::/8')
  expect(found('fd00:1::6')).toBe('fd00:1::/64')
  expect(found('fd00:1::5')).toBe('fd00:1::5/128')
  map.delete(prefixOf('10.1.2.3/32')!)
  map.delete(prefixOf('fd00:1::/64')!)
  map.delete(prefixOf('1.2.3.4/32')!)
  expect(found('10.1.2.3')).toBe('10.1.0.0/16')
  expect(found('fd00:1::6')).toBe('fd00::/8')
})

test('host bits of a prefix do not matter', () => {
  const prefix = prefixOf('10.1.2.3/8')!
  expect(prefix).toEqual(prefixOf('10.0.0.0/8'))
  expect(prefixHolds(prefix, ...(at('10.255.0.1').slice(1) as [number, number, number, number]))).toBe(true)
  expect(prefixOf('10.0.0.0/33')).toBeUndefined()
  expect(prefixOf('nonsense')).toBeUndefined()
})

test('ten thousand peers with four routes each are found, changed and removed one by one', () => {
  const routes = new Routes()
  const peers: PeerEntry[] = []
  const own = (i: number) => [
    `100.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`,
    `fd7a:115c:a1e0::${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}/128`,
    `10.${(i >> 8) & 255}.${i & 255}.0/24`,
    `fd00:${(i & 0xffff).toString(16)}::/64`,
  ]
  for (let i = 1; i <= 10_000; i++) {
    const peer = new PeerEntry(i)
    peers.push(peer)
    routes.replace(
      peer,
      own(i).map((text) => prefixOf(text)!),
    )
  }
  const owner = (text: string) => routes.lookup(...at(text))?.id
  expect(owner('100.64.0.1')).toBe(1)
  expect(owner('100.64.39.16')).toBe(10_000)
  expect(owner('10.39.16.77')).toBe(10_000)
  expect(owner('fd00:2710::9')).toBe(10_000)
  expect(owner('fd7a:115c:a1e0::2710')).toBe(10_000)
  const startedAt = performance.now()
  for (let i = 0; i < 100_000; i++) routes.lookup(4, (0x64400000 + (i % 10_000)) >>> 0, 0, 0, 0)
  expect(performance.now() - startedAt).toBeLessThan(2_000) // a scan would take minutes
  routes.replace(peers[9_999]!, [])
  expect(owner('10.39.16.77')).toBeUndefined()
  expect(owner('100.64.0.1')).toBe(1)
})

test('a prefix that moves belongs to the latest claimant, whatever the order of the changes', () => {
  const routes = new Routes()
  const [a, b] = [new PeerEntry(1), new PeerEntry(2)]
  const route = [prefixOf('10.0.0.0/8')!]
  routes.replace(a, route)
  routes.replace(b, route)
  expect(routes.lookup(...at('10.0.0.1'))).toBe(b)
  routes.replace(a, [])
  expect(routes.lookup(...at('10.0.0.1'))).toBe(b)
  routes.replace(a, route)
  routes.replace(a, [])
  expect(routes.lookup(...at('10.0.0.1'))).toBe(b)
  routes.replace(b, [])
  expect(routes.lookup(...at('10.0.0.1'))).toBeUndefined()
})

test('a peer owns every source within its prefixes, also where another has a longer one', () => {
  const peer = new PeerEntry(1)
  peer.allowed = [prefixOf('10.0.0.0/8')!]
  const p = new PacketFields()
  p.family = 4
  p.s0 = 0x0a010203
  expect(peer.ownsSource(p)).toBe(true)
  p.s0 = 0x0b010203
  expect(peer.ownsSource(p)).toBe(false)
})
