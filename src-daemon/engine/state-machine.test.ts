import { describe, expect, test } from 'vitest'
import { nextState, type StateFacts } from './state-machine.ts'

const base: StateFacts = {
  current: 'NoState',
  storeBroken: false,
  wantRunning: true,
  loggedOut: false,
  haveNodeKey: true,
  blocked: false,
  authCantContinue: false,
  self: undefined,
  engineReady: false,
}
const self = { keyExpired: false, machineAuthorized: true }

describe('[LA-5] next state', () => {
  const rows: [string, Partial<StateFacts>, string][] = [
    ['broken store', { storeBroken: true, self, engineReady: true }, 'NoState'],
    ['down with a key', { wantRunning: false, current: 'Running', self }, 'Stopped'],
    ['down without a key', { wantRunning: false, haveNodeKey: false, authCantContinue: true }, 'NeedsLogin'],
    ['down, waiting for a person', { wantRunning: false, blocked: true, authCantContinue: true }, 'NeedsLogin'],
    ['fresh start with a key', {}, 'NoState'],
    ['logged out', { loggedOut: true, wantRunning: false }, 'NeedsLogin'],
    ['up from stopped, no map yet', { current: 'Stopped' }, 'Starting'],
    ['control refused', { authCantContinue: true, current: 'Starting' }, 'NeedsLogin'],
    ['still waiting for the map', { current: 'Starting' }, 'Starting'],
    ['first map', { self }, 'Starting'],
    ['the engine is ready', { self, current: 'Starting', engineReady: true }, 'Running'],
    ['the engine is not ready yet', { self, current: 'Starting' }, 'Starting'],
    ['running stays when links go', { self, current: 'Running' }, 'Running'],
    ['own key expired', { self: { ...self, keyExpired: true }, current: 'Running' }, 'NeedsLogin'],
    ['not approved', { self: { ...self, machineAuthorized: false }, current: 'Running' }, 'NeedsMachineAuth'],
    ['approved', { self, current: 'NeedsMachineAuth', engineReady: true }, 'Starting'],
    ['up from stopped with a map', { self, current: 'Stopped', engineReady: true }, 'Starting'],
  ]
  test.each(rows)('%s', (_name, change, expected) => {
    expect(nextState({ ...base, ...change })).toBe(expected)
  })
})
