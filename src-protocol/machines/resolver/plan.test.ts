import { describe, expect, test } from 'vitest'
import type { DnsConfig, MapResponse, Node } from '../../../src-contract/control/map.ts'
import { foldMapResponse, type Netmap } from '../netmap.ts'
import { planOsDns } from './os-plan.ts'
import { type DnsWishes, planDns } from './plan.ts'
import { encryptedForm, parseUpstream } from './upstream.ts'

function node(id: number, name: string, addresses: string[], more: Partial<Node> = {}): Node {
  return {
    ID: id,
    StableID: `n${id}`,
    Name: name,
    User: 1,
    Key: `nodekey:${String(id).padStart(64, '0')}`,
    Addresses: addresses,
    ...more,
  } as Node
}

const self = node(1, 'Laptop.tail.example.', ['100.64.0.1/32', 'fd7a:115c:a1e0::1/128'])
const nas = node(2, 'nas.tail.example.', ['100.64.0.2/32', 'fd7a:115c:a1e0::2/128'])
const six = node(3, 'six.tail.example.', ['fd7a:115c:a1e0::3/128'])
const shared = node(4, 'box.other.example.', ['100.64.0.4/32'])

function netmapWith(dns: DnsConfig, peers: Node[] = [nas, six, shared], own: Node = self): Netmap {
  const message: MapResponse = { Node: own, Peers: peers, DNSConfig: dns }
  const folded = foldMapResponse(undefined, message, { wallMs: 0, isNewStream: true })
  if (!folded.ok) throw new Error(folded.reason)
  return folded.value.netmap
}
const plan = (dns: DnsConfig, more: Partial<DnsWishes> = {}) =>
  planDns({ netmap: netmapWith(dns), isAccepted: true, wallMs: 0, ...more })

const everything: DnsConfig = {
  Proxied: true,
  Domains: ['tail.example', 'corp.example.'],
  Resolvers: [{ Addr: '1.1.1.1' }, { Addr: '10.0.0.1:5353' }, { Addr: 'nonsense' }],
  Routes: { 'corp.example.': [{ Addr: '10.0.0.53' }], 'local.example': [], '64.100.in-addr.arpa': [] },
  ExtraRecords: [
    { Name: 'Grafana.tail.example.', Value: '100.64.0.9' },
    { Name: 'wiki.elsewhere.example', Type: 'A', Value: '100.64.0.10' },
    { Name: 'wiki.elsewhere.example', Type: 'AAAA', Value: 'fd7a:115c:a1e0::10' },
    { Name: 'text.example', Type: 'TXT', Value: 'not an address' },
    { Name: 'bad.example', Type: 'A', Value: 'fd7a::1' },
  ],
}

