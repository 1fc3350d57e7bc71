import { describe, expect, test } from 'vitest'
import type { Node } from '../../../src-contract/control/map.ts'
import { defaultPrefs, type Prefs } from '../../../src-contract/localapi/prefs.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import type { HostNetwork } from '../../io/netmon/port.ts'
import { plainRouterConfig } from '../../io/router/port.ts'
import { Health } from '../health.ts'
import { acceptedPrefixes, offeredSubnets } from './accepted-prefixes.ts'
import { desiredRouting, localNetworks } from './desired.ts'
import { Routing } from './routing.ts'
import { plainOwnRouting, plainWish, type RoutingWish, wishOf } from './wish.ts'

const node = (id: number, change: Partial<Node> = {}): Node =>
  ({
    ID: id,
    StableID: `n${id}`,
    Name: `host${id}.net.example.`,
    Addresses: [`100.64.0.${id}/32`, `fd7a:115c:a1e0::${id}/128`],
    AllowedIPs: [`100.64.0.${id}/32`, `fd7a:115c:a1e0::${id}/128`],
    Online: true,
    ...change,
  }) as Node
const exitNode = (id: number, change: Partial<Node> = {}) =>
  node(id, {
    AllowedIPs: [...node(id).AllowedIPs!, '0.0.0.0/0', '::/0'],
    CapMap: { 'suggest-exit-node': [] },
    HomeDERP: 1,
    ...change,
  })
const netmapOf = (...peers: Node[]) =>
  ({ self: node(1), peers: new Map(peers.map((peer) => [String(peer.ID), peer])) }) as unknown as Netmap
const prefsOf = (change: Partial<Prefs>): Prefs => ({ ...defaultPrefs(), ...change })

const home: HostNetwork = {
  interfaces: [
    { name: 'lo', addresses: [{ address: '127.0.0.1', bits: 8, loopback: true }] },
    {
      name: 'wlan0',
      addresses: [
        { address: '192.168.1.7', bits: 24, loopback: false },
        { address: 'fe80::7', bits: 64, loopback: false },
        { address: '2001:db8:5::7', bits: 64, loopback: false },
      ],
    },
    { name: 'docker0', addresses: [{ address: '172.17.0.1', bits: 16, loopback: false }] },
    { name: 'ppp0', addresses: [{ address: '198.51.100.4', bits: 32, loopback: false }] },
    { name: 'pintail0', addresses: [{ address: '100.64.0.1', bits: 32, loopback: false }] },
  ],
  defaultV4: 'wlan0',
  defaultV6: 'wlan0',
}
const desired = (wish: Partial<RoutingWish>, peerPrefixes = ['100.64.0.2/32', 'fd7a:115c:a1e0::2/128']) =>
  desiredRouting({
    netmap: netmapOf(node(2)),
    wish: { ...plainWish, ...wish },
    peerPrefixes,
    serviceAddresses: ['100.100.100.100'],
    network: home,
    ownInterface: 'pintail0',
    fwmark: 0x80000,
    udpPort: 41641,
  })

