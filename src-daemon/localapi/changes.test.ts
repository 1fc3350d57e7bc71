/** [docs/rules/changes.md] through the socket: real backend, real state document, played control and packets. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AppliedChange, ChangePreview, ChangesReport } from '../../src-contract/localapi/changes.ts'
import { watchMask as m } from '../../src-contract/localapi/notify.ts'
import type { Prefs } from '../../src-contract/localapi/prefs.ts'
import { MemoryStore } from '../io/store/memory.ts'
import { firstMap, TestDaemon, testNode } from './test-daemon.contract-suite.ts'

let daemon: TestDaemon
beforeEach(async () => {
  daemon = await TestDaemon.open()
})
afterEach(() => daemon.close())

const EXIT = testNode(3, { AllowedIPs: ['100.64.0.3/32', 'fd7a:115c:a1e0::3/128', '0.0.0.0/0', '::/0'] })
const ROUTER = testNode(2, { AllowedIPs: ['100.64.0.2/32', 'fd7a:115c:a1e0::2/128', '10.1.0.0/16'] })
const useExit = { Prefs: { ExitNodeIP: '100.64.0.3', ExitNodeIPSet: true, ExitNodeIDSet: true } }
const connected = (): Promise<void> => daemon.join(firstMap({ Peers: [ROUTER, EXIT] }))

async function post<T>(path: string, body: unknown, status = 200): Promise<T> {
  const answer = await daemon.call('POST', `pintail/changes${path}`, { body })
  expect([answer.status, answer.text]).toEqual([status, expect.anything()])
  return (answer.json ?? answer.text) as T
}
const apply = (change: object, seconds = 60): Promise<AppliedChange> =>
  post<AppliedChange>('', { ...change, ConfirmWithinSeconds: seconds })
const report = async (): Promise<ChangesReport> => (await daemon.call('GET', 'pintail/changes')).json as ChangesReport
const prefs = (): Prefs => daemon.backend.prefs

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + 10_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const found = await look()
    if (found !== undefined) return found
  }
  throw new Error('it did not come true')
}
const finished = (): Promise<ChangesReport> =>
  until(async () => {
    const now = await report()
    return now.Pending === null && now.Last !== null ? now : undefined
  })

describe('[CHG-1] a change', () => {
  test('of preferences, bypass and routes is made in one step and taken back in one', async () => {
    await connected()
    const before = daemon.store.text
    const change = {
      Prefs: { ...useExit.Prefs, RouteAll: true, RouteAllSet: true },
      Bypass: { Prefixes: ['10.9.0.0/16'] },
      Routes: { Off: ['10.1.0.0/16'] },
    }
    const { Id, Diff } = await apply(change)
    expect(Diff.Settings.map(({ Name }) => Name)).toEqual(['RouteAll', 'ExitNodeID'])
    expect(prefs()).toMatchObject({ ExitNodeID: 'n3', ExitNodeIP: '', RouteAll: true })
    expect(daemon.plane.config?.wish).toMatchObject({ exit: { peer: 'n3' }, routesOff: ['10.1.0.0/16'] })
    expect((await report()).Pending?.What).toEqual(['accepted routes', 'exit node', 'bypass', 'subnet routes'])
    await post('/revert', { Id })
    expect(prefs()).toMatchObject({ ExitNodeID: '', ExitNodeIP: '', RouteAll: false })
    expect(daemon.plane.config?.wish).toMatchObject({ exit: undefined, routesOff: [] })
    expect(JSON.parse(daemon.store.text ?? '')).toEqual(JSON.parse(before ?? ''))
  })

  test('that is refused in one part changes nothing in the others', async () => {
    await connected()
    const bad = { AdvertiseRoutes: ['10.0.0.1/8'], AdvertiseRoutesSet: true, RouteAll: true, RouteAllSet: true }
    expect(await post('', { Prefs: bad, ConfirmWithinSeconds: 5 }, 400)).toContain('non-address bits')
    expect([prefs().RouteAll, await report()]).toEqual([false, { Pending: null, Last: null }])
  })

  test('follows the rules of every other edit: an operator must exist', async () => {
    await connected()
    const Prefs = { OperatorUser: 'nobody-here', OperatorUserSet: true }
    expect(await post('', { Prefs, ConfirmWithinSeconds: 5 }, 400)).toContain('must be a user of this machine')
    daemon.operatorUids = { ada: 1000 }
    const { Id } = await apply({ Prefs: { OperatorUser: 'ada', OperatorUserSet: true } })
    await post('/revert', { Id })
    expect(prefs().OperatorUser).toBeUndefined()
  })

  test('that changes nothing does not wait', async () => {
    await connected()
    expect(await apply({ Prefs: { RouteAll: false, RouteAllSet: true } })).toMatchObject({ Id: '' })
    expect((await report()).Pending).toBeNull()
  })

  test.each<[string, unknown]>([
    ['nothing', {}],
    ['no object', []],
    ['null', null],
    ['a text', '"x"'],
    ['prefs of a wrong type', { Prefs: { RouteAll: 'yes', RouteAllSet: true } }],
    ['signing out', { Prefs: { LoggedOut: true, LoggedOutSet: true } }],
    ['another server', { Prefs: { ControlURL: 'https://x.example', ControlURLSet: true } }],
    ['a bypass of everything', { Bypass: { Prefixes: ['0.0.0.0/0'] } }],
    ['too many routes', { Routes: { Off: Array.from({ length: 1001 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`) } }],
    ['half a session', { Routes: { Off: [] }, Session: { Client: '100.64.0.2:1' } }],
    ['a session that is none', { Routes: { Off: [] }, Session: { Client: 'x'.repeat(9_999), Server: '1.2.3.4:5' } }],
    ['no deadline', { Routes: { Off: [] }, ConfirmWithinSeconds: undefined }],
    ['a deadline in the past', { Routes: { Off: [] }, ConfirmWithinSeconds: -1 }],
    ['a deadline that never comes', { Routes: { Off: [] }, ConfirmWithinSeconds: 1e300 }],
    ['a deadline in words', { Routes: { Off: [] }, ConfirmWithinSeconds: '5' }],
  ])('%s is refused with words', async (_name, body) => {
    const isObject = typeof body === 'object' && body !== null && !Array.isArray(body)
    const answer = await daemon.call('POST', 'pintail/changes', {
      body: isObject ? { ConfirmWithinSeconds: 5, ...body } : JSON.stringify(body),
    })
    expect(answer.status).toBe(400)
    expect(answer.text.length).toBeGreaterThan(5)
    expect((await report()).Pending).toBeNull()
  })

  test('readers look, and may not touch', async () => {
    await connected()
    const { Id } = await apply(useExit)
    const uid = 1000
    expect((await daemon.call('GET', 'pintail/changes', { uid })).status).toBe(200)
    for (const path of ['', '/preview', '/confirm', '/revert'])
      expect((await daemon.call('POST', `pintail/changes${path}`, { uid, body: { Id } })).status).toBe(403)
  })
})

describe('[CHG-2] the deadline', () => {
  test('passes: it is taken back', async () => {
    await connected()
    const { Id } = await apply(useExit, 1)
    expect(prefs().ExitNodeID).toBe('n3')
    expect(await finished()).toMatchObject({ Last: { Id, Outcome: 'expired', Left: [] } })
    expect([prefs().ExitNodeID, daemon.plane.config?.wish.exit]).toEqual(['', undefined])
    expect(await post('/confirm', { Id }, 409)).toContain('it is too late')
  })

  test('is confirmed: it stays, also later', async () => {
    await connected()
    const { Id } = await apply(useExit, 1)
    expect(await post('/confirm', { Id })).toMatchObject({ Pending: null, Last: { Id, Outcome: 'confirmed' } })
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(prefs().ExitNodeID).toBe('n3')
    expect(daemon.store.text).not.toContain('pendingChange')
    expect(await post('/revert', { Id }, 409)).toContain('confirmed already')
  })

  test('does not come while the machine sleeps, whatever the timer says', async () => {
    await connected()
    const asleepAt = performance.now()
    daemon.nowMs = () => asleepAt
    const { Id } = await apply(useExit, 1)
    await new Promise((resolve) => setTimeout(resolve, 1_300))
    expect((await report()).Pending).toMatchObject({ Id, SecondsLeft: 1 })
    daemon.nowMs = () => performance.now()
    expect(await finished()).toMatchObject({ Last: { Id, Outcome: 'expired' } })
  })

  test('of one is over before another begins', async () => {
    await connected()
    const { Id } = await apply(useExit)
    expect(await post('', { Routes: { Off: [] }, ConfirmWithinSeconds: 5 }, 409)).toContain('another change waits')
    for (const other of ['0123456789abcdef', '', '../x', 7])
      expect((await daemon.call('POST', 'pintail/changes/confirm', { body: { Id: other } })).status).toBeOneOf([
        400, 409,
      ])
    expect((await report()).Pending?.Id).toBe(Id)
  })

  test('down is taken back, too: the machine connects again', async () => {
    await connected()
    await apply({ Prefs: { WantRunning: false, WantRunningSet: true } }, 1)
    expect([daemon.backend.state, daemon.plane.config]).toEqual(['Stopped', undefined])
    const links = daemon.controls.length
    await finished()
    await daemon.until(() => daemon.controls.length > links)
    expect(prefs().WantRunning).toBe(true)
  })
})

describe('[CHG-3] restarts', () => {
  const restarted = async (): Promise<void> => {
    const text = daemon.store.text
    await daemon.close()
    daemon = await TestDaemon.open(new MemoryStore(text))
  }

  test('it goes on counting, and takes back', async () => {
    await connected()
    const { Id } = await apply(useExit, 3)
    await restarted()
    expect((await report()).Pending).toMatchObject({ Id, What: ['exit node'] })
    expect(prefs().ExitNodeID).toBe('n3')
    expect(await finished()).toMatchObject({ Last: { Id, Outcome: 'expired' } })
    expect(prefs().ExitNodeID).toBe('')
  })

  test('after the deadline the settings are back before the network is up', async () => {
    await connected()
    await apply(useExit, 1)
    const kept = JSON.parse(daemon.store.text ?? '') as { profiles: { pendingChange: { startedWallMs: number } }[] }
    kept.profiles[0]!.pendingChange.startedWallMs -= 5_000
    await daemon.close()
    daemon = await TestDaemon.open(new MemoryStore(JSON.stringify(kept)))
    expect([prefs().ExitNodeID, (await report()).Last?.Outcome]).toEqual(['', 'expired'])
    expect(daemon.store.text).not.toContain('pendingChange')
  })
})

describe('[CHG-4] taking back', () => {
  test('leaves what somebody else changed since, and says so', async () => {
    await connected()
    const both = { ...useExit.Prefs, RouteAll: true, RouteAllSet: true }
    const { Id } = await apply({ Prefs: both, Bypass: { Prefixes: ['10.9.0.0/16'] } })
    const other = { ExitNodeID: 'n9', ExitNodeIDSet: true, Hostname: 'mine', HostnameSet: true }
    await daemon.call('PATCH', 'prefs', { body: other })
    await daemon.call('PUT', 'pintail/bypass', { body: { Prefixes: ['10.9.0.0/16', '10.8.0.0/16'] } })
    expect(await post('/revert', { Id })).toMatchObject({ Last: { Outcome: 'reverted', Left: ['exit node'] } })
    expect(prefs()).toMatchObject({ ExitNodeID: 'n9', RouteAll: false, Hostname: 'mine' })
    const bypass = (await daemon.call('GET', 'pintail/bypass')).json as { Setting: { Prefixes: string[] } }
    expect(bypass.Setting.Prefixes).toEqual(['10.8.0.0/16'])
  })

  test('what no longer fits stays, and health says so', async () => {
    await connected()
    await daemon.call('PATCH', 'prefs', { body: useExit.Prefs })
    const { Id } = await apply({ Prefs: { ExitNodeIDSet: true, ExitNodeIPSet: true } })
    const offer = { AdvertiseRoutes: ['0.0.0.0/0', '::/0'], AdvertiseRoutesSet: true }
    expect((await daemon.call('PATCH', 'prefs', { body: offer })).status).toBe(200)
    expect(await post('/revert', { Id })).toMatchObject({ Pending: null, Last: { Outcome: 'failed' } })
    expect(prefs().ExitNodeID).toBe('')
    expect(daemon.backend.health.warnings()).toMatchObject({ 'change-not-reverted': { Severity: 'high' } })
  })
})

describe('[CHG-5] [CHG-6] the preview', () => {
  test('names what is added and removed, and does nothing', async () => {
    await connected()
    daemon.plane.network = {
      interfaces: [{ name: 'eth0', isUp: true, addresses: [{ address: '192.168.1.5', bits: 24 }] } as never],
      defaultV4: 'eth0',
      defaultV6: '',
    }
    const count = daemon.plane.configureCount
    const asked = {
      Prefs: { ...useExit.Prefs, RouteAll: true, RouteAllSet: true, ShieldsUp: true, ShieldsUpSet: true },
      Session: { Client: '192.168.1.9:50000', Server: '192.168.1.5:22' },
    }
    const { Diff, Warnings, SessionWay } = await post<ChangePreview>('/preview', asked)
    const via = { Via: 'n3', ViaName: 'host3' }
    expect(Diff.Routes).toEqual({
      Added: [
        { Prefix: '10.1.0.0/16', Way: 'peer', Via: 'n2', ViaName: 'host2' },
        { Prefix: '0.0.0.0/0', Way: 'exit-node', ...via },
        { Prefix: '::/0', Way: 'exit-node', ...via },
        { Prefix: '192.168.1.0/24', Way: 'exit-node', ...via },
      ],
      Removed: [],
    })
    expect(Diff.ExitNode.After).toEqual({ ID: 'n3', Name: 'host3', Blocked: false })
    expect([Diff.Firewall.Before.ShieldsUp, Diff.Firewall.After.ShieldsUp]).toEqual([false, true])
    expect([SessionWay, Warnings.map(({ Code }) => Code)]).toEqual(['outside', ['session-cut']])
    expect(Warnings[0]?.Text).toContain('192.168.1.9:50000 → 192.168.1.5:22')
    expect([daemon.plane.configureCount, prefs().RouteAll, (await report()).Pending]).toEqual([count, false, null])
  })

  test('a session in the tunnel: disconnecting cuts it, blocking incoming connections forbids the next', async () => {
    await connected()
    const Session = { Client: '100.64.0.2:50000', Server: '100.64.0.1:22' }
    const codes = async (Prefs: object): Promise<string[]> =>
      (await post<ChangePreview>('/preview', { Prefs, Session })).Warnings.map(({ Code }) => Code)
    expect(await codes({ WantRunning: false, WantRunningSet: true })).toEqual(['session-cut'])
    expect(await codes({ ShieldsUp: true, ShieldsUpSet: true })).toEqual(['session-not-again'])
    expect(await codes(useExit.Prefs)).toEqual([])
    expect(await codes({ ExitNodeID: 'gone', ExitNodeIDSet: true })).toEqual(['exit-unavailable'])
  })

  test('while disconnected it knows what connecting brings', async () => {
    await connected()
    await daemon.call('PATCH', 'prefs', { body: { WantRunning: false, WantRunningSet: true } })
    const { Diff } = await post<ChangePreview>('/preview', { Prefs: { WantRunning: true, WantRunningSet: true } })
    expect([Diff.Connected, Diff.Addresses.Added]).toEqual([
      { Before: false, After: true },
      ['100.64.0.1', 'fd7a:115c:a1e0::1'],
    ])
  })
})

describe('[CHG-7] [CHG-8] leaving, and being told', () => {
  test('a new profile takes it back first', async () => {
    await connected()
    await apply(useExit)
    const id = daemon.backend.currentProfile().ID
    expect((await daemon.call('PUT', 'profiles/')).status).toBe(201)
    expect(await report()).toMatchObject({ Pending: null, Last: { Outcome: 'reverted' } })
    await daemon.call('POST', `profiles/${id}`)
    expect(prefs().ExitNodeID).toBe('')
  })

  test('signing out ends it', async () => {
    await connected()
    await apply(useExit)
    await daemon.call('POST', 'logout')
    expect(await report()).toMatchObject({ Pending: null, Last: { Outcome: 'forgotten' } })
  })

  test('watchers and health hear of it', async () => {
    await connected()
    const watch = await daemon.watch(m.initialState)
    const { Id } = await apply(useExit)
    await watch.find(({ PintailChanges }) => PintailChanges?.Pending?.Id === Id)
    expect(daemon.backend.health.warnings()?.['change-pending']?.Text).toMatch(
      /exit node.* taken back at \d\d:\d\d:\d\d UTC/,
    )
    const late = await daemon.watch(m.initialState)
    expect((await late.find(({ State }) => State !== null)).PintailChanges?.Pending?.Id).toBe(Id)
    await post('/confirm', { Id })
    await watch.find(({ PintailChanges }) => PintailChanges?.Last?.Outcome === 'confirmed')
    expect(daemon.backend.health.warnings()?.['change-pending']).toBeUndefined()
    watch.close()
    late.close()
  })

  test('a disk that refuses: nothing is changed, nothing waits', async () => {
    await connected()
    daemon.store.failure = new Error('disk full')
    expect(await post('', { ...useExit, ConfirmWithinSeconds: 5 }, 400)).toContain('cannot save the state')
    expect([prefs().ExitNodeID, (await report()).Pending]).toEqual(['', null])
  })
})
