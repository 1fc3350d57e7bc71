import { describe, expect, test } from 'vitest'
import type { NetworkEdit } from '../src-contract/app/network.ts'
import { emptyBypass } from '../src-contract/localapi/bypass.ts'
import type { ChangePreview } from '../src-contract/localapi/changes.ts'
import { callInputs } from './bridge-inputs.ts'
import { changeOf } from './network-commands.ts'
import { changeView, readBypass, readExplanation, readRoutes } from './network-replies.ts'

const route = { Prefix: '10.0.0.0/8', Via: 'n2', ViaName: 'nas\u202e', Online: true, InUse: true, Reason: '' }

describe('replies', () => {
  test('names are cleaned, nil lists are empty, reasons of the future are no reason to fail', () => {
    expect(readRoutes({ Routes: [route, { ...route, Reason: 'quota' }], Off: null })).toEqual({
      routes: [
        { prefix: '10.0.0.0/8', viaId: 'n2', viaName: 'nas', online: true, inUse: true, reason: '' },
        { prefix: '10.0.0.0/8', viaId: 'n2', viaName: 'nas', online: true, inUse: true, reason: 'other' },
      ],
      off: [],
    })
    const setting = { Prefixes: ['10.0.0.0/8'], Suffixes: null, Interfaces: ['wt0'], Users: null, Cgroups: null }
    expect(readBypass({ Setting: setting, InEffect: null, Missing: null }, null)).toEqual({
      setting: { Prefixes: ['10.0.0.0/8'], Suffixes: [], Interfaces: ['wt0'], Users: [], Cgroups: [] },
      inEffect: [],
      missing: [],
      suggestions: [],
    })
  })

  test.each([
    [null],
    ['x'],
    [{}],
    [{ Setting: { Prefixes: 'all' } }],
    [{ Setting: {}, InEffect: [{ Prefix: 7, From: '' }] }],
  ])('a bypass that is %j is refused', (reply) => {
    expect(() => readBypass(reply, [])).toThrow(
      expect.objectContaining({ problem: expect.objectContaining({ code: 'bad-reply' }) }),
    )
  })

  test('an explanation: notes together, verdicts of the future shown as another one, endless texts cut', () => {
    const target = {
      Address: '10.8.4.2',
      Verdict: 'teleport',
      Sentence: 'x'.repeat(2000),
      Steps: [],
      Losers: null,
      Filter: ['f'],
      Conflicts: ['c'],
      Notes: ['n'],
    }
    const names = { Name: 'git.corp', Servers: [''], Why: 'split', Addresses: ['10.8.4.2'], Problem: '' }
    const { names: text, targets } = readExplanation({ Names: names, Targets: [target], Problems: null })
    expect(text).toBe('git.corp: 10.8.4.2 · split')
    expect(targets[0]).toMatchObject({ verdict: 'other', notes: ['c', 'f', 'n'] })
    expect(targets[0]?.sentence).toHaveLength(500)
  })
})

describe('what may cut something off', () => {
  const none = { Added: [], Removed: [] }
  const exit = { ID: '', Name: '', Blocked: false }
  const bypassEdit: NetworkEdit = { kind: 'bypass', setting: emptyBypass }
  const preview = (diff: object, Warnings: unknown[] = [], edit: NetworkEdit = bypassEdit) => {
    const whole = {
      Diff: {
        Settings: [],
        Connected: { Before: true, After: true },
        Addresses: none,
        Routes: none,
        Rules: none,
        Dns: { Servers: none, Search: none, Split: none },
        ExitNode: { Before: exit, After: exit },
        Forwarded: none,
        ...diff,
      },
      Warnings,
    } as unknown as ChangePreview
    return changeView(whole, edit)
  }
  const lost = { Prefix: '10.0.0.0/8', Way: 'peer', Via: 'n2', ViaName: 'nas' }

  test.each([
    ['nothing', {}, false],
    ['a route more', { Routes: { Added: [lost], Removed: [] } }, false],
    ['a route less', { Routes: { Added: [], Removed: [lost] } }, true],
    ['a way past the exit node less', { Rules: { Added: [], Removed: ['10.0.0.0/8'] } }, true],
    ['disconnected', { Connected: { Before: true, After: false } }, true],
    ['blocked', { ExitNode: { Before: exit, After: { ID: 'n2', Name: 'nas', Blocked: true } } }, true],
  ])('%s: %j', (_, diff, mayCut) => {
    expect(preview(diff).mayCut).toBe(mayCut)
  })

  test('one route off is what was meant; another one going with it is not', () => {
    const off: NetworkEdit = { kind: 'route', prefix: '10.0.0.0/8', on: false }
    const removed = (...Removed: object[]) => ({ Routes: { Added: [], Removed } })
    expect(preview(removed(lost), [], off).mayCut).toBe(false)
    expect(preview(removed(lost, { ...lost, Prefix: '10.1.0.0/16' }), [], off).mayCut).toBe(true)
  })

  test('a warning is enough, and its text is shown; lines name route and machine', () => {
    const view = preview({ Routes: { Added: [], Removed: [lost] } }, [
      { Code: 'session-cut', Text: 'SSH ends', Fix: [] },
    ])
    expect(view).toEqual({
      lines: [{ sign: '-', subject: 'route', text: '10.0.0.0/8 · nas' }],
      warnings: ['SSH ends'],
      mayCut: true,
    })
  })
})

test('edits become changes', () => {
  expect(changeOf({ kind: 'route', prefix: '10.0.0.0/8', on: false })).toEqual({ Routes: { Off: ['10.0.0.0/8'] } })
  expect(changeOf({ kind: 'accept-routes', on: true })).toEqual({ Prefs: { RouteAll: true, RouteAllSet: true } })
})

const setting = { Prefixes: [], Suffixes: [], Interfaces: [], Users: [], Cgroups: [] }
test.each([
  [{ edit: { kind: 'route', prefix: '10.0.0.0/8; reboot', on: true }, safely: false }],
  [{ edit: { kind: 'route', prefix: '10.0.0.0/8' }, safely: false }],
  [{ edit: { kind: 'bypass', setting: { ...setting, Prefixes: ['everything'] } }, safely: false }],
  [{ edit: { kind: 'bypass', setting: { ...setting, Users: ['x'.repeat(300)] } }, safely: false }],
  [{ edit: { kind: 'bypass', setting: { ...setting, Users: Array.from({ length: 300 }, () => 'x') } }, safely: false }],
  [{ edit: { kind: 'bypass', setting: { ...setting, Config: {} } }, safely: false }],
  [{ edit: { kind: 'prefs', Prefs: { ControlURL: 'https://evil.example' } }, safely: false }],
])('the bridge refuses %j', (input) => {
  expect(callInputs['network.apply'].safeParse(input).success).toBe(false)
})
