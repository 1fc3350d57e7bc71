import { describe, expect, test } from 'vitest'
import { canonicalIp, comparePrefixes, hostnameProblem, isTailnetIp, parseIpPort, parsePrefix } from './address.ts'
import { durationText, parseDuration, roundDuration } from './duration.ts'
import { goJson } from './go-json.ts'
import { maskSecrets } from './mask.ts'
import { shellQuote } from './shell-quote.ts'
import { alignTabs } from './table.ts'
import { visible } from './visible.ts'

describe('durations', () => {
  test.each([
    [0, '0s'],
    [1, '1ns'],
    [1500, '1.5µs'],
    [800_000, '800µs'],
    [12_300_000, '12.3ms'],
    [1_234_500_000, '1.2345s'],
    [62_500_000_000, '1m2.5s'],
    [3_600_000_000_000, '1h0m0s'],
    [-1_500_000_000, '-1.5s'],
  ])('%i ns is %s, both ways', (ns, text) => {
    expect(durationText(ns)).toBe(text)
    expect(parseDuration(text)).toBe(ns)
  })

  test.each(['', '-', '5', '5x', 's', '1.s.', '1s ', ' 1s', '1h2', 'ms1'])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })

  test('rounding as pings show it', () => {
    expect(durationText(roundDuration(1_204_499_999, 1e6))).toBe('1.204s')
    expect(durationText(roundDuration(400_000, 1e6))).toBe('0s')
    expect(durationText(roundDuration(23_449_000, 1e5))).toBe('23.4ms')
  })
})

test('[CLI-1] tables: a column reaches over neighbouring lines, the last text is free', () => {
  expect(alignTabs('a\tbb\t\nccc\td\t\n', { padding: 2 })).toBe('a    bb  \nccc  d   \n')
  expect(alignTabs('A:\n  B:\tx\n  Long:\ty\nC\n', { minWidth: 10, padding: 5 })).toBe(
    'A:\n  B:        x\n  Long:     y\nC\n',
  )
  expect(alignTabs('ä\tb\nccc\td', { padding: 1 })).toBe('ä   b\nccc d')
  expect(alignTabs('no columns', { padding: 2 })).toBe('no columns')
})

describe('JSON with known bytes', () => {
  test('order, numeric names as text, escapes, big ids, empty containers', () => {
    const value = { b: [], a: {}, User: { 9: 1, 10: 2 }, id: 2n ** 60n, t: '<&>\u2028', n: null, u: undefined }
    expect(goJson(value)).toBe(
      '{"b":[],"a":{},"User":{"10":2,"9":1},"id":1152921504606846976,"t":"\\u003c\\u0026\\u003e\\u2028","n":null}',
    )
  })

  test('indented', () => {
    expect(goJson({ a: [1, { b: true }] }, '  ')).toBe('{\n  "a": [\n    1,\n    {\n      "b": true\n    }\n  ]\n}')
  })
})

test('shell words', () => {
  expect(['plain', '10.0.0.0/8,x', 'a b', "it's", '', '$(x)'].map(shellQuote)).toEqual([
    'plain',
    '10.0.0.0/8,x',
    "'a b'",
    "'it'\\''s'",
    "''",
    "'$(x)'",
  ])
})

test('[CLI-2] keys are not repeated', () => {
  const text = maskSecrets('bad tskey-auth-abc123 and privkey:00ff and hunter22, --x=ab', ['hunter22', 'ab'])
  expect(text).toBe('bad tskey-[secret] and privkey:[secret] and [secret], --x=ab')
})

describe('addresses', () => {
  test.each([
    ['1.2.3.4', '1.2.3.4'],
    ['FD7A:115c:a1e0:0::1', 'fd7a:115c:a1e0::1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['01.2.3.4', undefined],
    ['fe80::1%eth0', undefined],
    ['1.2.3', undefined],
    ['nas', undefined],
    ['', undefined],
  ])('%s', (text, ip) => expect(canonicalIp(text)).toBe(ip))

  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['fd00::/64', 'fd00::/64'],
    ['::/0', '::/0'],
    ['1.2.3.4/32', '1.2.3.4/32'],
    ['2001:DB8::/32', '2001:db8::/32'],
  ])('prefix %s', (text, prefix) => expect(parsePrefix(text)).toEqual({ ok: true, prefix }))

  test.each([
    ['10.0.0.1/8', '10.0.0.1/8 has non-address bits set; expected 10.0.0.0/8'],
    ['fd00::1/64', 'fd00::1/64 has non-address bits set; expected fd00::/64'],
    ['10.0.0.0/33', '"10.0.0.0/33" is not a valid IP address or CIDR prefix'],
    ['10.0.0.0', '"10.0.0.0" is not a valid IP address or CIDR prefix'],
    ['10.0.0.0/-1', '"10.0.0.0/-1" is not a valid IP address or CIDR prefix'],
    ['/8', '"/8" is not a valid IP address or CIDR prefix'],
    ['', '"" is not a valid IP address or CIDR prefix'],
  ])('prefix %j is refused', (text, problem) => expect(parsePrefix(text)).toEqual({ ok: false, problem }))

  test('order: short first, IPv4 first, by address', () => {
    const prefixes = ['fd00::/64', '10.2.0.0/16', '::/0', '10.0.0.0/8', '0.0.0.0/0', '10.1.0.0/16']
    expect(prefixes.sort(comparePrefixes)).toEqual([
      '0.0.0.0/0',
      '::/0',
      '10.0.0.0/8',
      '10.1.0.0/16',
      '10.2.0.0/16',
      'fd00::/64',
    ])
  })

  test('endpoints, tailnet addresses, host names', () => {
    expect(['1.2.3.4:5', '[2001:db8::1]:40000', '2001:db8::1:5', '1.2.3.4:65536', 'x:1'].map(parseIpPort)).toEqual([
      '1.2.3.4:5',
      '[2001:db8::1]:40000',
      undefined,
      undefined,
      undefined,
    ])
    expect(['100.64.0.1', '100.128.0.1', 'fd7a:115c:a1e0::1', 'fd00::1', 'x'].map(isTailnetIp)).toEqual([
      true,
      false,
      true,
      false,
      false,
    ])
    expect(hostnameProblem('nas-1.lan')).toBeUndefined()
    expect(hostnameProblem('bad_name!')).toBe('"bad_name!" is not a valid DNS label: must end with a letter or number')
    expect(hostnameProblem('-a')).toContain('must start with')
    expect(hostnameProblem('a_b')).toContain('only contain')
    expect(hostnameProblem('a'.repeat(300))).toContain('too long')
  })
})

test('[CLI-2.1] control characters and direction marks become visible; JSON keeps its meaning', () => {
  const name = 'a\u001b[2J\u009b8m\u007f\u202eb\tc\nd é 家'
  expect(visible(name)).toBe('a\\u001b[2J\\u009b8m\\u007f\\u202eb\tc\nd é 家')
  expect(JSON.parse(visible(JSON.stringify({ name })))).toEqual({ name })
})
