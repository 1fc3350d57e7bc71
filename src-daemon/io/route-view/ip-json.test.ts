import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readAnswer, readLinks, readRoutes, readRules } from './ip-json.ts'

/** As iproute2 6.1 printed them. */
const rules = `[{"priority":0,"src":"all","table":"255","protocol":"2"},
{"priority":5000,"src":"all","dst":"10.0.0.0","dstlen":16,"table":"254","protocol":"152"},
{"priority":5001,"src":"192.168.1.0","srclen":24,"dst":"10.9.0.0","dstlen":16,"tos":"0x10","fwmark":"0x80000","fwmask":"0xff0000","iif":"lo","oif":"eth0","uid_start":1000,"uid_end":1005,"ipproto":"ipproto-6","sport":7,"dport_start":80,"dport_end":90,"table":"52","protocol":"0"},
{"priority":5002,"src":"all","table":"254","suppress_prefixlen":0,"protocol":"0"},
{"priority":5004,"src":"all","goto":5270,"protocol":"0"},
{"priority":5005,"src":"1.2.3.4","action":"7","protocol":"0"},
{"priority":5008,"not":null,"src":"9.9.9.9","table":"52","protocol":"0"},
{"priority":5009,"src":"all","nop":null,"protocol":"0"},
{"priority":5271,"src":"all","l3mdev":null,"protocol":"0"}]`
const routes = `[{"type":"1","dst":"default","gateway":"192.168.1.1","dev":"eth0","table":"254","protocol":"16","scope":"0","metric":100,"flags":[]},
{"type":"9","dst":"10.12.0.0/16","table":"52","protocol":"152","scope":"0","flags":[]},
{"type":"1","dst":"10.13.0.0/16","table":"254","protocol":"3","scope":"0","flags":[],"nexthops":[{"gateway":"192.168.1.7","dev":"eth0","weight":1,"flags":[]},{"gateway":"192.168.1.8","dev":"eth1","weight":2,"flags":[]}]},
{"type":"1","dst":"10.16.0.0/16","via":{"family":"inet6","host":"fe80::1"},"dev":"eth0","table":"254","protocol":"3","scope":"0","flags":["dead","linkdown"]},
{"type":"2","dst":"10.0.77.7","dev":"wt0","table":"255","protocol":"2","scope":"254","prefsrc":"10.0.77.7","flags":[]}]`