describe('[DNS-5] from the network map to a plan', () => {
  test('names of machines and extra records, IPv4 unless there is only IPv6', () => {
    expect(Object.fromEntries(plan(everything).hosts)).toEqual({
      'nas.tail.example': ['100.64.0.2'],
      'six.tail.example': ['fd7a:115c:a1e0::3'],
      'box.other.example': ['100.64.0.4'],
      'laptop.tail.example': ['100.64.0.1'],
      'grafana.tail.example': ['100.64.0.9'],
      'wiki.elsewhere.example': ['100.64.0.10', 'fd7a:115c:a1e0::10'],
    })
    expect(plan(everything).reverse.get('2.0.64.100.in-addr.arpa')).toBe('nas.tail.example')
  })

  test('both families where the network says so', () => {
    const own = node(1, 'laptop.tail.example.', ['100.64.0.1/32'], { CapMap: { 'magicdns-aaaa': null } })
    const both = planDns({ netmap: netmapWith(everything, [nas], own), isAccepted: true, wallMs: 0 })
    expect(both.hosts.get('nas.tail.example')).toEqual(['100.64.0.2', 'fd7a:115c:a1e0::2'])
  })

  test('a peer that calls itself like us changes nothing', () => {
    const thief = node(9, 'laptop.tail.example.', ['100.64.0.66/32'])
    const own = planDns({ netmap: netmapWith(everything, [thief]), isAccepted: true, wallMs: 0 })
    expect(own.hosts.get('laptop.tail.example')).toEqual(['100.64.0.1'])
  })

  test('zones: ours, split ones, and a zone of its own for an extra record outside of all', () => {
    const { localDomains, routes, searchDomains, defaults } = plan(everything)
    expect([...localDomains].filter((name) => !name.endsWith('.arpa'))).toEqual([
      'local.example',
      'tail.example',
      'wiki.elsewhere.example',
    ])
    expect(localDomains.has('127.100.in-addr.arpa')).toBe(true)
    expect(localDomains.has('0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa')).toBe(true)
    expect(Object.fromEntries(routes)).toEqual({ 'corp.example': [{ kind: 'plain', address: '10.0.0.53:53' }] })
    expect(searchDomains).toEqual(['tail.example', 'corp.example'])
    expect(defaults).toEqual([
      { kind: 'plain', address: '1.1.1.1:53' },
      { kind: 'plain', address: '10.0.0.1:5353' },
    ])
  })

  test('not accepted: names for whoever asks us, nothing else', () => {
    const refused = plan(everything, { isAccepted: false })
    expect([refused.hosts.size, refused.localDomains.size, refused.routes.size, refused.defaults.length]).toEqual([
      6, 0, 0, 0,
    ])
  })

  test('an expired key ends it all', () => {
    const own = { ...self, KeyExpiry: '2020-01-01T00:00:00Z' } as Node
    const expired = planDns({
      netmap: netmapWith(everything, [nas], own),
      isAccepted: true,
      wallMs: Date.UTC(2021, 0, 1),
    })
    expect([expired.hosts.size, expired.isAccepted]).toEqual([0, false])
  })

  const exit = node(5, 'exit.tail.example.', ['100.64.0.5/32', 'fd7a:115c:a1e0::5/128'], {
    Cap: 145,
    Hostinfo: {
      Services: [
        { Proto: 'peerapi4', Port: 4242 },
        { Proto: 'peerapi6', Port: 4243 },
      ],
    },
  })
  test('an exit node answers for the world; split zones only when marked', () => {
    const through = plan(everything, { exitNode: exit })
    expect(through.defaults).toEqual([{ kind: 'http', url: 'http://100.64.0.5:4242/dns-query', addresses: [] }])
    expect(through.routes.size).toBe(0)
    const marked: DnsConfig = {
      ...everything,
      Resolvers: [{ Addr: '9.9.9.9', UseWithExitNode: true }, { Addr: '1.1.1.1' }],
      Routes: { 'corp.example': [{ Addr: '10.0.0.53', UseWithExitNode: true }] },
    }
    expect(plan(marked, { exitNode: exit }).defaults).toEqual([{ kind: 'plain', address: '9.9.9.9:53' }])
    expect(plan(marked, { exitNode: exit }).routes.size).toBe(1)
  })
  test('an exit node that cannot: its own servers, else the fallbacks', () => {
    const rented = node(6, 'se.mullvad.ts.net.', ['100.64.0.6/32'], {
      IsWireGuardOnly: true,
      ExitNodeDNSResolvers: [{ Addr: '10.64.0.1' }],
    })
    expect(plan({ Proxied: true }, { exitNode: rented }).defaults).toEqual([{ kind: 'plain', address: '10.64.0.1:53' }])
    const fallbacks: DnsConfig = { FallbackResolvers: [{ Addr: '9.9.9.9' }] }
    expect(plan(fallbacks, { exitNode: node(7, 'old.tail.example.', ['100.64.0.7/32']) }).defaults).toHaveLength(1)
    expect(plan(fallbacks).defaults).toEqual([])
  })

  test('recorded from the hosted service: only what exit nodes may not resolve', () => {
    const recorded: DnsConfig = { ExitNodeFilteredSet: ['.ts.net', '.tailscale.net'] }
    expect(plan(recorded).exitNodeRefuses).toEqual(['ts.net', 'tailscale.net'])
    expect(planOsDns(plan(recorded), { canSplit: true, hasIpv6: true }).config).toBeUndefined()
  })
})

