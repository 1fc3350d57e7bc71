/**
 * IP addresses, address-and-port pairs and prefixes between text and bytes. An address is 4 or 16 bytes; IPv4-mapped
 * IPv6 is unmapped on entry, so each address has one form. Zones are refused.          [RFC 4291 §2.2, RFC 5952 §4]
 */
import type { IpPort, IpText, PrefixText } from '../../src-contract/ids.ts'
import { bad, type Decoded, ok } from './decoded.ts'

export interface Prefix {
  readonly ip: Uint8Array
  readonly bits: number
}

export function parseIp(text: string): Decoded<Uint8Array> {
  if (!text.includes(':')) return parseIpv4(text)
  const wide = parseIpv6(text)
  return wide.ok ? ok(unmapIp(wide.value)) : wide
}

/** IPv4-mapped IPv6 as its four bytes, everything else as it is. */
export function unmapIp(ip: Uint8Array): Uint8Array {
  return isMapped(ip) ? ip.slice(12) : ip
}

function isMapped(ip: Uint8Array): boolean {
  if (ip.length !== 16 || ip[10] !== 0xff || ip[11] !== 0xff) return false
  for (let i = 0; i < 10; i++) if (ip[i] !== 0) return false
  return true
}

/** A decimal without sign or leading zero, at most `max`; -1 otherwise. */
function decimal(text: string, max: number): number {
  if (!/^(0|[1-9]\d{0,5})$/.test(text)) return -1
  const value = Number(text)
  return value <= max ? value : -1
}

function parseIpv4(text: string): Decoded<Uint8Array> {
  const parts = text.split('.', 5)
  if (parts.length !== 4) return bad('ip-text')
  const ip = new Uint8Array(4)
  for (let i = 0; i < 4; i++) {
    const value = decimal(parts[i]!, 255)
    if (value < 0) return bad('ip-text')
    ip[i] = value
  }
  return ok(ip)
}

function parseIpv6(text: string): Decoded<Uint8Array> {
  if (text.length > 45) return bad('ip-text')
  const halves = text.split('::')
  if (halves.length > 2) return bad('ip-text')
  const head = parseGroups(halves[0]!, halves.length === 1)
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : []
  if (head === undefined || tail === undefined) return bad('ip-text')
  const length = head.length + tail.length
  // "::" stands for at least one group
  if (halves.length === 1 ? length !== 16 : length > 14) return bad('ip-text')
  const ip = new Uint8Array(16)
  ip.set(head, 0)
  ip.set(tail, 16 - tail.length)
  return ok(ip)
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === '') return []
  const bytes: number[] = []
  const groups = text.split(':')
  for (const [i, group] of groups.entries()) {
    if (mayEndInIpv4 && i === groups.length - 1 && group.includes('.')) {
      const dotted = parseIpv4(group)
      if (!dotted.ok) return undefined
      bytes.push(...dotted.value)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
      const value = Number.parseInt(group, 16)
      bytes.push(value >> 8, value & 0xff)
    }
  }
  return bytes
}

