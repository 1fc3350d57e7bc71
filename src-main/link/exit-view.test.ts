import { describe, expect, test } from 'vitest'
import type { Node } from '../../src-contract/control/map.ts'
import type { NodeKeyText } from '../../src-contract/ids.ts'
import { emptyMirror, type Mirror } from '../../src-contract/localapi/mirror.ts'
import { defaultPrefs, type Prefs } from '../../src-contract/localapi/prefs.ts'
import { distanceKm, exitNodes, exitNow, exitState } from './exit-view.ts'

const exits = ['0.0.0.0/0', '::/0']

function node(id: number, part: Partial<Node> = {}): Node {
  return {
    ID: id,
    StableID: `n${id}`,
    Name: `dev${id}.net.example.`,
    User: 1,
    Key: `nodekey:${String(id).padStart(64, '0')}` as NodeKeyText,
    Addresses: [`100.64.0.${id}/32`],
    AllowedIPs: [`100.64.0.${id}/32`, ...exits],
    Online: true,
    ...part,
  }
}

function mirror(prefs: Partial<Prefs>, nodes: Node[], part: Partial<Mirror> = {}): Mirror {
  return {
    ...emptyMirror(),
    prefs: { ...defaultPrefs(), ...prefs },
    peers: new Map(nodes.map((one) => [String(one.ID), one])),
    ...part,
  }
}

describe('in use now', () => {
  const chosen = (part: Partial<Node>) => exitNow(mirror({ ExitNodeID: 'n2' }, [node(2, part)]))
  test.each([
    ['online', chosen({}), { kind: 'on', id: 'n2', name: 'dev2' }],
    ['not known whether online', chosen({ Online: null }), { kind: 'on', id: 'n2', name: 'dev2' }],
    ['offline', chosen({ Online: false }), { kind: 'blocked', id: 'n2', name: 'dev2', why: 'offline' }],
    ['half an offer', chosen({ AllowedIPs: ['0.0.0.0/0'] }), { kind: 'blocked', why: 'not-offering' }],
    ['gone', exitNow(mirror({ ExitNodeID: 'n9' }, [node(2)])), { kind: 'blocked', id: 'n9', why: 'gone' }],
    ['automatic, nobody', exitNow(mirror({ ExitNodeID: 'auto:any' }, [])), { kind: 'blocked', why: 'none-found' }],
    ['by address', exitNow(mirror({ ExitNodeIP: '100.64.0.2' }, [node(2)])), { kind: 'on', id: 'n2' }],
    ['by address, unknown', exitNow(mirror({ ExitNodeIP: '100.64.0.9' }, [])), { name: '100.64.0.9', why: 'gone' }],
    ['none', exitNow(mirror({}, [node(2)])), { kind: 'off' }],
  ])('%s', (_, now, wanted) => {
    expect(now).toMatchObject(wanted)
  })
})

test('the last one: what the daemon remembers, else the latest that is still offered', () => {
  const nodes = [node(2), node(3), node(4, { AllowedIPs: [] })]
  const last = (prefs: Partial<Prefs>, recent: string[]) => exitState(mirror(prefs, nodes), recent).last
  expect(last({ InternalExitNodePrior: 'n3' }, ['n2'])).toEqual({ kind: 'node', id: 'n3', name: 'dev3' })
  expect(last({ InternalExitNodePrior: 'auto:any' }, [])).toEqual({ kind: 'auto' })
  expect(last({}, ['n4', 'n9', 'n2'])).toEqual({ kind: 'node', id: 'n2', name: 'dev2' })
  expect(last({}, [])).toEqual({ kind: 'none' })
  expect(exitState(mirror({}, nodes, { suggestedExitNode: 'n4' }), ['n4', 'n2'])).toMatchObject({
    suggestedId: '',
    recentIds: ['n2'],
  })
})

test('what is offered: devices, servers by place with their distance; expired and offline ones too; names cleaned', () => {
  const Location = { Country: 'Sweden', CountryCode: 'se', City: 'Malmö', Latitude: 55.6, Longitude: 13, Priority: 7 }
  const nodes = [
    node(2, { Name: 'a\u202eb.net.' }),
    node(3, { Online: false }),
    node(4, { KeyExpiry: '2020-01-01T00:00:00Z' }),
    node(5, { IsWireGuardOnly: true, Online: null, Hostinfo: { Location } }),
    node(6, { AllowedIPs: ['10.0.0.0/8'] }),
    node(7, { IsWireGuardOnly: true, Hostinfo: { Location: { CountryCode: '<b>' } } }),
  ]
  const Regions = { 4: { RegionID: 4, RegionCode: 'fra', RegionName: '', Latitude: 50.1, Longitude: 8.7, Nodes: null } }
  const self = { ...node(1), HomeDERP: 4 }
  const found = exitNodes(mirror({}, nodes, { self, derpMap: { Regions } }), Date.parse('2026-11-21T00:00:00Z'))
  expect(found.map(({ id, name, state }) => [id, name, state])).toEqual([
    ['n2', 'a b', 'online'],
    ['n3', 'dev3', 'offline'],
    ['n4', 'dev4', 'expired'],
    ['n5', 'dev5', 'online'],
    ['n7', 'dev7', 'online'],
  ])
  expect(found[3]).toMatchObject({
    place: { country: 'Sweden', countryCode: 'SE', city: 'Malmö' },
    priority: 7,
    distanceKm: 680,
  })
  expect(found[4]?.place).toEqual({ country: '', countryCode: '', city: '' })
  expect(distanceKm(undefined, Location)).toBeNull()
})