describe('which prefixes a peer gets', () => {
  const router = node(2, {
    AllowedIPs: ['100.64.0.2/32', '10.0.0.0/8', '192.168.1.0/24', '0.0.0.0/0', '::/0', '100.64.9.9/32', 'nonsense'],
  })
  test('[RTE-1.1] its own addresses and services of the network always', () => {
    expect(acceptedPrefixes(router, plainWish)).toEqual(['100.64.0.2/32', '100.64.9.9/32'])
    expect(acceptedPrefixes(node(2, { AllowedIPs: [] }), plainWish)).toEqual([])
    expect(acceptedPrefixes({ ...node(2), AllowedIPs: null } as unknown as Node, plainWish)).toEqual(node(2).AllowedIPs)
  })
  test('[RTE-1.2] subnets if accepted, less those switched off', () => {
    expect(acceptedPrefixes(router, { ...plainWish, acceptsRoutes: true })).toContain('192.168.1.0/24')
    const wish = { ...plainWish, acceptsRoutes: true, routesOff: ['192.168.1.0/24'] }
    expect(acceptedPrefixes(router, wish)).toEqual(['100.64.0.2/32', '10.0.0.0/8', '100.64.9.9/32'])
    expect(offeredSubnets(router)).toEqual(['10.0.0.0/8', '192.168.1.0/24'])
  })
  test('[RTE-1.3] the internet only if it is our exit node', () => {
    expect(acceptedPrefixes(router, { ...plainWish, exit: { peer: 'n2' } })).toContain('0.0.0.0/0')
    expect(acceptedPrefixes(router, { ...plainWish, exit: { peer: 'n3' } })).not.toContain('0.0.0.0/0')
    expect(acceptedPrefixes(router, { ...plainWish, exit: { peer: undefined } })).not.toContain('::/0')
  })
})

describe('what the host is to do', () => {
  test('[RTE-2.1] without an exit node: peers, subnets and services, and nothing of the host', () => {
    const config = desired({ acceptsRoutes: true }, ['100.64.0.2/32', '10.0.0.0/8'])
    expect(config.routes).toEqual(['100.64.0.2/32', '10.0.0.0/8', '100.100.100.100/32'])
    expect(config.localRoutes).toEqual([])
    expect(config.staysClosedAfterCrash).toBe(false)
    expect(config.addresses).toEqual(['100.64.0.1', 'fd7a:115c:a1e0::1'])
  })
  test('[RTE-2.2] thousands of peers become one route per range', () => {
    const many = Array.from({ length: 5000 }, (_, i) => `100.65.${i >> 8}.${i & 255}/32`)
    expect(desired({}, [...many, '10.0.0.0/8']).routes.slice(0, 3)).toEqual([
      '100.64.0.0/10',
      'fd7a:115c:a1e0::/48',
      '10.0.0.0/8',
    ])
  })
  test('[RTE-2.3] an exit node takes everything, also the networks around, but not those of our own guests', () => {
    const config = desired({ exit: { peer: 'n2' } })
    expect(config.routes.slice(-4)).toEqual(['0.0.0.0/0', '::/0', '192.168.1.0/24', '2001:db8:5::/64'])
    expect(config.localRoutes).toEqual(['172.17.0.0/16'])
    expect(config.staysClosedAfterCrash).toBe(true)
  })
  test('[RTE-2.4] also when nobody serves as one: nothing leaves', () => {
    expect(desired({ exit: { peer: undefined } }).routes).toContain('0.0.0.0/0')
  })
  test('[RTE-2.5] the networks around stay reachable if wanted, and those we route for others in any case', () => {
    expect(desired({ exit: { peer: 'n2' }, allowsLan: true }).localRoutes).toEqual([
      '172.17.0.0/16',
      '192.168.1.0/24',
      '2001:db8:5::/64',
    ])
    const router = desired({ exit: { peer: 'n2' }, advertised: ['192.168.0.0/16'] })
    expect(router.localRoutes).toEqual(['172.17.0.0/16', '192.168.1.0/24'])
    expect(router.routes).not.toContain('192.168.1.0/24')
  })
  test('a bridge that carries the default route is no guest network', () => {
    const bridged = { ...home, defaultV4: 'docker0' }
    expect(localNetworks(bridged, 'pintail0')).toEqual({
      guests: [],
      others: ['172.17.0.0/16', '192.168.1.0/24', '2001:db8:5::/64'],
    })
  })
  test('[RTE-2.6] preferences become the wish', () => {
    const prefs = prefsOf({
      NoSNAT: true,
      NoStatefulFiltering: false,
      NetfilterMode: 1,
      AdvertiseRoutes: ['10.0.0.0/8'],
    })
    expect(wishOf(netmapOf(), prefs, plainOwnRouting)).toMatchObject({
      snatSubnetRoutes: false,
      statefulFiltering: true,
      netfilterMode: 'nodivert',
      advertised: ['10.0.0.0/8'],
      dropsForeignOverlay: true,
      bypass: plainRouterConfig.bypass,
    })
    expect(wishOf(netmapOf(), prefsOf({}), plainOwnRouting)).toMatchObject({
      statefulFiltering: false,
      netfilterMode: 'on',
    })
  })
})