export function ipText(ip: Uint8Array): IpText {
  if (ip.length === 4) return `${ip[0]}.${ip[1]}.${ip[2]}.${ip[3]}`
  if (ip.length !== 16) throw new RangeError(`an address has 4 or 16 bytes, not ${ip.length}`)
  if (isMapped(ip)) return `::ffff:${ipText(ip.subarray(12))}`
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push(((ip[i]! << 8) | ip[i + 1]!).toString(16))
  // the longest run of two or more zero groups, the first of equals
  let start = -1
  let length = 1
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && groups[end] === '0') end++
    if (end - i > length) {
      start = i
      length = end - i
    }
    if (end > i) i = end
  }
  if (start < 0) return groups.join(':')
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`
}

export function parseIpPort(text: string): Decoded<{ ip: Uint8Array; port: number }> {
  const colon = text.lastIndexOf(':')
  if (colon <= 0) return bad('ip-port-text')
  const port = decimal(text.slice(colon + 1), 0xffff)
  if (port < 0) return bad('ip-port-text')
  const host = text.slice(0, colon)
  const isBracketed = host.startsWith('[') && host.endsWith(']')
  const address = isBracketed ? host.slice(1, -1) : host
  if (isBracketed !== address.includes(':')) return bad('ip-port-text')
  const ip = parseIp(address)
  return ip.ok ? ok({ ip: ip.value, port }) : ip
}

/** Canonical; throws on text that is no address, so untrusted text goes through {@link parseIp} first. */
export function ipPort(ip: Uint8Array | IpText, port: number): IpPort {
  const bytes = unmapIp(ipBytes(ip))
  return (bytes.length === 4 ? `${ipText(bytes)}:${port}` : `[${ipText(bytes)}]:${port}`) as IpPort
}

/** The parts of a canonical pair, for socket calls. */
export function splitIpPort(pair: IpPort): { address: IpText; port: number; family: 4 | 6 } {
  const colon = pair.lastIndexOf(':')
  const port = Number(pair.slice(colon + 1))
  return pair.startsWith('[')
    ? { address: pair.slice(1, colon - 1), port, family: 6 }
    : { address: pair.slice(0, colon), port, family: 4 }
}

/** `address/bits`. Host bits are kept as given; {@link prefixText} clears them. */
export function parsePrefix(text: string): Decoded<Prefix> {
  const slash = text.indexOf('/')
  if (slash < 0) return bad('prefix-text')
  const ip = parseIp(text.slice(0, slash))
  if (!ip.ok) return ip
  const isUnmapped = ip.value.length === 4 && text.includes(':')
  const bits = decimal(text.slice(slash + 1), isUnmapped ? 128 : ip.value.length * 8)
  if (bits < 0 || (isUnmapped && bits < 96)) return bad('prefix-text')
  return ok({ ip: ip.value, bits: isUnmapped ? bits - 96 : bits })
}

export function prefixText(prefix: Prefix): PrefixText {
  const masked = prefix.ip.slice()
  for (let i = 0; i < masked.length; i++) {
    const kept = Math.min(8, Math.max(0, prefix.bits - 8 * i))
    masked[i] = masked[i]! & (0xff00 >> kept)
  }
  return `${ipText(masked)}/${prefix.bits}`
}

export function prefixContains(prefix: Prefix, ip: Uint8Array): boolean {
  if (prefix.ip.length !== ip.length) return false
  const whole = prefix.bits >> 3
  for (let i = 0; i < whole; i++) if (prefix.ip[i] !== ip[i]) return false
  const rest = prefix.bits & 7
  return rest === 0 || ((prefix.ip[whole]! ^ ip[whole]!) & (0xff00 >> rest) & 0xff) === 0
}

/** The bytes of text that is known to be an address; throws otherwise. */
export function ipBytes(ip: Uint8Array | IpText): Uint8Array {
  if (typeof ip !== 'string') return ip
  const parsed = parseIp(ip)
  if (!parsed.ok) throw new TypeError(`not an IP address: ${ip}`)
  return parsed.value
}

function within(...texts: string[]): (ip: Uint8Array | IpText) => boolean {
  const prefixes = texts.map((text) => {
    const parsed = parsePrefix(text)
    if (!parsed.ok) throw new TypeError(`not a prefix: ${text}`)
    return parsed.value
  })
  return (ip) => {
    const bytes = ipBytes(ip)
    return prefixes.some((prefix) => prefixContains(prefix, bytes))
  }
}

const isChromeOsVmIp = within('100.115.92.0/23')
export const tailscaleRanges: readonly PrefixText[] = ['100.64.0.0/10', 'fd7a:115c:a1e0::/48']
const isInTailscaleRange = within(...tailscaleRanges)

/** The address space of tailnets; ChromeOS keeps a corner of it for its virtual machines. */
export function isTailscaleIp(ip: Uint8Array | IpText): boolean {
  return isInTailscaleRange(ip) && !isChromeOsVmIp(ip)
}
export const isPrivateIp = within('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7')
export const isLinkLocal = within('169.254.0.0/16', 'fe80::/10')
export const isLoopback = within('127.0.0.0/8', '::1/128')
export const isMulticast = within('224.0.0.0/4', 'ff00::/8')