describe('[DNS-6] what the system is told', () => {
  const os = { canSplit: true, hasIpv6: true }
  test('everything comes to us when there are default servers and names', () => {
    expect(planOsDns(plan(everything), os)).toEqual({
      config: {
        nameservers: ['100.100.100.100', 'fd7a:115c:a1e0::53'],
        searchDomains: ['tail.example', 'corp.example'],
        matchDomains: [],
      },
      needsBase: false,
    })
  })
  test('plain default servers alone are handed on', () => {
    const dns: DnsConfig = { Resolvers: [{ Addr: '10.0.0.1' }, { Addr: '10.0.0.2' }], Domains: ['tail.example'] }
    expect(planOsDns(plan(dns), os).config).toEqual({
      nameservers: ['10.0.0.1', '10.0.0.2'],
      searchDomains: ['tail.example'],
      matchDomains: [],
    })
    const odd: DnsConfig = { Resolvers: [{ Addr: 'https://dns.google/dns-query' }] }
    expect(planOsDns(plan(odd), os).config?.nameservers).toContain('100.100.100.100')
  })
  test('only our names: just these, and the shared machine by its own name', () => {
    const magic: DnsConfig = { Proxied: true, Domains: ['tail.example'] }
    const { config, needsBase } = planOsDns(plan(magic), { canSplit: true, hasIpv6: false })
    expect(config?.nameservers).toEqual(['100.100.100.100'])
    // the reverse zones last: old systems take the first 64
    expect(config?.matchDomains.slice(0, 3)).toEqual(['box.other.example', 'tail.example', 'use-application-dns.net'])
    expect(config?.matchDomains).toHaveLength(3 + 65)
    expect(needsBase).toBe(false)
    expect(planOsDns(plan(magic), { canSplit: false, hasIpv6: false })).toMatchObject({
      config: { matchDomains: [] },
      needsBase: true,
    })
  })
  test('split zones at one set of servers go there directly', () => {
    const dns: DnsConfig = {
      Routes: { 'corp.example': [{ Addr: '10.0.0.53' }], 'lab.corp.example': [{ Addr: '10.0.0.53' }] },
    }
    expect(planOsDns(plan(dns), os).config).toEqual({
      nameservers: ['10.0.0.53'],
      searchDomains: [],
      matchDomains: ['corp.example'],
    })
  })
  test('only search domains', () => {
    expect(planOsDns(plan({ Domains: ['tail.example'] }), os).config).toEqual({
      nameservers: [],
      searchDomains: ['tail.example'],
      matchDomains: [],
    })
  })
})

describe('servers as control names them', () => {
  test.each([
    ['1.1.1.1', { kind: 'plain', address: '1.1.1.1:53' }],
    ['[2001:db8::1]:5353', { kind: 'plain', address: '[2001:db8::1]:5353' }],
    ['2001:db8::1', { kind: 'plain', address: '[2001:db8::1]:53' }],
    ['http://100.64.0.5:4242/dns-query', { kind: 'http', url: 'http://100.64.0.5:4242/dns-query', addresses: [] }],
    ['100.100.100.100', undefined],
    ['fd7a:115c:a1e0::53', undefined],
    ['http://example.com/dns-query', undefined],
    ['https://unknown.example/dns-query', undefined],
    ['https://user@dns.google/dns-query', undefined],
    ['tls://1.1.1.1', undefined],
    ['1.1.1.1:0', undefined],
    ['', undefined],
  ])('%s', (Addr, wanted) => expect(parseUpstream({ Addr })).toEqual(wanted))
  test('HTTPS needs addresses, given or known', () => {
    const own = { Addr: 'https://unknown.example/q', BootstrapResolution: ['192.0.2.1'] } as never
    expect(parseUpstream(own)).toMatchObject({ addresses: ['192.0.2.1'] })
    expect(parseUpstream({ Addr: 'https://dns.nextdns.io/abc' })).toMatchObject({ kind: 'https' })
    expect(encryptedForm({ kind: 'plain', address: '8.8.8.8:53' as never })).toMatchObject({
      url: 'https://dns.google/dns-query',
    })
    expect(encryptedForm({ kind: 'plain', address: '8.8.8.8:54' as never })).toBeUndefined()
  })
})
