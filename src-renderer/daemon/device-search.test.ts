import { expect, test } from 'vitest'
import type { Device } from '../../src-contract/app/app-state.ts'
import { searchDevices, sortDevices } from './device-search.ts'

function device(name: string, part: Partial<Device> = {}): Device {
  return {
    id: name,
    name,
    dnsName: `${name}.net.example`,
    addresses: ['100.64.0.9'],
    os: 'linux',
    owner: 'alice@net.example',
    isMine: true,
    tags: [],
    online: true,
    lastSeen: null,
    path: { kind: 'idle', endpoint: '', relay: '', latencyMs: null },
    offersExitNode: false,
    routes: [],
    keyExpiry: null,
    keyExpired: false,
    created: null,
    version: '',
    publicKey: '',
    ...part,
  }
}

const devices = [
  device('node10'),
  device('node2', { tags: ['tag:ci'], addresses: ['100.64.7.7', 'fd7a:115c:a1e0::77'] }),
  device('far', { online: false, os: 'windows', path: { kind: 'offline', endpoint: '', relay: '', latencyMs: null } }),
  device('exit', {
    offersExitNode: true,
    path: { kind: 'relay', endpoint: '', relay: 'fra', latencyMs: 5 },
    isMine: false,
  }),
]
const names = (query: string, chip: Parameters<typeof searchDevices>[2] = 'all') =>
  searchDevices(devices, query, chip).map(({ name }) => name)

test.each([
  ['NODE', ['node10', 'node2']],
  ['7.7', ['node2']],
  ['a1e0::77', ['node2']],
  ['tag:ci', ['node2']],
  ['os:win', ['far']],
  ['is:online', ['node10', 'node2', 'exit']],
  ['is:relay', ['exit']],
  ['path:derp', ['exit']],
  ['has:exit', ['exit']],
  ['alice node2', ['node2']],
  ['nobody', []],
  ['toString:x', []],
])('%s finds %j', (query, found) => {
  expect(names(query)).toEqual(found)
})

test('chips', () => {
  expect(names('', 'online')).toEqual(['node10', 'node2', 'exit'])
  expect(names('', 'mine')).toEqual(['node10', 'node2', 'far'])
  expect(names('', 'exitNodes')).toEqual(['exit'])
})

test('sorted: who is there first, numbers as people count', () => {
  const sorted = sortDevices([...devices], new Intl.Collator('en', { numeric: true }))
  expect(sorted.map(({ name }) => name)).toEqual(['exit', 'node2', 'node10', 'far'])
})

test('ten thousand devices are filtered within a frame or two', () => {
  const many = Array.from({ length: 10_000 }, (_, at) => device(`device-${at}`))
  const started = performance.now()
  for (let at = 0; at < 5; at++) searchDevices(many, 'device-77 is:online', 'all')
  expect((performance.now() - started) / 5).toBeLessThan(200)
})
