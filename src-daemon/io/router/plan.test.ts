import { expect, test } from 'vitest'
import { type HostFacts, interfaceDown, type NetworkState, networkStateOf } from './network-state.ts'
import { planBatches } from './plan.ts'
import { plainRouterConfig, type RouterConfig } from './port.ts'

const facts: HostFacts = {
  tunnelIpv6: true,
  hostIpv6: true,
  policyRouting: true,
  priorities: { base: 5200, bypass: 5000 },
}
const desired: RouterConfig = {
  ...plainRouterConfig,
  addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
  routes: ['100.64.0.2/32', 'fd7a:115c:a1e0::2/128'],
}
const exitNode: RouterConfig = {
  ...desired,
  routes: ['0.0.0.0/0', '::/0', ...desired.routes],
  localRoutes: ['192.168.1.0/24', 'fd00:1::/64'],
}
const plan = (have: NetworkState, want: NetworkState, known: HostFacts = facts): string[] =>
  planBatches({ device: 'pintail0', policyRouting: known.policyRouting }, have, want).flatMap(({ ipv6Rules, lines }) =>
    lines.map((line) => (ipv6Rules ? `-6 ${line}` : line)),
  )
const stateOf = (config: RouterConfig, known: HostFacts = facts): NetworkState => networkStateOf(config, known)

const baseRules = [
  'pref 5210 fwmark 0x80000/0xff0000 lookup main',
  'pref 5230 fwmark 0x80000/0xff0000 lookup default',
  'pref 5250 fwmark 0x80000/0xff0000 unreachable',
  'pref 5270 lookup 52',
]

test('[RT-1] from nothing: MTU, addresses, up, routes in table 52, and last the rules that lead there', () => {
  expect(plan(interfaceDown, stateOf(desired))).toEqual([
    'link set dev pintail0 mtu 1280',
    'address replace 100.64.0.1/32 dev pintail0',
    'address replace fd7a:115c:a1e0::1/128 dev pintail0 nodad',
    'link set dev pintail0 up',
    'route replace 100.64.0.2/32 dev pintail0 table 52 proto 152',
    'route replace fd7a:115c:a1e0::2/128 dev pintail0 table 52 proto 152',
    ...baseRules.map((rule) => `rule add ${rule} protocol 152`),
    ...baseRules.map((rule) => `-6 rule add ${rule} protocol 152`),
  ])
})

test('[RT-1] beside mwan3 the rules come before its own', () => {
  const words = plan(interfaceDown, stateOf(desired, { ...facts, priorities: { base: 1300, bypass: 1290 } }))
  expect(words).toContain('rule add pref 1370 lookup 52 protocol 152')
})

test('[RT-3] applied twice, the second time does nothing', () => {
  expect(plan(stateOf(exitNode), stateOf(exitNode))).toEqual([])
})

test('[RT-3] one peer less and one more is one route less and one more, the new one first', () => {
  const next = stateOf({ ...desired, routes: ['100.64.0.3/32', 'fd7a:115c:a1e0::2/128'] })
  expect(plan(stateOf(desired), next)).toEqual([
    'route replace 100.64.0.3/32 dev pintail0 table 52 proto 152',
    'route del 100.64.0.2/32 dev pintail0 table 52 proto 152',
  ])
})

test('[RT-4] an exit node: exceptions first, default routes last; taken back the other way round', () => {
  expect(plan(stateOf(desired), stateOf(exitNode))).toEqual([
    'route replace throw 192.168.1.0/24 table 52 proto 152',
    'route replace throw fd00:1::/64 table 52 proto 152',
    'route replace 0.0.0.0/0 dev pintail0 table 52 proto 152',
    'route replace ::/0 dev pintail0 table 52 proto 152',
  ])
  expect(plan(stateOf(exitNode), stateOf(desired))).toEqual([
    'route del ::/0 dev pintail0 table 52 proto 152',
    'route del 0.0.0.0/0 dev pintail0 table 52 proto 152',
    'route del throw fd00:1::/64 table 52 proto 152',
    'route del throw 192.168.1.0/24 table 52 proto 152',
  ])
})

test('[RT-4] a local network that shall go into the tunnel after all changes in one step', () => {
  const strict = { ...exitNode, routes: [...exitNode.routes, '192.168.1.0/24'], localRoutes: ['fd00:1::/64'] }
  expect(plan(stateOf(exitNode), stateOf(strict))).toEqual([
    'route replace 192.168.1.0/24 dev pintail0 table 52 proto 152',
  ])
})

