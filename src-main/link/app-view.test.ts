import { describe, expect, test } from 'vitest'
import type { DaemonFacts } from '../../src-contract/app/app-state.ts'
import type { Node } from '../../src-contract/control/map.ts'
import type { NodeKeyText } from '../../src-contract/ids.ts'
import { emptyMirror, type Mirror } from '../../src-contract/localapi/mirror.ts'
import type { HealthWarning } from '../../src-contract/localapi/notify.ts'
import { defaultPrefs } from '../../src-contract/localapi/prefs.ts'
import { appView, pathOf, phaseOf, type ViewInputs } from './app-view.ts'
import { cleanText } from './names.ts'

const connected: DaemonFacts = { socketPath: '/s', version: '1', features: null, link: 'connected', lostAt: 0 }

function node(id: number, part: Partial<Node> = {}): Node {
  return {
    ID: id,
    StableID: `n${id}`,
    Name: `dev${id}.net.example.`,
    User: 1,
    Key: `nodekey:${String(id).padStart(64, '0')}` as NodeKeyText,
    Addresses: [`100.64.0.${id}/32`, `fd7a:115c:a1e0::${id}/128`],
    AllowedIPs: [`100.64.0.${id}/32`, `fd7a:115c:a1e0::${id}/128`],
    Online: true,
    ...part,
  }
}

function mirror(part: Partial<Mirror> = {}): Mirror {
  const peers = [node(2), node(3, { Online: false, LastSeen: '2026-11-01T00:00:00Z' })]
  return {
    ...emptyMirror(),
    state: 'Running',
    prefs: { ...defaultPrefs(), WantRunning: true },
    self: node(1),
    peers: new Map(peers.map((peer) => [String(peer.ID), peer])),
    users: new Map([['1', { ID: 1, LoginName: 'a@b', DisplayName: 'A' }]]),
    ...part,
  }
}

function inputs(part: Partial<ViewInputs> = {}): ViewInputs {
  return {
    daemon: connected,
    linkProblem: null,
    mirror: mirror(),
    status: null,
    paths: null,
    pings: new Map(),
    settings: { language: 'en', systemLanguage: 'en', theme: 'system', trayStyle: 'colour', whenClosed: 'ask' },
    hasTray: true,
    recentExits: [],
    nowMs: Date.parse('2026-11-20T00:00:00Z'),
    before: undefined,
    ...part,
  }
}

function warning(part: Partial<HealthWarning>): HealthWarning {
  return { WarnableCode: 'x', Severity: 'medium', Title: 'T', Text: 'X', ...part }
}

describe('phases', () => {
  test.each([
    ['NeedsLogin', 'signed-out'],
    ['NeedsMachineAuth', 'needs-approval'],
    ['InUseOtherUser', 'in-use-by-other'],
    ['Stopped', 'off'],
    ['Starting', 'starting'],
    ['NoState', 'starting'],
    ['unknown', 'starting'],
    ['Running', 'on'],
  ] as const)('%s is %s', (state, phase) => {
    expect(phaseOf({ daemon: connected, mirror: mirror({ state }) })).toBe(phase)
  })

  test('a lost link beats everything', () => {
    expect(phaseOf({ daemon: { ...connected, link: 'lost' }, mirror: mirror() })).toBe('unreachable')
  })

  test('an exit node and a serious warning have their own', () => {
    const exit = node(9, { AllowedIPs: ['0.0.0.0/0', '::/0'] })
    const withExit = mirror({ prefs: { ...defaultPrefs(), ExitNodeID: 'n9' }, peers: new Map([['9', exit]]) })
    expect(phaseOf({ daemon: connected, mirror: withExit })).toBe('on-exit-node')
    const health = (part: Partial<HealthWarning>) => mirror({ health: new Map([['x', warning(part)]]) })
    expect(phaseOf({ daemon: connected, mirror: health({}) })).toBe('on')
    expect(phaseOf({ daemon: connected, mirror: health({ Severity: 'high' }) })).toBe('attention')
    expect(phaseOf({ daemon: connected, mirror: health({ ImpactsConnectivity: true }) })).toBe('attention')
    const portal = new Map([['captive-portal-detected', warning({ Severity: 'high' })]])
    expect(phaseOf({ daemon: connected, mirror: mirror({ health: portal }) })).toBe('captive-portal')
  })
})

