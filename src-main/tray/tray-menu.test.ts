import { expect, test } from 'vitest'
import { type AppPhase, type AppState, appPhases, type Device } from '../../src-contract/app/app-state.ts'
import { type ExitNode, type ExitState, noExit } from '../../src-contract/app/exit.ts'
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
    exit: noExit,
    exitNodes: [],
    pendingChange: null,
    acceptsRoutes: false,
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

const exitNode = (id: string, part: Partial<ExitNode> = {}): ExitNode => ({
  id,
  name: id,
  state: 'online',
  place: null,
  priority: 0,
  distanceKm: null,
  ...part,
})
const withExit = (exit: Partial<ExitState>, exitNodes: ExitNode[], phase: AppPhase = 'on') =>
  trayMenu({ state: state(phase, { exit: { ...noExit, ...exit }, exitNodes }), devices: new Map() }, words)
const row = (menu: readonly TrayRow[], label: string) =>
  menu
    .flatMap((one) => (one.kind === 'row' ? [one, ...(one.submenu ?? [])] : []))
    .find((one) => one.kind === 'row' && one.label === label)

test('J3: the last exit node is one row away, and so is its end', () => {
  const last = { kind: 'node', id: 'nas', name: 'nas' } as const
  const off = withExit({ last }, [exitNode('nas')])
  expect(row(off, 'Use exit node: nas')).toMatchObject({ action: { kind: 'use-exit', choice: { kind: 'last' } } })
  const on = withExit({ last, now: { kind: 'on', id: 'nas', name: 'nas' } }, [exitNode('nas')], 'on-exit-node')
  expect(row(on, 'Stop using nas')).toMatchObject({ action: { kind: 'use-exit', choice: { kind: 'off' } } })
  expect(on[0]).toMatchObject({ label: 'On via nas · net' })
  const blocked = withExit({ now: { kind: 'blocked', id: '', name: '', why: 'none-found' } }, [], 'blocked')
  expect(row(blocked, 'Stop using the exit node')).toBeDefined()
})

test('the submenu: off, in use, suggested, recent, devices; at most ten rows; the local network is a tick', () => {
  const nodes = [
    ...Array.from({ length: 20 }, (_, at) => exitNode(`n${at}`, { state: at === 3 ? 'offline' : 'online' })),
    exitNode('se-1', { place: { country: 'Sweden', countryCode: 'SE', city: 'Malmö' } }),
  ]
  const now = { kind: 'on', id: 'n7', name: 'n7' } as const
  const menu = withExit({ now, suggestedId: 'n9', recentIds: ['se-1', 'n3'], allowLan: true }, nodes)
  const submenu = menu.flatMap((one) => (one.kind === 'row' && one.label === 'Exit node' ? (one.submenu ?? []) : []))
  expect(submenu.map((one) => (one.kind === 'row' ? `${one.mark?.isOn ? '*' : ''}${one.label}` : '--'))).toEqual([
    'Off',
    '*n7',
    'Suggested: n9',
    'Malmö',
    'n3 (offline)',
    'n0',
    'n1',
    '--',
    '*Allow local network',
    'Choose exit node…',
  ])
  expect(row(menu, 'n3 (offline)')).not.toHaveProperty('action')
  expect(row(menu, 'Allow local network')).toMatchObject({ action: { kind: 'allow-lan', on: false } })
  expect(menu.filter(({ kind }) => kind === 'row').length).toBeLessThanOrEqual(12)
})

test('nobody offers one: no rows; off: none either', () => {
  expect(row(withExit({}, []), 'Exit node')).toBeUndefined()
  expect(row(withExit({}, [exitNode('nas')], 'off'), 'Exit node')).toBeUndefined()
})
