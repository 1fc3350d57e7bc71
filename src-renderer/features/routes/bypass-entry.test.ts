import { expect, test } from 'vitest'
import { emptyBypass } from '../../../src-contract/localapi/bypass.ts'
import { guessKind, hasEntry, isMissing, judge, withEntry, withoutEntry } from './bypass-entry.ts'

test.each([
  ['Prefixes', '10.0.0.0/16', '10.0.0.0/16'],
  ['Prefixes', ' 192.168.1.20 ', '192.168.1.20'],
  ['Prefixes', '2001:db8::/32', '2001:db8::/32'],
  ['Suffixes', '*.Corp.Example.', 'corp.example'],
  ['Suffixes', 'intranet', 'intranet'],
  ['Interfaces', 'wt0', 'wt0'],
  ['Users', 'build$', 'build$'],
  ['Cgroups', '/user.slice/work.slice/', 'user.slice/work.slice'],
] as const)('%s takes %s', (kind, typed, value) => {
  expect(judge(kind, typed)).toEqual({ kind: 'entry', value })
})

test.each([
  ['Prefixes', '10.0.0.0/33', 'Prefixes'],
  ['Prefixes', '256.1.1.1', 'Prefixes'],
  ['Prefixes', '010.0.0.1', 'Prefixes'],
  ['Prefixes', '10.0.0.0/16/8', 'Prefixes'],
  ['Prefixes', '0.0.0.0/0', 'everything'],
  ['Prefixes', '::/0', 'everything'],
  ['Prefixes', ':::1', 'Prefixes'],
  ['Suffixes', 'a b', 'Suffixes'],
  ['Suffixes', '10.0.0.1', 'Suffixes'],
  ['Suffixes', 'a..b', 'Suffixes'],
  ['Interfaces', 'wt0; rm -rf /', 'Interfaces'],
  ['Interfaces', 'a-name-that-is-too-long', 'Interfaces'],
  ['Users', 'root\n', undefined],
  ['Cgroups', '../etc', 'Cgroups'],
] as const)('%s: %s is refused', (kind, typed, why) => {
  if (why === undefined) expect(judge(kind, typed)).toEqual({ kind: 'entry', value: typed.trim() })
  else expect(judge(kind, typed)).toEqual({ kind: 'invalid', why })
})

test('what is typed decides between network and domain; nothing else is guessed', () => {
  expect(guessKind('Suffixes', '10.8')).toBe('Prefixes')
  expect(guessKind('Prefixes', 'corp.ex')).toBe('Suffixes')
  expect(guessKind('Prefixes', 'fd00::')).toBe('Prefixes')
  expect(guessKind('Suffixes', '2001:db8')).toBe('Prefixes')
  expect(guessKind('Interfaces', '10.8.0.0')).toBe('Interfaces')
})

test('entries come and go; what is missing is found by its words', () => {
  const one = withEntry(emptyBypass, 'Interfaces', 'wt0')
  expect(hasEntry(one, 'Interfaces', 'wt0')).toBe(true)
  expect(withoutEntry(one, 'Interfaces', 'wt0')).toEqual(emptyBypass)
  expect(isMissing(['interface wt0', 'user bob'], 'Interfaces', 'wt0')).toBe(true)
  expect(isMissing(['interface wt0'], 'Users', 'wt0')).toBe(false)
})
