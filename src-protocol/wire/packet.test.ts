import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHex, toHex } from './bytes.ts'
import { ipBytes } from './ip.ts'
import {
  decodeTsmp,
  encodeIcmpEcho,
  encodeIpPacket,
  encodeTcpPacket,
  encodeTsmp,
  encodeTsmpPacket,
  encodeTsmpPongTo,
  encodeUdpPacket,
  internetChecksum,
  ipProtocol,
  type ParsedPacket,
  parsePacket,
  tcpFlag,
  transportChecksum,
  trimToIpLength,
  UNKNOWN_PROTOCOL,
} from './packet.ts'

const a4 = ipBytes('100.64.0.1')
const b4 = ipBytes('100.64.0.2')
const a6 = ipBytes('fd7a:115c:a1e0::1')
const b6 = ipBytes('fd7a:115c:a1e0::2')

function parsed(bytes: Uint8Array): ParsedPacket {
  const result = parsePacket(bytes)
  if (!result.ok) throw new Error(result.reason)
  return result.value
}

const summary = (p: ParsedPacket) => ({
  version: p.version,
  protocol: p.protocol,
  fragment: p.fragment,
  from: `${p.srcText} ${p.srcPort}`,
  to: `${p.dstText} ${p.dstPort}`,
})

describe('builders and parser agree', () => {
  test('UDP of both families, with a valid checksum', () => {
    for (const [src, dst] of [
      [a4, b4],
      [a6, b6],
    ] as const) {
      const bytes = encodeUdpPacket({ src, dst, srcPort: 5, dstPort: 53 }, fromHex('aabbcc'))
      const packet = parsed(bytes)
      expect(summary(packet)).toMatchObject({ protocol: ipProtocol.udp, fragment: 'none' })
      expect([packet.srcPort, packet.dstPort, toHex(packet.payload)]).toEqual([5, 53, 'aabbcc'])
      const check = transportChecksum(src, dst, ipProtocol.udp, packet.transport)
      expect(check === 0 || check === 0xffff).toBe(true)
    }
  })
  test('TCP flags and SYN', () => {
    const flow = { src: a6, dst: b6, srcPort: 50_000, dstPort: 22 }
    const syn = parsed(encodeTcpPacket(flow, { flags: tcpFlag.syn }))
    expect([syn.isTcpSyn, syn.tcpFlags, syn.srcPort, syn.dstPort]).toEqual([true, 2, 50_000, 22])
    expect(transportChecksum(a6, b6, ipProtocol.tcp, syn.transport)).toBe(0)
    const reply = parsed(encodeTcpPacket(flow, { flags: tcpFlag.syn | tcpFlag.ack, payload: fromHex('01') }))
    expect([reply.isTcpSyn, toHex(reply.payload)]).toEqual([false, '01'])
  })
  test('ICMP echo of both families', () => {
    for (const [src, dst, types] of [
      [a4, b4, [8, 0]],
      [a6, b6, [128, 129]],
    ] as const) {
      for (const [i, kind] of (['request', 'reply'] as const).entries()) {
        const packet = parsed(encodeIcmpEcho({ src, dst, kind, id: 7, seq: 9, payload: fromHex('0102') }))
        expect(packet.icmp).toEqual({ type: types[i], code: 0, id: 7, seq: 9 })
        expect(toHex(packet.payload)).toBe('0102')
        const sum =
          src.length === 4
            ? internetChecksum(packet.transport)
            : transportChecksum(src, dst, ipProtocol.icmpv6, packet.transport)
        expect(sum).toBe(0)
      }
    }
  })
  test('the IPv4 header checksum holds', () => {
    expect(internetChecksum(encodeIpPacket(a4, b4, 6, new Uint8Array(3)).subarray(0, 20))).toBe(0)
  })
  test('two families in one packet are a mistake', () => {
    expect(() => encodeIpPacket(a4, b6, 6, new Uint8Array(0))).toThrow(RangeError)
  })
})

