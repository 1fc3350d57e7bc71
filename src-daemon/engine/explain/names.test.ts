import { describe, expect, test } from 'vitest'
import { type DnsPlan, emptyPlan } from '../../../src-protocol/machines/resolver/plan.ts'
import { parseUpstreams, type Upstream } from '../../../src-protocol/machines/resolver/upstream.ts'
import { completeName, routeOfName } from './names.ts'

const at = (...addresses: string[]): Upstream[] => parseUpstreams(addresses.map((Addr) => ({ Addr })))
const plan: DnsPlan = {
  ...emptyPlan,
  isAccepted: true,
  hosts: new Map([['nas.net.example', ['100.64.0.7']]]),
  localDomains: new Set(['net.example']),
  routes: new Map([
    ['corp.example', at('10.0.0.53')],
    ['git.corp.example', at('10.0.0.54')],
    ['own.example', at('192.168.1.1')],
  ]),
  ownSuffixes: ['own.example'],
  defaults: at('9.9.9.10'),
}
const facts = (more: Partial<DnsPlan> = {}, asked: Upstream[] = at('9.9.9.10')) => ({
  plan: { ...plan, ...more },
  ownDomain: 'net.example',
  askedAt: () => asked,
})

describe('[EXP-7] who answers for a name', () => {
  test('a machine of this network', () => {
    expect(routeOfName('nas.net.example', facts())).toEqual({
      Name: 'nas.net.example',
      Suffix: 'nas.net.example',
      Servers: [],
      Why: 'it is a name of this network',
      Losers: [
        { Suffix: 'net.example', Servers: [], Why: 'nas.net.example is longer.' },
        { Suffix: '', Servers: ['9.9.9.10'], Why: 'They are asked for everything else.' },
      ],
    })
  })
  test('the longest domain wins; shorter ones lose', () => {
    const found = routeOfName('a.git.corp.example', facts({}, at('10.0.0.54')))
    expect(found).toMatchObject({ Suffix: 'git.corp.example', Servers: ['10.0.0.54'] })
    expect(found.Losers.map(({ Suffix, Servers }) => [Suffix, Servers])).toEqual([
      ['corp.example', ['10.0.0.53']],
      ['', ['9.9.9.10']],
    ])
  })
  test('a domain of the bypass, our own domain, everything else, nothing of ours', () => {
    expect(routeOfName('x.own.example', facts()).Why).toContain('own.example is in your bypass list')
    expect(routeOfName('nobody.net.example', facts({}, []))).toMatchObject({ Suffix: 'net.example', Servers: [] })
    expect(routeOfName('www.example', facts())).toMatchObject({ Suffix: '', Servers: ['9.9.9.10'], Losers: [] })
    expect(routeOfName('www.example', facts({ defaults: [] })).Why).toContain('names no servers for everything else')
    const off = routeOfName('nas.net.example', facts({ isAccepted: false }))
    expect([off.Servers, off.Why]).toEqual([
      ["this machine's own name servers"],
      expect.stringContaining('accept-dns is off'),
    ])
  })
  test('a single word is completed as programs do', () => {
    expect(completeName('nas', facts())).toBe('nas.net.example')
    expect(completeName('nas', facts({ searchDomains: ['corp.example'] }))).toBe('nas.net.example')
    expect(completeName('www', facts({ searchDomains: ['corp.example'] }))).toBe('www.corp.example')
    expect(completeName('www.example', facts())).toBe('www.example')
    expect(completeName('www', { ...facts({ hosts: new Map() }), ownDomain: '' })).toBe('www')
  })
})
