import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../../../lab/eventually.ts'
import { addressesOf, ip, linesOf, networkSnapshot, routes, rules } from './host-state.lab.ts'
import { openLinuxRouter } from './linux.ts'
import { changesDuring } from './monitored.lab.ts'
import { plainRouterConfig, type Router, type RouterConfig } from './port.ts'

const device = `dmr${process.pid % 10_000}`
const other = `dmo${process.pid % 10_000}`
const addresses = () => addressesOf(device)
const snapshot = () => networkSnapshot(device)

const desired: RouterConfig = {
  ...plainRouterConfig,
  addresses: ['100.64.77.1', 'fd7a:115c:a1e0::4d01'],
  routes: ['100.64.77.2/32', '100.64.77.3/32', 'fd7a:115c:a1e0::4d02/128'],
  mtuBytes: 1280,
}
const applied = { kind: 'applied', warnings: [] }

let before = ''
let router: Router
beforeEach(async () => {
  ip('tuntap', 'add', 'dev', device, 'mode', 'tun')
  ip('link', 'set', device, 'mtu', '1280')
  before = snapshot()
  router = await openLinuxRouter(device)
})
afterEach(async () => {
  await router.close()
  try {
    expect(snapshot()).toBe(before)
  } finally {
    ip('tuntap', 'del', 'dev', device, 'mode', 'tun')
  }
})

test('[RT-1] [RT-8] addresses, MTU, table 52 and the rules of stock daemons; undone by close', async () => {
  const foreign = rules()
  expect(await router.apply(desired)).toEqual(applied)
  expect(addresses()).toEqual(['100.64.77.1/32', 'fd7a:115c:a1e0::4d01/128'])
  expect(routes()).toEqual([
    `100.64.77.2 dev ${device}`,
    `100.64.77.3 dev ${device}`,
    `fd7a:115c:a1e0::4d02 dev ${device}`,
  ])
  expect(ip('link', 'show', device)).toContain('mtu 1280')
  const ours = [
    '5210: from all fwmark 0x80000/0xff0000 lookup main proto 152',
    '5230: from all fwmark 0x80000/0xff0000 lookup default proto 152',
    '5250: from all fwmark 0x80000/0xff0000 unreachable proto 152',
    '5270: from all lookup 52 proto 152',
  ]
  expect(rules().filter((rule) => !foreign.includes(rule))).toEqual([...ours, ...ours.map((rule) => `-6 ${rule}`)])
  expect(ip('route', 'get', '100.64.77.2')).toContain(`dev ${device} table 52 src 100.64.77.1`)
  expect(await router.apply(undefined)).toEqual(applied)
  expect(snapshot()).toBe(before)
})

test('[RT-3] a second apply changes nothing, also one that looks; one route more is one change', async () => {
  await router.apply(desired)
  expect(await changesDuring(() => router.apply(desired))).toEqual([])
  const silence = await changesDuring(async () => {
    router.forget()
    expect(await router.apply(desired)).toEqual(applied)
  })
  expect(silence).toEqual([])
  const routesPlus = [...desired.routes, '100.64.77.9/32']
  const change = await changesDuring(() => router.apply({ ...desired, routes: routesPlus }))
  expect(change.map((line) => line.trim())).toEqual([
    `100.64.77.9 dev ${device} table 52 proto 152 scope link linkdown`,
  ])
})

test('[RT-3] somebody else took the address away meanwhile: the next change repairs it', async () => {
  await router.apply(desired)
  ip('address', 'flush', 'dev', device)
  ip('link', 'set', device, 'down')
  expect(await router.apply({ ...desired, routes: ['100.64.77.3/32'] })).toEqual(applied)
  expect(addresses()).toEqual(['100.64.77.1/32', 'fd7a:115c:a1e0::4d01/128'])
  expect(routes()).toEqual([`100.64.77.3 dev ${device}`])
})

test('[RT-3] rules and routes that somebody deletes come back by themselves', async () => {
  await router.apply(desired)
  const whole = [...rules(), ...routes()]
  ip('rule', 'flush')
  ip('rule', 'add', 'pref', '32766', 'lookup', 'main', 'proto', 'kernel')
  ip('rule', 'add', 'pref', '32767', 'lookup', 'default', 'proto', 'kernel')
  ip('-6', 'rule', 'del', 'pref', '5270')
  ip('route', 'flush', 'table', '52')
  await eventually('they are back', () => (whole.join() === [...rules(), ...routes()].join() ? true : undefined), {
    withinMs: 10_000,
  }).catch(() => expect([...rules(), ...routes()]).toEqual(whole))
})

test('[RT-4] [RT-7] an exit node beside a local network; closed when asked, whatever happens to the interface', async () => {
  const exitNode = { ...desired, routes: ['0.0.0.0/0', '::/0', ...desired.routes], localRoutes: ['192.0.2.0/24'] }
  await router.apply({ ...exitNode, staysClosedAfterCrash: true })
  expect(routes()).toContain('throw 192.0.2.0/24')
  expect(routes()).toContain(`default dev ${device}`)
  ip('link', 'set', device, 'down')
  expect(routes().sort()).toEqual([
    'throw 192.0.2.0/24',
    'unreachable default metric 60000',
    'unreachable default metric 60000',
  ])
  expect(() => execFileSync('ip', ['route', 'get', '198.51.100.1'], { stdio: 'pipe' })).toThrow(/No route to host/)
  router.forget()
  await router.apply(exitNode)
  expect(routes().join()).not.toContain('unreachable')
})

