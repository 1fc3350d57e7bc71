import { expect, test } from 'vitest'
import type { Node } from '../control/map.ts'
import { applyNotify, emptyMirror, type Mirror } from './mirror.ts'
import type { Notify } from './notify.ts'
import { defaultPrefs, type Prefs } from './prefs.ts'

const node = (id: number | bigint, more: Partial<Node> = {}) => ({ ID: id, Name: `n${id}.`, ...more }) as Node
const prefsOf = (nodeId: string): Prefs => ({ ...defaultPrefs(), Config: { NodeID: nodeId } as Prefs['Config'] })
const fold = (...notifies: Partial<Notify>[]) =>
  notifies.reduce<Mirror>((mirror, notify) => applyNotify(mirror, notify as Notify), emptyMirror())
const netMap = (peers: Node[]) =>
  ({
    SelfNode: node(1),
    Peers: peers,
    Domain: 'd',
    UserProfiles: { '7': { ID: 7, LoginName: 'a@' } },
  }) as unknown as Notify['NetMap']

test('state, sign-in page and error follow each other', () => {
  const waiting = fold({ State: 2 }, { BrowseToURL: 'https://x/a' }, { ErrMessage: 'no' })
  expect([waiting.state, waiting.browseToUrl, waiting.errMessage]).toEqual(['NeedsLogin', 'https://x/a', 'no'])
  const running = applyNotify(waiting, { State: 6, LoginFinished: {} } as Notify)
  expect([running.state, running.browseToUrl, running.errMessage, running.loginsFinished]).toEqual([
    'Running',
    '',
    '',
    1,
  ])
  expect(fold({ State: 99 as never }).state).toBe('unknown')
})

test('[LA-6.2] peers: full, changed, patched, removed', () => {
  const big = 9007199254740993n
  const mirror = fold(
    { NetMap: netMap([node(2), node(3), node(big)]) },
    { PeersChanged: [node(4), node(2, { Online: true })], PeersRemoved: [3] },
    {
      PeerChangedPatch: [
        { NodeID: big, Online: false, DERPRegion: 9 },
        { NodeID: 99, Online: true },
      ],
    },
    { UserProfiles: { '8': { ID: 8, LoginName: 'b@', DisplayName: '' } } },
  )
  expect([...mirror.peers.values()]).toEqual([
    node(2, { Online: true }),
    node(big, { Online: false, HomeDERP: 9 }),
    node(4),
  ])
  expect(mirror.self).toEqual(node(1))
  expect([...mirror.users.keys()]).toEqual(['7', '8'])
})

test('another login, or none, has no peers', () => {
  const before: Partial<Notify>[] = [{ Prefs: prefsOf('nA') }, { State: 6, NetMap: netMap([node(2)]) }]
  expect(fold(...before, { Prefs: prefsOf('nA') }).peers.size).toBe(1)
  expect(fold(...before, { State: 4 }).peers.size).toBe(1)
  expect(fold(...before, { Prefs: prefsOf('nB') }).peers.size).toBe(0)
  expect(fold(...before, { State: 2 }).self).toBeNull()
})

test('what a notification does not mention keeps its identity; the input is untouched', () => {
  const before = Object.freeze(fold({ Prefs: prefsOf('nA') }, { NetMap: netMap([node(2)]) }))
  const after = applyNotify(before, { Health: { Warnings: null }, Engine: { RBytes: 1 } } as Notify)
  expect(after.peers).toBe(before.peers)
  expect(after.prefs).toBe(before.prefs)
  expect(applyNotify(before, { PeersRemoved: [2] } as Partial<Notify> as Notify).peers.size).toBe(0)
  expect(before.peers.size).toBe(1)
})

test('[CHG-8] a change that waits is there until it does no longer', () => {
  const Pending = { Id: 'a', Deadline: '2026-01-01T00:00:00Z', SecondsLeft: 30, What: ['exit node'] }
  const waiting = fold({ PintailChanges: { Pending, Last: null } }, { State: 6 })
  expect(waiting.pendingChange).toBe(Pending)
  expect(applyNotify(waiting, { PintailChanges: { Pending: null, Last: null } } as Notify).pendingChange).toBeNull()
})
