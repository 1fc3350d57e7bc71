import { isIP, SocketAddress } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { IpPort } from '../../src-contract/ids.ts'
import {
  ipPort,
  ipText,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isPrivateIp,
  isTailscaleIp,
  parseIp,
  parseIpPort,
  parsePrefix,
  prefixContains,
  prefixText,
  splitIpPort,
} from './ip.ts'

const text = (input: string) => {
  const parsed = parseIp(input)
  return parsed.ok ? ipText(parsed.value) : undefined
}

describe('addresses', () => {
  test('[CTL-1.4] one canonical form', () => {
    const forms: [string, string][] = [
      ['1.2.3.4', '1.2.3.4'],
      ['::', '::'],
      ['::1', '::1'],
      ['1::', '1::'],
      ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
      ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
      ['0:0:1:0:0:0:0:0', '0:0:1::'],
      ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
      ['::ffff:1.2.3.4', '1.2.3.4'],
      ['::ffff:102:304', '1.2.3.4'],
      ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
      ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ]
    for (const [input, canonical] of forms) expect(text(input), input).toBe(canonical)
  })
  test('[CTL-1.4] everything else is refused', () => {
    const bad =
      ' 1.2.3.4|1.2.3|1.2.3.4.5|01.2.3.4|1.2.3.256|1.2.3.-4|1.2.3.4a|1..3.4||:|:::|1::2::3|1:2:3:4:5:6:7|12345::|g::|' +
      '1:2:3:4:5:6:7:8:9|1:2:3:4:5:6:7:8::|::1:2:3:4:5:6:7:8|fe80::1%eth0|1.2.3.4::|::1.2.3|:1::|1:|[::1]|1:2:3:4:5:6:7:1.2.3.4'
    for (const input of bad.split('|')) expect(parseIp(input).ok, input).toBe(false)
  })
  test('[CTL-1.4] agrees with Node about random addresses', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV6(), fc.ipV4()), (address) => {
        const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
        const canonical = text(address)
        expect(canonical).toBeDefined()
        if (!canonical!.includes('.')) expect(canonical).toBe(nodeText(address, family))
        expect(text(canonical!)).toBe(canonical)
      }),
    )
    fc.assert(fc.property(fc.string(), (s) => !parseIp(s).ok || isIP(s) !== 0))
  })
})

/** Node prints "::a.b.c.d" for the long-dead compatible addresses. */
function nodeText(address: string, family: 'ipv4' | 'ipv6'): string {
  const printed = new SocketAddress({ address, family, port: 1 }).address
  return printed.includes('.') ? text(printed)! : printed
}

describe('address and port', () => {
  test('[CTL-1.4] round trips', () => {
    for (const pair of ['1.2.3.4:5', '[2001:db8::1]:41641', '[::]:0']) {
      const parsed = parseIpPort(pair)
      if (!parsed.ok) throw new Error(parsed.reason)
      expect(ipPort(parsed.value.ip, parsed.value.port)).toBe(pair)
      const { address, port, family } = splitIpPort(pair as IpPort)
      expect(ipPort(address, port)).toBe(pair)
      expect(family).toBe(isIP(address))
    }
    expect(ipPort('::ffff:1.2.3.4', 80)).toBe('1.2.3.4:80')
    const unmapped = parseIpPort('[::ffff:1.2.3.4]:80')
    expect(unmapped.ok && unmapped.value.ip.length).toBe(4)
  })
  test('[CTL-1.4] refusals', () => {
    const bad =
      '|1.2.3.4|1.2.3.4:|:80|1.2.3.4:65536|1.2.3.4:080|[1.2.3.4]:80|::1:80|[::1]80|[::1]|[::1]:-1|x:1|[fe80::1%1]:2'
    for (const input of bad.split('|')) expect(parseIpPort(input).ok, input).toBe(false)
    expect(() => ipPort('nonsense', 1)).toThrow(TypeError)
  })
})

describe('prefixes', () => {
  const prefix = (input: string) => {
    const parsed = parsePrefix(input)
    if (!parsed.ok) throw new Error(`${input}: ${parsed.reason}`)
    return parsed.value
  }
  const ip = (input: string) => {
    const parsed = parseIp(input)
    if (!parsed.ok) throw new Error(parsed.reason)
    return parsed.value
  }
  test('masking and membership at every length', () => {
    expect(prefixText(prefix('10.1.2.3/8'))).toBe('10.0.0.0/8')
    expect(prefixText(prefix('::ffff:10.1.2.3/112'))).toBe('10.1.0.0/16')
    expect(prefixText(prefix('ffff:ffff::/17'))).toBe('ffff:8000::/17')
    const all = ip('255.255.255.255')
    for (let bits = 0; bits <= 32; bits++) {
      const p = prefix(`255.255.255.255/${bits}`)
      expect(prefixContains(p, all)).toBe(true)
      if (bits > 0) {
        const flipped = all.slice()
        flipped[(bits - 1) >> 3]! ^= 0x80 >> ((bits - 1) & 7)
        expect(prefixContains(p, flipped)).toBe(false)
      }
      if (bits < 32) {
        const flipped = all.slice()
        flipped[bits >> 3]! ^= 0x80 >> (bits & 7)
        expect(prefixContains(p, flipped)).toBe(true)
      }
    }
  })
  test('families do not mix', () => {
    expect(prefixContains(prefix('0.0.0.0/0'), ip('::1'))).toBe(false)
    expect(prefixContains(prefix('::/0'), ip('1.2.3.4'))).toBe(false)
  })
  test('refusals', () => {
    for (const input of '1.2.3.4|1.2.3.4/33|::/129|1.2.3.4/-1|/8|1.2.3.4/08|::ffff:1.2.3.4/95|1.2.3.4/8/8'.split('|')) {
      expect(parsePrefix(input).ok, input).toBe(false)
    }
  })
  test('kinds of addresses', () => {
    const kinds = { isTailscaleIp, isPrivateIp, isLinkLocal, isLoopback, isMulticast }
    const of = (input: string) => Object.entries(kinds).flatMap(([name, is]) => (is(input) ? [name] : []))
    expect(of('100.64.0.1')).toEqual(['isTailscaleIp'])
    expect(of('100.127.255.255')).toEqual(['isTailscaleIp'])
    expect(of('100.128.0.0')).toEqual([])
    expect(of('100.115.92.1')).toEqual([])
    expect(of('fd7a:115c:a1e0::7')).toEqual(['isTailscaleIp', 'isPrivateIp'])
    expect(of('172.31.255.255')).toEqual(['isPrivateIp'])
    expect(of('172.32.0.0')).toEqual([])
    expect(of('169.254.1.1')).toEqual(['isLinkLocal'])
    expect(of('fe80::1')).toEqual(['isLinkLocal'])
    expect(of('127.9.9.9')).toEqual(['isLoopback'])
    expect(of('::1')).toEqual(['isLoopback'])
    expect(of('239.1.1.1')).toEqual(['isMulticast'])
    expect(of('ff02::1')).toEqual(['isMulticast'])
    expect(of('8.8.8.8')).toEqual([])
  })
})
