/** Views, diffs and what becomes of a session: from network maps and settings as they are, without a daemon. */
import { describe, expect, test } from 'vitest'
import type { MapResponse, Node } from '../../../src-contract/control/map.ts'
import { emptyBypass } from '../../../src-contract/localapi/bypass.ts'
import { defaultPrefs, type Prefs } from '../../../src-contract/localapi/prefs.ts'
import { foldMapResponse, type Netmap } from '../../../src-protocol/machines/netmap.ts'
import { planDns } from '../../../src-protocol/machines/resolver/plan.ts'
import { nodeKeyText } from '../../../src-protocol/wire/keys.ts'
import type { RouterBypass } from '../../io/router/port.ts'
import { dnsWishesOf } from '../dns/dns-wishes.ts'
import { acceptedPrefixes } from '../routing/accepted-prefixes.ts'
import { desiredRouting } from '../routing/desired.ts'
import { plainOwnRouting, wishOf } from '../routing/wish.ts'
import { diffOf } from './diff.ts'
import { type NetworkView, networkView, wayTo } from './network-view.ts'
import type { Session } from './parse-change.ts'
import { isThroughTunnel, sessionWarnings } from './session-risk.ts'

function node(id: number, more: readonly string[] = [], change: Partial<Node> = {}): Node {
  const own = [`100.64.0.${id}/32`, `fd7a:115c:a1e0::${id}/128`]
  return {
    ...{
      ID: id,
      StableID: `n${id}`,
      Name: `host${id}.example.ts.net.`,
      User: 1,
      MachineAuthorized: true,
      Online: true,
    },
    ...{ Key: nodeKeyText(new Uint8Array(32).fill(id)), Addresses: own, AllowedIPs: [...own, ...more] },
    ...change,
  } as Node
}

const map: MapResponse = {
  Node: node(1),
  Peers: [
    node(2, ['10.1.0.0/16', '10.1.2.0/24']),
    node(3, ['0.0.0.0/0', '::/0']),
    node(4, ['10.1.2.0/24', '0.0.0.0/0', '::/0'], { Online: false }),
  ],
  Domain: 'example.com',
  DNSConfig: {
    Proxied: true,
    Resolvers: [{ Addr: '9.9.9.9' }],
    Routes: { 'corp.example': [{ Addr: '10.1.0.53' }] },
    Domains: ['example.ts.net'],
  },
  PacketFilter: [],
  UserProfiles: [],
}
const folded = foldMapResponse(undefined, map, { wallMs: 1_700_000_000_000, isNewStream: true })
if (!folded.ok) throw new Error(folded.reason)
const netmap: Netmap = folded.value.netmap
const LAN = { name: 'eth0', isUp: true, addresses: [{ address: '192.168.1.5', bits: 24 }] } as never

function view(change: Partial<Prefs>, bypass: Partial<RouterBypass> = {}, setting = emptyBypass): NetworkView {
  const prefs = { ...defaultPrefs(), WantRunning: true, ...change }
  const settings = { prefs, bypass: setting, routesOff: [] }
  if (!prefs.WantRunning) return networkView({ settings, netmap, place: undefined })
  const wish = wishOf(netmap, prefs, { ...plainOwnRouting, bypass: { ...plainOwnRouting.bypass, ...bypass } })
  const router = desiredRouting({
    ...{ netmap, wish, ownInterface: 'pintail0', fwmark: 0, udpPort: 0 },
    peerPrefixes: [...new Set([...netmap.peers.values()].flatMap((peer) => acceptedPrefixes(peer, wish)))],
    serviceAddresses: ['100.100.100.100'],
    network: { interfaces: [LAN], defaultV4: 'eth0', defaultV6: '' },
  })
  const dns = planDns(dnsWishesOf(netmap, prefs, setting, 1_700_000_000_000))
  return networkView({ settings, netmap, place: { router, wish, dns } })
}

const online = view({})
const session = (client: string, server: string): Session => ({
  client: { ip: client, port: 51514 },
  server: { ip: server, port: 22 },
})
const OVER = session('100.64.0.2', '100.64.0.1')
const codes = (after: NetworkView, over: Session, before = online): string[] =>
  sessionWarnings(before, after, over).map(({ Code }) => Code)

