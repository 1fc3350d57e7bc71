import { expect, test } from 'vitest'
import { compareNetworks, defaultInterfaceV4, defaultInterfaceV6 } from './compare.ts'
import type { HostNetwork } from './port.ts'

const home: HostNetwork = {
  interfaces: [{ name: 'eth0', addresses: [{ address: '192.168.1.5', bits: 24, loopback: false }] }],
  defaultV4: 'eth0',
  defaultV6: '',
}

test('the same network is no change; link-local addresses do not matter', () => {
  expect(compareNetworks(home, structuredClone(home))).toBeUndefined()
  const withLinkLocal = structuredClone(home) as { interfaces: { name: string; addresses: unknown[] }[] } & HostNetwork
  withLinkLocal.interfaces[0]?.addresses.push({ address: 'fe80::1', bits: 64, loopback: false })
  expect(compareNetworks(home, withLinkLocal)).toBeUndefined()
})

test('another default route or address is a major change', () => {
  expect(compareNetworks(home, { ...home, defaultV4: 'wlan0' })).toEqual({ major: true, reason: 'default-route' })
  expect(compareNetworks(home, { ...home, interfaces: [] })).toEqual({ major: true, reason: 'addresses' })
})

test('the default route of the kernel tables: lowest metric that is up', () => {
  const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n'
  const table = `${head}wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\neth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\neth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n`
  expect(defaultInterfaceV4(table)).toBe('eth0')
  expect(defaultInterfaceV4('')).toBe('')
})

test('IPv6: the unreachable default of lo does not count', () => {
  const zero = '0'.repeat(32)
  const lo = `${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo`
  const eth = `${zero} 00 ${zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0`
  expect(defaultInterfaceV6(lo)).toBe('')
  expect(defaultInterfaceV6(`${lo}\n${eth}\n`)).toBe('eth0')
  const tunnel = eth.replace('eth0', 'pintail0').replace('00000400', '00000001')
  expect(defaultInterfaceV6(`${lo}\n${tunnel}\n${eth}\n`, 'pintail0')).toBe('eth0')
})
