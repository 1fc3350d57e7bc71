import { expect, test } from 'vitest'
import { type AppPhase, type AppState, appPhases, type Device } from '../../src-contract/app/app-state.ts'
import { wordsFor } from '../words.ts'
import { type TrayRow, trayMenu, trayShape, trayShapes } from './tray-menu.ts'

const settings = {
  language: 'en',
  systemLanguage: 'en',
  theme: 'system',
  trayStyle: 'colour',
  whenClosed: 'ask',
} as const
const words = wordsFor(settings)

function state(phase: AppPhase, part: Partial<AppState> = {}): AppState {
  return {
    phase,
    daemon: { socketPath: '', version: '', features: null, link: 'connected', lostAt: 0 },
    problem: null,
    network: 'net',
    account: '',
    controlUrl: '',
    wantRunning: true,
    signInUrl: '',
    self: {
      name: 'me',
      dnsName: '',
      addresses: ['100.64.0.1'],
      os: '',
      keyExpiry: null,
      publicKey: '',
      relay: '',
      endpoints: [],
      tags: [],
    },
    notices: [],
    settings,
    hasTray: true,
    devicesAsOf: 0,
    ...part,
  }
}

const device = (name: string, online = true) =>
  ({ id: name, name, online, addresses: ['100.64.0.2'] }) as unknown as Device
const labels = (rows: readonly TrayRow[]): string[] =>
  rows.flatMap((row) => (row.kind === 'separator' ? [] : [row.label, ...labels(row.submenu ?? [])]))
const depth = (rows: readonly TrayRow[]): number =>
  Math.max(0, ...rows.map((row) => (row.kind === 'row' && row.submenu ? 1 + depth(row.submenu) : 0)))

test('every phase has a shape; those that differ for people differ in shape', () => {
  for (const phase of appPhases) expect(trayShapes).toContain(trayShape(phase))
  expect(
    new Set(
      ['off', 'starting', 'on', 'attention', 'signed-out', 'unreachable'].map((phase) => trayShape(phase as AppPhase)),
    ).size,
  ).toBe(6)
})

test.each([
  ['on', 'Turn off'],
  ['off', 'Turn on'],
  ['starting', 'Turn off'],
  ['signed-out', 'Sign in…'],
  ['unreachable', 'Start service…'],
] as const)('%s offers %s', (phase, row) => {
  expect(labels(trayMenu({ state: state(phase), devices: new Map() }, words))[1]).toBe(row)
})

test('few rows, shallow, offline marked, ampersands safe', () => {
  const names = Array.from({ length: 30 }, (_, at) => `device-${at}`)
  const devices = new Map(names.map((name) => [name, device(name, name !== 'device-1')]))
  devices.set('r&d', device('r&d', false))
  const menu = trayMenu({ state: state('on'), devices }, words)
  expect(menu.length).toBeLessThanOrEqual(12)
  expect(depth(menu)).toBeLessThanOrEqual(2)
  const all = labels(menu)
  expect(all.filter((label) => label === 'Ping')).toHaveLength(9)
  const two = trayMenu({ state: state('on'), devices: new Map([['r&d', device('r&d', false)]]) }, words)
  expect(labels(two)).toContain('r&&d (offline)')
})

test('equal states give equal menus, so nothing is sent again', () => {
  const devices = new Map([['a', device('a')]])
  expect(trayMenu({ state: state('on'), devices }, words)).toEqual(trayMenu({ state: state('on'), devices }, words))
})
