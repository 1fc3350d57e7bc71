import { expect, test } from 'vitest'
import type { FilterRule } from '../src-contract/control/map.ts'
import { compileFilter } from './filter.ts'

const ANY = { First: 0, Last: 65535 }
const sourcesOf = (text: string) =>
  compileFilter([{ SrcIPs: [text], DstPorts: [{ IP: '*', Ports: ANY }] }]).rules.flatMap((rule) => rule.sources)

test.each([
  ['*', ['0.0.0.0/0', '::/0']],
  ['100.64.0.1', ['100.64.0.1/32']],
  ['fd7a:115c:a1e0::1', ['fd7a:115c:a1e0::1/128']],
  ['10.0.0.0/8', ['10.0.0.0/8']],
  ['10.0.0.1-10.0.0.4', ['10.0.0.1/32', '10.0.0.2/31', '10.0.0.4/32']],
  ['0.0.0.0-255.255.255.255', ['0.0.0.0/0']],
  ['::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', ['::/0']],
  ['10.0.0.7-10.0.0.7', ['10.0.0.7/32']],
])('[FLT-1.1] address %s', (text, prefixes) => {
  expect(sourcesOf(text)).toEqual(prefixes)
})

test.each(['10.0.0.1/8', '10.0.0', '', '10.0.0.4-10.0.0.1', '10.0.0.1-::1', '-', '/', 'a-b', '10.0.0.0/33', 'cap'])(
  '[FLT-1.3] %j is skipped and reported, the rest applies',
  (text) => {
    const { rules, problem } = compileFilter([{ SrcIPs: [text, '100.64.0.9'], DstPorts: [{ IP: '*', Ports: ANY }] }])
    expect(rules.map((rule) => rule.sources)).toEqual([['100.64.0.9/32']])
    expect(problem).toContain(JSON.stringify(text))
  },
)

test('[FLT-1.2] a capability source is whoever holds it', () => {
  const holders = (capability: string) => (capability === 'tag-x' ? ['100.64.0.7', 'fd7a::7'] : [])
  const rule: FilterRule = { SrcIPs: ['cap:tag-x'], DstPorts: [{ IP: '*', Ports: ANY }] }
  expect(compileFilter([rule], holders).rules).toMatchObject([
    { sources: [], capabilitySources: ['100.64.0.7/32'] },
    { sources: [], capabilitySources: ['fd7a::7/128'] },
  ])
  expect(compileFilter([rule]).rules).toEqual([])
})

test('[FLT-1.3] withdrawn members reject the whole filter', () => {
  const good: FilterRule = { SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: ANY }] }
  expect(compileFilter([good, { ...good, SrcBits: [32] }])).toMatchObject({ rules: [], problem: expect.any(String) })
  expect(compileFilter([good, { SrcIPs: ['*'], DstPorts: [{ IP: '*', Bits: 8, Ports: ANY }] }]).rules).toEqual([])
})

test('[FLT-1.4] protocols: default, explicit, out of range', () => {
  const protocols = (list: number[] | null | undefined) =>
    compileFilter([
      { SrcIPs: ['10.0.0.1'], DstPorts: [{ IP: '*', Ports: ANY }], ...(list === undefined ? {} : { IPProto: list }) },
    ]).rules[0]?.protocols
  expect(protocols(undefined)).toEqual([6, 17, 1, 58])
  expect(protocols(null)).toEqual([6, 17, 1, 58])
  expect(protocols([])).toEqual([6, 17, 1, 58])
  expect(protocols([47, 300, -1, 1.5])).toEqual([47])
})

test('[FLT-1.5] families are kept apart', () => {
  const { rules } = compileFilter([
    { SrcIPs: ['10.0.0.1', 'fd00::1'], DstPorts: [{ IP: '10.0.0.2', Ports: { First: 22, Last: 22 } }] },
  ])
  expect(rules).toEqual([
    {
      sources: ['10.0.0.1/32'],
      capabilitySources: [],
      destinations: [{ prefix: '10.0.0.2/32', firstPort: 22, lastPort: 22 }],
      protocols: [6, 17, 1, 58],
    },
  ])
})

test('grants and empty rules say nothing about packets', () => {
  const rules: FilterRule[] = [
    { SrcIPs: ['*'], CapGrant: [{ Dsts: ['100.64.0.1/32'], CapMap: { x: null } }] },
    { SrcIPs: null, DstPorts: [{ IP: '*', Ports: ANY }] },
    { SrcIPs: ['*'], DstPorts: null },
  ]
  expect(compileFilter(rules)).toEqual({ rules: [], problem: undefined })
})

test('ports that are none are reported', () => {
  const compiled = compileFilter([{ SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: { First: -1, Last: 70000 } }] }])
  expect(compiled).toEqual({ rules: [], problem: 'bad ports -1-70000' })
})