test('[RT-2] [RT-9] bypass beside the rule of a script with the same words, which stays', async () => {
  ip('rule', 'add', 'to', '10.0.0.0/16', 'pref', '5000', 'lookup', 'main')
  ip('route', 'add', 'throw', '172.16.0.0/12', 'table', '52')
  try {
    const script = '5000: from all to 10.0.0.0/16 lookup main'
    const bypass = {
      prefixes: ['10.0.0.0/16', 'fd00:2::/48'],
      uids: [{ first: 1000, last: 1001 }],
      fwmarks: [{ mark: 7, mask: 255 }],
      cgroups: [],
    }
    await router.apply({ ...desired, bypass })
    expect(rules().filter((rule) => rule.includes('5000:'))).toEqual([
      script,
      `${script} proto 152`,
      '5000: from all uidrange 1000-1001 lookup main proto 152',
      '5000: from all fwmark 0x7/0xff lookup main proto 152',
      '-6 5000: from all to fd00:2::/48 lookup main proto 152',
      '-6 5000: from all uidrange 1000-1001 lookup main proto 152',
      '-6 5000: from all fwmark 0x7/0xff lookup main proto 152',
    ])
    await router.apply(desired)
    expect(rules().filter((rule) => rule.includes('5000:') || rule.includes('4999:'))).toEqual([script])
    await router.close()
    expect(routes()).toEqual(['throw 172.16.0.0/12'])
  } finally {
    ip('rule', 'del', 'pref', '5000')
    ip('route', 'flush', 'table', '52')
  }
})

test('[RT-5] a kernel without rules: routes in the main table behind those of others, and a warning', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-programs-'))
  try {
    const real = execFileSync('which', ['ip'], { encoding: 'utf8' }).trim()
    const refusal = 'echo "RTNETLINK answers: Operation not supported" >&2; exit 2'
    writeFileSync(join(folder, 'ip'), `#!/bin/sh\ncase " $* " in *" rule "*) ${refusal} ;; esac\nexec ${real} "$@"\n`)
    chmodSync(join(folder, 'ip'), 0o755)
    const plain = await openLinuxRouter(device, { folders: [folder] })
    const config = { ...desired, routes: [...desired.routes, '0.0.0.0/0'], localRoutes: ['192.0.2.0/24'] }
    expect(await plain.apply(config)).toMatchObject({ kind: 'applied', warnings: [{ code: 'no-policy-routing' }] })
    const main = () => linesOf(ip('route', 'show', 'proto', '152'))
    expect(main()).toEqual([
      `0.0.0.0/1 dev ${device} scope link metric 5200 linkdown`,
      `100.64.77.2 dev ${device} scope link metric 5200 linkdown`,
      `100.64.77.3 dev ${device} scope link metric 5200 linkdown`,
      `128.0.0.0/1 dev ${device} scope link metric 5200 linkdown`,
    ])
    plain.forget()
    expect(await changesDuring(() => plain.apply(config))).toEqual([])
    await plain.close()
    expect(main()).toEqual([])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a host without IPv6 gets the IPv4 half', async () => {
  const setting = `/proc/sys/net/ipv6/conf/${device}/disable_ipv6`
  writeFileSync(setting, '1')
  try {
    expect(await router.apply(desired)).toEqual(applied)
    expect(addresses()).toEqual(['100.64.77.1/32'])
    expect(routes().join()).not.toContain(':')
    await router.close()
  } finally {
    writeFileSync(setting, '0')
  }
})

test('[RT-10] another tunnel of such a network is a conflict, and nothing is changed', async () => {
  ip('tuntap', 'add', 'dev', other, 'mode', 'tun')
  try {
    ip('address', 'add', '100.100.1.1/32', 'dev', other)
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

test('[RT-10] somebody else has table 52: a conflict that names the interface, and nothing is changed', async () => {
  ip('tuntap', 'add', 'dev', other, 'mode', 'tun')
  try {
    ip('link', 'set', other, 'up')
    ip('route', 'add', '192.0.2.0/24', 'dev', other, 'table', '52')
    expect(await router.apply(desired)).toMatchObject({ kind: 'conflict', what: 'routing-table', interfaceName: other })
    ip('route', 'flush', 'table', '52')
    ip('rule', 'add', 'pref', '5270', 'lookup', '52')
    expect(await router.apply(desired)).toMatchObject({ kind: 'conflict', what: 'routing-table', interfaceName: other })
    expect(addresses()).toEqual([])
    ip('rule', 'del', 'pref', '5270')
    expect(await router.apply(desired)).toEqual(applied)
  } finally {
    ip('tuntap', 'del', 'dev', other, 'mode', 'tun')
  }
})