test('[RT-4] a tunnel without IPv6 closes IPv6 rather than letting it out beside the exit node', () => {
  const words = plan(interfaceDown, stateOf(exitNode, { ...facts, tunnelIpv6: false }))
  expect(words).toContain('route replace unreachable ::/0 table 52 metric 60000 proto 152')
  expect(words.filter((line) => line.startsWith('address')).join()).not.toContain(':')
})

test('[RT-7] closed also after a crash: a route that needs no interface, there before the rules lead to it', () => {
  const words = plan(interfaceDown, stateOf({ ...exitNode, staysClosedAfterCrash: true }))
  const closed = words.indexOf('route replace unreachable 0.0.0.0/0 table 52 metric 60000 proto 152')
  expect(closed).toBeGreaterThan(0)
  expect(closed).toBeLessThan(words.findIndex((line) => line.startsWith('rule add')))
})

test('[RT-2] what does not take the exit node: destinations, users, marks, groups, each by the main table; the network itself stays in the tunnel', () => {
  const bypass = {
    prefixes: ['10.0.0.0/16', 'fd00:2::/48'],
    uids: [{ first: 1000, last: 1001 }],
    fwmarks: [{ mark: 0x7, mask: 0xff }],
    cgroups: ['user.slice/work.slice'],
  }
  const [before, after] = [stateOf(exitNode), stateOf({ ...exitNode, bypass })]
  expect(plan(before, after)).toEqual([
    'rule add pref 4999 to 100.64.0.0/10 uidrange 1000-1001 lookup 52 protocol 152',
    'rule add pref 4999 to 100.64.0.0/10 fwmark 0x7/0xff lookup 52 protocol 152',
    'rule add pref 4999 to 100.64.0.0/10 fwmark 0x20000/0xff0000 lookup 52 protocol 152',
    'rule add pref 5000 to 10.0.0.0/16 lookup main protocol 152',
    'rule add pref 5000 uidrange 1000-1001 lookup main protocol 152',
    'rule add pref 5000 fwmark 0x7/0xff lookup main protocol 152',
    'rule add pref 5000 fwmark 0x20000/0xff0000 lookup main protocol 152',
    '-6 rule add pref 4999 to fd7a:115c:a1e0::/48 uidrange 1000-1001 lookup 52 protocol 152',
    '-6 rule add pref 4999 to fd7a:115c:a1e0::/48 fwmark 0x7/0xff lookup 52 protocol 152',
    '-6 rule add pref 4999 to fd7a:115c:a1e0::/48 fwmark 0x20000/0xff0000 lookup 52 protocol 152',
    '-6 rule add pref 5000 to fd00:2::/48 lookup main protocol 152',
    '-6 rule add pref 5000 uidrange 1000-1001 lookup main protocol 152',
    '-6 rule add pref 5000 fwmark 0x7/0xff lookup main protocol 152',
    '-6 rule add pref 5000 fwmark 0x20000/0xff0000 lookup main protocol 152',
  ])
  expect(plan(after, before)).toHaveLength(14)
})

test('[RT-8] down again: first nothing leads to the table, then it is emptied', () => {
  const words = plan(stateOf(exitNode), interfaceDown)
  expect(words[0]).toBe('rule del pref 5270 lookup 52 protocol 152')
  expect(words.slice(-5)).toEqual([
    'route del throw fd00:1::/64 table 52 proto 152',
    'route del throw 192.168.1.0/24 table 52 proto 152',
    'address del 100.64.0.1/32 dev pintail0',
    'address del fd7a:115c:a1e0::1/128 dev pintail0',
    'link set dev pintail0 down',
  ])
})

test('[RT-5] a kernel without rules: the main table, behind every route of others, defaults as halves', () => {
  const plain = { ...facts, policyRouting: false }
  const words = plan(interfaceDown, stateOf(exitNode, plain), plain)
  expect(words.filter((line) => line.startsWith('rule'))).toEqual([])
  expect(words).toContain('route replace 0.0.0.0/1 dev pintail0 metric 5200 proto 152')
  expect(words.join('\n')).not.toContain('throw')
})

test('a host without IPv6 gets only the IPv4 half', () => {
  const words = plan(interfaceDown, stateOf(exitNode, { ...facts, tunnelIpv6: false, hostIpv6: false }))
  expect(words.join('\n')).not.toMatch(/:|-6/)
})
