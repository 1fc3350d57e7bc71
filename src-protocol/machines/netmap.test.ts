import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MapResponse, Node } from '../../src-contract/control/map.ts'
import { parseJson } from '../wire/json.ts'
import {
  expirePeers,
  foldMapResponse,
  isEmptyDelta,
  isSelfExpired,
  type Netmap,
  type NetmapDelta,
  nextExpiry,
} from './netmap.ts'
import { parseMapResponse } from './netmap-parse.ts'

const T0 = Date.parse('2026-01-01T00:00:00Z')
const at = (ms: number) => new Date(T0 + ms).toISOString()
const key = (n: number) => `nodekey:${n.toString(16).padStart(64, '0')}`
const node = (ID: number, more: object = {}) => ({
  ID,
  StableID: `n${ID}`,
  Name: `n${ID}.example.`,
  User: 1,
  Key: key(ID),
  Addresses: [`100.64.0.${ID}/32`],
  HomeDERP: 1,
  Endpoints: [`192.0.2.${ID}:41641`],
  ...more,
})
const self = node(1)

function message(json: object): MapResponse {
  const parsed = parseMapResponse(json)
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.value
}

function fold(previous: Netmap | undefined, json: object, options: { ms?: number; isNewStream?: boolean } = {}) {
  const wallMs = T0 + (options.ms ?? 0)
  const isNewStream = options.isNewStream ?? previous === undefined
  const folded = foldMapResponse(previous, message(json), { wallMs, isNewStream })
  if (!folded.ok) throw new Error(folded.reason)
  return folded.value
}

/** What a delta says, without what it does not. */
const said = (delta: NetmapDelta) =>
  Object.fromEntries(
    Object.entries(delta).filter(([, part]) => (Array.isArray(part) ? part.length > 0 : part === true)),
  )

const first = { Node: self, Peers: [node(2), node(3)], Domain: 'example', PacketFilters: { base: [] } }

describe('streams', () => {
  test('[CTL-4.4] a stream must begin with the own node', () => {
    const folded = foldMapResponse(undefined, message({ Peers: [node(2)] }), { wallMs: T0, isNewStream: true })
    expect(folded).toEqual({ ok: false, reason: 'no-self' })
    const { netmap } = fold(undefined, first)
    expect(foldMapResponse(netmap, message({ Domain: 'x' }), { wallMs: T0, isNewStream: true }).ok).toBe(false)
  })
  test('[CTL-4.5] a new stream replaces everything, and its delta names only what differs', () => {
    const { netmap } = fold(undefined, { ...first, UserProfiles: [{ ID: 1, LoginName: 'a', DisplayName: 'A' }] })
    const next = fold(netmap, { ...first, Peers: [node(3), node(4)] }, { isNewStream: true })
    expect(said(next.delta)).toEqual({ full: true, profilesChanged: true, peersAdded: ['4'], peersRemoved: ['2'] })
    expect(next.netmap.userProfiles.size).toBe(0)
    expect(next.netmap.peers.get('3')).toBe(netmap.peers.get('3'))
    expect(next.netmap.self).toBe(netmap.self)
    const same = fold(next.netmap, { ...first, Peers: [node(3), node(4)] }, { isNewStream: true })
    expect(said(same.delta)).toEqual({ full: true })
    expect(same.netmap.peers).toBe(next.netmap.peers)
  })
  test('[CTL-4.11] an empty message changes nothing', () => {
    const { netmap } = fold(undefined, first)
    const next = fold(netmap, { ControlTime: at(0) })
    expect(isEmptyDelta(next.delta)).toBe(true)
    expect(next.netmap).toEqual(netmap)
  })
})

