/** What somebody asks, read strictly. Pure. [docs/rules/explain.md EXP-1] */
import type { IpText } from '../../../src-contract/ids.ts'
import type { RouteQuestion } from '../../../src-contract/localapi/route-explain.ts'
import { bad, type Decoded, ok } from '../../../src-protocol/wire/decoded.ts'
import { canonicalDnsName } from '../../../src-protocol/wire/dns-name.ts'
import { ipText, parseIp, parsePrefix, prefixText } from '../../../src-protocol/wire/ip.ts'
import type { RoutingQuestion } from '../../io/route-view/port.ts'

/** International names come as `xn--…`. */
const HOST_NAME = /^\w[\w.-]*$/
const MAX_UID = 0xffff_fffe
export const protocolNumbers = { '': 0, tcp: 6, udp: 17, icmp: 1 } as const

export interface Asked {
  readonly to: string
  readonly from: string
  readonly uid: number
  readonly proto: string
  readonly port: string
}

/** The reason is a sentence for whoever asked. */
export function parseQuestion({ to, from, uid, proto, port }: Asked): Decoded<RouteQuestion> {
  const target = parseTarget(to.trim())
  if (!target.ok) return target
  const source = from === '' ? ok('' as const) : parseAddress(from)
  if (!source.ok) return bad(`${quoted(from)} is not an address such as 192.168.1.5`)
  if (!Number.isSafeInteger(uid) || uid < 0 || uid > MAX_UID) return bad(`${uid} is not the number of a user`)
  if (!isProto(proto)) return bad(`${quoted(proto)} is not tcp, udp or icmp`)
  const number = port === '' ? 0 : /^[1-9]\d{0,4}$/.test(port) ? Number(port) : 65_536
  if (number > 65_535) return bad(`${quoted(port)} is not a port from 1 to 65535`)
  if (number > 0 && proto === 'icmp') return bad('icmp has no ports')
  return ok({
    ...target.value,
    From: source.value,
    Uid: uid,
    Proto: number > 0 && proto === '' ? 'tcp' : proto,
    Port: number,
  })
}

function isProto(text: string): text is RouteQuestion['Proto'] {
  return Object.hasOwn(protocolNumbers, text)
}

function parseTarget(text: string): Decoded<Pick<RouteQuestion, 'To' | 'Kind'>> {
  const address = parseAddress(text.replace(/^\[(.*)\]$/, '$1'))
  if (address.ok) return ok({ To: address.value, Kind: 'address' })
  const prefix = parsePrefix(text)
  if (prefix.ok) {
    const isHost = prefix.value.bits === prefix.value.ip.length * 8
    return ok(
      isHost ? { To: ipText(prefix.value.ip), Kind: 'address' } : { To: prefixText(prefix.value), Kind: 'network' },
    )
  }
  const name = /^[\d.]+$/.test(text) || !HOST_NAME.test(text) ? undefined : canonicalDnsName(text)
  if (name === undefined || name === '' || name === '.') {
    return bad(`${quoted(text)} is not an address, a network or a name: try 10.0.1.100, 10.0.0.0/16 or nas`)
  }
  return ok({ To: name.replace(/\.$/, ''), Kind: 'name' })
}

function parseAddress(text: string): Decoded<IpText> {
  const ip = parseIp(text)
  return ip.ok ? ok(ipText(ip.value)) : ip
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80))
}

export function routingQuestion(to: IpText, { From, Uid, Proto, Port }: RouteQuestion): RoutingQuestion {
  const isSameFamily = From !== '' && From.includes(':') === to.includes(':')
  return { to, from: isSameFamily ? From : undefined, uid: Uid, protocol: protocolNumber(Proto, to), port: Port }
}

export function protocolNumber(proto: RouteQuestion['Proto'], to: IpText): number {
  return proto === 'icmp' && to.includes(':') ? 58 : protocolNumbers[proto]
}
