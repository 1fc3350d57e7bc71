/** Servers that names are asked at, as control or the system names them. Pure; asking them is `io/dns/upstream.ts`. */
import type { Resolver } from '../../../src-contract/control/map.ts'
import type { IpPort, IpText } from '../../../src-contract/ids.ts'
import { ipPort, ipText, parseIp, parseIpPort } from '../../wire/ip.ts'

export const SERVICE_V4 = '100.100.100.100' as IpText
export const SERVICE_V6 = 'fd7a:115c:a1e0::53' as IpText

/** `https`: RFC 8484. `http`: the same inside the tunnel, at an exit node. */
export type Upstream =
  | { readonly kind: 'plain'; readonly address: IpPort }
  | {
      readonly kind: 'https' | 'http'
      readonly url: string
      /** Where its host is; empty = its host is an address. Names are never looked up to look up names. */
      readonly addresses: readonly IpText[]
    }

export function upstreamKey(upstream: Upstream): string {
  return upstream.kind === 'plain' ? upstream.address : upstream.url
}

interface Provider {
  readonly url: string
  readonly addresses: readonly string[]
}

/** Public resolvers that also answer encrypted; their plain addresses are asked that way first. */
const PROVIDERS: readonly Provider[] = [
  {
    url: 'https://dns.google/dns-query',
    addresses: ['8.8.8.8', '8.8.4.4', '2001:4860:4860::8888', '2001:4860:4860::8844'],
  },
  {
    url: 'https://cloudflare-dns.com/dns-query',
    addresses: ['1.1.1.1', '1.0.0.1', '2606:4700:4700::1111', '2606:4700:4700::1001'],
  },
  { url: 'https://dns.quad9.net/dns-query', addresses: ['9.9.9.9', '149.112.112.112', '2620:fe::fe', '2620:fe::9'] },
]
const NEXTDNS_HOST = 'dns.nextdns.io'
const NEXTDNS_ADDRESSES = ['45.90.28.0', '45.90.30.0', '2a07:a8c0::', '2a07:a8c1::']

/** Undefined: not understood, or ourselves. */
export function parseUpstream(resolver: Resolver): Upstream | undefined {
  const text = resolver.Addr ?? ''
  if (/^https?:\/\//.test(text)) return parseUrl(text, resolver.BootstrapResolution ?? [])
  const bare = parseIp(text)
  const pair = bare.ok ? { ip: bare.value, port: 53 } : undefined
  const whole = pair === undefined ? parseIpPort(text) : undefined
  const { ip, port } = pair ?? (whole?.ok ? whole.value : { ip: undefined, port: 0 })
  if (ip === undefined || port === 0 || isOwn(ipText(ip))) return undefined
  return { kind: 'plain', address: ipPort(ip, port) }
}

export function isOwn(address: string): boolean {
  return address === SERVICE_V4 || address === SERVICE_V6
}

const URL_FORM = /^(https?):\/\/(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]+)(?::(\d{1,5}))?(\/[\x21-\x7e]*)?$/

function parseUrl(text: string, bootstrap: readonly string[]): Upstream | undefined {
  const form = URL_FORM.exec(text)
  if (form === null || text.length > 1_000 || Number(form[3] ?? 1) > 65_535) return undefined
  const kind = form[1] as 'http' | 'https'
  const host = form[2]!.replace(/^\[|\]$/g, '').toLowerCase()
  if (isOwn(host)) return undefined
  if (parseIp(host).ok) return { kind, url: text, addresses: [] }
  if (kind === 'http') return undefined // in the clear only inside the tunnel, where addresses are known
  const provider = PROVIDERS.find(({ url }) => url.startsWith(`https://${host}/`))
  const known = host === NEXTDNS_HOST ? NEXTDNS_ADDRESSES : (provider?.addresses ?? [])
  const addresses = [...bootstrap, ...known].flatMap((address) => {
    const ip = parseIp(address)
    return ip.ok ? [ipText(ip.value)] : []
  })
  return addresses.length === 0 ? undefined : { kind, url: text, addresses }
}

/** The encrypted form of a well-known plain resolver. */
export function encryptedForm(upstream: Upstream): Upstream | undefined {
  if (upstream.kind !== 'plain') return undefined
  const provider = PROVIDERS.find(({ addresses }) =>
    addresses.some((ip) => ipPort(ip as IpText, 53) === upstream.address),
  )
  return provider && { kind: 'https', url: provider.url, addresses: provider.addresses as readonly IpText[] }
}

export function parseUpstreams(list: readonly Resolver[] | null | undefined): Upstream[] {
  const found = new Map<string, Upstream>()
  for (const resolver of list ?? []) {
    const upstream = parseUpstream(resolver)
    if (upstream !== undefined) found.set(upstreamKey(upstream), upstream)
  }
  return [...found.values()]
}