describe('what the filter must not be fooled by', () => {
  const syn = encodeTcpPacket({ src: a4, dst: b4, srcPort: 1, dstPort: 22 }, { flags: tcpFlag.syn })
  const v4 = (change: (bytes: Uint8Array) => void, bytes = syn) => {
    const copy = bytes.slice()
    change(copy)
    return parsePacket(copy)
  }
  const protocolOf = (result: ReturnType<typeof parsePacket>) => (result.ok ? result.value.protocol : result.reason)

  test('[FLT-2.2] lengths: cut at every byte, padding trimmed', () => {
    for (let i = 0; i < syn.length; i++) expect(parsePacket(syn.subarray(0, i)).ok).toBe(false)
    const padded = new Uint8Array(48)
    padded.set(syn)
    const trimmed = trimToIpLength(padded)
    expect(trimmed.ok && toHex(trimmed.value)).toBe(toHex(syn))
    expect(parsed(padded).bytes.length).toBe(syn.length)
    expect(protocolOf(v4((b) => (b[0] = 0x44)))).toBe('ip-header')
    expect(protocolOf(v4((b) => (b[0] = 0x4f)))).toBe('ip-header')
    expect(protocolOf(v4((b) => (b[3] = 19)))).toBe('ip-header')
    expect(protocolOf(v4((b) => (b[0] = 0x55)))).toBe('ip-version')
  })
  test('[FLT-2.2] a transport header that is not whole is unknown', () => {
    for (const [protocol, bytes] of Object.entries({ 1: 4, 2: 8, 6: 20, 17: 8, 99: 7, 132: 12 })) {
      const p = Number(protocol)
      expect(parsed(encodeIpPacket(a4, b4, p, new Uint8Array(bytes))).protocol).toBe(p)
      expect(parsed(encodeIpPacket(a4, b4, p, new Uint8Array(bytes - 1))).protocol).toBe(UNKNOWN_PROTOCOL)
      expect(parsed(encodeIpPacket(a6, b6, p, new Uint8Array(bytes - 1))).protocol).toBe(UNKNOWN_PROTOCOL)
    }
    expect(parsed(encodeIpPacket(a4, b4, 47, new Uint8Array(0))).protocol).toBe(47)
    expect(parsed(encodeIpPacket(a4, b4, 255, new Uint8Array(20))).protocol).toBe(UNKNOWN_PROTOCOL)
  })
  test('[FLT-2.5] IPv4 fragments: first as whole, later ones only past 80 bytes', () => {
    const first = v4((b) => (b[6] = 0x20))
    expect(first.ok && summary(first.value)).toMatchObject({ protocol: 6, fragment: 'first', to: '100.64.0.2 22' })
    const overlapping = v4((b) => (b[7] = 9))
    expect(overlapping.ok && summary(overlapping.value)).toMatchObject({
      protocol: UNKNOWN_PROTOCOL,
      fragment: 'later',
    })
    const later = v4((b) => (b[7] = 10))
    expect(later.ok && summary(later.value)).toMatchObject({ protocol: 6, fragment: 'later', to: '100.64.0.2 0' })
    expect(later.ok && later.value.tcpFlags).toBe(0)
    const tsmp = encodeTsmpPacket(a4, b4, { kind: 'ping', data: new Uint8Array(8) })
    expect(protocolOf(v4((b) => (b[6] = 0x20), tsmp))).toBe(UNKNOWN_PROTOCOL)
  })
  test('[FLT-2.2] IPv6: fragment header understood, hop-by-hop unknown, other extensions by their number', () => {
    const segment = syn.subarray(20)
    const withFragment = (word: number) => {
      const header = fromHex('0600 0000 00000001')
      header[2] = word >> 8
      header[3] = word & 0xff
      const body = new Uint8Array(8 + segment.length)
      body.set(header)
      body.set(segment, 8)
      return parsed(encodeIpPacket(a6, b6, 44, body))
    }
    expect(summary(withFragment(1))).toMatchObject({ protocol: 6, fragment: 'first', to: 'fd7a:115c:a1e0::2 22' })
    expect(withFragment(9 << 3).protocol).toBe(UNKNOWN_PROTOCOL)
    expect(summary(withFragment(10 << 3))).toMatchObject({ protocol: 6, fragment: 'later' })
    expect(parsed(encodeIpPacket(a6, b6, 44, new Uint8Array(7))).protocol).toBe(UNKNOWN_PROTOCOL)
    expect(parsed(encodeIpPacket(a6, b6, 0, new Uint8Array(40))).protocol).toBe(UNKNOWN_PROTOCOL)
    expect(parsed(encodeIpPacket(a6, b6, 43, new Uint8Array(40))).protocol).toBe(43)
  })
  test('ICMP types need eight bytes', () => {
    expect(parsed(encodeIpPacket(a4, b4, 1, fromHex('08000000000000'))).icmp).toBeUndefined()
    expect(parsed(encodeIpPacket(a4, b4, 58, new Uint8Array(8))).icmp).toBeUndefined()
  })
  test('options shift the transport header', () => {
    const bytes = new Uint8Array(44)
    bytes.set(syn.subarray(0, 20))
    bytes[0] = 0x46
    bytes[3] = 44
    bytes.set(syn.subarray(20), 24)
    expect(parsed(bytes).dstPort).toBe(22)
  })
  test('noise does not throw, whatever is asked of it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(0x45, 0x46, 0x60, 0x6f), (bytes, first) => {
        if (bytes.length > 0) bytes[0] = first
        if (bytes.length > 3) bytes[2] = 0
        const result = parsePacket(bytes)
        if (!result.ok) return
        const p = result.value
        void [summary(p), p.icmp, p.tcpFlags, p.isTcpSyn, p.payload, p.transport]
        decodeTsmp(p.transport)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('TSMP', () => {
  test('known ping and pong', () => {
    const data = fromHex('0102030405060708')
    const ping = encodeTsmpPacket(a4, b4, { kind: 'ping', data })
    expect(toHex(ping)).toBe('4500001d000000004063b1fb644000016440000270' + '0102030405060708')
    expect(decodeTsmp(parsed(ping).transport)).toEqual({ ok: true, value: { kind: 'ping', data } })
    const pong = encodeTsmpPongTo(parsed(ping), data, 41_234)
    expect(toHex(pong)).toBe('4500001fffff00004063b1f964400002644000016f' + '0102030405060708a112')
    expect(decodeTsmp(parsed(pong).transport)).toEqual({ ok: true, value: { kind: 'pong', data, peerApiPort: 41_234 } })
    const pong6 = parsed(encodeTsmpPongTo(parsed(encodeTsmpPacket(a6, b6, { kind: 'ping', data })), data, 1))
    expect([pong6.srcText, pong6.dstText, toHex(pong6.bytes.subarray(0, 4))]).toEqual([
      'fd7a:115c:a1e0::2',
      'fd7a:115c:a1e0::1',
      '600fffff',
    ])
  })
  test('known reject', () => {
    const reject = {
      kind: 'rejected',
      protocol: 6,
      reason: 0x41,
      srcPort: 50_000,
      dstPort: 22,
      maybeBroken: false,
    } as const
    expect(toHex(encodeTsmpPacket(b4, a4, reject))).toBe('4500001b000000004063b1fd6440000264400001' + '210641c3500016')
    expect(decodeTsmp(encodeTsmp({ ...reject, maybeBroken: true }))).toMatchObject({ value: { maybeBroken: true } })
  })
  test('disco key advertisement, unknown types, tails and cuts', () => {
    const discoKey = new Uint8Array(32).fill(7)
    expect(decodeTsmp(encodeTsmp({ kind: 'discoKey', discoKey }))).toEqual({
      ok: true,
      value: { kind: 'discoKey', discoKey },
    })
    expect(decodeTsmp(fromHex('ff0102'))).toEqual({ ok: true, value: { kind: 'unknown', type: 255 } })
    expect(decodeTsmp(fromHex('70 0102030405060708 ffff'))).toMatchObject({ ok: true, value: { kind: 'ping' } })
    expect(decodeTsmp(fromHex('6f 0102030405060708'))).toMatchObject({ ok: true, value: { peerApiPort: 0 } })
    for (const type of ['70', '6f', '61', '21']) {
      for (let length = 0; length < 6; length++) expect(decodeTsmp(fromHex(type + '00'.repeat(length))).ok).toBe(false)
    }
    expect(decodeTsmp(new Uint8Array(0)).ok).toBe(false)
  })
})
