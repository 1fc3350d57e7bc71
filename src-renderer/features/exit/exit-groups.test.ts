import { expect, test } from 'vitest'
import { type ExitNode, noExit } from '../../../src-contract/app/exit.ts'
import { groupExits, MAX_OWN, otherExit } from './exit-groups.ts'

const words = {
  compare: new Intl.Collator('en', { numeric: true }).compare,
  countryName: (code: string) => (code === '' ? '' : (new Intl.DisplayNames('en', { type: 'region' }).of(code) ?? '')),
}

function own(name: string, part: Partial<ExitNode> = {}): ExitNode {
  return { id: name, name, state: 'online', place: null, priority: 0, distanceKm: null, ...part }
}

function server(name: string, countryCode: string, city: string, part: Partial<ExitNode> = {}): ExitNode {
  return own(name, { place: { country: countryCode, countryCode, city }, ...part })
}

const nodes = [
  own('node10'),
  own('node2'),
  own('away', { state: 'offline' }),
  server('se-1', 'SE', 'Malmö', { priority: 1, distanceKm: 900 }),
  server('se-2', 'SE', 'Malmö', { priority: 9, distanceKm: 900 }),
  server('se-3', 'SE', 'Malmö', { priority: 99, state: 'offline', distanceKm: 900 }),
  server('se-4', 'SE', 'Stockholm', { distanceKm: 1200 }),
  server('tw-1', 'TW', 'Taipei'),
]

test('who can be used first, then as people count; servers by country and city, the best first', () => {
  const { own: devices, countries } = groupExits(nodes, '', words)
  expect(devices.map(({ name }) => name)).toEqual(['node2', 'node10', 'away'])
  expect(countries.map(({ name, code, distanceKm }) => [name, code, distanceKm])).toEqual([
    ['Sweden', 'SE', 900],
    ['Taiwan', 'TW', null],
  ])
  expect(countries[0]?.cities.map(({ name, servers }) => [name, servers.map(({ id }) => id)])).toEqual([
    ['Malmö', ['se-2', 'se-1', 'se-3']],
    ['Stockholm', ['se-4']],
  ])
})

test.each([
  ['NODE', ['node2', 'node10'], []],
  ['sweden', [], ['Sweden']],
  ['taipei', [], ['Taiwan']],
  ['se-4', [], ['Sweden']],
  ['malmö se-1', [], ['Sweden']],
  ['nobody', [], []],
])('%s finds %j and %j', (query, devices, countries) => {
  const found = groupExits(nodes, query, words)
  expect(found.own.map(({ name }) => name)).toEqual(devices)
  expect(found.countries.map(({ name }) => name)).toEqual(countries)
})

test('a place without country or city still has a name; thousands are cut', () => {
  const odd = server('odd', '', '')
  expect(groupExits([odd], '', words).countries[0]).toMatchObject({ name: '?', cities: [{ name: '?' }] })
  const many = Array.from({ length: 1000 }, (_, at) => own(`exit-${at}`))
  const found = groupExits(many, '', words)
  expect(found.own).toHaveLength(MAX_OWN)
  expect(found.ownHidden).toBe(1000 - MAX_OWN)
})

test('instead of one that is gone: the suggested one, one used lately, a device, anything; never itself', () => {
  const now = { kind: 'blocked', id: 'node2', name: 'node2', why: 'offline' } as const
  const other = (part: object, from = nodes) => otherExit({ ...noExit, now, ...part }, from)?.id
  expect(other({ suggestedId: 'se-1', recentIds: ['node10'] })).toBe('se-1')
  expect(other({ suggestedId: 'node2', recentIds: ['away', 'tw-1'] })).toBe('tw-1')
  expect(other({})).toBe('node10')
  expect(
    other(
      {},
      nodes.filter(({ place }) => place !== null),
    ),
  ).toBe('se-1')
  expect(other({}, [])).toBeUndefined()
})
