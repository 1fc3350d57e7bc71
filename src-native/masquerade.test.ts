import { describe, expect, test } from 'vitest'
import { fromHex, toHex } from '../src-protocol/wire/bytes.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeIcmpEcho, encodeIpPacket, tcpFlag } from '../src-protocol/wire/packet.ts'
import { changeChecksum } from './checksum.ts'
import { masqueradeIn, masqueradeOut, parsePair } from './masquerade.ts'
import { fieldsOf, noise, tcpPacket, udpPacket, wrongChecksum } from './rewritten-packets.contract-suite.ts'

const OWN = parsePair({ v4: '100.64.0.1', v6: 'fd7a:115c:a1e0::1' })
const SEEN = parsePair({ v4: '100.127.255.254', v6: 'fd7a:115c:a1e0:ffff:ffff:ffff:ffff:fffe' })
const V4 = { src: '100.64.0.2', dst: '100.127.255.254' }
const V6 = { src: 'fd7a:115c:a1e0::2', dst: 'fd7a:115c:a1e0:ffff:ffff:ffff:ffff:fffe' }
const TO_OWN_V4 = { ...V4, dst: '100.64.0.1' }
const TO_OWN_V6 = { ...V6, dst: 'fd7a:115c:a1e0::1' }

function rewritten(packet: Uint8Array, how = masqueradeIn): Uint8Array {
  const copy = Uint8Array.from(packet)
  const p = fieldsOf(copy)
  how(copy, p, SEEN, OWN)
  const again = fieldsOf(copy)
  expect([p.s0, p.s1, p.s2, p.s3, p.d0, p.d1, p.d2, p.d3]).toEqual([
    again.s0,
    again.s1,
    again.s2,
    again.s3,
    again.d0,
    again.d1,
    again.d2,
    again.d3,
  ])
  return copy
}

const icmp = ({ src, dst }: { src: string; dst: string }) =>
  encodeIcmpEcho({ src: ipBytes(src), dst: ipBytes(dst), kind: 'request', id: 7, seq: 1, payload: noise(33) })

describe('masquerade addresses', () => {
  test('[PKT-1.2] a checksum changes as RFC 1624 says', () => {
    // RFC 1624 §4: checksum DD2F, a word 5555 becomes 3285; equation 2 would give FFFF.
    const bytes = fromHex('dd2f')
    changeChecksum(bytes, 0, 0x5555, 0x3285)
    expect(toHex(bytes)).toBe('0000')
  })

  test.each([
    ['TCP', tcpPacket(V4, tcpFlag.ack, 100), tcpPacket(TO_OWN_V4, tcpFlag.ack, 100)],
    ['UDP', udpPacket(V4, 33), udpPacket(TO_OWN_V4, 33)],
    ['ICMP', icmp(V4), icmp(TO_OWN_V4)],
    ['TCP in IPv6', tcpPacket(V6, tcpFlag.ack, 101), tcpPacket(TO_OWN_V6, tcpFlag.ack, 101)],
    ['UDP in IPv6', udpPacket(V6, 0), udpPacket(TO_OWN_V6, 0)],
    ['ICMPv6', icmp(V6), icmp(TO_OWN_V6)],
  ])('[PKT-1.1] [PKT-1.2] %s: as if it had been made for our own address, and back', (_name, seen, own) => {
    expect(rewritten(seen)).toEqual(own)
    expect(wrongChecksum(own)).toBeUndefined()
    const back = (packet: Uint8Array) => {
      // The answer: the same packet with ends exchanged, whose checksum is the same.
      const copy = Uint8Array.from(packet)
      const [at, size] = packet[0]! >> 4 === 4 ? [12, 4] : [8, 16]
      copy.set(packet.subarray(at, at + size), at + size)
      copy.set(packet.subarray(at + size, at + 2 * size), at)
      return copy
    }
    expect(rewritten(back(own), masqueradeOut)).toEqual(back(seen))
  })

  test('[PKT-1.3] UDP without a checksum stays without, and one that becomes zero is written as ffff', () => {
    const without = udpPacket(V4)
    without.fill(0, 26, 28)
    expect(rewritten(without).subarray(26, 28)).toEqual(new Uint8Array(2))
    let seen = 0
    for (let value = 0; value < 0x10000; value++) {
      const payload = Uint8Array.of(value >> 8, value & 0xff)
      const wanted = udpPacket(TO_OWN_V4, payload)
      const got = rewritten(udpPacket(V4, payload))
      if (wanted[26] === 0xff && wanted[27] === 0xff) seen++
      if (toHex(got) !== toHex(wanted)) expect(got).toEqual(wanted)
    }
    expect(seen).toBe(1)
  })

  test('[PKT-1.4] of fragments, the first has a transport checksum, the others only addresses', () => {
    const first = udpPacket(V4, 1000)
    first[6] = 0x20 // more fragments
    const changed = rewritten(first)
    expect(toHex(changed.subarray(20))).not.toBe(toHex(first.subarray(20)))
    const later = Uint8Array.from(first)
    later[7] = 0x80
    const changedLater = rewritten(later)
    expect(toHex(changedLater.subarray(20))).toBe(toHex(later.subarray(20)))
    expect(changedLater.subarray(16, 20)).toEqual(ipBytes('100.64.0.1'))
  })

  test('[PKT-1.4] protocols that do not cover addresses, or that are cut short, keep every byte behind the header', () => {
    for (const protocol of [132, 47, 50, 33, 136, 58]) {
      for (const size of [0, 1, 2, 6, 7]) {
        const packet = encodeIpPacket(ipBytes(V4.src), ipBytes(V4.dst), protocol, noise(size))
        expect(toHex(rewritten(packet).subarray(20))).toBe(toHex(packet.subarray(20)))
      }
    }
  })

  test('[PKT-1.1] other addresses and the other direction are left alone; one family may be without', () => {
    for (const packet of [udpPacket(TO_OWN_V4), udpPacket(TO_OWN_V6), udpPacket({ ...V4, dst: '100.64.0.9' })]) {
      expect(rewritten(packet)).toEqual(packet)
    }
    for (const packet of [udpPacket(V4), udpPacket(V6)]) {
      expect(rewritten(packet, masqueradeOut)).toEqual(packet)
      const copy = Uint8Array.from(packet)
      const none = parsePair({ v4: 'fd7a::1', v6: '1.2.3.4' })
      masqueradeIn(copy, fieldsOf(copy), SEEN, none)
      masqueradeIn(copy, fieldsOf(copy), none, OWN)
      expect(copy).toEqual(packet)
    }
  })
})