describe('devices', () => {
  test('unchanged devices keep their object, and the map too when none changed', () => {
    const first = appView(inputs())
    const again = appView(inputs({ before: first, mirror: mirror() }))
    expect(again.devices).toBe(first.devices)
    const peers = new Map([
      ['2', node(2, { Online: false })],
      ['3', node(3, { Online: false, LastSeen: '2026-11-01T00:00:00Z' })],
    ])
    const changed = appView(inputs({ before: first, mirror: mirror({ peers }) }))
    expect(changed.devices.get('n3')).toBe(first.devices.get('n3'))
    expect(changed.devices.get('n2')).not.toBe(first.devices.get('n2'))
  })

  test('a removed device goes', () => {
    const first = appView(inputs())
    const view = appView(inputs({ before: first, mirror: mirror({ peers: new Map([['2', node(2)]]) }) }))
    expect([...view.devices.keys()]).toEqual(['n2'])
  })

  test('while the daemon is away the last list stays; signed out it does not', () => {
    const first = appView(inputs())
    const lost = appView(
      inputs({ before: first, daemon: { ...connected, link: 'lost' }, mirror: emptyMirror(), nowMs: 7 }),
    )
    expect(lost.devices).toBe(first.devices)
    expect(lost.state.devicesAsOf).toBe(7)
    const out = appView(inputs({ before: first, mirror: { ...emptyMirror(), state: 'NeedsLogin' } }))
    expect(out.devices.size).toBe(0)
  })

  test('routes, exit nodes, ids beyond 2^53, location servers, sharees', () => {
    const big = 9007199254740993n
    const peers = new Map<string, Node>([
      ['a', node(4, { AllowedIPs: ['100.64.0.4/32', 'fd7a:115c:a1e0::4/128', '0.0.0.0/0', '::/0', '10.0.0.0/8'] })],
      ['b', node(5, { ID: big, StableID: '', User: big })],
      ['c', node(6, { IsWireGuardOnly: true, Hostinfo: { Location: { Country: 'SE' } } })],
      ['d', node(7, { Hostinfo: { ShareeNode: true } })],
    ])
    const { devices } = appView(inputs({ mirror: mirror({ peers }) }))
    expect([...devices.keys()]).toEqual(['n4', '9007199254740993'])
    expect(devices.get('n4')).toMatchObject({
      offersExitNode: true,
      routes: ['10.0.0.0/8'],
      addresses: ['100.64.0.4', 'fd7a:115c:a1e0::4'],
    })
  })
})

describe('paths', () => {
  const peer = { CurAddr: '', PeerRelay: '', Relay: 'fra', Active: false }
  const idle = { kind: 'idle', endpoint: '', relay: '', latencyMs: null }

  test('a stock status: direct, peer relay, relay while active, else idle or offline', () => {
    expect(pathOf(true, { ...peer, CurAddr: '1.2.3.4:5' }, undefined, undefined, 0)).toMatchObject({
      kind: 'direct',
      endpoint: '1.2.3.4:5',
    })
    expect(pathOf(true, { ...peer, PeerRelay: '1.2.3.4:5:vni:1' }, undefined, undefined, 0).kind).toBe('peer-relay')
    expect(pathOf(true, { ...peer, Active: true }, undefined, undefined, 0)).toMatchObject({
      kind: 'relay',
      relay: 'fra',
    })
    expect(pathOf(true, peer, undefined, undefined, 0)).toEqual(idle)
    expect(pathOf(true, undefined, undefined, undefined, 0)).toEqual(idle)
    expect(pathOf(false, peer, undefined, undefined, 0).kind).toBe('offline')
  })

  test('our report wins; zero latency means unmeasured; a fresh ping of the same kind fills in', () => {
    const report = { kind: 'relay', endpoint: '', derpRegionCode: 'waw', latencyMs: 0 } as const
    const via = { kind: 'relay', endpoint: '', relay: 'fra' } as const
    const ping = { latencyMs: 9, via, atMs: 1000 }
    expect(pathOf(true, { ...peer, CurAddr: 'x' }, report, undefined, 0)).toEqual({
      kind: 'relay',
      endpoint: '',
      relay: 'waw',
      latencyMs: null,
    })
    expect(pathOf(true, peer, report, ping, 2000).latencyMs).toBe(9)
    expect(pathOf(true, peer, report, { ...ping, via: { ...via, kind: 'direct' } }, 2000).latencyMs).toBeNull()
    expect(pathOf(true, peer, report, ping, 1000 + 301_000).latencyMs).toBeNull()
    expect(pathOf(true, peer, { ...report, kind: 'none' }, undefined, 0)).toEqual(idle)
  })
})

test('a ping tells the way of an idle peer for a minute', () => {
  const via = { kind: 'relay', endpoint: '', relay: 'fra' } as const
  const ping = { latencyMs: 9, via, atMs: 1000 }
  expect(pathOf(true, undefined, undefined, ping, 60_000)).toEqual({ ...via, latencyMs: 9 })
  expect(pathOf(true, undefined, undefined, ping, 62_000).kind).toBe('idle')
  expect(pathOf(true, undefined, undefined, { ...ping, via: { ...via, kind: 'here' } }, 1000).kind).toBe('idle')
  expect(pathOf(false, undefined, undefined, ping, 1000).kind).toBe('offline')
})

test('notices: the cause is listed, its effects are not; the worst first', () => {
  const health = new Map([
    ['effect', warning({ WarnableCode: 'effect', Severity: 'high', DependsOn: ['cause'] })],
    ['small', warning({ WarnableCode: 'small', Severity: 'low' })],
    ['cause', warning({ WarnableCode: 'cause', Severity: 'high' })],
  ])
  expect(appView(inputs({ mirror: mirror({ health }) })).state.notices.map(({ code }) => code)).toEqual([
    'cause',
    'small',
  ])
})

test('other people’s text loses control and direction characters and endless length', () => {
  expect(cleanText('a\u202eb\u0000c\n', 10)).toBe('a b c')
  expect(cleanText('x'.repeat(20), 5)).toBe('xxxx…')
})
