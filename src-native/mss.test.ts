import { describe, expect, test } from 'vitest'
import { tcpFlag } from '../src-protocol/wire/packet.ts'
import { lowerMss, mssFor } from './mss.ts'
import { fieldsOf, mssOf, mssOption, synPacket, wrongChecksum } from './rewritten-packets.contract-suite.ts'

const V4 = { src: '100.64.0.1', dst: '100.64.0.2' }
const V6 = { src: 'fd7a:115c:a1e0::1', dst: 'fd7a:115c:a1e0::2' }

function lowered(packet: Uint8Array, mtuBytes = 1280): Uint8Array {
  const copy = Uint8Array.from(packet)
  lowerMss(copy, fieldsOf(copy), mtuBytes)
  return copy
}

describe('MSS', () => {
  test.each([
    ['IPv4', V4, 1240],
    ['IPv6', V6, 1220],
  ])('[PKT-4.1] %s: lowered to what the tunnel takes', (_name, ends, most) => {
    for (const mss of [65535, 9000, 1460, most + 1]) {
      for (const flags of [tcpFlag.syn, tcpFlag.syn | tcpFlag.ack]) {
        const packet = lowered(synPacket(ends, mssOption(mss), flags))
        expect(mssOf(packet)).toBe(most)
        expect(wrongChecksum(packet)).toBeUndefined()
      }
    }
  })

  test('[PKT-4.2] never raised', () => {
    for (const mss of [0, 1, 536, 1239, 1240]) {
      const packet = synPacket(V4, mssOption(mss))
      expect(lowered(packet)).toEqual(packet)
    }
    expect(mssFor(6, 59)).toBe(0)
  })

  test('[PKT-4.1] an option at an odd place, behind others, and twice', () => {
    const sack = [4, 2]
    const timestamps = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8]
    for (const options of [
      [1, ...mssOption(1460), 0, 0, 0],
      [...sack, 1, ...mssOption(0xfffe), 0],
      [...timestamps, 1, ...mssOption(1459), 1],
      [...mssOption(1460), 1, ...mssOption(8961), 0, 0, 0],
    ]) {
      const before = synPacket(V4, options)
      const after = lowered(before)
      expect(mssOf(after)).toBe(1240)
      expect(wrongChecksum(after)).toBeUndefined()
      expect(after.filter((byte, i) => byte !== before[i]).length).toBeLessThanOrEqual(6)
    }
    expect(mssOf(lowered(synPacket(V4, [...mssOption(1000), 1, ...mssOption(8961), 0, 0, 0])))).toBe(1000)
  })

  test.each([
    ['of length 0', [2, 0, 5, 180]],
    ['of length 1', [2, 1, 5, 180]],
    ['of length 3', [2, 3, 255, 0]],
    ['of length 6', [2, 6, 255, 255, 255, 255, 0, 0]],
    ['reaching out of the header', [1, 1, 2, 4]],
    ['cut after its kind', [1, 1, 1, 2]],
    ['behind the end of options', [0, 0, 0, 0, ...mssOption(9000)]],
    ['behind one that makes no sense', [3, 0, 1, 1, ...mssOption(9000)]],
  ])('[PKT-4.3] an option %s is left alone', (_name, options) => {
    const packet = synPacket(V4, options)
    expect(lowered(packet)).toEqual(packet)
  })

  test('[PKT-4.3] a header that is said to be longer than the packet, or shorter than a header', () => {
    for (const words of [0, 4, 7, 15]) {
      const packet = synPacket(V4, mssOption(9000))
      packet[32] = words << 4
      expect(lowered(packet)).toEqual(packet)
    }
  })

  test('[PKT-4.3] random options: in bounds, and the checksum stays as right as it was', () => {
    let state = 7
    for (let round = 0; round < 20_000; round++) {
      const options = Array.from({ length: 4 * (round % 11) }, () => {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
        return [0, 1, 2, 4, 255, state >> 16][(state >> 8) % 6]! & 0xff
      })
      expect(wrongChecksum(lowered(synPacket(V6, options)))).toBeUndefined()
    }
  })
})
