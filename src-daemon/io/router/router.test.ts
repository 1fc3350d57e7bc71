import { expect, test } from 'vitest'
import { batchLines, interfaceDown, stateOf } from './plan.ts'
import { plainRouterConfig, type RouterConfig } from './port.ts'

const desired: RouterConfig = {
  ...plainRouterConfig,
  addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
  routes: ['100.64.0.2/32', 'fd7a:115c:a1e0::2/128'],
  mtuBytes: 1280,
}

test('from nothing: MTU, addresses, up, then routes', () => {
  expect(batchLines('pintail0', interfaceDown, stateOf(desired, true))).toEqual([
    'link set dev pintail0 mtu 1280',
    'address replace 100.64.0.1/32 dev pintail0',
    'address replace fd7a:115c:a1e0::1/128 dev pintail0 nodad',
    'link set dev pintail0 up',
    'route replace 100.64.0.2/32 dev pintail0',
    'route replace fd7a:115c:a1e0::2/128 dev pintail0',
  ])
})

test('applied twice, the second time does nothing', () => {
  const state = stateOf(desired, true)
  expect(batchLines('pintail0', state, stateOf(desired, true))).toEqual([])
})

test('one peer less and one more is one route less and one more', () => {
  const next = stateOf({ ...desired, routes: ['100.64.0.3/32', 'fd7a:115c:a1e0::2/128'] }, true)
  expect(batchLines('pintail0', stateOf(desired, true), next)).toEqual([
    'route del 100.64.0.2/32 dev pintail0',
    'route replace 100.64.0.3/32 dev pintail0',
  ])
})

test('down again: addresses go, the link goes, and with it every route', () => {
  expect(batchLines('pintail0', stateOf(desired, true), interfaceDown)).toEqual([
    'address del 100.64.0.1/32 dev pintail0',
    'address del fd7a:115c:a1e0::1/128 dev pintail0',
    'link set dev pintail0 down',
  ])
})

test('a host without IPv6 gets only the IPv4 half', () => {
  expect(batchLines('pintail0', interfaceDown, stateOf(desired, false)).join('\n')).not.toContain(':')
})
