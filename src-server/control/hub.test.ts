import { afterEach, expect, test } from 'vitest'
import type { Node } from '../../src-contract/control/map.ts'
import { parseConfig } from '../config/load.ts'
import { derpMap } from '../mapper/derp-map.ts'
import { dnsConfig, reverseZones } from '../mapper/dns.ts'
import { Maps } from '../mapper/maps.ts'
import type { MapContext } from '../mapper/node.ts'
import { allowAll, type Policy } from '../policy/policy.ts'
import type { NodeRecord } from '../registry/model.ts'
import { Registry } from '../registry/registry.ts'
import { type AutoApproval, autoApproval, nobodyByItself } from '../routing/offers.ts'
import { Routing } from '../routing/routing.ts'
import { openDatabase } from '../store/database.ts'
import { Store } from '../store/store.ts'
import { Hub, type MapSink } from './hub.ts'
import { newNodeKey } from './noise-client.lab.ts'

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function network(o: { keepAliveMs?: number; probeMs?: number; policy?: Policy; auto?: AutoApproval } = {}) {
  const registry = await Registry.open(new Store(await openDatabase(':memory:')), {
    v4: '100.64.0.0/10',
    v6: 'fd7a:115c:a1e0::/48',
    nodeExpiryMs: 0,
    now: Date.now,
  })
  const routing = new Routing({ auto: o.auto ?? nobodyByItself, userName: () => 'alice' })
  const hub = new Hub({
    registry,
    routing,
    now: Date.now,
    random01: () => 0,
    offlineAfterMs: 50,
    ...(o.keepAliveMs === undefined ? {} : { keepAliveMs: o.keepAliveMs }),
    ...(o.probeMs === undefined ? {} : { probeMs: o.probeMs }),
  })
  const context: MapContext = {
    baseDomain: 'x.test',
    taildrop: true,
    authority: undefined,
    policy: o.policy ?? allowAll,
    now: Date.now,
    isOnline: (id) => hub.isOnline(id),
    routes: (id) => routing.of(id),
  }
  hub.setMaps(
    new Maps({ registry, context, shared: { DERPMap: derpMap(undefined, []), DNSConfig: {} }, domain: 'x.test' }),
  )
  closers.push(
    () => registry.close(),
    () => hub.close(),
  )
  await registry.createUser({ name: 'alice' })
  const add = async (name: string): Promise<NodeRecord> => {
    const nodeKey = newNodeKey()
    const wish = {
      machineKey: nodeKey.replace('nodekey', 'mkey') as never,
      nodeKey,
      owner: { userId: 1 },
      method: 'cli' as const,
      hostinfo: { Hostname: name },
      capVersion: 131,
    }
    const made = await registry.register(wish)
    if (!made.ok) throw new Error(made.message)
    return made.value
  }
  return { registry, hub, routing, add }
}

class Sink implements MapSink {
  readonly messages: { [member: string]: unknown }[] = []
  waitingBytes = 0
  isClosed = false
  write(bytes: Uint8Array) {
    this.messages.push(JSON.parse(Buffer.from(bytes).subarray(4).toString()) as { [member: string]: unknown })
  }
  /** Undefined: the other side says nothing any more. */
  answer: ((answered: () => void) => void) | undefined = (answered) => answered()
  ping(answered: () => void) {
    this.answer?.(answered)
  }
  close() {
    this.isClosed = true
  }
}

test('[SRV-3.5] an idle stream gets keep-alives; they stop with the stream', async () => {
  const { hub, add } = await network({ keepAliveMs: 15 })
  const sink = new Sink()
  const session = hub.open(await add('a'), false, sink)
  await expect.poll(() => sink.messages.filter((m) => m.KeepAlive === true).length).toBeGreaterThanOrEqual(3)
  session.ended()
  const count = sink.messages.length
  await new Promise((resolve) => setTimeout(resolve, 60))
  expect(sink.messages.length).toBe(count)
})

test('[SRV-3.6] a viewer that does not read is let go and may start over', async () => {
  const { registry, hub, add } = await network()
  const a = await add('a')
  const b = await add('b')
  const sink = new Sink()
  hub.open(a, false, sink)
  sink.waitingBytes = 17 << 20
  registry.update(b.id, { homeDerp: 3 })
  await expect.poll(() => sink.isClosed).toBe(true)
  expect(hub.streamCount).toBe(0)
})

