import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Node } from '../../../src-contract/control/map.ts'
import type { PathReport } from '../../../src-contract/localapi/pintail.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import type { HostNetwork } from '../../io/netmon/port.ts'
import { findOverlaps, type HomeRoutes, homeRoutes, isProvenHome } from './home.ts'
import { HomeWatch } from './home-watch.ts'

const router = (id: number, ...subnets: string[]): Node =>
  ({
    ID: id,
    StableID: `n${id}`,
    Name: `router${id}.net.example.`,
    Addresses: [`100.64.0.${id}/32`],
    AllowedIPs: [`100.64.0.${id}/32`, ...subnets],
  }) as Node
const netmapOf = (...peers: Node[]) =>
  ({ peers: new Map(peers.map((peer) => [String(peer.ID), peer])) }) as unknown as Netmap
const around = (address: string, bits = 24): HostNetwork => ({
  interfaces: [
    { name: 'wlan0', addresses: [{ address, bits, loopback: false }] },
    { name: 'pintail0', addresses: [{ address: '192.168.1.200', bits: 24, loopback: false }] },
  ],
  defaultV4: 'wlan0',
  defaultV6: '',
})
const answered = (...candidates: [endpoint: string, seenAs?: string][]): PathReport =>
  ({ candidates: candidates.map(([endpoint, seenAs]) => ({ endpoint, seenAs })) }) as unknown as PathReport
const overlapOf = (network: HostNetwork, ...subnets: string[]) =>
  findOverlaps(netmapOf(router(2, ...subnets)), network, 'pintail0')

describe('[RTE-5] at home', () => {
  test('[RTE-5.1] an overlap is seen either way round, not with our own interface', () => {
    expect(overlapOf(around('192.168.1.7'), '192.168.1.0/24', '10.0.0.0/8')).toMatchObject([
      { subnet: '192.168.1.0/24', network: '192.168.1.0/24', interfaceName: 'wlan0' },
    ])
    expect(overlapOf(around('192.168.1.7'), '192.168.0.0/16')).toHaveLength(1)
    expect(overlapOf(around('192.168.1.7'), '192.168.1.128/25')).toHaveLength(1)
    expect(overlapOf(around('192.168.2.7'), '192.168.1.0/24')).toEqual([])
  })

  test('[RTE-5.2] the proof: the router answered from inside, and saw us at our address inside', () => {
    const [overlap] = overlapOf(around('192.168.1.7'), '192.168.1.0/24')
    const proven = (...candidates: [string, string?][]) => isProvenHome(overlap!, answered(...candidates))
    expect(proven(['192.168.1.2:41641', '192.168.1.7:41641'])).toBe(true)
    expect(isProvenHome(overlap!, undefined)).toBe(false)
    expect(proven(['192.168.1.2:41641'])).toBe(false)
    // answers from outside
    expect(proven(['203.0.113.9:41641', '192.168.1.7:41641'])).toBe(false)
    // somebody in between carries our probes to the real router: it sees somebody else
    expect(proven(['192.168.1.2:41641', '203.0.113.5:1'])).toBe(false)
    expect(proven(['192.168.1.2:41641', '192.168.1.66:41641'])).toBe(false)
  })

  test('[RTE-5.3] a route in the network around us goes; of a wider one only that part stays outside', () => {
    const narrow = overlapOf(around('192.168.1.7'), '192.168.1.0/24', '192.168.1.128/25')
    expect(homeRoutes(narrow)).toEqual({ off: ['192.168.1.0/24', '192.168.1.128/25'], local: [] })
    expect(homeRoutes(overlapOf(around('10.1.2.3'), '10.0.0.0/8'))).toEqual({ off: [], local: ['10.1.2.0/24'] })
  })
})

describe('watch', () => {
  let homes: HomeRoutes[] = []
  let conflicts: readonly string[] = []
  let probes = 0
  let report: PathReport | undefined
  let network = around('192.168.1.7')
  const open = () =>
    new HomeWatch({
      network: () => network,
      ownInterface: 'pintail0',
      pathOf: () => report,
      probe: () => probes++,
      onHome: (home) => homes.push(home),
      onConflicts: (texts) => {
        conflicts = texts
      },
    })
  beforeEach(() => {
    vi.useFakeTimers()
    homes = []
    conflicts = []
    probes = 0
    report = undefined
    network = around('192.168.1.7')
  })
  afterEach(() => vi.useRealTimers())

  test('[RTE-5.4] comes home, leaves, and is told of a stranger with the same numbers', () => {
    const watch = open()
    const netmap = netmapOf(router(2, '192.168.1.0/24'))
    watch.follow(netmap, [])
    expect([probes, homes]).toEqual([1, []])
    report = answered(['192.168.1.2:41641', '192.168.1.7:41641'])
    vi.advanceTimersByTime(400)
    expect(homes).toEqual([{ off: ['192.168.1.0/24'], local: [] }])
    watch.follow(netmap, [])
    expect(homes).toHaveLength(1)
    network = around('10.9.9.9')
    report = undefined
    watch.networkChanged()
    watch.follow(netmap, [])
    expect(homes.at(-1)).toEqual({ off: [], local: [] })
    network = around('192.168.1.31')
    watch.networkChanged()
    watch.follow(netmap, [])
    vi.advanceTimersByTime(2_000)
    expect(conflicts).toEqual([])
    vi.advanceTimersByTime(20_000)
    expect(conflicts).toEqual([
      '192.168.1.0/24 is reached through router2, but the network 192.168.1.0/24 around wlan0 has the same addresses.',
    ])
    expect(probes).toBeLessThan(12)
    watch.follow(netmap, ['192.168.1.0/24'])
    expect(conflicts).toEqual([])
    const before = probes
    vi.advanceTimersByTime(600_000)
    expect(probes).toBe(before)
    watch.close()
  })

  test('[RTE-5.4] from home into another network with the same numbers: what was proven there is void here', () => {
    const watch = open()
    const netmap = netmapOf(router(2, '192.168.1.0/24'))
    report = answered(['192.168.1.2:41641', '192.168.1.7:41641'])
    watch.follow(netmap, [])
    expect(homes).toHaveLength(1)
    report = undefined // the path machine forgets measurements with the network
    watch.networkChanged()
    watch.follow(netmap, [])
    expect(homes.at(-1)).toEqual({ off: [], local: [] })
    watch.close()
  })

  test('[RTE-5.5] thousands of overlaps cost a bounded number of probes', () => {
    const watch = open()
    watch.follow(netmapOf(...Array.from({ length: 5000 }, (_, i) => router(i + 2, '192.168.1.0/24'))), [])
    expect(probes).toBe(64)
    watch.close()
  })
})
