import { describe, expect, test } from 'vitest'
import type { Node } from '../../src-contract/control/map.ts'
import { type LegacyNetMap, watchMask as m, type Notify } from '../../src-contract/localapi/notify.ts'
import { emptyNotify, type NetmapEvent, notifyFor } from './notify.ts'
import { NotifyPace } from './notify-pace.ts'

const node = (id: number) => ({ ID: id, StableID: `n${id}` }) as Node
const event: NetmapEvent = {
  kind: 'netmap',
  full: () => ({ Domain: 'full' }) as LegacyNetMap,
  self: undefined,
  peersChanged: [node(1)],
  peersRemoved: [2],
  patches: [{ NodeID: 3, Online: true }],
  peersPatched: [node(3)],
  users: {},
}
const hear = (mask: number) => {
  const { Version: _, ...rest } = notifyFor('v', mask, event) ?? ({} as Notify)
  return Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null))
}

describe('[LA-6] a netmap change', () => {
  test('old watchers get the whole map', () => expect(hear(m.initialNetMap)).toEqual({ NetMap: { Domain: 'full' } }))
  test('a watcher of nothing gets nothing', () => expect(notifyFor('v', 0, event)).toBeUndefined())
  test('patches are promoted for those who take changes only', () =>
    expect(hear(m.initialNetMap | m.peerChanges)).toEqual({ PeersChanged: [node(1), node(3)], PeersRemoved: [2] }))
  test('patches as such', () =>
    expect(hear(m.peerPatches)).toEqual({
      PeersChanged: [node(1)],
      PeersRemoved: [2],
      PeerChangedPatch: [{ NodeID: 3, Online: true }],
    }))
  test.each([m.noNetMap, m.initialStatus])('bit %d turns the whole map off', (bit) =>
    expect(notifyFor('v', m.initialNetMap | bit, event)).toBeUndefined(),
  )
})

test('[LA-6] health actions become text for those who do not know them', () => {
  const warning = {
    WarnableCode: 'x',
    Severity: 'low' as const,
    Title: 't',
    Text: 'broken.',
    PrimaryAction: { URL: 'https://a', Label: 'fix' },
  }
  const health = { kind: 'health' as const, warnings: { x: warning } }
  expect(notifyFor('v', 0, health)?.Health?.Warnings?.x).toEqual({
    WarnableCode: 'x',
    Severity: 'low',
    Title: 't',
    Text: 'broken. fix: https://a',
  })
  expect(notifyFor('v', m.healthActions, health)?.Health?.Warnings?.x).toEqual(warning)
})

describe('[LA-6] pace', () => {
  const engine = (live: number): Notify => ({
    ...emptyNotify('v'),
    Engine: { RBytes: 0, WBytes: 0, NumLive: live, LiveDERPs: 0, LivePeers: {} },
  })
  const state: Notify = { ...emptyNotify('v'), State: 6 }

  test('without the bit everything goes at once', () => {
    const pace = new NotifyPace(0)
    expect([...pace.offer(engine(1), 0), ...pace.offer(engine(2), 1)]).toEqual([engine(1), engine(2)])
  })

  test('boring ones come every three seconds, merged; others flush them first', () => {
    const pace = new NotifyPace(m.rateLimit)
    expect(pace.offer(engine(1), 0)).toEqual([engine(1)])
    expect(pace.offer(engine(2), 100)).toEqual([])
    expect(pace.offer(engine(3), 200)).toEqual([])
    expect(pace.nextWake()).toBe(3000)
    expect(pace.wake(2999)).toEqual([])
    expect(pace.wake(3000)).toEqual([engine(3)])
    expect(pace.offer(engine(4), 3001)).toEqual([])
    expect(pace.offer(state, 3002)).toEqual([engine(4), state])
    expect(pace.nextWake()).toBeUndefined()
  })
})