describe('the exit node over time', () => {
  const open = () => {
    const health = new Health(() => 0)
    const plane = { netInfo: undefined, homeRegion: 1 }
    return { health, routing: new Routing({ plane, health, random01: () => 0 }) }
  }
  test('[RTE-4.1] an address becomes its peer as soon as that is known', () => {
    const { routing } = open()
    const prefs = prefsOf({ ExitNodeIP: '100.64.0.2' })
    expect(routing.reconcile(netmapOf(), prefs)).toBe(prefs)
    expect(routing.reconcile(netmapOf(exitNode(2)), prefs)).toMatchObject({ ExitNodeID: 'n2', ExitNodeIP: '' })
  })
  test('[RTE-4.2] automatic: somebody takes over when the one in use goes, and nobody is moved without need', () => {
    const { routing } = open()
    const wanted = prefsOf({ ExitNodeID: 'auto:any', AutoExitNode: 'any' })
    expect(routing.reconcile(netmapOf(), wanted)).toBe(wanted)
    const first = routing.reconcile(netmapOf(exitNode(2), exitNode(3)), wanted)
    expect(first).toMatchObject({ ExitNodeID: 'n2', AutoExitNode: 'any' })
    expect(routing.reconcile(netmapOf(exitNode(3), exitNode(2)), first)).toBe(first)
    const second = routing.reconcile(netmapOf(exitNode(2, { Online: false }), exitNode(3)), first)
    expect(second.ExitNodeID).toBe('n3')
    expect(routing.reconcile(netmapOf(exitNode(2, { Online: false })), second).ExitNodeID).toBe('auto:any')
    expect(routing.reconcile(netmapOf(exitNode(2)), prefsOf({ ExitNodeID: 'auto:any' }))).toMatchObject({
      ExitNodeID: 'n2',
      AutoExitNode: 'any',
    })
  })
  test('[RTE-4.3] a chosen one that is away stays chosen, and health says what that means', () => {
    const { routing, health } = open()
    const prefs = prefsOf({ ExitNodeID: 'n2' })
    const away = netmapOf(exitNode(2, { Online: false }), exitNode(3))
    expect(routing.reconcile(away, prefs)).toBe(prefs)
    expect(wishOf(away, prefs, plainOwnRouting).exit).toEqual({ peer: 'n2' })
    routing.tellExit(away, prefs)
    expect(health.texts().join()).toContain('host2 is offline. Nothing leaves')
    for (const [netmap, text] of [
      [netmapOf(), 'there is no machine n2'],
      [netmapOf(node(2)), 'host2 does not offer it'],
    ] as const) {
      expect(wishOf(netmap, prefs, plainOwnRouting).exit).toEqual({ peer: undefined })
      routing.tellExit(netmap, prefs)
      expect(health.texts().join()).toContain(text)
    }
    routing.tellExit(netmapOf(exitNode(2)), prefs)
    expect(health.texts()).toEqual([])
  })
  test('the wish is the same object while nothing of it changed', () => {
    const { routing } = open()
    const before = routing.wish(netmapOf(exitNode(2)), prefsOf({ ExitNodeID: 'n2' }), plainOwnRouting)
    expect(routing.wish(netmapOf(exitNode(2), node(3)), prefsOf({ ExitNodeID: 'n2' }), plainOwnRouting)).toBe(before)
    expect(routing.wish(netmapOf(), prefsOf({ ExitNodeID: 'n2' }), plainOwnRouting)).not.toBe(before)
  })
})
