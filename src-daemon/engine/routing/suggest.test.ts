import { expect, test } from 'vitest'
import type { Node } from '../../../src-contract/control/map.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { type SuggestFacts, suggestExit } from './suggest.ts'

let nextId = 1
function exit(name: string, change: Partial<Node> = {}): Node {
  const id = nextId++
  return {
    ID: id,
    StableID: name,
    Name: `${name}.example.`,
    Addresses: [`100.64.0.${id}/32`],
    AllowedIPs: [`100.64.0.${id}/32`, '0.0.0.0/0', '::/0'],
    CapMap: { 'suggest-exit-node': [] },
    Online: true,
    HomeDERP: 1,
    ...change,
  } as Node
}
const at = (latitude: number, longitude: number, priority = 0) => ({
  HomeDERP: 0,
  Hostinfo: { Location: { Latitude: latitude, Longitude: longitude, Priority: priority } },
})

function suggest(nodes: Node[], change: Partial<SuggestFacts> = {}, self: Partial<Node> = {}): string {
  const regions = { 1: { RegionID: 1, RegionCode: 'a', RegionName: '', Latitude: 50, Longitude: 8, Nodes: [] } }
  const netmap = {
    self: { CapMap: {}, ...self },
    peers: new Map(nodes.map((node) => [String(node.ID), node])),
    derpMap: { Regions: regions },
  } as unknown as Netmap
  const latencyMs = new Map([
    [1, 40],
    [2, 9],
    [3, 80],
  ])
  const found = suggestExit({ netmap, latencyMs, homeRegion: 1, before: undefined, random01: () => 0, ...change })
  return found.kind === 'node' ? found.node.StableID : found.kind
}

test('[RTE-3.1] only who is online, offers both families and may be suggested', () => {
  expect(suggest([])).toBe('nobody')
  expect(suggest([exit('off', { Online: false })])).toBe('nobody')
  expect(suggest([exit('half', { AllowedIPs: ['0.0.0.0/0'] })])).toBe('nobody')
  expect(suggest([exit('shy', { CapMap: {} })])).toBe('nobody')
  expect(suggest([exit('gone', { Expired: true })])).toBe('nobody')
  expect(suggest([exit('a')], { homeRegion: 0 })).toBe('a')
})

test('[RTE-3.2] the region that answers fastest; in it the one before, else one by chance', () => {
  const nodes = [exit('far', { HomeDERP: 3 }), exit('near', { HomeDERP: 2 }), exit('near2', { HomeDERP: 2 })]
  expect(suggest(nodes)).toBe('near')
  expect(suggest(nodes, { random01: () => 0.99 })).toBe('near2')
  expect(suggest(nodes, { before: 'near2' })).toBe('near2')
  expect(suggest(nodes, { before: 'far' })).toBe('near')
  expect(suggest(nodes, { latencyMs: new Map() })).toBe('far')
  expect(suggest(nodes, { homeRegion: 0 })).toBe('later')
})

test('[RTE-3.3] places without a relay count only among themselves: the nearest, then the highest priority', () => {
  const frankfurt = exit('frankfurt', at(50.1, 8.7, 10))
  const mainz = exit('mainz', at(50, 8.3, 50))
  const tokyo = exit('tokyo', at(35.7, 139.7, 100))
  expect(suggest([frankfurt, mainz, tokyo])).toBe('mainz')
  expect(suggest([tokyo, frankfurt])).toBe('frankfurt')
  expect(suggest([tokyo, exit('relayed'), frankfurt])).toBe('relayed')
  expect(suggest([exit('nowhere', { HomeDERP: 0 }), tokyo])).toBe('tokyo')
})

test('[RTE-3.4] a server that steers is followed', () => {
  const nodes = [exit('near', { HomeDERP: 2 }), exit('wanted', at(35.7, 139.7, 7))]
  expect(suggest(nodes, {}, { CapMap: { 'traffic-steering': [] } })).toBe('wanted')
})
