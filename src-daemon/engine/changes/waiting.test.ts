import { describe, expect, test } from 'vitest'
import { emptyBypass } from '../../../src-contract/localapi/bypass.ts'
import { defaultPrefs } from '../../../src-contract/localapi/prefs.ts'
import { parsePendingChange } from './kept-change.ts'
import { type PendingChange, remainingMs, Waiting } from './waiting.ts'

const NOON = Date.UTC(2026, 10, 21, 12)
const change: PendingChange = {
  id: '00112233445566aa',
  startedWallMs: NOON,
  withinMs: 30_000,
  undo: {
    prefs: { ...defaultPrefs(), ExitNodeID: 'n1', AutoExitNode: 'any' },
    names: ['ExitNodeID', 'AutoExitNode'],
    left: ['RouteAll'],
    routesOff: { add: ['10.0.0.0/8'], remove: [] },
    bypass: { add: emptyBypass, remove: { ...emptyBypass, Interfaces: ['wt0'] } },
  },
}

describe('[CHG-2] the deadline', () => {
  test('comes once, at its time; until then it can be confirmed, from then on not', () => {
    const waiting = new Waiting()
    expect([waiting.nextWake(), waiting.wake(1e12)]).toEqual([undefined, false])
    waiting.begin(change, 1_000)
    expect([waiting.nextWake(), waiting.leftMs(1_000)]).toEqual([31_000, 30_000])
    expect([waiting.wake(30_999), waiting.isOpen(change.id, 30_999)]).toEqual([false, true])
    expect([waiting.wake(31_000), waiting.isOpen(change.id, 31_000), waiting.leftMs(99_000)]).toEqual([true, false, 0])
    waiting.end()
    expect([waiting.wake(31_000), waiting.nextWake(), waiting.change]).toEqual([false, undefined, undefined])
  })

  test('is of that one change', () => {
    const waiting = new Waiting()
    waiting.begin(change, 0)
    expect(waiting.isOpen('ffffffffffffffff', 1)).toBe(false)
    waiting.replace({ ...change, id: 'ffffffffffffffff', withinMs: 1 })
    expect(waiting.change).toBe(change)
    waiting.replace({ ...change, undo: { ...change.undo, names: [] } })
    expect([waiting.change?.undo.names, waiting.nextWake()]).toEqual([[], 30_000])
  })
})

describe('[CHG-3] after a restart', () => {
  test.each([
    ['at once', 0, 30_000],
    ['ten seconds later', 10_000, 20_000],
    ['at the deadline', 30_000, 0],
    ['a day later, or with a clock that was set forward', 86_400_000, 0],
    ['with a clock that was set back a little', -1, 30_000],
    ['with a clock that begins in 1970', -NOON, 30_000],
  ])('%s', (_name, passedMs, leftMs) => {
    expect(remainingMs(change, NOON + passedMs)).toBe(leftMs)
    const waiting = new Waiting()
    waiting.resume(change, NOON + passedMs, 500)
    expect([waiting.leftMs(500), waiting.wake(500)]).toEqual([leftMs, leftMs === 0])
  })

  test('it is as it was written', () => {
    expect(parsePendingChange(JSON.parse(JSON.stringify(change)))).toEqual({ ok: true, value: change })
  })

  const undo = JSON.parse(JSON.stringify(change.undo)) as object
  test.each<[string, unknown]>([
    ['nothing', null],
    ['a list', []],
    ['no undo', { ...change, undo: undefined }],
    ['another id', { ...change, id: '../../etc' }],
    ['a start that is no number', { ...change, startedWallMs: 'now' }],
    ['a start beyond all', { ...change, startedWallMs: 1e300 }],
    ['no end', { ...change, withinMs: 1e12 }],
    ['a time before the start', { ...change, withinMs: -1 }],
    ['preferences of a wrong type', { ...change, undo: { ...undo, prefs: { RouteAll: 1 } } }],
    ['a name that is none', { ...change, undo: { ...undo, names: ['__proto__'] } }],
    ['a name twice', { ...change, undo: { ...undo, names: ['RouteAll', 'RouteAll'] } }],
    ['names that are none', { ...change, undo: { ...undo, left: 'RouteAll' } }],
    ['a route that is none', { ...change, undo: { ...undo, routesOff: { add: ['x'], remove: [] } } }],
    ['a bypass that is none', { ...change, undo: { ...undo, bypass: { add: { Users: ['a b'] }, remove: {} } } }],
  ])('%s is not taken for one', (_name, value) => {
    expect(parsePendingChange(value).ok).toBe(false)
  })
})
