import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AppState, Device } from './app-state.ts'
import { type AppMirror, type AppView, applyPush, changesBetween, isSame } from './mirror.ts'

const device = (id: string, name: string) => ({ id, name, addresses: [name] }) as unknown as Device
const view = (phase: string, devices: Record<string, string>): AppView => ({
  state: { phase, notices: [], daemon: { link: 'connected' } } as unknown as AppState,
  devices: new Map(Object.entries(devices).map(([id, name]) => [id, device(id, name)])),
})

test('changes carry a view to any other view', () => {
  const devices = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('x', 'y'))
  const views = fc.record({ phase: fc.constantFrom('on', 'off'), devices })
  fc.assert(
    fc.property(views, views, (from, to) => {
      const before = view(from.phase, from.devices)
      const after = view(to.phase, to.devices)
      const mirror: AppMirror = { rev: 4, ...before }
      const change = changesBetween(before, after, 5)
      const result = change === undefined ? mirror : applyPush(mirror, change)
      expect(result && isSame(result.state, after.state)).toBe(true)
      expect(result && isSame(Object.fromEntries(result.devices), Object.fromEntries(after.devices))).toBe(true)
    }),
  )
})

test('nothing changed is nothing to tell', () => {
  expect(changesBetween(view('on', { a: 'x' }), view('on', { a: 'x' }), 2)).toBeUndefined()
})

test('a gap or a change without a snapshot asks again', () => {
  const before = view('on', {})
  const change = changesBetween(before, view('off', {}), 7)
  if (change === undefined) throw new Error('there is a change')
  expect(applyPush(undefined, change)).toBeUndefined()
  expect(applyPush({ rev: 5, ...before }, change)).toBeUndefined()
  expect(applyPush({ rev: 6, ...before }, change)?.state.phase).toBe('off')
})

test('a change of one slice keeps the others and the devices', () => {
  const mirror: AppMirror = { rev: 1, ...view('on', { a: 'x' }) }
  const change = changesBetween(mirror, view('off', { a: 'x' }), 2)
  expect(change).toMatchObject({ state: { phase: 'off' }, put: [], removed: [] })
  const next = change && applyPush(mirror, change)
  expect(next?.devices).toBe(mirror.devices)
  expect(next?.state.daemon).toBe(mirror.state.daemon)
})