test('[SRV-3.7] what comes together travels together, in the smallest form', async () => {
  const { registry, hub, add } = await network()
  const a = await add('a')
  const b = await add('b')
  const c = await add('c')
  await new Promise((resolve) => setTimeout(resolve, 150))
  const sink = new Sink()
  hub.open(a, false, sink)
  await new Promise((resolve) => setTimeout(resolve, 150))
  const before = sink.messages.length
  registry.update(b.id, { homeDerp: 3 })
  registry.update(b.id, { endpoints: ['192.0.2.1:5' as never] })
  registry.update(c.id, { hostinfo: { Hostname: 'c', OS: 'linux' } })
  registry.update(a.id, { homeDerp: 4 })
  await expect.poll(() => sink.messages.length).toBe(before + 1)
  expect(sink.messages.at(-1)).toMatchObject({
    PeersChangedPatch: [{ NodeID: b.id, DERPRegion: 3, Endpoints: ['192.0.2.1:5'] }],
    PeersChanged: [{ ID: c.id, Hostinfo: { OS: 'linux' } }],
  })
  expect(sink.messages.at(-1)).not.toHaveProperty('Node')
})

test('[SRV-R2] [SRV-R3] offered, approved, in effect; the router dies and the other has it; nobody flaps back', async () => {
  const { registry, hub, add } = await network()
  const [a, b, c] = [await add('a'), await add('b'), await add('c')]
  const offer = { RoutableIPs: ['10.0.0.0/8', '0.0.0.0/0', '::/0', '100.64.0.0/16', '10.9.9.9/8', 'nonsense'] }
  for (const node of [b, c]) registry.update(node.id, { hostinfo: { Hostname: `h${node.id}`, ...offer } })
  const sink = new Sink()
  hub.open(a, false, sink)
  const sessions = [b, c].map((node) => hub.open(registry.nodes.get(node.id)!, false, new Sink()))
  const view = (id: number): string => {
    const peers = sink.messages.flatMap((m) => [...((m.Peers as Node[]) ?? []), ...((m.PeersChanged as Node[]) ?? [])])
    const node = peers.findLast((peer) => peer.ID === id)
    return [...(node?.AllowedIPs ?? []).slice(2), '|', ...(node?.PrimaryRoutes ?? [])].join(' ')
  }
  expect([view(b.id), view(c.id)]).toEqual(['|', '|'])
  for (const node of [b, c]) await registry.approveRoutes(node.id, ['10.0.0.0/8', '0.0.0.0/0', '::/0', '172.16.0.0/12'])
  await expect.poll(() => view(b.id)).toBe('0.0.0.0/0 ::/0 10.0.0.0/8 | 10.0.0.0/8')
  await expect.poll(() => view(c.id)).toBe('0.0.0.0/0 ::/0 |')
  sessions[0]!.ended()
  await expect.poll(() => view(c.id)).toBe('0.0.0.0/0 ::/0 10.0.0.0/8 | 10.0.0.0/8')
  await expect.poll(() => view(b.id)).toBe('0.0.0.0/0 ::/0 |')
  hub.open(registry.nodes.get(b.id)!, false, new Sink())
  await registry.approveRoutes(c.id, [])
  await expect.poll(() => view(b.id)).toBe('0.0.0.0/0 ::/0 10.0.0.0/8 | 10.0.0.0/8')
  await expect.poll(() => view(c.id)).toBe('|')
  registry.update(b.id, { hostinfo: { Hostname: 'h2' } })
  await expect.poll(() => view(b.id)).toBe('|')
})

test('[SRV-R3] a router that is connected and silent loses its subnet to one that answers, and does not get it back', async () => {
  const { registry, hub, routing, add } = await network({ probeMs: 20 })
  const [b, c] = [await add('b'), await add('c')]
  const sinks = [new Sink(), new Sink()]
  for (const [i, node] of [b, c].entries()) {
    registry.update(node.id, { hostinfo: { RoutableIPs: ['10.0.0.0/8'] } })
    await registry.approveRoutes(node.id, ['10.0.0.0/8'])
    hub.open(registry.nodes.get(node.id)!, false, sinks[i]!)
  }
  const owner = () => [b, c].find(({ id }) => routing.of(id).primary.length > 0)?.givenName
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(owner()).toBe('b')
  sinks[0]!.answer = undefined
  await expect.poll(owner).toBe('c')
  expect(hub.isOnline(b.id)).toBe(true)
  const again = new Sink()
  hub.open(registry.nodes.get(b.id)!, false, again)
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(owner()).toBe('c')
  sinks[1]!.answer = undefined
  await expect.poll(owner).toBe('b')
})

test('[SRV-R3] a router whose login ended has nothing', async () => {
  const { registry, hub, routing, add } = await network()
  const [b, c] = [await add('b'), await add('c')]
  for (const node of [b, c]) {
    registry.update(node.id, { hostinfo: { RoutableIPs: ['10.0.0.0/8'] } })
    await registry.approveRoutes(node.id, ['10.0.0.0/8'])
    hub.open(registry.nodes.get(node.id)!, false, new Sink())
  }
  expect(routing.of(b.id).primary).toEqual(['10.0.0.0/8'])
  await registry.setExpiry(b.id, Date.now() - 1)
  expect([routing.of(b.id).primary, routing.of(c.id).primary]).toEqual([[], ['10.0.0.0/8']])
})

