/** Addresses, prefixes and names that people type, checked before they are sent. Pure. */
import { isIPv4, isIPv6 } from 'node:net'

/** Canonical text of an IP literal, or undefined. IPv4 inside IPv6 comes out as IPv4. */
export function canonicalIp(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (!isIPv6(text) || text.includes('%')) return undefined
  const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical)
  if (mapped === null) return canonical
  const high = Number.parseInt(mapped[1] ?? '', 16)
  const low = Number.parseInt(mapped[2] ?? '', 16)
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

export function isTailnetIp(ip: string): boolean {
  const canonical = canonicalIp(ip)
  if (canonical === undefined) return false
  if (!isIPv4(canonical)) return canonical.startsWith('fd7a:115c:a1e0:')
  const [first, second] = canonical.split('.').map(Number)
  return first === 100 && second !== undefined && second >= 64 && second < 128
}

/** `10.0.0.0/8` with no bits behind the mask. */
export function parsePrefix(text: string): { ok: true; prefix: string } | { ok: false; problem: string } {
  const invalid = { ok: false, problem: `${JSON.stringify(text)} is not a valid IP address or CIDR prefix` } as const
  const slash = text.lastIndexOf('/')
  const ip = canonicalIp(text.slice(0, slash))
  const bitsText = text.slice(slash + 1)
  if (slash < 0 || ip === undefined || !/^\d{1,3}$/.test(bitsText)) return invalid
  const bits = Number(bitsText)
  if (bits > (isIPv4(ip) ? 32 : 128)) return invalid
  const masked = ipOf(bytesOf(ip).map((byte, i) => byte & maskByte(bits, i)))
  if (masked !== ip) return { ok: false, problem: `${ip}/${bits} has non-address bits set; expected ${masked}/${bits}` }
  return { ok: true, prefix: `${ip}/${bits}` }
}

/** Shorter prefixes first, then IPv4, then by address: one spelling per set of routes. */
export function comparePrefixes(a: string, b: string): number {
  const key = (prefix: string) => {
    const [ip = '', bits = ''] = prefix.split('/')
    const family = isIPv4(ip) ? '4' : '6'
    return (
      bits.padStart(3, '0') +
      family +
      bytesOf(ip)
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join('')
    )
  }
  return key(a) < key(b) ? -1 : 1
}

export function parseIpPort(text: string): string | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  if (parts === null || Number(parts[3]) > 65535) return undefined
  const ip = canonicalIp(parts[1] ?? parts[2] ?? '')
  if (ip === undefined || (parts[1] === undefined) !== isIPv4(ip)) return undefined
  return isIPv4(ip) ? `${ip}:${Number(parts[3])}` : `[${ip}]:${Number(parts[3])}`
}

/** The problem with a host name, or undefined. */
export function hostnameProblem(name: string): string | undefined {
  if (name.length > 253) return `${JSON.stringify(name)} is too long to be a DNS name`
  for (const label of name.split('.')) {
    const quoted = JSON.stringify(label)
    if (label === '' || label.length > 63) return `${quoted} is not a valid DNS label: must be 1 to 63 characters long`
    if (!/^[a-z0-9]/i.test(label)) return `${quoted} is not a valid DNS label: must start with a letter or number`
    if (!/[a-z0-9]$/i.test(label)) return `${quoted} is not a valid DNS label: must end with a letter or number`
    if (!/^[a-z0-9-]+$/i.test(label))
      return `${quoted} is not a valid DNS label: must only contain letters, numbers and hyphens`
  }
  return undefined
}

function bytesOf(ip: string): number[] {
  if (isIPv4(ip)) return ip.split('.').map(Number)
  const [head = '', tail] = ip.split('::')
  const words = (part: string) => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)))
  const before = words(head)
  const after = tail === undefined ? [] : words(tail)
  const all = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
  return all.flatMap((word) => [word >> 8, word & 255])
}

function ipOf(bytes: number[]): string {
  if (bytes.length === 4) return bytes.join('.')
  const words = Array.from({ length: 8 }, (_, i) => (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16))
  return canonicalIp(words.join(':')) ?? ''
}

function maskByte(bits: number, index: number): number {
  const left = Math.min(8, Math.max(0, bits - index * 8))
  return (0xff << (8 - left)) & 0xff
}
