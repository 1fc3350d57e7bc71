/** Small readings of a Node that status, whois, ping and the mesh share. Pure. */
import type { Node } from '../../src-contract/control/map.ts'
import type { IpText, PrefixText, TimeText } from '../../src-contract/ids.ts'
import { ZERO_TIME } from '../../src-contract/ids.ts'
import { ipText, parsePrefix } from '../../src-protocol/wire/ip.ts'

/** The node's own addresses: single hosts only. IPv4 first, as everywhere in the API. */
export function nodeAddresses(node: Node): IpText[] {
  const found: IpText[] = []
  for (const text of node.Addresses ?? []) {
    const prefix = parsePrefix(text)
    if (prefix.ok && prefix.value.bits === prefix.value.ip.length * 8) found.push(ipText(prefix.value.ip))
  }
  return found.sort((a, b) => Number(a.includes(':')) - Number(b.includes(':')))
}

export function hostPrefixText(ip: IpText): PrefixText {
  return ip.includes(':') ? `${ip}/128` : `${ip}/32`
}

/** Home relay region: the number, or the legacy address `127.3.3.40:N`; 0 = none. */
export function homeRegion(node: Node): number {
  if (node.HomeDERP !== undefined && node.HomeDERP !== 0) return node.HomeDERP
  const legacy = /^127\.3\.3\.40:(\d+)$/.exec(node.DERP ?? '')
  return legacy === null ? 0 : Number(legacy[1])
}

/** First label of the DNS name, else the host's own name. */
export function displayName(node: Node): string {
  return node.Name.split('.')[0] || node.Hostinfo?.Hostname || ''
}

/** The tailnet's DNS suffix, from a FQDN with trailing dot; "" for a bare label. */
export function magicDnsSuffix(selfName: string): string {
  const trimmed = selfName.replace(/\.$/, '')
  const dot = trimmed.indexOf('.')
  return dot < 0 ? '' : trimmed.slice(dot + 1)
}

/** Base URLs of a peer's PeerAPI, from what it announces. */
export function peerApiUrls(node: Node): string[] {
  const urls: string[] = []
  const addresses = nodeAddresses(node)
  for (const service of node.Hostinfo?.Services ?? []) {
    if (!Number.isInteger(service.Port) || service.Port < 1 || service.Port > 65535) continue
    if (service.Proto === 'peerapi4') {
      const ip = addresses.find((text) => !text.includes(':'))
      if (ip !== undefined) urls.unshift(`http://${ip}:${service.Port}`)
    } else if (service.Proto === 'peerapi6') {
      const ip = addresses.find((text) => text.includes(':'))
      if (ip !== undefined) urls.push(`http://[${ip}]:${service.Port}`)
    }
  }
  return urls
}

/** undefined = it never expires. */
export function keyExpiryMs(node: Node): number | undefined {
  if (node.KeyExpiry === undefined || node.KeyExpiry === ZERO_TIME) return undefined
  const ms = Date.parse(node.KeyExpiry)
  return Number.isNaN(ms) ? undefined : ms
}

export function timeText(wallMs: number): TimeText {
  return wallMs === 0 ? ZERO_TIME : new Date(wallMs).toISOString()
}
