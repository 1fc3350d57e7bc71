import { describe, expect, test } from 'vitest'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import {
  encodeIcmpEcho,
  encodeIpPacket,
  encodeTcpPacket,
  encodeUdpPacket,
  tcpFlag,
} from '../src-protocol/wire/packet.ts'
import type { FilterTable } from './door.ts'
import { compileFilter } from './filter.ts'
import { FLOW_CAPACITY } from './flow-table.ts'
import { PacketFields } from './packet-fields.ts'
import { PacketFilter } from './packet-filter.ts'

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
const inbound = (packet: Uint8Array, filter = new PacketFilter(table)) => filter.inbound(fields(packet))
const outbound = (packet: Uint8Array, filter = new PacketFilter(table)) => filter.outbound(fields(packet))

describe('inbound', () => {
  test.each<[string, Uint8Array, string]>([
    ['[FLT-2.1] 19 bytes', tcp(FRIEND, SELF, 22).slice(0, 19), 'too_short'],
    ['[FLT-2.2] half a TCP header', ip(FRIEND, SELF, 6, new Uint8Array(19)), 'unknown_protocol'],
    ['[FLT-2.2] half a UDP header', ip(FRIEND, SELF, 17, new Uint8Array(7)), 'unknown_protocol'],
    ['[FLT-2.2] total length beyond the packet', tcp(FRIEND, SELF, 22).slice(0, 39), 'unknown_protocol'],
    ['[FLT-2.2] version 5', tcp(FRIEND, SELF, 22).fill(0x55, 0, 1), 'unknown_protocol'],
    ['[FLT-2.2] header length 16', tcp(FRIEND, SELF, 22).fill(0x44, 0, 1), 'unknown_protocol'],
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
  ])('%s', (_name, packet, verdict) => {
    expect(inbound(packet)).toBe(verdict)
  })

  test('[FLT-1.5] an IPv4 destination serves no IPv6 packet, however short its prefix', () => {
    const rule = {
      sources: ['0.0.0.0/0', '::/0'],
      destinations: [{ prefix: '0.0.0.0/0', firstPort: 0, lastPort: 65535 }],
      protocols: [6, 17, 47, 58],
    }
    const filter = new PacketFilter({ ...table, rules: [rule] })
    expect(inbound(tcp(FRIEND, SELF, 22), filter)).toBe('accept')
    expect(inbound(tcp(FRIEND6, SELF6, 22), filter)).toBe('acl')
    expect(inbound(udp(FRIEND6, SELF6, 22), filter)).toBe('acl')
    expect(inbound(ip(FRIEND6, SELF6, 47), filter)).toBe('acl')
    expect(inbound(icmp(FRIEND6, SELF6, 128), filter)).toBe('acl')
    const byCapability = { ...rule, sources: [], capabilitySources: ['::/0'] }
    expect(inbound(tcp(FRIEND6, SELF6, 22), new PacketFilter({ ...table, rules: [byCapability] }))).toBe('acl')
  })

  test('[FLT-1.6] without a filter nothing comes in', () => {
    expect(inbound(tcp(FRIEND, SELF, 22), new PacketFilter(undefined))).toBe('destination')
    expect(inbound(icmp(FRIEND, SELF, 0), new PacketFilter(undefined))).toBe('destination')
  })

  test('[FLT-3.7] the PeerAPI takes SYNs whatever the rules say', () => {
    for (const shieldsUp of [false, true]) {
      const filter = new PacketFilter({ ...table, shieldsUp })
      const isPeerApi = (packet: Uint8Array) => filter.isPeerApiSyn(fields(packet))
      expect(isPeerApi(tcp(STRANGER, SELF, 4242))).toBe(true)
      expect(isPeerApi(tcp(STRANGER, SELF, 4243))).toBe(false)
      expect(isPeerApi(tcp(STRANGER, '192.168.7.1', 4242))).toBe(false)
      expect(isPeerApi(udp(STRANGER, SELF, 4242))).toBe(false)
    }
  })

  test('[FLT-3.8] shields up: only answers', () => {
    const filter = new PacketFilter({ ...table, shieldsUp: true })
    expect(inbound(tcp(FRIEND, SELF, 22), filter)).toBe('acl')
    expect(inbound(icmp(FRIEND, SELF, 8), filter)).toBe('acl')
    expect(inbound(icmp(FRIEND, SELF, 0), filter)).toBe('accept')
    expect(inbound(ip(FRIEND, SELF, 99), filter)).toBe('accept')
    outbound(udp(SELF, FRIEND, 53, 6000), filter)
    expect(inbound(udp(FRIEND, SELF, 6000, 53), filter)).toBe('accept')
  })
})

describe('outbound', () => {
  test.each<[string, Uint8Array, string]>([
    ['[FLT-4.1] anything sane leaves', tcp(SELF, STRANGER, 1), 'accept'],
    ['[FLT-2.3] multicast does not', udp(SELF, '239.1.1.1', 1), 'multicast'],
    ['[FLT-2.4] metadata address does', udp(SELF, '169.254.169.254', 53), 'accept'],
    ['[FLT-2.2] unknown does not', ip(SELF, STRANGER, 0), 'unknown_protocol'],
  ])('%s', (_name, packet, verdict) => {
    expect(outbound(packet)).toBe(verdict)
  })

  test('[FLT-4.1] a UDP flow opens exactly its way back', () => {
    const filter = new PacketFilter(table)
    outbound(udp(SELF, STRANGER, 53, 6000), filter)
    expect(inbound(udp(STRANGER, SELF, 6000, 53), filter)).toBe('accept')
    expect(inbound(udp(STRANGER, SELF, 6000, 54), filter)).toBe('acl')
    expect(inbound(udp(STRANGER, SELF, 6001, 53), filter)).toBe('acl')
    expect(inbound(udp('100.64.0.4', SELF, 6000, 53), filter)).toBe('acl')
  })

  test('[FLT-4.1] 512 flows, least recently used out', () => {
    const filter = new PacketFilter(table)
    for (let port = 0; port < FLOW_CAPACITY; port++) outbound(udp(SELF, STRANGER, 53, 1000 + port), filter)
    expect(inbound(udp(STRANGER, SELF, 1000, 53), filter)).toBe('accept') // used: now the newest
    outbound(udp(SELF, STRANGER, 53, 60_000), filter)
    expect(inbound(udp(STRANGER, SELF, 1000, 53), filter)).toBe('accept')
    expect(inbound(udp(STRANGER, SELF, 1001, 53), filter)).toBe('acl')
    expect(inbound(udp(STRANGER, SELF, 1002, 53), filter)).toBe('accept')
  })

  test('[FLT-4.2] flows survive a new filter, but not raised shields', () => {
    const first = new PacketFilter(table)
    outbound(udp(SELF, STRANGER, 53, 6000), first)
    const second = new PacketFilter(table, first)
    expect(inbound(udp(STRANGER, SELF, 6000, 53), second)).toBe('accept')
    const shields = new PacketFilter({ ...table, shieldsUp: true }, second)
    expect(inbound(udp(STRANGER, SELF, 6000, 53), shields)).toBe('acl')
    outbound(udp(SELF, STRANGER, 53, 6001), shields)
    const still = new PacketFilter({ ...table, shieldsUp: true }, shields)
    expect(inbound(udp(STRANGER, SELF, 6001, 53), still)).toBe('accept')
    expect(inbound(udp(STRANGER, SELF, 6001, 53), new PacketFilter(table, still))).toBe('accept')
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
