/** What happens to packets on their way, in both data paths: docs/rules/packets.md. */
import { beforeEach, describe, expect, test } from 'vitest'
import { concat, toHex, viewOf } from '../src-protocol/wire/bytes.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeIcmpEcho, encodeIpPacket, encodeTsmpPacket, parsePacket, tcpFlag } from '../src-protocol/wire/packet.ts'
import type { FilterTable } from './door.ts'
import { clock, endKinds } from './ends.contract-suite.ts'
import { type Outcome, type PathByHand, pathByHand } from './path-by-hand.contract-suite.ts'
import {
  type Ends,
  mssOf,
  mssOption,
  noise,
  synPacket,
  tcpPacket,
  udpPacket,
  wrongChecksum,
} from './rewritten-packets.contract-suite.ts'

const OWN = { v4: '100.64.0.1', v6: 'fd7a:115c:a1e0::1' }
const SEEN = { v4: '100.99.9.9', v6: 'fd7a:115c:a1e0::9999' }
const PEER = { v4: '100.64.0.2', v6: 'fd7a:115c:a1e0::2' }
const SITE_7 = 'fd7a:115c:a1e0:b1a:0:7'
const SITE_8 = 'fd7a:115c:a1e0:b1a:0:8'
const LAN_HOST = '10.1.2.3'
/** LAN_HOST at a site. */
const at = (site: string) => `${site}:a01:203`

const everything = (any: string) => ({
  sources: [any],
  destinations: [{ prefix: any, firstPort: 0, lastPort: 65535 }],
  protocols: [1, 6, 17, 58, 132],
})
const FILTER: FilterTable = {
  rules: [everything('0.0.0.0/0'), everything('::/0')],
  localNets: [`${OWN.v4}/32`, `${OWN.v6}/128`],
  shieldsUp: false,
  peerApi: [],
}
const VIA_FILTER: FilterTable = {
  ...FILTER,
  localNets: [...FILTER.localNets, '10.1.2.0/24', `${SITE_7}::/96`, `${SITE_8}:a01:200/120`],
}

const echo = (ends: Ends, kind: 'request' | 'reply' = 'request', id = 77) =>
  encodeIcmpEcho({ src: ipBytes(ends.src), dst: ipBytes(ends.dst), kind, id, seq: 1, payload: noise(57) })
const { syn, ack, fin } = tcpFlag
const nothing: Outcome = { toHost: [], toPeer: [], events: [], drops: {} }

