import { expect, test } from 'vitest'
import type { IpPort } from '../../src-contract/ids.ts'
import type { HostNetwork } from '../io/netmon/port.ts'
import { buildOwnEndpoints, EndpointMemory, sameEndpoints } from './own-endpoints.ts'

const host = (...addresses: string[]): HostNetwork => ({
  interfaces: [
    {
      name: 'eth0',
      addresses: addresses.map((address) => ({ address, bits: 24, loopback: address.startsWith('127.') })),
    },
  ],
  defaultV4: 'eth0',
  defaultV6: '',
})
const noStun = { v4: [], v6: [], mappingVariesByDestination: false }
const p = (text: string) => text as IpPort
const build = (
  network: HostNetwork,
  stun: { v4: IpPort[]; v6: IpPort[]; mappingVariesByDestination: boolean } = noStun,
) =>
  buildOwnEndpoints({ network, udpPorts: { v4: 41641, v6: 41642 }, fixedPort: 41641, stun, remembered: [] }).map(
    (e) => `${e.type} ${e.address}`,
  )

test('local addresses: sorted, without tailnet, link-local and loopback ones', () => {
  expect(build(host('192.168.1.9', '10.0.0.2', '100.64.0.1', 'fe80::1', '127.0.0.1', '2001:db8::1'))).toEqual([
    '1 10.0.0.2:41641',
    '1 192.168.1.9:41641',
    '1 [2001:db8::1]:41642',
  ])
})

test('link-local and unique-local only when there is nothing else, loopback only when nothing at all', () => {
  expect(build(host('169.254.3.4', 'fd00::5', '127.0.0.1'))).toEqual(['1 169.254.3.4:41641', '1 [fd00::5]:41642'])
  expect(build(host('127.0.0.1'))).toEqual(['1 127.0.0.1:41641'])
})

test('at most two IPv6 addresses of one subnet', () => {
  expect(build(host('2001:db8::1', '2001:db8::2', '2001:db8::3'))).toHaveLength(2)
})

test('STUN first; a hard NAT with a fixed port gets a guess', () => {
  const stun = { v4: [p('203.0.113.5:9999')], v6: [p('[2001:db8::7]:41642')], mappingVariesByDestination: true }
  expect(build(host('10.0.0.2'), stun)).toEqual([
    '2 203.0.113.5:9999',
    '2 [2001:db8::7]:41642',
    '4 203.0.113.5:41641',
    '1 10.0.0.2:41641',
  ])
})

test('order does not make two lists differ', () => {
  const a = { address: p('10.0.0.1:1'), type: 1 } as const
  const b = { address: p('10.0.0.2:1'), type: 1 } as const
  expect(sameEndpoints([a, b], [b, a])).toBe(true)
  expect(sameEndpoints([a], [a, b])).toBe(false)
})

test('remembered for five minutes, newest first, six per address', () => {
  const memory = new EndpointMemory()
  for (let i = 1; i <= 8; i++) memory.add([p(`203.0.113.5:${i}`)], i)
  expect(memory.recent(10)).toEqual([8, 7, 6, 5, 4, 3].map((n) => `203.0.113.5:${n}`))
  expect(memory.recent(310_005)).toEqual([8, 7, 6, 5].map((n) => `203.0.113.5:${n}`))
})
