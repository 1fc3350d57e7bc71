import { expect, test } from 'vitest'
import { equalBytes } from './bytes.ts'
import { expectReason, expectStable, fuzz, mutate } from './fuzz-kit.lab.ts'
import { ipBytes } from './ip.ts'
import {
  decodeTsmp,
  encodeIcmpEcho,
  encodeTcpPacket,
  encodeTsmp,
  encodeTsmpPacket,
  encodeTsmpPongTo,
  encodeUdpPacket,
  internetChecksum,
  parsePacket,
  type TsmpMessage,
  trimToIpLength,
} from './packet.ts'

const V4 = { src: ipBytes('100.64.0.1'), dst: ipBytes('100.64.0.2') }
const V6 = { src: ipBytes('fd7a:115c:a1e0::1'), dst: ipBytes('fd7a:115c:a1e0::2') }
const DATA = Uint8Array.from({ length: 60 }, (_, i) => i)
const PING: TsmpMessage = { kind: 'ping', data: DATA.slice(0, 8) }
const REJECTED: TsmpMessage = {
  kind: 'rejected',
  protocol: 6,
  reason: 0x41,
  srcPort: 1,
  dstPort: 2,
  maybeBroken: true,
}
const SAMPLES = [V4, V6].flatMap((ends) => [
  encodeUdpPacket({ ...ends, srcPort: 53, dstPort: 4_000 }, DATA),
  encodeTcpPacket({ ...ends, srcPort: 443, dstPort: 4_000 }, { flags: 2, seq: 1, ack: 0, payload: DATA }),
  encodeIcmpEcho({ ...ends, kind: 'request', id: 1, seq: 2, payload: DATA }),
  encodeTsmpPacket(ends.src, ends.dst, PING),
  encodeTsmpPacket(ends.src, ends.dst, REJECTED),
])
// a first and a later fragment
for (const fields of [0x2000, 0x2064, 0x0001]) {
  const fragment = SAMPLES[0]!.slice()
  fragment[6] = fields >> 8
  fragment[7] = fields & 0xff
  SAMPLES.push(fragment)
}

test('IP packets: every member of whatever parses can be read, and stays inside the packet', () => {
  let parsed = 0
  fuzz(
    40_000,
    (random) => mutate(random, SAMPLES),
    (bytes) => {
      const packet = parsePacket(bytes)
      const trimmed = trimToIpLength(bytes)
      expect(packet.ok).toBe(trimmed.ok)
      if (!packet.ok || !trimmed.ok) {
        if (!packet.ok) expectReason(packet.reason)
        return
      }
      parsed++
      const p = packet.value
      if (!equalBytes(p.bytes, trimmed.value) || !equalBytes(p.bytes, bytes.subarray(0, p.bytes.length))) {
        throw new Error('not the trimmed packet')
      }
      const addressBytes = p.version === 4 ? 4 : 16
      if (p.src.length !== addressBytes || p.dst.length !== addressBytes) throw new Error('address size')
      if (!equalBytes(ipBytes(p.srcText), p.src) && !isMapped(p.src)) throw new Error('address text')
      for (const number of [p.srcPort, p.dstPort, p.tcpFlags, p.protocol, p.transportOffset]) {
        if (!Number.isInteger(number) || number < -1 || number > 0xffff) throw new Error(`number ${number}`)
      }
      if (p.isTcpSyn && (p.tcpFlags & 18) !== 2) throw new Error('syn')
      if (p.icmp !== undefined && Object.values(p.icmp).some((value) => !Number.isInteger(value)))
        throw new Error('icmp')
      if (p.payload.length > p.transport.length || p.transport.length > p.bytes.length) throw new Error('outside')
      if (p.fragment === 'later' && (p.srcPort !== 0 || p.tcpFlags !== 0)) throw new Error('ports of a later fragment')
    },
  )
  expect(parsed).toBeGreaterThan(4_000)
})

const isMapped = (ip: Uint8Array) => ip.length === 16 && ip[10] === 0xff && ip[11] === 0xff

test('TSMP: stable, and a pong can be made for every ping that parses', () => {
  const messages: Exclude<TsmpMessage, { kind: 'unknown' }>[] = [
    PING as never,
    REJECTED as never,
    { kind: 'pong', data: DATA.slice(0, 8), peerApiPort: 4_242 },
    { kind: 'discoKey', discoKey: DATA.slice(0, 32) },
  ]
  const samples = messages.map(encodeTsmp)
  fuzz(
    20_000,
    (random) => mutate(random, samples),
    (bytes) => {
      const decoded = decodeTsmp(bytes)
      if (decoded.ok && decoded.value.kind === 'unknown') return
      expectStable(bytes, decodeTsmp, (message) => encodeTsmp(message as (typeof messages)[number]))
    },
  )
  fuzz(
    5_000,
    (random) => mutate(random, SAMPLES.slice(3, 5)),
    (bytes) => {
      const ping = parsePacket(bytes)
      if (!ping.ok) return
      const pong = parsePacket(encodeTsmpPongTo(ping.value, DATA.slice(0, 8), 1))
      if (!pong.ok || !equalBytes(pong.value.dst, ping.value.src)) throw new Error('pong')
    },
  )
})

test('packets we build parse, and their checksums sum to zero', () => {
  fuzz(
    3_000,
    (random) => random.bytes(random.below(1_400)),
    (payload, random) => {
      const ends = random.pick([V4, V6])
      const packet = encodeUdpPacket({ ...ends, srcPort: random.below(65_536), dstPort: random.below(65_536) }, payload)
      const parsed = parsePacket(packet)
      if (!parsed.ok || !equalBytes(parsed.value.payload, payload)) throw new Error('round trip')
      if (ends === V4) expect(internetChecksum(packet.subarray(0, 20))).toBe(0)
    },
  )
})