describe.each(endKinds())('$name', (kind) => {
  let path: PathByHand
  beforeEach(async () => {
    path = await pathByHand(kind)
    path.door.setFilter(FILTER)
    path.setPeer({ peer: 1, allowedIps: [`${PEER.v4}/32`, `${PEER.v6}/128`] })
  })

  const out = async (packet: Uint8Array) => (await path.fromHost(packet)).toPeer.map((sent) => sent.packet)
  const into = async (packet: Uint8Array) => (await path.fromPeer(1, packet)).toHost

  describe('masquerade', () => {
    beforeEach(() => {
      path.door.setOwnAddresses(OWN)
      path.setPeer({ peer: 1, allowedIps: [`${PEER.v4}/32`, `${PEER.v6}/128`], masquerade: SEEN })
      path.setPeer({ peer: 2, allowedIps: ['100.64.0.3/32'] })
    })

    test.each(['v4', 'v6'] as const)('[PKT-1.1] %s: both ways, as if made for the other address', async (family) => {
      const [own, seen, peer] = [OWN[family], SEEN[family], PEER[family]]
      for (const make of [
        (src: string, dst: string) => udpPacket({ src, dst }, 100),
        (src: string, dst: string) => tcpPacket({ src, dst }, ack, 1000),
        (src: string, dst: string) => echo({ src, dst }),
      ]) {
        expect(await into(make(peer, seen))).toEqual([make(peer, own)])
        expect(await out(make(own, peer))).toEqual([make(seen, peer)])
      }
    })

    test('[PKT-1.1] the filter judges the own address; a plain packet to it still comes in', async () => {
      expect(await into(udpPacket({ src: PEER.v4, dst: OWN.v4 }))).toHaveLength(1)
      path.door.setFilter({ ...FILTER, localNets: [`${SEEN.v4}/32`] })
      expect((await path.fromPeer(1, udpPacket({ src: PEER.v4, dst: SEEN.v4 }))).drops).toEqual({ 'in-destination': 1 })
    })

    test('[PKT-1.1] an answer to a flow that we started comes in without any rule', async () => {
      path.door.setFilter({ ...FILTER, rules: [] })
      const question = { src: OWN.v4, dst: PEER.v4, srcPort: 6000, dstPort: 53 }
      const answer = { src: PEER.v4, dst: SEEN.v4, srcPort: 53, dstPort: 6000 }
      expect((await path.fromPeer(1, udpPacket(answer))).drops).toEqual({ 'in-acl': 1 })
      await path.fromHost(udpPacket(question))
      expect(await into(udpPacket(answer))).toEqual([udpPacket({ ...answer, dst: OWN.v4 })])
    })

    test('[PKT-1.5] what the daemon itself sends and refuses carries that address, too', async () => {
      const pong = encodeTsmpPacket(ipBytes(OWN.v4), ipBytes(PEER.v4), { kind: 'ping', data: new Uint8Array(8) })
      const sent = await path.sendPacket(1, pong)
      expect(parsed(sent.toPeer[0]!.packet).srcText).toBe(SEEN.v4)
      path.door.setFilter({ ...FILTER, rules: [] })
      const refused = await path.fromPeer(1, tcpPacket({ src: PEER.v4, dst: SEEN.v4 }, syn))
      expect(parsed(refused.toPeer[0]!.packet)).toMatchObject({ srcText: SEEN.v4, dstText: PEER.v4, protocol: 99 })
      expect(wrongIpv4Header(refused.toPeer[0]!.packet)).toBe(false)
      const asked = encodeTsmpPacket(ipBytes(PEER.v4), ipBytes(SEEN.v4), { kind: 'ping', data: new Uint8Array(8) })
      const [event] = (await path.fromPeer(1, asked)).events
      const wanted = encodeTsmpPacket(ipBytes(PEER.v4), ipBytes(OWN.v4), { kind: 'ping', data: new Uint8Array(8) })
      if (event?.kind !== 'tsmp') throw new Error(event?.kind)
      expect(toHex(event.packet)).toBe(toHex(wanted))
    })

    test('[PKT-1.1] other peers, and this one once it knows us by name, see our own address', async () => {
      const toOther = udpPacket({ src: OWN.v4, dst: '100.64.0.3' })
      expect(await out(toOther)).toEqual([toOther])
      path.setPeer({ peer: 1, allowedIps: [`${PEER.v4}/32`] })
      const packet = udpPacket({ src: OWN.v4, dst: PEER.v4 })
      expect(await out(packet)).toEqual([packet])
    })

    test('[PKT-1.6] super-packets: each segment is whole', async () => {
      if (!path.takesJoined) return
      for (const [src, dst, seen] of [
        [OWN.v4, PEER.v4, SEEN.v4],
        [OWN.v6, PEER.v6, SEEN.v6],
      ] as const) {
        for (const joined of [tcpPacket({ src, dst }, ack, 3500), udpPacket({ src, dst }, 3500)]) {
          const { toPeer } = await path.fromHostJoined(joined, 1000)
          expect(toPeer).toHaveLength(4)
          for (const { packet } of toPeer) {
            expect(wrongChecksum(packet)).toBeUndefined()
            expect(parsed(packet).srcText).toBe(seen)
          }
          const carried = concat(...toPeer.map(({ packet }) => Uint8Array.from(parsed(packet).payload)))
          expect(toHex(carried)).toBe(toHex(noise(3500)))
        }
      }
    })
  })

  describe('disco inside the tunnel', () => {
    const key = noise(32)
    const disco = (of: Uint8Array) => concat(Uint8Array.of(0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac), of, noise(60))
    const inward = (payload: Uint8Array) => path.fromPeer(1, udpPacket({ src: PEER.v4, dst: OWN.v4 }, payload))
    const outward = (payload: Uint8Array) => path.fromHost(udpPacket({ src: OWN.v6, dst: PEER.v6 }, payload))

    test('[PKT-2.1] of our own key is dropped in both directions', async () => {
      path.door.setOwnDisco(key)
      expect(await inward(disco(key))).toEqual({ ...nothing, drops: { 'in-own-disco': 1 } })
      expect(await outward(disco(key))).toEqual({ ...nothing, drops: { 'out-own-disco': 1 } })
      expect((await inward(disco(key).subarray(0, 38))).drops).toEqual({ 'in-own-disco': 1 })
    })

    test('[PKT-2.1] of other keys, cut short, or before we have a key, it passes', async () => {
      expect((await inward(disco(key))).toHost).toHaveLength(1)
      path.door.setOwnDisco(key)
      expect((await inward(disco(noise(33).subarray(1)))).toHost).toHaveLength(1)
      expect((await inward(disco(key).subarray(0, 37))).toHost).toHaveLength(1)
      expect((await outward(disco(noise(33).subarray(1)))).toPeer).toHaveLength(1)
      path.door.setOwnDisco(undefined)
      expect((await outward(disco(key))).toPeer).toHaveLength(1)
    })

    test('[PKT-2.2] anywhere in a UDP super-packet: none of it leaves', async () => {
      if (!path.takesJoined) return
      path.door.setOwnDisco(key)
      const joined = udpPacket({ src: OWN.v4, dst: PEER.v4 }, concat(noise(98), disco(key), noise(98)))
      expect(await path.fromHostJoined(joined, 98)).toEqual({ ...nothing, drops: { 'out-own-disco': 3 } })
      expect((await path.fromHostJoined(joined, 100)).toPeer).toHaveLength(3)
    })
  })

  describe('what the host asks the service addresses', () => {
    test.each([
      [OWN.v4, '100.100.100.100'],
      [OWN.v6, 'fd7a:115c:a1e0::53'],
    ])('[PKT-3.1] an echo request of %s to %s is answered to the host', async (src, dst) => {
      expect(await path.fromHost(echo({ src, dst }))).toEqual({
        ...nothing,
        toHost: [echo({ src: dst, dst: src }, 'reply')],
      })
    })

    test('[PKT-3.1] also where those are local services; anything else comes up, or goes its way', async () => {
      path.door.setLocalService(['100.100.100.100', 'fd7a:115c:a1e0::53'])
      expect((await path.fromHost(echo({ src: OWN.v4, dst: '100.100.100.100' }))).toHost).toHaveLength(1)
      for (const packet of [
        echo({ src: OWN.v4, dst: '100.100.100.100' }, 'reply'),
        udpPacket({ src: OWN.v6, dst: 'fd7a:115c:a1e0::53', dstPort: 53 }),
      ]) {
        expect((await path.fromHost(packet)).events).toMatchObject([{ kind: 'local', packet }])
      }
      expect((await path.fromHost(echo({ src: OWN.v4, dst: PEER.v4 }))).toPeer).toHaveLength(1)
    })

    test('[PKT-3.2] protocol 99 stays here, also to a local service', async () => {
      path.door.setLocalService(['100.100.100.100'])
      for (const dst of ['100.100.100.100', PEER.v4]) {
        const packet = encodeTsmpPacket(ipBytes(OWN.v4), ipBytes(dst), { kind: 'ping', data: new Uint8Array(8) })
        expect(await path.fromHost(packet)).toEqual({ ...nothing, drops: { 'out-tsmp': 1 } })
      }
    })

    test('[PKT-3.1] a peer that sends to them gets nothing of the kind', async () => {
      const packet = echo({ src: PEER.v4, dst: '100.100.100.100' })
      expect((await path.fromPeer(1, packet)).drops).toEqual({ 'in-destination': 1 })
    })
  })

  describe('MSS', () => {
    test.each([
      ['v4', 1240],
      ['v6', 1220],
    ] as const)('[PKT-4.1] %s: lowered to %i in both directions, SYN and SYN-ACK', async (family, most) => {
      const ends = { src: OWN[family], dst: PEER[family] }
      const back = { src: PEER[family], dst: OWN[family] }
      for (const flags of [syn, syn | ack]) {
        for (const packet of [
          ...(await out(synPacket(ends, mssOption(1460), flags))),
          ...(await into(synPacket(back, mssOption(8960), flags))),
        ]) {
          expect(mssOf(packet)).toBe(most)
          expect(wrongChecksum(packet)).toBeUndefined()
        }
      }
    })

    test('[PKT-4.2] [PKT-4.3] everything else passes as it is', async () => {
      const ends = { src: OWN.v4, dst: PEER.v4 }
      for (const packet of [
        synPacket(ends, mssOption(536)),
        synPacket(ends, [2, 3, 255, 255]),
        synPacket(ends, []),
        synPacket(ends, mssOption(9000), ack),
      ]) {
        expect(await out(packet)).toEqual([packet])
      }
    })
  })

  describe('4via6', () => {
    beforeEach(() => {
      path.door.setFilter(VIA_FILTER)
      path.door.setOwnAddresses(OWN)
    })
    const there = (site: string, more: Partial<Ends> = {}) => ({ src: PEER.v6, dst: at(site), ...more })
    const back = (site: string) => ({ src: at(site), dst: PEER.v6, srcPort: 80, dstPort: 5000 })
    const toLan = { src: PEER.v4, dst: LAN_HOST }
    const ofLan = { src: LAN_HOST, dst: PEER.v4, srcPort: 80, dstPort: 5000 }

    test.each([
      ['TCP', (ends: Ends) => tcpPacket(ends, ack, 1200), (ends: Ends) => tcpPacket(ends, ack, 1201)],
      ['UDP', (ends: Ends) => udpPacket(ends, 999), (ends: Ends) => udpPacket(ends, 0)],
      ['echo', (ends: Ends) => echo(ends), (ends: Ends) => echo(ends, 'reply')],
    ])('[PKT-5.1] [PKT-5.2] %s: IPv4 for the host, IPv6 for the peer', async (_name, ask, answer) => {
      expect(await into(ask(there(SITE_7)))).toEqual([dontFragment(ask(toLan))])
      expect(await out(answer(ofLan))).toEqual([answer(back(SITE_7))])
    })

    test('[PKT-5.2] class, hop limit and TTL go over; the kernel counts the hop', async () => {
      const packet = udpPacket(there(SITE_7))
      packet.set([0x6a, 0xb1, 0x23, 0x45]) // class ab, flow label 12345
      packet[7] = 9
      const [v4] = await into(packet)
      expect([v4![1], v4![8]]).toEqual([0xab, 9])
      expect(wrongChecksum(v4!)).toBeUndefined()
      const answer = udpPacket(ofLan)
      answer[1] = 0xcd
      answer[8] = 3
      const [v6] = await out(answer)
      expect(toHex(v6!.subarray(0, 8))).toBe('6cd00000000c1103')
    })

    test('[PKT-5.1] only prefixes of ours that name a site in full; the filter judges the IPv6 packet', async () => {
      const outside = udpPacket({ src: PEER.v6, dst: `${SITE_8}:a01:303` })
      expect((await path.fromPeer(1, outside)).drops).toEqual({ 'in-destination': 1 })
      path.door.setFilter({ ...VIA_FILTER, rules: [everything('0.0.0.0/0')] })
      expect((await path.fromPeer(1, udpPacket(there(SITE_7)))).drops).toEqual({ 'in-acl': 1 })
      path.door.setFilter({ ...FILTER, localNets: ['fd7a:115c:a1e0:b1a::/64', '::/0'] })
      expect(await into(udpPacket(there(SITE_7)))).toEqual([udpPacket(there(SITE_7))])
    })

    test('[PKT-5.2] UDP: none stays none in IPv4, and gets one in IPv6', async () => {
      const ask = udpPacket(there(SITE_7), 31)
      ask.fill(0, 46, 48)
      const [v4] = await into(ask)
      expect(v4!.subarray(26, 28)).toEqual(new Uint8Array(2))
      const answer = udpPacket(ofLan, 31)
      answer.fill(0, 26, 28)
      expect(await out(answer)).toEqual([udpPacket(back(SITE_7), 31)])
    })

    test('[PKT-5.3] fragments are dropped, a fragment header around a whole packet is not', async () => {
      const whole = udpPacket(there(SITE_7), 100)
      const fragment = (offset: number, more: boolean, cut = whole.subarray(40)) => {
        const header = Uint8Array.of(17, 0, offset >> 5, ((offset << 3) & 0xff) | Number(more), 1, 2, 3, 4)
        return encodeIpPacket(ipBytes(PEER.v6), ipBytes(at(SITE_7)), 44, concat(header, cut))
      }
      expect((await path.fromPeer(1, fragment(0, true))).drops).toEqual({ 'in-via-fragment': 1 })
      expect((await path.fromPeer(1, fragment(20, false))).drops).toEqual({ 'in-via-fragment': 1 })
      expect(await into(fragment(0, false))).toEqual([dontFragment(udpPacket(toLan, 100))])
      const answer = udpPacket(ofLan, 100)
      answer[6] = 0x20
      expect((await path.fromHost(answer)).drops).toEqual({ 'out-via-fragment': 1 })
    })

    test('[PKT-5.3] what cannot be translated, and targets that nobody may reach so', async () => {
      const sctp = encodeIpPacket(ipBytes(PEER.v6), ipBytes(at(SITE_7)), 132, noise(20))
      expect((await path.fromPeer(1, sctp)).drops).toEqual({ 'in-via-unsupported': 1 })
      expect((await path.fromPeer(1, echo(there(SITE_7), 'reply'))).drops).toEqual({ 'in-via-unsupported': 1 })
      for (const target of ['0:0', '7f00:1', 'e000:1', 'ffff:ffff', 'a9fe:101', '6440:2', '647f:fffe']) {
        const packet = udpPacket({ src: PEER.v6, dst: `${SITE_7}:${target}` })
        expect((await path.fromPeer(1, packet)).drops).toEqual({ 'in-via-target': 1 })
      }
      await path.fromPeer(1, udpPacket(there(SITE_7)))
      const options = udpPacket(ofLan)
      const longer = concat(options.subarray(0, 20), Uint8Array.of(1, 1, 1, 0), options.subarray(20))
      longer[0] = 0x46
      viewOf(longer).setUint16(2, longer.length)
      expect((await path.fromHost(longer)).drops).toEqual({ 'out-via-options': 1 })
    })

    test('[PKT-5.4] it comes from the peer’s own IPv4 address; without one it goes nowhere', async () => {
      path.setPeer({ peer: 1, allowedIps: ['192.168.0.1/32', '100.64.0.0/24', `${PEER.v4}/32`, `${PEER.v6}/128`] })
      expect(parsed((await into(udpPacket(there(SITE_7))))[0]!).srcText).toBe(PEER.v4)
      path.setPeer({ peer: 1, allowedIps: ['192.168.0.1/32', '100.64.0.0/24', `${PEER.v6}/128`] })
      expect((await path.fromPeer(1, udpPacket(there(SITE_7)))).drops).toEqual({ 'in-via-source': 1 })
    })

    test('[PKT-5.5] only answers are translated: what starts here, or belongs to no flow, stays IPv4', async () => {
      const own = udpPacket(ofLan)
      expect(await out(own)).toEqual([own])
      await into(udpPacket(there(SITE_7)))
      const other = udpPacket({ ...ofLan, srcPort: 81 })
      expect(await out(other)).toEqual([other])
    })

    test('[PKT-5.6] one address at two sites: other ports meet, the same five-tuple does not', async () => {
      const first = tcpPacket(there(SITE_7), ack)
      const second = tcpPacket(there(SITE_8), ack)
      expect(await into(first)).toHaveLength(1)
      expect(await path.fromPeer(1, second)).toEqual({ ...nothing, drops: { 'in-via-conflict': 1 } })
      expect(await into(tcpPacket(there(SITE_8, { srcPort: 5001 }), ack))).toHaveLength(1)
      expect(parsed((await out(tcpPacket({ ...ofLan, dstPort: 5001 }, ack)))[0]!).srcText).toBe(at(SITE_8))
      expect(parsed((await out(tcpPacket(ofLan, ack)))[0]!).srcText).toBe(at(SITE_7))
      // Closed by the server, and silent for four minutes: the tuple is free.
      await path.fromHost(tcpPacket(ofLan, fin | ack))
      clock.nowMs = 239_000
      path.setPeer({ peer: 1, allowedIps: [`${PEER.v4}/32`, `${PEER.v6}/128`] })
      expect((await path.fromPeer(1, second)).drops).toEqual({ 'in-via-conflict': 1 })
      clock.nowMs = 240_000
      expect(await into(second)).toHaveLength(1)
      expect(parsed((await out(tcpPacket(ofLan, ack)))[0]!).srcText).toBe(at(SITE_8))
    })

    test('[PKT-5.6] nor may the peer use a living five-tuple by plain IPv4', async () => {
      await into(udpPacket(there(SITE_7)))
      expect((await path.fromPeer(1, udpPacket(toLan))).drops).toEqual({ 'in-via-conflict': 1 })
      clock.nowMs = 300_000
      path.setPeer({ peer: 1, allowedIps: [`${PEER.v4}/32`, `${PEER.v6}/128`] })
      expect(await into(udpPacket(toLan))).toHaveLength(1)
      expect(await out(udpPacket(ofLan))).toEqual([udpPacket(ofLan)])
    })

    test('[PKT-5.6] a source of the peer’s that is not the one of the flow is another flow', async () => {
      path.setPeer({ peer: 1, allowedIps: [`${PEER.v4}/32`, `${PEER.v6}/128`, 'fd00::/64'] })
      await into(udpPacket(there(SITE_7)))
      expect((await path.fromPeer(1, udpPacket(there(SITE_7, { src: 'fd00::5' })))).drops).toEqual({
        'in-via-conflict': 1,
      })
      expect(await into(udpPacket(there(SITE_7, { src: 'fd00::5', srcPort: 5005 })))).toHaveLength(1)
      expect(parsed((await out(udpPacket({ ...ofLan, dstPort: 5005 })))[0]!).dstText).toBe('fd00::5')
    })

    test('[PKT-5.7] MSS: what fits as IPv6, in both directions', async () => {
      const [asked] = await into(synPacket(there(SITE_7), mssOption(1440)))
      expect(mssOf(asked!)).toBe(1220)
      expect(wrongChecksum(asked!)).toBeUndefined()
      const [answered] = await out(synPacket(ofLan, mssOption(1240), syn | ack))
      expect(mssOf(answered!)).toBe(1220)
      expect(wrongChecksum(answered!)).toBeUndefined()
    })

    test('[PKT-5.8] super-packets of the host, segment by segment', async () => {
      if (!path.takesJoined) return
      await into(tcpPacket(there(SITE_7), ack))
      const { toPeer } = await path.fromHostJoined(tcpPacket(ofLan, ack, 50_001), 1220)
      expect(toPeer).toHaveLength(41)
      for (const { packet } of toPeer) {
        expect(wrongChecksum(packet)).toBeUndefined()
        expect(parsed(packet)).toMatchObject({ srcText: at(SITE_7), dstText: PEER.v6, dstPort: 5000 })
        expect(packet.length).toBeLessThanOrEqual(1280)
      }
      const carried = concat(...toPeer.map(({ packet }) => Uint8Array.from(parsed(packet).payload)))
      expect(toHex(carried)).toBe(toHex(noise(50_001)))
    })

    test('[PKT-5.8] the largest packet there is', async () => {
      await into(udpPacket(there(SITE_7)))
      const answer = udpPacket(ofLan, 65_535 - 28)
      const { toPeer, drops } = await path.fromHost(answer)
      // Where one datagram cannot carry it, it is counted; it never breaks anything.
      expect(toPeer.length + (drops['out-no-path'] ?? 0)).toBe(1)
    })

    test('[PKT-5.1] a site that is not ours any more is not translated', async () => {
      await into(udpPacket(there(SITE_7)))
      path.door.setFilter(FILTER)
      expect((await path.fromPeer(1, udpPacket(there(SITE_7)))).drops).toEqual({ 'in-destination': 1 })
      expect(await out(udpPacket(ofLan))).toEqual([udpPacket(ofLan)])
    })
  })

  test('random packets between host and peer with everything switched on', async () => {
    path.door.setFilter(VIA_FILTER)
    path.door.setOwnAddresses(OWN)
    path.door.setOwnDisco(noise(32))
    path.setPeer({ peer: 1, allowedIps: [`${PEER.v4}/32`, `${PEER.v6}/128`], masquerade: SEEN })
    const seeds = [
      synPacket({ src: PEER.v6, dst: at(SITE_7) }, [...mssOption(9000), 1, 1, 1, 0]),
      udpPacket({ src: PEER.v6, dst: at(SITE_8) }, 70),
      echo({ src: PEER.v6, dst: at(SITE_7) }),
      synPacket({ src: PEER.v4, dst: SEEN.v4 }, mssOption(9000)),
      udpPacket({ src: LAN_HOST, dst: PEER.v4, srcPort: 80, dstPort: 5000 }),
      synPacket({ src: OWN.v6, dst: PEER.v6 }, mssOption(9000)),
    ]
    let state = 4711
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      return (state >> 8) % below
    }
    let ends = 0
    for (let round = 0; round < 3000; round++) {
      const seed = seeds[random(seeds.length)]!
      const packet = Uint8Array.from(seed.subarray(0, random(4) === 0 ? random(seed.length) + 1 : seed.length))
      for (let changes = random(4); changes > 0; changes--) packet[random(packet.length)] = random(256)
      const { toHost, toPeer, events, drops } = await (random(2) === 0
        ? path.fromHost(packet)
        : path.fromPeer(1, packet))
      ends += Math.min(1, toHost.length + toPeer.length + events.length + Object.values(drops).length)
    }
    expect(ends).toBe(3000)
  })
})

function parsed(packet: Uint8Array) {
  const result = parsePacket(packet)
  if (!result.ok) throw new Error(result.reason)
  return result.value
}

/** As the translation writes it. */
function dontFragment(packet: Uint8Array): Uint8Array {
  packet[6] = 0x40
  const view = viewOf(packet)
  view.setUint16(10, (view.getUint16(10) - 0x4000 + 0xffff) % 0xffff)
  return packet
}

function wrongIpv4Header(packet: Uint8Array): boolean {
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += (packet[i]! << 8) | packet[i + 1]!
  return sum % 0xffff !== 0
}
