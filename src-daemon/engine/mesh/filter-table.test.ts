import { describe, expect, test } from 'vitest'
import type { Node } from '../../../src-contract/control/map.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { ipBytes, parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import { buildFilterTable, localNets } from './filter-table.ts'

const node = (change: Partial<Node>) =>
  ({ ID: 1, Addresses: ['100.64.0.1/32', 'fd7a:115c:a1e0::1/128'], ...change }) as Node

describe('local nets', () => {
  const own = ['100.64.0.1', 'fd7a:115c:a1e0::1']
  /** A home with a public IPv6 network, a second interface with a public IPv4 address, and a point-to-point link. */
  const hostAddresses = [
    '127.0.0.1/8',
    '::1/128',
    '192.168.1.7/24',
    '2001:db8:5::7/64',
    'fe80::7/64',
    '198.51.100.9/28',
    '203.0.113.5/32',
  ]
  const reaches = (nets: readonly string[], ip: string) =>
    nets.some((text) => {
      const prefix = parsePrefix(text)
      return prefix.ok && prefixContains(prefix.value, ipBytes(ip))
    })

  test('[FLT-6.1] our addresses and the routes we advertise, as they are', () => {
    expect(localNets(own, { routes: [], hostAddresses })).toEqual(['100.64.0.1/32', 'fd7a:115c:a1e0::1/128'])
    const routes = ['192.168.1.0/24', '10.0.0.0/8', 'fd7a:115c:a1e0:b1a:0:7:a00:0/120', '100.64.0.1/32']
    expect(localNets(own, { routes, hostAddresses })).toEqual([
      '100.64.0.1/32',
      'fd7a:115c:a1e0::1/128',
      ...routes.slice(0, 3),
    ])
    const filter = buildFilterTable({ self: node({}), peers: new Map(), filterRules: [] } as unknown as Netmap, false, {
      routes: ['10.0.0.0/8'],
      hostAddresses,
    })
    expect(filter.table.localNets).toEqual(['100.64.0.1/32', 'fd7a:115c:a1e0::1/128', '10.0.0.0/8'])
  })

  test('[FLT-6.2] [FLT-10.9] an exit node offers the internet and its own addresses, not its networks', () => {
    const nets = localNets(own, { routes: ['0.0.0.0/0', '::/0'], hostAddresses })
    for (const ip of ['8.8.8.8', '1.1.1.1', '203.0.113.5', '203.0.113.6', '2606:4700::1', '223.255.255.255']) {
      expect([ip, reaches(nets, ip)]).toEqual([ip, true])
    }
    for (const ip of ['198.51.100.9', '2001:db8:5::7', '100.64.0.1', 'fd7a:115c:a1e0::1']) {
      expect([ip, reaches(nets, ip)]).toEqual([ip, true])
    }
    // Neighbours, private ranges though the host is not in them, other nodes, link-local, multicast, loopback; its own
    // private address.
    const closed = ['198.51.100.10', '2001:db8:5::8', '192.168.1.8', '192.168.9.9', '10.1.2.3', '172.31.255.255']
    closed.push('100.64.0.2', '100.127.255.255', 'fd7a:115c:a1e0::2', '169.254.169.254', 'fe80::7', '224.0.0.1')
    closed.push('239.255.255.255', 'ff02::1', '127.0.0.1', '192.168.1.7')
    for (const ip of closed) expect([ip, reaches(nets, ip)]).toEqual([ip, false])
    expect(nets.length).toBeLessThan(250)
  })

  test('[FLT-6.3] a network is reachable beside the default route where it is advertised, too', () => {
    const nets = localNets(own, { routes: ['0.0.0.0/0', '192.168.1.0/24'], hostAddresses })
    expect(['192.168.1.8', '192.168.2.8', '2606:4700::1'].map((ip) => reaches(nets, ip))).toEqual([true, false, false])
  })
})
