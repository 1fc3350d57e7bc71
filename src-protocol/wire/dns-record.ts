/** What DNS records say: data ⇄ values for the types that we make or show. Not the message around them. [RFC 1035 §3.3, RFC 2782, RFC 3596] */
import { type Bytes, toHex, viewOf } from './bytes.ts'
import { bad, type Decoded, ok } from './decoded.ts'
import { type DnsMessage, type DnsRecord, dnsType } from './dns.ts'
import { decodeDnsName, parseDnsName } from './dns-name.ts'
import { ipText, parseIp } from './ip.ts'
import { displayText } from './text.ts'

export type RecordData =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'mx'; readonly host: string; readonly preference: number }
  | {
      readonly kind: 'srv'
      readonly target: string
      readonly port: number
      readonly priority: number
      readonly weight: number
    }
  | { readonly kind: 'txt'; readonly texts: readonly string[] }
  | {
      readonly kind: 'soa'
      readonly server: string
      readonly mailbox: string
      readonly serial: number
      readonly minimumSeconds: number
    }
  | { readonly kind: 'other'; readonly hex: string }

export function decodeRecordData(message: DnsMessage, record: DnsRecord): Decoded<RecordData> {
  const { bytes } = message
  const data = bytes.subarray(record.start, record.end)
  const view = viewOf(data)
  const nameAt = (offset: number) => {
    const name = decodeDnsName(bytes, record.start + offset)
    return name.ok && name.value.end > record.end ? bad('dns-data') : name
  }
  switch (record.type) {
    case dnsType.A:
      return data.length === 4 ? ok({ kind: 'address', address: ipText(data) }) : bad('dns-data')
    case dnsType.AAAA:
      return data.length === 16 ? ok({ kind: 'address', address: ipText(data) }) : bad('dns-data')
    case dnsType.NS:
    case dnsType.CNAME:
    case dnsType.PTR: {
      const name = nameAt(0)
      return name.ok ? ok({ kind: 'name', name: name.value.name }) : name
    }
    case dnsType.MX: {
      const host = data.length < 3 ? bad('dns-data') : nameAt(2)
      return host.ok ? ok({ kind: 'mx', host: host.value.name, preference: view.getUint16(0) }) : host
    }
    case dnsType.SRV: {
      const target = data.length < 7 ? bad('dns-data') : nameAt(6)
      if (!target.ok) return target
      const [priority, weight, port] = [view.getUint16(0), view.getUint16(2), view.getUint16(4)]
      return ok({ kind: 'srv', target: target.value.name, port, priority, weight })
    }
    case dnsType.TXT: {
      const texts: string[] = []
      for (let at = 0; at < data.length; at += 1 + data[at]!) {
        if (at + 1 + data[at]! > data.length) return bad('dns-data')
        texts.push(displayText(data.subarray(at + 1, at + 1 + data[at]!), 255))
      }
      return ok({ kind: 'txt', texts })
    }
    case dnsType.SOA: {
      const server = nameAt(0)
      if (!server.ok) return server
      const mailbox = nameAt(server.value.end - record.start)
      if (!mailbox.ok) return mailbox
      const at = mailbox.value.end - record.start
      if (at + 20 > data.length) return bad('dns-data')
      return ok({
        kind: 'soa',
        server: server.value.name,
        mailbox: mailbox.value.name,
        serial: view.getUint32(at),
        minimumSeconds: view.getUint32(at + 16),
      })
    }
    default:
      return ok({ kind: 'other', hex: toHex(data) })
  }
}

/** A or AAAA by the address's own family; undefined when it is no address. */
export function addressRecord(address: string): { readonly type: number; readonly data: Uint8Array } | undefined {
  const ip = parseIp(address)
  if (!ip.ok) return undefined
  return { type: ip.value.length === 4 ? dnsType.A : dnsType.AAAA, data: ip.value }
}

export function nameData(name: string): Bytes | undefined {
  const wire = parseDnsName(name)
  return wire.ok ? wire.value : undefined
}

/** `4.3.2.1.in-addr.arpa`, or 32 nibbles under `ip6.arpa`. [RFC 1035 §3.5, RFC 3596 §2.5] */
export function reverseName(ip: Uint8Array): string {
  if (ip.length === 4) return `${[...ip].reverse().join('.')}.in-addr.arpa`
  return `${[...toHex(ip)].reverse().join('.')}.ip6.arpa`
}

/** The address that a reverse name asks about; undefined for zones, halves and other names. */
export function parseReverseName(name: string): Uint8Array | undefined {
  if (name.endsWith('.in-addr.arpa')) {
    const parts = name.slice(0, -'.in-addr.arpa'.length).split('.')
    if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) return undefined
    const ip = parseIp(parts.reverse().join('.'))
    return ip.ok ? ip.value : undefined
  }
  if (!name.endsWith('.ip6.arpa')) return undefined
  const nibbles = name.slice(0, -'.ip6.arpa'.length).split('.')
  if (nibbles.length !== 32 || !nibbles.every((nibble) => /^[0-9a-f]$/.test(nibble))) return undefined
  const hex = nibbles.reverse().join('')
  return Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16))
}