describe('[EXP-2] what ip prints', () => {
  test('rules with every selector', () => {
    const read = readRules(rules, 4)
    if (!read.ok) throw new Error(read.reason)
    const { found, odd } = read.value
    expect(odd).toBe(0)
    expect(found.map(({ action }) => action)).toEqual([
      { kind: 'lookup', table: 'local' },
      { kind: 'lookup', table: 'main' },
      { kind: 'lookup', table: '52' },
      { kind: 'lookup', table: 'main' },
      { kind: 'goto', priority: 5270 },
      { kind: 'unreachable' },
      { kind: 'lookup', table: '52' },
      { kind: 'nop' },
      { kind: 'nop' },
    ])
    expect(found[2]).toMatchObject({
      from: { bits: 24 },
      to: { bits: 16 },
      mark: { value: 0x80000, mask: 0xff0000 },
      uids: { first: 1000, last: 1005 },
      inInterface: 'lo',
      outInterface: 'eth0',
      protocol: 6,
      sourcePorts: { first: 7, last: 7 },
      ports: { first: 80, last: 90 },
      tos: 16,
    })
    expect(found.map(({ isSpecial }) => isSpecial)).toEqual([...Array(8).fill(false), true])
    expect([found[3]?.suppressBits, found[6]?.isInverted, found[1]?.origin]).toEqual([0, true, 152])
  })

  test('routes: several hops, another family’s gateway, no hop at all', () => {
    const read = readRoutes(routes, 4)
    if (!read.ok) throw new Error(read.reason)
    expect(read.value.odd).toBe(0)
    expect(read.value.found.map(({ text, type, table, hops, isDead }) => [text, type, table, hops, isDead])).toEqual([
      ['0.0.0.0/0', 'unicast', 'main', [{ interfaceName: 'eth0', gateway: '192.168.1.1' }], false],
      ['10.12.0.0/16', 'throw', '52', [], false],
      [
        '10.13.0.0/16',
        'unicast',
        'main',
        [
          { interfaceName: 'eth0', gateway: '192.168.1.7' },
          { interfaceName: 'eth1', gateway: '192.168.1.8' },
        ],
        false,
      ],
      ['10.16.0.0/16', 'unicast', 'main', [{ interfaceName: 'eth0', gateway: 'fe80::1' }], true],
      ['10.0.77.7/32', 'local', 'local', [{ interfaceName: 'wt0', gateway: '' }], false],
    ])
  })

  test('what cannot be read is counted, not guessed', () => {
    const odd = (text: string): unknown => {
      const read = readRules(text, 4)
      return read.ok ? [read.value.found.length, read.value.odd] : read.reason
    }
    expect(odd('[{"priority":7,"src":"all","fwmark":"what","table":"52"}]')).toEqual([0, 1])
    expect(odd('[{"priority":7,"src":"all","tun_id":4,"table":"52"}]')).toEqual([1, 0])
    expect(odd('[{"priority":7,"src":"2001:db8::","srclen":64,"table":"52"},{}]')).toEqual([0, 1])
    expect(odd('{"a":1}')).toBe('no list')
    expect(odd('')).toEqual([0, 0])
  })

  test.each([
    ['', 'RTNETLINK answers: No route to host', { kind: 'refused', why: 'unreachable' }],
    ['', 'RTNETLINK answers: Network is unreachable', { kind: 'refused', why: 'unreachable' }],
    ['', 'RTNETLINK answers: Permission denied', { kind: 'refused', why: 'prohibit' }],
    ['', 'RTNETLINK answers: Invalid argument', { kind: 'refused', why: 'blackhole' }],
    ['', 'Segmentation fault', { kind: 'unknown', reason: 'Segmentation fault' }],
    [
      '[{"dst":"10.0.1.100","dev":"wt0","prefsrc":"10.0.77.7","flags":[],"mark":524288,"uid":5,"cache":[]}]',
      '',
      { kind: 'route', type: 'unicast', interfaceName: 'wt0', gateway: '', table: 'main', source: '10.0.77.7' },
    ],
    [
      '[{"type":"2","dst":"192.168.1.5","dev":"lo","table":"255","prefsrc":"192.168.1.5","flags":[],"uid":0,"cache":["local"]}]',
      '',
      { kind: 'route', type: 'local', interfaceName: 'lo', gateway: '', table: 'local', source: '192.168.1.5' },
    ],
  ])('the system’s own answer: %s%s', (output, complaint, answer) => {
    expect(readAnswer(output, complaint, 4)).toEqual(answer)
  })

  test('hostile text is nothing, or read in part; never an exception', () => {
    for (const text of ['{', '[[]]', `[${'['.repeat(50_000)}`, '[{"dst":{}}]', '[{"priority":-1}]', '[null,7,"x"]'])
      for (const read of [readRules, readRoutes]) expect(read(text, 6).ok ? [] : []).toEqual([])
    const members = [...rules.matchAll(/"(\w+)":/g), ...routes.matchAll(/"(\w+)":/g)].map((match) => match[1]!)
    const entry = fc.dictionary(fc.constantFrom(...members, 'ifname', 'addr_info', 'from'), fc.jsonValue())
    fc.assert(
      fc.property(fc.array(entry), (list) => {
        const text = JSON.stringify(list)
        for (const read of [readRules(text, 4), readRoutes(text, 6), readLinks(text)]) {
          if (!read.ok) throw new Error(read.reason)
          expect(read.value.found.length + read.value.odd).toBeLessThanOrEqual(list.length)
        }
        readAnswer(text, '', 4)
      }),
    )
  })
})
