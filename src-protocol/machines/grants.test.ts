import { expect, test } from 'vitest'
import type { CapGrant, FilterRule } from '../../src-contract/control/map.ts'
import { grantedCapabilities } from './grants.ts'

const US = '100.64.0.1'
const PEER = '100.64.0.2'
const RELAY = 'tailscale.com/cap/relay'

const grant = (SrcIPs: string[], ...CapGrant: CapGrant[]): FilterRule => ({ SrcIPs, CapGrant })
const everybody = { Dsts: ['0.0.0.0/0', '::/0'] }

test('[FLT-5.1] [FLT-10.10] of all grants that hold source and destination, values are concatenated', () => {
  const rules = [
    grant(['*'], { ...everybody, CapMap: { drive: [{ shares: ['*'] }], ssh: null } }),
    grant(['100.64.0.0/24'], { Dsts: [`${US}/32`], CapMap: { drive: [1, 'two'], [RELAY]: null } }),
    grant([PEER], { Dsts: ['100.64.0.0/10'], CapMap: { drive: [[3]], ssh: [] } }),
    grant(['100.64.0.3'], { ...everybody, CapMap: { drive: ['of another source'] } }),
    grant([PEER], { Dsts: ['100.64.0.9/32'], CapMap: { drive: ['to another destination'] } }),
  ]
  expect(grantedCapabilities(rules, PEER, US)).toEqual({
    drive: [{ shares: ['*'] }, 1, 'two', [3]],
    ssh: null,
    [RELAY]: null,
  })
})

test('[FLT-5.2] names without values, and null, add none and take none away', () => {
  const values = grant(['*'], { ...everybody, CapMap: { a: [1] } })
  const bare = grant(['*'], { ...everybody, Caps: ['a', 'b'], CapMap: { a: null } })
  for (const rules of [
    [values, bare],
    [bare, values],
  ]) {
    expect(grantedCapabilities(rules, PEER, US)).toEqual({ a: [1], b: null })
  }
})

test('[FLT-5.3] a capability as source, and rules about packets, grant nothing', () => {
  const grants: CapGrant[] = [{ ...everybody, Caps: ['a'] }]
  expect(grantedCapabilities([{ SrcIPs: ['cap:any'], CapGrant: grants }], PEER, US)).toEqual({})
  expect(grantedCapabilities([{ SrcIPs: null, CapGrant: grants }], PEER, US)).toEqual({})
  const packets = { SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: { First: 0, Last: 65_535 } }] }
  expect(grantedCapabilities([packets], PEER, US)).toEqual({})
})

test('[FLT-5.4] families are kept apart; ranges, single addresses and both wildcards hold', () => {
  const has = (source: string, dst: string, from: string, to: string) =>
    'a' in grantedCapabilities([grant([source], { Dsts: [dst], Caps: ['a'] })], from, to)
  expect(has('100.64.0.1-100.64.0.4', '100.64.0.1/32', PEER, US)).toBe(true)
  expect(has('100.64.0.3-100.64.0.4', '100.64.0.1/32', PEER, US)).toBe(false)
  expect(has('*', '::/0', PEER, US)).toBe(false)
  expect(has('0.0.0.0/0', '0.0.0.0/0', 'fd7a::2', 'fd7a::1')).toBe(false)
  expect(has('*', '::/0', 'fd7a::2', 'fd7a::1')).toBe(true)
})

test('[FLT-5.5] what cannot be read holds nobody; the rest applies', () => {
  const rules = [
    grant(['nonsense', PEER], { Dsts: ['nonsense', `${US}/32`], Caps: ['a'] }),
    grant(['*'], { Dsts: null, Caps: ['b'] }),
  ]
  expect(grantedCapabilities(rules, PEER, US)).toEqual({ a: null })
  expect(grantedCapabilities(rules, 'nonsense', US)).toEqual({})
  expect(grantedCapabilities([...rules, { SrcIPs: ['*'], SrcBits: [32] }], PEER, US)).toEqual({})
})

test('names are only names', () => {
  const capMap = JSON.parse('{"__proto__": [1], "constructor": null}') as { [name: string]: unknown[] | null }
  const found = grantedCapabilities([grant(['*'], { ...everybody, CapMap: capMap })], PEER, US)
  expect(Object.entries(found)).toEqual([
    ['__proto__', [1]],
    ['constructor', null],
  ])
})