test('[SRV-R2] by owner, tag or name without an administrator, inside the named network only', async () => {
  const auto = autoApproval({ '10.0.0.0/8': ['alice'] }, ['node:bee'])
  const { registry, hub, add } = await network({ auto })
  const [a, b] = [await add('a'), await add('bee')]
  const shown = async (): Promise<Node | undefined> => {
    const sink = new Sink()
    hub.open(registry.nodes.get(a.id)!, false, sink)
    return (sink.messages[0]!.Peers as Node[])[0]
  }
  registry.update(b.id, {
    hostinfo: { Hostname: 'bee', RoutableIPs: ['10.1.0.0/16', '192.168.0.0/16', '0.0.0.0/0', '::/0'] },
  })
  // what a computer calls itself is no reason to trust it
  expect((await shown())?.AllowedIPs).toEqual([`${b.ipv4}/32`, `${b.ipv6}/128`, '10.1.0.0/16'])
  await registry.rename(b.id, 'bee')
  expect(await shown()).toMatchObject({
    AllowedIPs: [`${b.ipv4}/32`, `${b.ipv6}/128`, '0.0.0.0/0', '::/0', '10.1.0.0/16'],
    PrimaryRoutes: ['10.1.0.0/16'],
    CapMap: { 'suggest-exit-node': [] },
  })
})

test('whom the policy hides is in no map; a node that goes out of sight is removed', async () => {
  const policy: Policy = {
    ...allowAll,
    canSee: (viewer, other) => viewer.hostinfo.OS !== 'hidden' && other.hostinfo.OS !== 'hidden',
  }
  const { registry, hub, add } = await network({ policy })
  const a = await add('a')
  const b = await add('b')
  const sink = new Sink()
  hub.open(a, false, sink)
  expect(sink.messages[0]).toMatchObject({ Peers: [{ ID: b.id }] })
  registry.update(b.id, { hostinfo: { OS: 'hidden' } })
  await expect
    .poll(() => sink.messages.some((m) => (m.PeersRemoved as number[] | undefined)?.includes(b.id)))
    .toBe(true)
  const again = new Sink()
  hub.open(registry.nodes.get(a.id)!, false, again)
  expect(again.messages[0]).toMatchObject({ Peers: [] })
})

test('reverse zones cover the prefix and nothing else', () => {
  expect(reverseZones('100.64.0.0/10')).toHaveLength(64)
  expect(reverseZones('100.64.0.0/10').slice(0, 2)).toEqual(['64.100.in-addr.arpa', '65.100.in-addr.arpa'])
  expect(reverseZones('100.64.5.0/24')).toEqual(['5.64.100.in-addr.arpa'])
  expect(reverseZones('fd7a:115c:a1e0::/48')).toEqual(['0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa'])
})

test('DNS and relays of the config reach the map', () => {
  const config = parseConfig(`
server_url: http://x
dns: {nameservers: {global: [9.9.9.9], split: {corp.example: [10.0.0.53]}}, search_domains: [corp.example], override_local_dns: true, extra_records: [{name: w.x, type: A, value: 100.64.0.3}]}
derp: {regions: [{region_id: 5, region_code: e, region_name: E, nodes: [{name: e1, hostname: e.example.com, stun_only: true}]}]}`)
  expect(dnsConfig(config.dns, config.prefixes)).toMatchObject({
    Resolvers: [{ Addr: '9.9.9.9' }],
    Domains: ['pintail.internal', 'corp.example'],
    Routes: { 'corp.example': [{ Addr: '10.0.0.53' }], '64.100.in-addr.arpa': [] },
    ExtraRecords: [{ Name: 'w.x', Type: 'A', Value: '100.64.0.3' }],
    Proxied: true,
  })
  const own = {
    regionId: 999,
    regionCode: 'own',
    regionName: 'Own',
    hostname: '2001:db8::1',
    derpPort: 443,
    stunPort: 3478,
    certName: 'sha256-raw:00',
  }
  expect(derpMap(own, config.derp.regions)).toEqual({
    omitDefaultRegions: true,
    Regions: {
      5: {
        RegionID: 5,
        RegionCode: 'e',
        RegionName: 'E',
        Nodes: [{ Name: 'e1', RegionID: 5, HostName: 'e.example.com', STUNOnly: true }],
      },
      999: {
        RegionID: 999,
        RegionCode: 'own',
        RegionName: 'Own',
        Nodes: [
          {
            Name: '999a',
            RegionID: 999,
            HostName: '2001:db8::1',
            CertName: 'sha256-raw:00',
            IPv4: 'none',
            IPv6: '2001:db8::1',
          },
        ],
      },
    },
  })
})
