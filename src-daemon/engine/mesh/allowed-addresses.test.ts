import { expect, test } from 'vitest'
import type { Node } from '../../../src-contract/control/map.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { AddressOwners, buildRouterConfig, claimedAddresses } from './allowed-addresses.ts'

const node = (change: Partial<Node>) =>
  ({ ID: 1, Addresses: ['100.64.0.1/32', 'fd7a:115c:a1e0::1/128'], ...change }) as Node

test('a peer claims its own addresses, no routes, and nothing when the server allows nothing', () => {
  expect(claimedAddresses(node({}))).toEqual(['100.64.0.1', 'fd7a:115c:a1e0::1'])
  expect(claimedAddresses(node({ AllowedIPs: ['100.64.0.1/32', '10.0.0.0/8', '0.0.0.0/0'] }))).toEqual(['100.64.0.1'])
  expect(claimedAddresses(node({ AllowedIPs: [] }))).toEqual([])
})

test('nobody gets our address, and the first of two claimants keeps the other', () => {
  const owners = new AddressOwners()
  owners.setSelf(['100.64.0.9'])
  expect(owners.claim('1', ['100.64.0.1', '100.64.0.9'])).toEqual(['100.64.0.1'])
  expect(owners.claim('2', ['100.64.0.1', '100.64.0.2'])).toEqual(['100.64.0.2'])
  owners.release('1')
  expect(owners.claim('2', ['100.64.0.1', '100.64.0.2'])).toEqual(['100.64.0.1', '100.64.0.2'])
  expect(owners.all.sort()).toEqual(['100.64.0.1', '100.64.0.2'])
})

test('thousands of peers become one route per range', () => {
  const netmap = { self: node({}) } as Netmap
  expect(buildRouterConfig(netmap, ['100.64.0.2'])).toEqual({
    addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
    routes: ['100.64.0.2/32'],
    mtuBytes: 1280,
  })
  const many = Array.from({ length: 5000 }, (_, i) => `100.65.${i >> 8}.${i & 255}`)
  expect(buildRouterConfig(netmap, many).routes).toEqual(['100.64.0.0/10', 'fd7a:115c:a1e0::/48'])
})