describe('[CHG-5] the diff', () => {
  test('of nothing is empty', () => {
    const { Settings, Routes, Dns, Addresses } = diffOf(online, view({}))
    const none = { Added: [], Removed: [] }
    expect([Settings, Routes, Addresses, Dns]).toEqual([[], none, none, { Servers: none, Search: none, Split: none }])
  })

  test('of disconnecting is all there was', () => {
    const { Connected, Addresses, Routes, Dns } = diffOf(online, view({ WantRunning: false }))
    expect(Connected).toEqual({ Before: true, After: false })
    expect(Addresses.Removed).toEqual(['100.64.0.1', 'fd7a:115c:a1e0::1'])
    expect(Routes.Removed.find(({ Prefix }) => Prefix === '100.100.100.100/32')?.Way).toBe('service')
    expect([Dns.Servers.Removed, Dns.Search.Removed]).toEqual([['9.9.9.9'], ['example.ts.net']])
    expect(Dns.Split.Removed[0]).toEqual({ Suffix: 'corp.example', Servers: ['10.1.0.53'] })
  })

  test('names the machine that a route goes through, and an exit node that is away', () => {
    const via2 = { Way: 'peer', Via: 'n2', ViaName: 'host2' }
    expect(diffOf(online, view({ RouteAll: true })).Routes.Added).toEqual([
      { Prefix: '10.1.0.0/16', ...via2 },
      { Prefix: '10.1.2.0/24', ...via2 },
    ])
    expect(diffOf(online, view({ ExitNodeID: 'n4' })).ExitNode.After).toEqual({
      ID: 'n4',
      Name: 'host4',
      Blocked: true,
    })
    const gone = diffOf(online, view({ ExitNodeID: 'n99' }))
    expect(gone.Routes.Added.map(({ Prefix, Way }) => `${Prefix} ${Way}`)).toEqual([
      '0.0.0.0/0 blocked',
      '::/0 blocked',
      '192.168.1.0/24 blocked',
    ])
  })

  test('a route that moves to another machine is removed and added', () => {
    const { Routes } = diffOf(view({ ExitNodeID: 'n3' }), view({ ExitNodeID: 'n4' }))
    expect(Routes.Removed.map(({ Via }) => Via)).toEqual(['n3', 'n3', 'n3'])
    expect(Routes.Added.map(({ Via }) => Via)).toEqual(['n4', 'n4', 'n4'])
  })

  test('rules past the tunnel, in words', () => {
    const after = view(
      { ExitNodeID: 'n3' },
      { prefixes: ['10.9.0.0/16'], uids: [{ first: 7, last: 7 }], cgroups: ['work.slice'] },
    )
    expect(diffOf(online, after).Rules.Added).toEqual(['10.9.0.0/16', 'user 7', 'group work.slice'])
  })
})

test('[CHG-5] a bypass is named whether it is in effect or not, and whom its names are asked at', () => {
  const setting = { ...emptyBypass, Suffixes: ['corp.example'], Interfaces: ['wt0'] }
  const entries = { Added: ['*.corp.example', 'interface:wt0'], Removed: [] }
  expect(diffOf(online, view({}, {}, setting))).toMatchObject({ Bypass: entries, Dns: { Split: { Added: [] } } })
  const [before, after] = [view({ ExitNodeID: 'n3' }), view({ ExitNodeID: 'n3' }, {}, setting)]
  expect(diffOf(before, after)).toMatchObject({
    Bypass: entries,
    Dns: { Split: { Added: [{ Suffix: 'corp.example', Servers: ['system'] }] } },
  })
})

describe('[CHG-6] the way to an address', () => {
  test('is the route that fits best; rules come before routes; what stays outside is outside', () => {
    const routed = view(
      { RouteAll: true, ExitNodeID: 'n3', ExitNodeAllowLANAccess: true },
      { prefixes: ['10.1.9.0/24'] },
    )
    expect(wayTo(routed, '10.1.2.3')?.Via).toBe('n2')
    expect(wayTo(routed, '10.1.9.3')).toBeUndefined()
    expect(wayTo(routed, '192.168.1.9')).toBeUndefined()
    expect(wayTo(routed, '203.0.113.9')?.Via).toBe('n3')
    expect(wayTo(routed, '2001:db8::1')?.Via).toBe('n3')
    expect(wayTo(online, '203.0.113.9')).toBeUndefined()
  })

  test('a session over the tunnel', () => {
    expect([isThroughTunnel(online, OVER), isThroughTunnel(view({ WantRunning: false }), OVER)]).toEqual([true, false])
    expect(codes(view({ WantRunning: false }), OVER)).toEqual(['session-cut'])
    expect(codes(view({ ShieldsUp: true }), OVER)).toEqual(['session-not-again'])
    expect(codes(view({ ExitNodeID: 'n3', RouteAll: true }), OVER)).toEqual([])
    expect(codes(view({ ShieldsUp: true }), OVER, view({ ShieldsUp: true }))).toEqual([])
  })

  test('a session from a network behind another machine', () => {
    const before = view({ RouteAll: true })
    const over = session('10.1.7.7', '192.168.1.5')
    expect(isThroughTunnel(before, over)).toBe(true)
    expect(sessionWarnings(before, online, over)[0]?.Text).toBe(
      'This session (10.1.7.7:51514 → 192.168.1.5:22) would be cut: packets to 10.1.7.7 would leave the tunnel.',
    )
  })

  test('a session past the tunnel, from around and from afar', () => {
    const near = session('192.168.1.9', '192.168.1.5')
    const far = session('203.0.113.9', '192.168.1.5')
    expect([isThroughTunnel(online, near), isThroughTunnel(online, far)]).toEqual([false, false])
    expect(codes(view({ ExitNodeID: 'n3' }), near)).toEqual(['session-cut'])
    expect(codes(view({ ExitNodeID: 'n3', ExitNodeAllowLANAccess: true }), near)).toEqual([])
    expect(codes(view({ ExitNodeID: 'n3', ExitNodeAllowLANAccess: true }), far)).toEqual(['session-cut'])
    expect(codes(view({ ExitNodeID: 'n3' }, { prefixes: ['203.0.113.0/24'] }), far)).toEqual([])
    expect(codes(view({ ExitNodeID: 'n99' }), far)).toEqual(['session-cut'])
    expect(codes(view({ WantRunning: false }), far)).toEqual([])
    expect(codes(view({ ExitNodeID: 'n4' }), far, view({ ExitNodeID: 'n3' }))).toEqual(['session-cut'])
  })

  test('a session to an address that this machine offers to the others', () => {
    const before = view({ AdvertiseRoutes: ['192.168.1.0/24'] })
    const over = session('100.64.0.2', '192.168.1.5')
    expect(codes(online, over, before)).toEqual(['session-cut'])
    expect(codes(before, over, before)).toEqual([])
  })
})
