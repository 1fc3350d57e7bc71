import { beforeEach, describe, expect, test } from 'vitest'
import { concat } from '../src-protocol/wire/bytes.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import {
  decodeTsmp,
  encodeIcmpEcho,
  encodeIpPacket,
  encodeTcpPacket,
  encodeTsmpPacket,
  encodeUdpPacket,
  parsePacket,
  tcpFlag,
} from '../src-protocol/wire/packet.ts'
import type { FilterTable } from './door.ts'
import { endKinds } from './ends.contract-suite.ts'
import { compileFilter } from './filter.ts'
import { FLOW_CAPACITY } from './flow-table.ts'
import { PacketFields } from './packet-fields.ts'
import { PacketFilter } from './packet-filter.ts'
import { type Outcome, type PathByHand, pathByHand } from './path-by-hand.contract-suite.ts'

const SELF = '100.64.0.1'
const SELF6 = 'fd7a:115c:a1e0::1'
const FRIEND = '100.64.0.2'
const FRIEND6 = 'fd7a:115c:a1e0::2'
const STRANGER = '100.64.0.3'

/** The friend may use TCP and UDP 22–23 of ours, and GRE whole; the capability holder TCP 80. */
const compiled = compileFilter(
  [
    { SrcIPs: [FRIEND, FRIEND6], DstPorts: [{ IP: '*', Ports: { First: 22, Last: 23 } }] },
    { SrcIPs: [FRIEND], DstPorts: [{ IP: SELF, Ports: { First: 0, Last: 65535 } }], IPProto: [47] },
    { SrcIPs: [FRIEND], DstPorts: [{ IP: SELF, Ports: { First: 1, Last: 65535 } }], IPProto: [50] },
    { SrcIPs: ['cap:web'], DstPorts: [{ IP: SELF, Ports: { First: 80, Last: 80 } }], IPProto: [6] },
    { SrcIPs: ['cap:web'], DstPorts: [{ IP: SELF, Ports: { First: 0, Last: 65535 } }], IPProto: [51] },
  ],
  () => ['100.64.0.8'],
)
const table: FilterTable = {
  rules: compiled.rules,
  localNets: [`${SELF}/32`, `${SELF6}/128`, '192.168.7.0/24'],
  shieldsUp: false,
  peerApi: [{ address: SELF, port: 4242 }],
}

const tcp = (src: string, dst: string, dstPort: number, flags: number = tcpFlag.syn) =>
  encodeTcpPacket({ src: ipBytes(src), dst: ipBytes(dst), srcPort: 50000, dstPort }, { flags })
const udp = (src: string, dst: string, dstPort: number, srcPort = 5000) =>
  encodeUdpPacket({ src: ipBytes(src), dst: ipBytes(dst), srcPort, dstPort }, new Uint8Array(4))
const ip = (src: string, dst: string, protocol: number, body = new Uint8Array(20)) =>
  encodeIpPacket(ipBytes(src), ipBytes(dst), protocol, body)
const icmp = (src: string, dst: string, type: number, code = 0) =>
  ip(src, dst, src.includes(':') ? 58 : 1, Uint8Array.of(type, code, 0, 0, 0, 1, 0, 1))
function fragment(packet: Uint8Array, offset8: number, more = false): Uint8Array {
  const copy = packet.slice()
  copy[6] = (more ? 0x20 : 0) | (offset8 >> 8)
  copy[7] = offset8 & 0xff
  return copy
}

function fields(packet: Uint8Array): PacketFields {
  const p = new PacketFields()
  p.read(packet, packet.length)
  return p
}

const PEER = 1
const allow = (...rules: FilterTable['rules']): FilterTable => ({ ...table, rules })

