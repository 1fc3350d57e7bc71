import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLinuxRouter } from './linux.ts'
import { plainRouterConfig, type RouterConfig } from './port.ts'

const device = `dmr${process.pid % 10_000}`
const other = `dmo${process.pid % 10_000}`
const ip = (...words: string[]) => execFileSync('ip', words, { encoding: 'utf8' })
const addresses = () =>
  [...ip('-o', 'address', 'show', 'dev', device).matchAll(/inet6? (\S+)/g)].map((m) => m[1]).sort()
const routes = () =>
  ip('route', 'show', 'dev', device)
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[0])

const desired: RouterConfig = {
  ...plainRouterConfig,
  addresses: ['100.64.77.1', 'fd7a:115c:a1e0::4d01'],
  routes: ['100.64.77.2/32', '100.64.77.3/32', 'fd7a:115c:a1e0::4d02/128'],
  mtuBytes: 1280,
}

beforeAll(() => {
  ip('tuntap', 'add', 'dev', device, 'mode', 'tun')
})
afterAll(() => {
  ip('tuntap', 'del', 'dev', device, 'mode', 'tun')
})

test('makes addresses, routes and MTU so, twice, changes one route, and undoes everything', async () => {
  const router = await openLinuxRouter(device)
  expect(await router.apply(desired)).toEqual({ kind: 'applied', warnings: [] })
  expect(await router.apply(desired)).toEqual({ kind: 'applied', warnings: [] })
  expect(addresses()).toEqual(['100.64.77.1/32', 'fd7a:115c:a1e0::4d01/128'])
  expect(routes()).toEqual(['100.64.77.2', '100.64.77.3'])
  expect(ip('link', 'show', device)).toContain('mtu 1280')
  expect(await router.apply({ ...desired, routes: ['100.64.77.3/32'] })).toEqual({ kind: 'applied', warnings: [] })
  expect(routes()).toEqual(['100.64.77.3'])
  await router.close()
  expect(addresses()).toEqual([])
  expect(routes()).toEqual([''])
  expect(ip('link', 'show', device)).not.toContain('UP')
})

test('somebody else took the address away meanwhile: the next change repairs it', async () => {
  const router = await openLinuxRouter(device)
  await router.apply(desired)
  ip('address', 'flush', 'dev', device)
  ip('link', 'set', device, 'down')
  expect(await router.apply({ ...desired, routes: ['100.64.77.3/32'] })).toEqual({ kind: 'applied', warnings: [] })
  expect(addresses()).toEqual(['100.64.77.1/32', 'fd7a:115c:a1e0::4d01/128'])
  expect(routes()).toEqual(['100.64.77.3'])
  await router.close()
})

test('a host without IPv6 gets the IPv4 half', async () => {
  const setting = `/proc/sys/net/ipv6/conf/${device}/disable_ipv6`
  writeFileSync(setting, '1')
  try {
    const router = await openLinuxRouter(device)
    expect(await router.apply(desired)).toEqual({ kind: 'applied', warnings: [] })
    expect(addresses()).toEqual(['100.64.77.1/32'])
    await router.close()
  } finally {
    writeFileSync(setting, '0')
  }
})

test('another tunnel of such a network is a conflict, and nothing is changed', async () => {
  ip('tuntap', 'add', 'dev', other, 'mode', 'tun')
  try {
    ip('address', 'add', '100.100.1.1/32', 'dev', other)
    const router = await openLinuxRouter(device)
    expect(await router.apply(desired)).toEqual({
      kind: 'conflict',
      what: 'address',
      interfaceName: other,
      detail: `${other} has 100.100.1.1`,
    })
    expect(addresses()).toEqual([])
  } finally {
    ip('tuntap', 'del', 'dev', other, 'mode', 'tun')
  }
})
