/** Names: what control says, what the system had, and a question of one's own. [docs/rules/localapi.md LA-7] */
import type { DnsQueryReply, DnsReport, OsDnsReply } from '../../../src-contract/localapi/dns.ts'
import { upstreamText } from '../../../src-protocol/machines/resolver/resolver.ts'
import type { Upstream } from '../../../src-protocol/machines/resolver/upstream.ts'
import { toBase64 } from '../../../src-protocol/wire/bytes.ts'
import { dnsType } from '../../../src-protocol/wire/dns.ts'
import type { Backend } from '../../engine/backend.ts'
import { json, plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'

/** `ALL` is what people call 255. */
const TYPES: ReadonlyMap<string, number> = new Map<string, number>([
  ...(['A', 'AAAA', 'CNAME', 'HINFO', 'MINFO', 'MX', 'NS', 'OPT', 'PTR', 'SOA', 'SRV', 'TXT', 'WKS'] as const).map(
    (name): [string, number] => [name, dnsType[name]],
  ),
  ['ALL', dnsType.ANY],
])

export function dnsRoutes(backend: Backend): RouteTable {
  return {
    'dns-config': {
      GET: {
        needs: 'read',
        handle: () => (backend.netmap === undefined ? plainError(503, 'no netmap') : json(backend.netmap.dns ?? {})),
      },
    },
    'dns-osconfig': { GET: { needs: 'write', handle: () => osConfig(backend) } },
    'dns-query': { GET: { needs: 'write', handle: (request) => query(backend, request) } },
    'pintail/dns': { GET: { needs: 'read', handle: () => report(backend) } },
  }
}

async function osConfig({ dns }: Backend): Promise<Reply> {
  if (dns === undefined) return plainError(500, 'not supported')
  const { nameservers, searchDomains, matchDomains } = await dns.os.base()
  const reply: OsDnsReply = {
    Nameservers: [...nameservers],
    SearchDomains: [...searchDomains],
    MatchDomains: [...matchDomains],
  }
  return json(reply)
}

async function query({ dns }: Backend, request: ApiRequest): Promise<Reply> {
  const name = request.query.get('name') ?? ''
  const typeText = request.query.get('type') || 'A'
  const type = TYPES.get(typeText.toUpperCase())
  if (name === '') return plainError(400, "missing 'name' parameter")
  if (type === undefined) return plainError(400, `unknown record type ${JSON.stringify(typeText)}`)
  const answer = await dns?.query(name, type)
  if (answer === undefined)
    return plainError(dns === undefined ? 503 : 400, dns === undefined ? 'no resolver' : 'not a name')
  const reply: DnsQueryReply = { Bytes: toBase64(answer.bytes), Resolvers: answer.resolvers.map(resolverValue) }
  return json(reply)
}

function resolverValue(upstream: Upstream): DnsQueryReply['Resolvers'][number] {
  const Addr = upstreamText(upstream)
  return upstream.kind === 'plain' || upstream.addresses.length === 0
    ? { Addr }
    : { Addr, BootstrapResolution: [...upstream.addresses] }
}

function report({ dns }: Backend): Reply {
  if (dns === undefined) return plainError(503, 'no resolver')
  const { plan, os, counters, systemVerdict } = dns
  const reply: DnsReport = {
    mode: os.mode,
    why: os.why,
    canSplit: os.canSplit,
    names: plan.hosts.size,
    localDomains: [...plan.localDomains],
    routes: Object.fromEntries([...plan.routes].map(([suffix, list]) => [suffix, list.map(upstreamText)])),
    defaults: plan.defaults.map(upstreamText),
    systemVerdict,
    counters,
  }
  return json(reply)
}