describe.each(endKinds())('$name', (kind) => {
  let path: PathByHand
  beforeEach(async () => {
    path = await pathByHand(kind)
    path.setPeer({ peer: PEER, allowedIps: ['0.0.0.0/0', '::/0'] })
    path.door.setFilter(table)
  })

  const verdictOf = (way: 'in' | 'out', { toHost, toPeer, events, drops }: Outcome) => {
    const reasons = Object.keys(drops)
    if (reasons.length > 0) return reasons.map((reason) => reason.replace(`${way}-`, '')).join()
    return (way === 'in' ? toHost.length + events.length : toPeer.length) === 1 ? 'accept' : 'nothing'
  }
  const inbound = async (packet: Uint8Array) => verdictOf('in', await path.fromPeer(PEER, packet))
  const outbound = async (packet: Uint8Array) => verdictOf('out', await path.fromHost(packet))

  describe('inbound', () => {
    test.each<[string, Uint8Array, string]>([
      ['[FLT-2.1] 19 bytes', tcp(FRIEND, SELF, 22).slice(0, 19), 'ip-header'],
      ['[FLT-2.2] half a TCP header', ip(FRIEND, SELF, 6, new Uint8Array(19)), 'unknown_protocol'],
      ['[FLT-2.2] half a UDP header', ip(FRIEND, SELF, 17, new Uint8Array(7)), 'unknown_protocol'],
      ['[FLT-2.2] total length beyond the packet', tcp(FRIEND, SELF, 22).slice(0, 39), 'ip-header'],
      ['[FLT-2.2] version 5', tcp(FRIEND, SELF, 22).fill(0x55, 0, 1), 'ip-header'],
      ['[FLT-2.2] header length 16', tcp(FRIEND, SELF, 22).fill(0x44, 0, 1), 'ip-header'],
      ['[FLT-2.2] protocol 0', ip(FRIEND, SELF, 0), 'unknown_protocol'],
      ['[FLT-2.2] protocol 255', ip(FRIEND, SELF, 255), 'unknown_protocol'],
      ['[FLT-2.2] IPv6 hop-by-hop', ip(FRIEND6, SELF6, 0), 'unknown_protocol'],
      ['[FLT-2.3] multicast', udp(FRIEND, '224.0.0.251', 22), 'multicast'],
      ['[FLT-2.3] multicast v6', udp(FRIEND6, 'ff02::fb', 22), 'multicast'],
      ['[FLT-2.4] link-local', udp(FRIEND, '169.254.1.1', 22), 'link_local_unicast'],
      ['[FLT-2.4] link-local v6', udp(FRIEND6, 'fe80::1', 22), 'link_local_unicast'],
      ['[FLT-2.4] metadata address is only not ours', udp(FRIEND, '169.254.169.254', 22), 'destination'],
      ['[FLT-2.5] later fragment', fragment(udp(STRANGER, SELF, 9), 10), 'accept'],
      ['[FLT-2.5] overlapping fragment', fragment(udp(STRANGER, SELF, 9), 9), 'unknown_protocol'],
      ['[FLT-2.5] first fragment is judged', fragment(udp(STRANGER, SELF, 9), 0, true), 'acl'],
      ['[FLT-3.1] not ours', tcp(FRIEND, '100.64.0.9', 22), 'destination'],
      ['[FLT-3.1] not ours, not even an answer', tcp(FRIEND, '100.64.0.9', 22, tcpFlag.ack), 'destination'],
      ['[FLT-3.1] advertised route', tcp(FRIEND, '192.168.7.9', 22), 'accept'],
      ['[FLT-3.2] echo request, some rule connects', icmp(FRIEND, SELF, 8), 'accept'],
      ['[FLT-3.2] echo request v6', icmp(FRIEND6, SELF6, 128), 'accept'],
      ['[FLT-3.2] echo request of a stranger', icmp(STRANGER, SELF, 8), 'acl'],
      ['[FLT-3.2] echo request of a capability holder', icmp('100.64.0.8', '192.168.7.1', 8), 'accept'],
      ['[FLT-3.2] echo reply', icmp(STRANGER, SELF, 0), 'accept'],
      ['[FLT-3.2] echo reply with a code', icmp(STRANGER, SELF, 0, 1), 'acl'],
      ['[FLT-3.2] unreachable', icmp(STRANGER, SELF, 3, 1), 'accept'],
      ['[FLT-3.2] time exceeded', icmp(STRANGER, SELF, 11), 'accept'],
      ['[FLT-3.2] real parameter problem', icmp(STRANGER, SELF, 12), 'acl'],
      ['[FLT-3.2] their parameter problem', icmp(STRANGER, SELF, 18), 'accept'],
      ['[FLT-3.2] redirect', icmp(STRANGER, SELF, 5), 'acl'],
      ['[FLT-3.2] packet too big v6', icmp('fd7a::9', SELF6, 2), 'accept'],
      ['[FLT-3.2] echo reply v6', icmp('fd7a::9', SELF6, 129), 'accept'],
      ['[FLT-3.2] four bytes of ICMP', ip(STRANGER, SELF, 1, new Uint8Array(4)), 'acl'],
      ['[FLT-3.2] ICMPv6 inside IPv4 is just a protocol', ip(FRIEND, SELF, 58, new Uint8Array(8)), 'acl'],
      ['[FLT-3.3] SYN with rule', tcp(FRIEND, SELF, 22), 'accept'],
      ['[FLT-3.3] SYN v6 with rule', tcp(FRIEND6, SELF6, 23), 'accept'],
      ['[FLT-3.3] SYN to another port', tcp(FRIEND, SELF, 24), 'acl'],
      ['[FLT-3.3] SYN of a stranger', tcp(STRANGER, SELF, 22), 'acl'],
      ['[FLT-3.3] SYN+ACK', tcp(STRANGER, SELF, 24, tcpFlag.syn | tcpFlag.ack), 'accept'],
      ['[FLT-3.3] RST', tcp(STRANGER, SELF, 24, tcpFlag.rst), 'accept'],
      ['[FLT-3.3] no flags', tcp(STRANGER, SELF, 24, 0), 'accept'],
      ['[FLT-3.3] capability source', tcp('100.64.0.8', SELF, 80), 'accept'],
      ['[FLT-3.3] capability source, other port', tcp('100.64.0.8', SELF, 81), 'acl'],
      ['[FLT-3.4] UDP with rule', udp(FRIEND, SELF, 23), 'accept'],
      ['[FLT-3.4] UDP without', udp(FRIEND, SELF, 24), 'acl'],
      [
        '[FLT-3.4] SCTP needs its number named',
        ip(FRIEND, SELF, 132, Uint8Array.of(0, 1, 0, 22, 0, 0, 0, 0, 0, 0, 0, 0)),
        'acl',
      ],
      ['[FLT-3.5] TSMP', ip(STRANGER, SELF, 99, new Uint8Array(9)), 'accept'],
      ['[FLT-3.5] fragmented TSMP', fragment(ip(STRANGER, SELF, 99, new Uint8Array(9)), 0, true), 'unknown_protocol'],
      ['[FLT-3.6] named protocol, all ports', ip(FRIEND, SELF, 47), 'accept'],
      ['[FLT-3.6] named protocol of a stranger', ip(STRANGER, SELF, 47), 'acl'],
      ['[FLT-3.6] named protocol, not all ports', ip(FRIEND, SELF, 50), 'acl'],
      ['[FLT-3.6] capability sources do not count', ip('100.64.0.8', SELF, 51), 'acl'],
      ['[FLT-3.6] unnamed protocol', ip(FRIEND, SELF, 4), 'acl'],
    ])('%s', async (_name, packet, verdict) => {
      expect(verdictOf('in', await path.fromPeer(PEER, packet, { isPadded: false }))).toBe(verdict)
    })

    test('[FLT-1.5] an IPv4 destination serves no IPv6 packet, however short its prefix', async () => {
      const rule = {
        sources: ['0.0.0.0/0', '::/0'],
        destinations: [{ prefix: '0.0.0.0/0', firstPort: 0, lastPort: 65535 }],
        protocols: [6, 17, 47, 58],
      }
      path.door.setFilter(allow(rule))
      expect(await inbound(tcp(FRIEND, SELF, 22))).toBe('accept')
      expect(await inbound(tcp(FRIEND6, SELF6, 22))).toBe('acl')
      expect(await inbound(udp(FRIEND6, SELF6, 22))).toBe('acl')
      expect(await inbound(ip(FRIEND6, SELF6, 47))).toBe('acl')
      expect(await inbound(icmp(FRIEND6, SELF6, 128))).toBe('acl')
      path.door.setFilter(allow({ ...rule, sources: [], capabilitySources: ['::/0'] }))
      expect(await inbound(tcp(FRIEND6, SELF6, 22))).toBe('acl')
    })

    test('[FLT-1.6] without a filter nothing comes in', async () => {
      path = await pathByHand(kind)
      path.setPeer({ peer: PEER, allowedIps: ['0.0.0.0/0', '::/0'] })
      expect(await inbound(tcp(FRIEND, SELF, 22))).toBe('destination')
      expect(await inbound(icmp(FRIEND, SELF, 0))).toBe('destination')
    })

    test('[FLT-3.7] [FLT-10.5] the PeerAPI takes SYNs whatever the rules say', async () => {
      const table4242 = { ...table, rules: [] }
      for (const [shieldsUp, jailed] of [
        [false, false],
        [true, false],
        [false, true],
      ] as const) {
        path.door.setFilter({ ...table4242, shieldsUp })
        path.setPeer({ peer: PEER, allowedIps: ['0.0.0.0/0'], jailed })
        expect(await inbound(tcp(STRANGER, SELF, 4242))).toBe('accept')
        expect(await inbound(tcp(STRANGER, SELF, 4243))).toBe('acl')
        expect(await inbound(tcp(STRANGER, '192.168.7.1', 4242))).toBe('acl')
        expect(await inbound(udp(STRANGER, SELF, 4242))).toBe('acl')
      }
    })

    test('[FLT-3.8] shields up, or a jailed peer: only answers', async () => {
      for (const jailed of [false, true]) {
        path.door.setFilter({ ...table, shieldsUp: !jailed })
        path.setPeer({ peer: PEER, allowedIps: ['0.0.0.0/0'], jailed })
        expect(await inbound(tcp(FRIEND, SELF, 22))).toBe('acl')
        expect(await inbound(icmp(FRIEND, SELF, 8))).toBe('acl')
        expect(await inbound(icmp(FRIEND, SELF, 0))).toBe('accept')
        expect(await inbound(ip(FRIEND, SELF, 99))).toBe('accept')
        await outbound(udp(SELF, FRIEND, 53, 6000))
        expect(await inbound(udp(FRIEND, SELF, 6000, 53))).toBe('accept')
      }
    })
  })

  describe('outbound', () => {
    test.each<[string, Uint8Array, string]>([
      ['[FLT-2.1] 19 bytes do not leave', tcp(SELF, STRANGER, 1).slice(0, 19), 'too_short'],
      ['[FLT-4.1] anything sane leaves', tcp(SELF, STRANGER, 1), 'accept'],
      ['[FLT-2.3] multicast does not', udp(SELF, '239.1.1.1', 1), 'multicast'],
      ['[FLT-2.4] link-local does not', udp(SELF, '169.254.1.1', 1), 'link_local_unicast'],
      ['[FLT-2.4] metadata address does', udp(SELF, '169.254.169.254', 53), 'accept'],
      ['[FLT-2.2] unknown does not', ip(SELF, STRANGER, 0), 'unknown_protocol'],
    ])('%s', async (_name, packet, verdict) => {
      expect(await outbound(packet)).toBe(verdict)
    })

    test('[FLT-4.1] a UDP flow opens exactly its way back', async () => {
      await outbound(udp(SELF, STRANGER, 53, 6000))
      expect(await inbound(udp(STRANGER, SELF, 6000, 53))).toBe('accept')
      expect(await inbound(udp(STRANGER, SELF, 6000, 54))).toBe('acl')
      expect(await inbound(udp(STRANGER, SELF, 6001, 53))).toBe('acl')
      expect(await inbound(udp('100.64.0.4', SELF, 6000, 53))).toBe('acl')
    })

    test('[FLT-4.1] [FLT-10.3] 512 flows, least recently used out', async () => {
      for (let port = 0; port < FLOW_CAPACITY; port++) await outbound(udp(SELF, STRANGER, 53, 1000 + port))
      expect(await inbound(udp(STRANGER, SELF, 1000, 53))).toBe('accept') // used: now the newest
      await outbound(udp(SELF, STRANGER, 53, 60_000))
      expect(await inbound(udp(STRANGER, SELF, 1000, 53))).toBe('accept')
      expect(await inbound(udp(STRANGER, SELF, 1001, 53))).toBe('acl')
      expect(await inbound(udp(STRANGER, SELF, 1002, 53))).toBe('accept')
    })

    test('[FLT-4.2] flows survive a new filter, but not raised shields', async () => {
      await outbound(udp(SELF, STRANGER, 53, 6000))
      path.door.setFilter(allow(...table.rules.slice(1)))
      expect(await inbound(udp(STRANGER, SELF, 6000, 53))).toBe('accept')
      path.door.setFilter({ ...table, shieldsUp: true })
      expect(await inbound(udp(STRANGER, SELF, 6000, 53))).toBe('acl')
      await outbound(udp(SELF, STRANGER, 53, 6001))
      path.door.setFilter({ ...table, shieldsUp: true, rules: [] })
      expect(await inbound(udp(STRANGER, SELF, 6001, 53))).toBe('accept')
      path.door.setFilter(table)
      expect(await inbound(udp(STRANGER, SELF, 6001, 53))).toBe('accept')
    })
  })

  describe('what other implementations rely on', () => {
    const rule = (protocols: number[], firstPort: number, lastPort: number) => ({
      sources: [`${FRIEND}/32`],
      destinations: [{ prefix: `${SELF}/32`, firstPort, lastPort }],
      protocols,
    })

    test('[FLT-10.1] any rule between two addresses lets ICMP in, whatever its protocols and ports', async () => {
      path.door.setFilter(allow(rule([6], 22, 22)))
      expect(await inbound(icmp(FRIEND, SELF, 8))).toBe('accept')
      expect(await inbound(icmp(FRIEND, SELF, 13))).toBe('accept')
      expect(await inbound(icmp(STRANGER, SELF, 8))).toBe('acl')
      expect(await inbound(icmp(FRIEND, '192.168.7.1', 8))).toBe('acl')
      path.door.setFilter(allow())
      expect(await inbound(icmp(FRIEND, SELF, 8))).toBe('acl')
    })

    test('[FLT-10.2] TCP that is no SYN is always let in', async () => {
      for (const shieldsUp of [false, true]) {
        path.door.setFilter({ ...table, rules: [], shieldsUp })
        for (const flags of [0, tcpFlag.ack, tcpFlag.rst, tcpFlag.fin, tcpFlag.syn | tcpFlag.ack]) {
          expect(await inbound(tcp(STRANGER, SELF, 9, flags))).toBe('accept')
          expect(await inbound(tcp(FRIEND6, SELF6, 9, flags))).toBe('accept')
        }
        expect(await inbound(tcp(STRANGER, SELF, 9, tcpFlag.syn))).toBe('acl')
      }
    })

    test('[FLT-10.3] flows of UDP and SCTP are remembered, reversed, before the source is rewritten', async () => {
      const seen = '100.64.9.9'
      path.door.setFilter(allow())
      path.door.setOwnAddresses({ v4: SELF })
      path.setPeer({ peer: PEER, allowedIps: ['0.0.0.0/0'], masquerade: { v4: seen } })
      const sctp = (src: string, dst: string, words: [number, number]) =>
        ip(src, dst, 132, Uint8Array.of(words[0] >> 8, words[0], words[1] >> 8, words[1], 0, 0, 0, 0, 0, 0, 0, 0))
      await outbound(udp(SELF, STRANGER, 53, 6000))
      await outbound(sctp(SELF, STRANGER, [700, 800]))
      const answer = await path.fromPeer(PEER, udp(STRANGER, seen, 6000, 53))
      expect(answer.toHost).toEqual([udp(STRANGER, SELF, 6000, 53)])
      expect(await inbound(sctp(STRANGER, seen, [800, 700]))).toBe('accept')
      expect(await inbound(udp(STRANGER, seen, 53, 6000))).toBe('acl')
      expect(await inbound(sctp(STRANGER, seen, [700, 800]))).toBe('acl')
    })

    test('[FLT-10.4] other protocols: their number named, ports 0–65535', async () => {
      for (const [protocols, first, last, verdict] of [
        [[47], 0, 65_535, 'accept'],
        [[6, 17, 1, 58], 0, 65_535, 'acl'],
        [[47], 1, 65_535, 'acl'],
        [[47], 0, 65_534, 'acl'],
        [[50], 0, 65_535, 'acl'],
      ] as const) {
        path.door.setFilter(allow(rule([...protocols], first, last)))
        expect(await inbound(ip(FRIEND, SELF, 47))).toBe(verdict)
      }
    })

    test('[FLT-10.6] a TSMP ping comes up and its pong goes out, though everything is blocked', async () => {
      const ping = encodeTsmpPacket(ipBytes(STRANGER), ipBytes(SELF), { kind: 'ping', data: new Uint8Array(8).fill(7) })
      const pong = encodeTsmpPacket(ipBytes(SELF), ipBytes(STRANGER), {
        kind: 'pong',
        data: new Uint8Array(8).fill(7),
        peerApiPort: 0,
      })
      for (const jailed of [false, true]) {
        path.door.setFilter({ ...table, rules: [], shieldsUp: true })
        path.setPeer({ peer: PEER, allowedIps: ['0.0.0.0/0'], jailed })
        expect(await path.fromPeer(PEER, ping)).toMatchObject({
          toHost: [],
          events: [{ kind: 'tsmp', peer: PEER, packet: ping }],
          drops: {},
        })
        expect((await path.sendPacket(PEER, pong)).toPeer).toEqual([{ peer: PEER, packet: pong }])
      }
    })

    test.each([
      ['rules', 'A', false, false],
      ['shields', 'S', true, false],
      ['jail', 'S', false, true],
    ])('[FLT-3.9] [FLT-10.7] only a dropped IPv4 SYN is answered: %s', async (_why, reason, shieldsUp, jailed) => {
      path.door.setFilter({ ...table, rules: [], shieldsUp })
      path.setPeer({ peer: PEER, allowedIps: ['0.0.0.0/0', '::/0'], jailed })
      const dropped = [
        udp(STRANGER, SELF, 9),
        icmp(STRANGER, SELF, 8),
        ip(STRANGER, SELF, 47),
        tcp(FRIEND6, SELF6, 9),
        udp(FRIEND6, SELF6, 9),
      ]
      for (const packet of dropped) {
        expect(await path.fromPeer(PEER, packet)).toMatchObject({ toPeer: [], drops: { 'in-acl': 1 } })
      }
      const { toPeer, drops } = await path.fromPeer(PEER, tcp(STRANGER, SELF, 9))
      expect(drops).toEqual({ 'in-acl': 1 })
      const parsed = parsePacket(toPeer[0]!.packet)
      if (!parsed.ok) throw new Error(parsed.reason)
      expect([parsed.value.srcText, parsed.value.dstText]).toEqual([SELF, STRANGER])
      expect(decodeTsmp(parsed.value.payload)).toMatchObject({
        value: { kind: 'rejected', protocol: 6, reason: reason.charCodeAt(0), srcPort: 50000, dstPort: 9 },
      })
    })

    test('[FLT-4.3] [FLT-10.8] protocol 99 neither leaves the host nor reaches it', async () => {
      const anything: FilterTable = {
        ...allow({
          sources: ['0.0.0.0/0'],
          destinations: [{ prefix: '0.0.0.0/0', firstPort: 0, lastPort: 65535 }],
          protocols: [99],
        }),
        localNets: ['0.0.0.0/0', '::/0'],
      }
      path.door.setFilter(anything)
      for (const [a, b] of [
        [SELF, STRANGER],
        [SELF6, FRIEND6],
      ] as const) {
        for (const first of [0x21, 0x61, 0x6f, 0x70, 0x00, 0xff]) {
          const body = new Uint8Array(40).fill(first)
          const out = await path.fromHost(ip(a, b, 99, body))
          expect(out).toEqual({ toHost: [], toPeer: [], events: [], drops: { 'out-tsmp': 1 } })
          const back = await path.fromPeer(PEER, ip(b, a, 99, body))
          expect(back).toMatchObject({ toHost: [], toPeer: [], events: [{ kind: 'tsmp' }], drops: {} })
        }
      }
      // Nor does a later piece of it.
      const piece = (a: string, b: string) =>
        a.includes(':')
          ? ip(a, b, 44, concat(Uint8Array.of(99, 0, 0x10, 0, 0, 0, 0, 1), new Uint8Array(16)))
          : fragment(ip(a, b, 99, new Uint8Array(16)), 0x200)
      for (const [a, b] of [
        [SELF, STRANGER],
        [SELF6, FRIEND6],
      ] as const) {
        expect((await path.fromHost(piece(a, b))).toPeer).toEqual([])
        expect((await path.fromPeer(PEER, piece(b, a))).toHost).toEqual([])
      }
    })
  })
})

test('ICMP echo built by the codec reads as one', () => {
  const p = fields(encodeIcmpEcho({ src: ipBytes(FRIEND), dst: ipBytes(SELF), kind: 'request', id: 7, seq: 1 }))
  expect(p.isIcmp()).toBe(true)
})

test('random bytes never throw, and never pass inbound to an address that is not ours', () => {
  const p = new PacketFields()
  const filter = new PacketFilter(table)
  const seed = Math.floor(Math.random() * 2 ** 31)
  let state = seed
  for (let round = 0; round < 50_000; round++) {
    const packet = new Uint8Array(round % 90)
    for (let i = 0; i < packet.length; i++) {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      packet[i] = state >> 16
    }
    if (packet.length > 0) packet[0] = round % 2 === 0 ? 0x45 : 0x60
    p.read(packet, packet.length)
    const verdict = filter.inbound(p)
    if (verdict === 'accept' && packet.length > 0 && p.protocol !== -2) expect.fail(`seed ${seed} round ${round}`)
    expect(p.totalBytes).toBeLessThanOrEqual(packet.length)
  }
})