describe('peers', () => {
  const { netmap } = fold(undefined, first)

  test('[CTL-4.6] a non-empty list replaces and silences the other members; an empty one says nothing', () => {
    const next = fold(netmap, { Peers: [node(3)], PeersRemoved: [3], OnlineChange: { 3: true } })
    expect([...next.netmap.peers.keys()]).toEqual(['3'])
    expect(next.netmap.peers.get('3')!.Online).toBeUndefined()
    expect(said(next.delta)).toEqual({ peersChanged: ['3'], peersRemoved: ['2'] })
    expect(isEmptyDelta(fold(netmap, { Peers: [] }).delta)).toBe(true)
  })
  test('[CTL-4.6] removed, changed, seen, online, patched, in this order', () => {
    const next = fold(netmap, {
      PeersChangedPatch: [{ NodeID: 4, Cap: 9, DERPRegion: 5 }],
      OnlineChange: { 2: true, 4: false },
      PeerSeenChange: { 4: true },
      PeersChanged: [node(2), node(4)],
      PeersRemoved: [2, 3],
    })
    expect([...next.netmap.peers.keys()]).toEqual(['2', '4'])
    expect(next.netmap.peers.get('4')).toMatchObject({ Online: false, LastSeen: at(0), Cap: 9, HomeDERP: 5 })
    expect(next.netmap.peers.get('2')).toMatchObject({ Online: true })
    expect(said(next.delta)).toEqual({ peersAdded: ['4'], peersChanged: ['2'], peersRemoved: ['3'] })
  })
  test('[CTL-4.6] a patch changes what it names; online and seen are patches too', () => {
    const next = fold(netmap, {
      PeersChangedPatch: [{ NodeID: 2, DERPRegion: 7, Endpoints: ['203.0.113.9:1'], DiscoKey: 'nonsense' }],
      OnlineChange: { 2: true },
      PeerSeenChange: { 3: false },
    })
    expect(next.netmap.peers.get('2')).toEqual({
      ...netmap.peers.get('2'),
      HomeDERP: 7,
      Endpoints: ['203.0.113.9:1'],
      Online: true,
    })
    expect(said(next.delta)).toEqual({
      peersPatched: ['3', '2'],
      patches: [{ NodeID: 3 }, { NodeID: 2, Online: true, Endpoints: ['203.0.113.9:1'], DERPRegion: 7 }],
    })
    expect(next.netmap.peers.get('3')).not.toHaveProperty('LastSeen')
  })
  test('[CTL-4.6] unknown ids are ignored', () => {
    const next = fold(netmap, {
      PeersRemoved: [99],
      PeersChangedPatch: [{ NodeID: 99, Online: true }],
      OnlineChange: { 98: true, __proto__x: true },
    })
    expect(isEmptyDelta(next.delta)).toBe(true)
  })
  test('[CTL-4.11] untouched peers and maps keep their identity', () => {
    const next = fold(netmap, { OnlineChange: { 2: true } })
    expect(next.netmap.peers.get('3')).toBe(netmap.peers.get('3'))
    expect(next.netmap.originals).toBe(netmap.originals)
    expect(fold(netmap, { Domain: 'other' }).netmap.peers).toBe(netmap.peers)
    expect(netmap.peers.get('2')!.Online).toBeUndefined()
  })
  test('[CTL-1.2] ids beyond 2^53 stay apart', () => {
    const json = JSON.stringify({ ...first, Peers: [node(7)] }).replaceAll('"ID":7', '"ID":9007199254740993')
    const parsed = parseJson(json)
    if (!parsed.ok) throw new Error(parsed.reason)
    const big = fold(undefined, parsed.value as object).netmap
    expect([...big.peers.keys()]).toEqual(['9007199254740993'])
    expect(fold(big, { OnlineChange: { '9007199254740993': true } }).delta.peersPatched).toEqual(['9007199254740993'])
    expect(fold(big, { PeersRemoved: [9007199254740993n] }).netmap.peers.size).toBe(0)
  })
  test('[CTL-4.12] an unsigned peer keeps only its own addresses', () => {
    const peer = node(5, { AllowedIPs: ['100.64.0.5/32', '0.0.0.0/0'], UnsignedPeerAPIOnly: true })
    expect(fold(netmap, { PeersChanged: [peer] }).netmap.peers.get('5')!.AllowedIPs).toEqual(['100.64.0.5/32'])
  })
  test('a peer of a delta: any sequence of deltas ends where one list would', () => {
    const step = fc.record({
      PeersRemoved: fc.array(fc.integer({ min: 2, max: 9 }), { maxLength: 3 }),
      PeersChanged: fc.array(
        fc.integer({ min: 2, max: 9 }).map((id) => node(id)),
        { maxLength: 3 },
      ),
      OnlineChange: fc.dictionary(fc.integer({ min: 2, max: 9 }).map(String), fc.boolean(), { maxKeys: 3 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        let map = netmap
        const shadow = new Map(netmap.peers)
        for (const json of steps) {
          const before = map
          const next = fold(map, json)
          map = next.netmap
          for (const id of next.delta.peersRemoved) shadow.delete(id)
          const { peersAdded, peersChanged, peersPatched } = next.delta
          for (const id of [...peersAdded, ...peersChanged, ...peersPatched]) shadow.set(id, map.peers.get(id)!)
          expect(peersAdded.every((id) => !before.peers.has(id))).toBe(true)
        }
        expect(new Map(map.peers)).toEqual(shadow)
        const direct = fold(netmap, { ...first, Peers: [...map.peers.values()] }, { isNewStream: true })
        if (map.peers.size > 0) expect(new Map(direct.netmap.peers)).toEqual(new Map(map.peers))
      }),
    )
  })
})

describe('expiry', () => {
  const withExpiry = (more: object = {}) => ({
    ...first,
    Peers: [node(2, { KeyExpiry: at(10_000) }), node(3)],
    ...more,
  })
  const bad = `nodekey:6da774d5d774${'0'.repeat(51)}2`

  test('[CTL-4.10] a peer expires while no message comes, and comes back renewed', () => {
    const { netmap } = fold(undefined, withExpiry())
    expect(expirePeers(netmap, T0 + 9_999)).toBeUndefined()
    expect(nextExpiry(netmap, T0)).toBe(T0 + 10_000)
    const expired = expirePeers(netmap, T0 + 10_000)!
    expect(said(expired.delta)).toEqual({ peersChanged: ['2'] })
    const peer = expired.netmap.peers.get('2')!
    expect(peer).toMatchObject({ Expired: true, Endpoints: [], Key: bad })
    expect(peer.HomeDERP).toBeUndefined()
    expect(expirePeers(expired.netmap, T0 + 20_000)).toBeUndefined()
    expect(nextExpiry(expired.netmap, T0 + 10_000)).toBeUndefined()

    const renewed = fold(expired.netmap, { PeersChangedPatch: [{ NodeID: 2, KeyExpiry: at(90_000) }] }, { ms: 20_000 })
    expect(renewed.netmap.peers.get('2')).toEqual({ ...netmap.peers.get('2'), KeyExpiry: at(90_000) })
    expect(said(renewed.delta)).toEqual({ peersChanged: ['2'] })
    expect(renewed.netmap.originals.size).toBe(0)
  })
  test('[CTL-4.10] a patch on an expired peer is kept for the day it is renewed', () => {
    const { netmap } = fold(undefined, withExpiry(), { ms: 20_000 })
    const patched = fold(netmap, { PeersChangedPatch: [{ NodeID: 2, Endpoints: ['198.51.100.1:1'] }] }, { ms: 20_000 })
    expect(patched.netmap.peers.get('2')!.Endpoints).toEqual([])
    expect(patched.netmap.originals.get('2')!.Endpoints).toEqual(['198.51.100.1:1'])
  })
  test('[CTL-4.10] the clock is corrected by more than a minute of difference, not by less', () => {
    const of = (controlTime: number) => fold(undefined, withExpiry({ ControlTime: at(controlTime) })).netmap
    expect([of(59_000).clockSkewMs, of(61_000).clockSkewMs, of(-61_000).clockSkewMs]).toEqual([0, 61_000, -61_000])
    expect(of(61_000).peers.get('2')!.Expired).toBe(true)
    expect(of(59_000).peers.get('2')!.Expired).toBeUndefined()
    expect(nextExpiry(of(-61_000), T0)).toBe(T0 + 71_000)
  })
  test('[CTL-4.10] no time is no expiry; the own node goes by our own clock', () => {
    const zero = fold(undefined, withExpiry({ Peers: [node(2, { KeyExpiry: '0001-01-01T00:00:00Z' })] })).netmap
    expect(zero.peers.get('2')!.Expired).toBeUndefined()
    const own = fold(undefined, { ...first, Node: { ...self, KeyExpiry: at(5) }, ControlTime: at(100_000) }).netmap
    expect([isSelfExpired(own, T0 + 4), isSelfExpired(own, T0 + 5)]).toEqual([false, true])
    expect(isSelfExpired(fold(undefined, { ...first, Node: { ...self, Expired: true } }).netmap, T0)).toBe(true)
  })
})

describe('filters', () => {
  const rule = (ip: string) => ({ SrcIPs: [ip] })
  const sources = (map: Netmap) => map.filterRules.map((r) => r.SrcIPs![0])

  test('[CTL-4.7] none ever: no rules; chunks in key order; legacy is "base"', () => {
    const bare = fold(undefined, { Node: self }).netmap
    expect([bare.filterChunks, bare.filterRules]).toEqual([undefined, []])
    const two = fold(bare, { PacketFilters: { z: [rule('z')], a: [rule('a')] }, PacketFilter: [rule('b')] })
    expect(sources(two.netmap)).toEqual(['a', 'b', 'z'])
    expect(two.delta.filterChanged).toBe(true)
  })
  test('[CTL-4.7] null deletes, an empty list stays, "*" null clears first', () => {
    let map = fold(undefined, { Node: self, PacketFilters: { a: [rule('a')], b: [rule('b')] } }).netmap
    map = fold(map, { PacketFilters: { a: null } }).netmap
    expect(sources(map)).toEqual(['b'])
    map = fold(map, { PacketFilters: { '*': null, c: [rule('c')] }, PacketFilter: [rule('x')] }).netmap
    expect(sources(map)).toEqual(['c'])
    map = fold(map, { PacketFilters: { c: [] } }).netmap
    expect([...map.filterChunks!.keys(), ...sources(map)]).toEqual(['c'])
    const untouched = fold(map, { Domain: 'd' })
    expect(untouched.delta.filterChanged).toBe(false)
    expect(fold(map, { PacketFilter: null }).delta.filterChanged).toBe(false)
  })
})

describe('the rest of the map', () => {
  test('[CTL-4.8] relay regions: null goes, what is absent stays', () => {
    const region = (RegionID: number) => ({ RegionID, RegionCode: 'r', RegionName: 'R', Nodes: [] })
    let map = fold(undefined, { Node: self, DERPMap: { Regions: { 1: region(1), 2: null } } }).netmap
    expect(Object.keys(map.derpMap!.Regions!)).toEqual(['1'])
    map = fold(map, { DERPMap: { HomeParams: { RegionScore: { 1: 0.5 } } } }).netmap
    expect(map.derpMap).toEqual({ Regions: { 1: region(1) }, HomeParams: { RegionScore: { 1: 0.5 } } })
    map = fold(map, { DERPMap: { HomeParams: {}, Regions: {} } }).netmap
    expect(map.derpMap).toEqual({ Regions: {}, HomeParams: { RegionScore: { 1: 0.5 } } })
  })
  test('[CTL-4.9] profiles add up, DNS and SSH policy replace, health replaces, messages merge', () => {
    const profile = (ID: number, LoginName: string) => ({ ID, LoginName, DisplayName: '' })
    const text = (Title: string) => ({ Title, Text: '', Severity: 'low' })
    let map = fold(undefined, {
      Node: self,
      UserProfiles: [profile(1, 'a')],
      DNSConfig: { Proxied: true, Domains: ['x'] },
      SSHPolicy: { rules: [1] },
      Health: ['bad'],
      DisplayMessages: { one: text('1'), two: text('2') },
    }).netmap
    map = fold(map, {
      UserProfiles: [profile(2, 'b'), profile(1, 'c')],
      DNSConfig: {},
      SSHPolicy: { rules: null },
      DisplayMessages: { one: null, three: text('3') },
    }).netmap
    expect([...map.userProfiles].map(([id, p]) => id + p.LoginName)).toEqual(['1c', '2b'])
    expect([map.dns, map.sshPolicy, map.health]).toEqual([{}, { rules: null }, ['bad']])
    expect([...map.displayMessages.keys()]).toEqual(['two', 'three'])
    const cleared = fold(map, { Health: [], DisplayMessages: { '*': null, four: text('4') } })
    expect([cleared.netmap.health, [...cleared.netmap.displayMessages.keys()]]).toEqual([[], ['four']])
    expect(said(cleared.delta)).toEqual({ messagesChanged: true })
  })
})

describe('reading hostile JSON', () => {
  test('[CTL-1.3] null everywhere, wrong types and unknown members', () => {
    const members = Object.keys(message({ ...first, DERPMap: {}, UserProfiles: [] }))
    for (const junk of [null, 1, 'x', [null, 1, {}], { a: 1 }, true]) {
      const all = Object.fromEntries([...members, 'PeersChanged', 'PeersChangedPatch', 'Health'].map((m) => [m, junk]))
      const { netmap } = fold(undefined, { ...all, Node: self, Future: junk })
      expect(netmap.peers.size).toBe(0)
    }
    for (const junk of [null, [], 'x', 5]) expect(parseMapResponse(junk).ok).toBe(false)
  })
  test('[CTL-1.4] endpoints and prefixes become canonical, bad ones disappear; older forms fill in', () => {
    const peer = node(2, {
      Addresses: ['100.64.0.2/32', 'FD7A:115C:A1E0:0::2/128', 'x', 5],
      Endpoints: ['1.2.3.4:5', '256.1.1.1:1', '[2001:DB8::1]:9', '1.2.3.4:99999', '01.2.3.4:5', null, '9.9.9.9:65535'],
      HomeDERP: 0,
      DERP: '127.3.3.40:12',
      Tags: 'tag:x',
      Online: 'yes',
      DiscoKey: 'discokey:1',
    })
    const parsed = message({ Peers: [peer, { ID: 3 }, { ...peer, Key: 'nodekey:' }] }).Peers as Node[]
    expect(parsed.length).toBe(1)
    expect(parsed[0]).toMatchObject({
      Addresses: ['100.64.0.2/32', 'fd7a:115c:a1e0::2/128'],
      AllowedIPs: ['100.64.0.2/32', 'fd7a:115c:a1e0::2/128'],
      Endpoints: ['1.2.3.4:5', '[2001:db8::1]:9', '9.9.9.9:65535'],
      HomeDERP: 12,
    })
    for (const name of ['Tags', 'Online', 'DiscoKey']) expect(parsed[0]).not.toHaveProperty(name)
    const shouting = node(2, { Key: key(0xab).replace('ab', 'AB'), DiscoKey: `discokey:${'AB'.repeat(32)}` })
    expect(message({ Peers: [shouting] }).Peers![0]).toMatchObject({
      Key: key(0xab),
      DiscoKey: `discokey:${'ab'.repeat(32)}`,
    })
    expect(message({ Peers: [node(2, { AllowedIPs: [] })] }).Peers![0]!.AllowedIPs).toEqual([])
  })
  test('[CTL-1.3] any JSON is read and folded without a throw', () => {
    const names = [
      'Node',
      'Peers',
      'PeersChanged',
      'PeersRemoved',
      'PeersChangedPatch',
      'DERPMap',
      'PacketFilters',
      'ID',
      'Key',
    ]
    const { netmap } = fold(undefined, first)
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 4 })), (json) => {
        foldMapResponse(netmap, message(json as object), { wallMs: T0, isNewStream: false })
      }),
      { numRuns: 500 },
    )
  })
})
