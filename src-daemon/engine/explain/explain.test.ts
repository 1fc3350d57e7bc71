import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Node } from '../../../src-contract/control/map.ts'
import type { PrefixText } from '../../../src-contract/ids.ts'
import { emptyBypass } from '../../../src-contract/localapi/bypass.ts'
import type { PathReport } from '../../../src-contract/localapi/pintail.ts'
import type { RouteTarget } from '../../../src-contract/localapi/route-explain.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { isTailscaleIp, parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import { readLinks, readRoutes, readRules } from '../../io/route-view/ip-json.ts'
import type { Family, HostRouting, SystemAnswer } from '../../io/route-view/port.ts'
import { explainRoute } from './explain.ts'
import type { ExplainFacts } from './facts.ts'
import { agrees, RouteTables, walkRules } from './policy-routing.ts'
import { parseQuestion } from './question.ts'

// A laptop: eth0 192.168.1.5/24 and 2001:db8::5/64, another VPN wt0 with 10.0.0.0/16, our interface pintail0 -------------

type Entry = Record<string, unknown>
const LINKS: Entry[] = [
  { ifname: 'lo', group: '0' },
  { ifname: 'eth0', group: '0', addr_info: [{ local: '192.168.1.5' }, { local: '2001:db8::5' }] },
  { ifname: 'eth1', group: '0' },
  { ifname: 'wt0', group: '0', linkinfo: { info_kind: 'wireguard' } },
  { ifname: 'pintail0', group: '0', linkinfo: { info_kind: 'tun' } },
]
const rule = (priority: number, more: Entry = {}): Entry => ({ priority, src: 'all', protocol: '0', ...more })
const BASE_RULES = [
  rule(0, { table: '255' }),
  rule(5210, { fwmark: '0x80000', fwmask: '0xff0000', table: '254', protocol: '152' }),
  rule(5250, { fwmark: '0x80000', fwmask: '0xff0000', action: '7', protocol: '152' }),
  rule(5270, { table: '52', protocol: '152' }),
  rule(32766, { table: '254' }),
  rule(32767, { table: '253' }),
]
const BYPASS = rule(5000, { dst: '10.0.0.0', dstlen: 16, table: '254', protocol: '152' })
const HOST_ROUTES: Entry[] = [
  { type: '2', dst: '192.168.1.5', dev: 'eth0', table: '255', protocol: '2', prefsrc: '192.168.1.5' },
  { type: '3', dst: '192.168.1.255', dev: 'eth0', table: '255', protocol: '2' },
  { dst: 'default', gateway: '192.168.1.1', dev: 'eth0', table: '254', protocol: '16', metric: 100 },
  { dst: '192.168.1.0/24', dev: 'eth0', table: '254', protocol: '2', prefsrc: '192.168.1.5' },
  { dst: '10.0.0.0/16', dev: 'wt0', table: '254', protocol: '3' },
]
const HOST_ROUTES_6: Entry[] = [
  { type: '2', dst: '2001:db8::5', dev: 'eth0', table: '255', protocol: '2' },
  { dst: '2001:db8::/64', dev: 'eth0', table: '254', protocol: '2', metric: 256 },
  { dst: 'default', gateway: '2001:db8::1', dev: 'eth0', table: '254', protocol: '3', metric: 1024 },
]
const tunnel = (...prefixes: string[]): Entry[] =>
  prefixes.map((dst) => ({ dst, dev: 'pintail0', table: '52', protocol: '152' }))
const thrown = (dst: string): Entry => ({ type: '9', dst, table: '52', protocol: '152' })

const node = (id: string, name: string, addresses: string[], allowed: string[] = [], more: Partial<Node> = {}): Node =>
  ({
    ID: id,
    StableID: `n${id}`,
    Name: `${name}.net.example.`,
    User: 1,
    Key: `nodekey:${id.repeat(64)}`,
    Addresses: addresses,
    AllowedIPs: [...addresses, ...allowed],
    Online: true,
    ...more,
  }) as Node
const nas = node('2', 'nas', ['100.64.0.7/32', 'fd7a:115c:a1e0::7/128'], [], {
  Hostinfo: { Services: [{ Proto: 'tcp', Port: 22, Description: 'ssh' }] },
})
const router1 = node('3', 'router1', ['100.64.0.8/32'], ['192.168.50.0/24', 'fd7a:115c:a1e0:b1a:0:7::/96'])
const router2 = node('4', 'router2', ['100.64.0.9/32'], [], { Hostinfo: { RoutableIPs: ['192.168.50.0/24'] } })
const tahoe = node('5', 'tahoe', ['100.64.0.10/32'], ['0.0.0.0/0', '::/0'])
const self = node('1', 'laptop', ['100.64.0.1/32'])

interface World {
  readonly rules?: Entry[]
  readonly routes?: Entry[]
  readonly routes6?: Entry[]
  readonly facts?: Partial<ExplainFacts>
  /** Instead of agreeing. */
  readonly kernel?: SystemAnswer
}

function factsOf(more: Partial<ExplainFacts> = {}): ExplainFacts {
  const peers = [nas, router1, router2, tahoe]
  const owned = (one: Node): PrefixText[] => (one.AllowedIPs ?? []).filter((prefix) => !prefix.endsWith('/0'))
  return {
    netmap: { self, peers: new Map(peers.map((peer) => [String(peer.ID), peer])) } as unknown as Netmap,
    isRunning: true,
    tunName: 'pintail0',
    peers: peers.map((peer) => ({ node: peer, prefixes: owned(peer) })),
    subnets: [
      { Prefix: '192.168.50.0/24', Via: 'n3', ViaName: 'router1', Online: true, InUse: true, Reason: '' },
      { Prefix: '10.0.0.0/8', Via: 'n4', ViaName: 'router2', Online: true, InUse: false, Reason: 'off' },
    ],
    exit: { kind: 'none' },
    allowsLan: false,
    atHome: [],
    bypass: { Setting: emptyBypass, InEffect: [], Missing: [] },
    network: {
      interfaces: [{ name: 'eth0', addresses: [{ address: '192.168.1.5', bits: 24, loopback: false }] }],
      defaultV4: 'eth0',
      defaultV6: 'eth0',
    },
    serviceAddresses: ['100.100.100.100', 'fd7a:115c:a1e0::53'],
    pathOf: () => ({ kind: 'direct', endpoint: '203.0.113.7:41641', derpRegionCode: '' }) as PathReport,
    isInside: () => false,
    ...more,
  }
}
const throughTahoe: Partial<ExplainFacts> = {
  exit: { kind: 'chosen', node: tahoe },
  peers: [
    ...factsOf().peers.filter(({ node: one }) => one !== tahoe),
    { node: tahoe, prefixes: ['100.64.0.10/32', '0.0.0.0/0', '::/0'] },
  ],
}
const EXIT = tunnel('default', '100.100.100.100')

/** As `ip … match NETWORK` and `… root NETWORK` would leave it. */
function hostFor(world: World, network: PrefixText): HostRouting {
  const family: Family = network.includes(':') ? 6 : 4
  const value = <T>(
    read: { ok: true; value: { found: readonly T[]; odd: number } } | { ok: false; reason: string },
  ): readonly T[] => {
    if (!read.ok || read.value.odd > 0) throw new Error('a mistake of this test')
    return read.value.found
  }
  const asked = parsePrefix(network)
  if (!asked.ok) throw new Error(network)
  const rules = (world.rules ?? BASE_RULES).filter(
    ({ dst }) => dst === undefined || String(dst).includes(':') === (family === 6),
  )
  const routes = family === 6 ? [...HOST_ROUTES_6, ...(world.routes6 ?? [])] : [...HOST_ROUTES, ...(world.routes ?? [])]
  const near = value(readRoutes(JSON.stringify(routes), family)).filter(
    ({ prefix }) => prefixContains(prefix, asked.value.ip) || prefixContains(asked.value, prefix.ip),
  )
  return {
    family,
    rules: value(readRules(JSON.stringify(rules), family)),
    routes: near,
    links: value(readLinks(JSON.stringify(LINKS))),
    problems: [],
  }
}

async function explain(
  to: string,
  world: World = {},
  more: { from?: string; uid?: number; proto?: string; port?: string } = {},
) {
  const question = parseQuestion({ to, from: '', uid: 0, proto: '', port: '', ...more })
  if (!question.ok) throw new Error(question.reason)
  return explainRoute(question.value, {
    facts: factsOf(world.facts),
    lookUp: async (Name) => ({
      Name,
      Suffix: '',
      Servers: [],
      Why: '',
      Losers: [],
      Addresses: ['100.64.0.7', '192.168.1.7'],
      Problem: '',
    }),
    view: {
      read: async (network) => hostFor(world, network),
      ask: async (asked) => {
        if (world.kernel !== undefined) return world.kernel
        const { winner } = walkRules(
          new RouteTables(hostFor(world, `${asked.to}/${asked.to.includes(':') ? 128 : 32}`)),
          asked,
        )
        const [hop] = winner?.route?.hops ?? []
        if (winner?.outcome !== 'won' || winner.route === undefined || hop === undefined)
          return { kind: 'refused', why: 'unreachable' }
        const { type, table, source } = winner.route
        return { kind: 'route', type, table, ...hop, source: source || '192.168.1.5' }
      },
    },
  })
}

async function target(to: string, world: World = {}, more: Parameters<typeof explain>[2] = {}): Promise<RouteTarget> {
  const { Targets } = await explain(to, world, more)
  expect(Targets).toHaveLength(1)
  return Targets[0]!
}
const short = ({ Verdict, Sentence }: RouteTarget) => [Verdict, Sentence]
const lost = ({ Losers }: RouteTarget) => Losers.map(({ Kind, Name, Prefix, Reason }) => [Kind, Name, Prefix, Reason])

describe('[EXP-3] [EXP-4] the verdict, and who lost', () => {
  test('a company VPN that is bypassed, with an exit node in use', async () => {
    const world: World = {
      rules: [...BASE_RULES.slice(0, 1), BYPASS, ...BASE_RULES.slice(1)],
      routes: EXIT,
      facts: {
        ...throughTahoe,
        bypass: { Setting: emptyBypass, InEffect: [{ Prefix: '10.0.0.0/16', From: 'interface wt0' }], Missing: [] },
      },
    }
    const found = await target('10.0.1.100', world)
    expect(short(found)).toEqual(['other-vpn', '10.0.1.100 → wt0, because you bypass 10.0.0.0/16 (interface wt0).'])
    expect(lost(found)).toEqual([
      ['default-route', 'eth0', '0.0.0.0/0', 'less-specific'],
      ['exit-node', 'tahoe', '0.0.0.0/0', 'bypassed'],
      ['peer-route', 'router2', '10.0.0.0/8', 'off'],
    ])
    expect(found.Steps.map(({ Priority, Name, IsOurs, Won }) => [Priority, Name, IsOurs, Won])).toEqual([
      [0, "this machine's own addresses", false, false],
      [5000, 'your bypass list', true, true],
    ])
    expect(found.KernelAgrees).toBe(true)

    const swallowed = await target('10.0.1.100', { ...world, rules: BASE_RULES })
    expect(short(swallowed)).toEqual([
      'exit-node',
      '10.0.1.100 → exit node tahoe (pintail0), because everything that has no other way takes it.',
    ])
    expect(lost(swallowed)).toEqual([
      ['other-vpn', 'wt0', '10.0.0.0/16', 'later-rule'],
      ['peer-route', 'router2', '10.0.0.0/8', 'off'],
    ])
    expect(swallowed.Peer).toMatchObject({ Name: 'tahoe', Path: 'direct', Over: '203.0.113.7:41641', Others: [] })
  })

  test('a network around us that the exit node has with everything else is the exit node’s', async () => {
    const mine = rule(5000, { dst: '192.168.0.0', dstlen: 16, table: '254', protocol: '152' })
    const routes = [...EXIT, ...tunnel('192.168.1.0/24')]
    const found = await target('192.168.1.9', { rules: [mine, ...BASE_RULES], routes, facts: throughTahoe })
    expect(lost(found)).toContainEqual(['exit-node', 'tahoe', '192.168.1.0/24', 'bypassed'])
  })

  test('a rule of somebody else is not called ours', async () => {
    const theirs = rule(5000, { dst: '10.0.0.0', dstlen: 16, table: '254' })
    const found = await target('10.0.1.100', { rules: [theirs, ...BASE_RULES], routes: EXIT, facts: throughTahoe })
    expect(short(found)).toEqual([
      'other-vpn',
      "10.0.1.100 → wt0, because rule 5000 (from all to 10.0.0.0/16 lookup main), which is not Pintail's, decides about it.",
    ])
  })

  test('a machine by its own address, with what it announces; one that is offline', async () => {
    const found = await target('100.64.0.7', { routes: tunnel('100.64.0.7') }, { port: '22' })
    expect(short(found)).toEqual(['peer', '100.64.0.7 → nas (pintail0), because that is its own address.'])
    expect(found.Filter).toEqual([
      'This machine lets it out. What nas lets in is for its own rules, which are not known here.',
      'nas says that it serves tcp 22 (ssh).',
    ])
    const other = await target('100.64.0.7', { routes: tunnel('100.64.0.7') }, { port: '80' })
    expect(other.Filter[1]).toBe('nas announces other services, not tcp 80.')
    const peers = [{ node: { ...nas, Online: false }, prefixes: ['100.64.0.7/32'] }]
    const away = await target('100.64.0.7', { routes: tunnel('100.64.0.7'), facts: { peers } })
    expect(away.Sentence).toBe(
      '100.64.0.7 → nas (pintail0), because that is its own address; it is offline at present.',
    )
  })

  test('a subnet of two routers', async () => {
    const found = await target('192.168.50.10', { routes: tunnel('192.168.50.0/24') })
    expect(short(found)).toEqual([
      'peer',
      '192.168.50.10 → router1 (pintail0), because it offers 192.168.50.0/24 and you accept that.',
    ])
    expect(found.Peer?.Others).toEqual([
      {
        Node: 'n4',
        Name: 'router2',
        Online: true,
        Why: 'It stands by: the server gave the network to another machine, or has not approved this one.',
      },
    ])
    expect(lost(found)).toEqual([['default-route', 'eth0', '0.0.0.0/0', 'later-rule']])
  })

  test('an address of the network that nobody has', async () => {
    const found = await target('100.64.0.99', { routes: tunnel('100.64.0.0/10') })
    expect(found.Verdict).toBe('unreachable')
    expect(found.Sentence).toContain('no machine of this network has it at present')
  })

  test.each([
    ['not-found', 'there is no machine tahoe in this network'],
    ['not-offering', 'tahoe does not offer it, or is not approved'],
    ['no-candidate', 'no machine can serve as one'],
  ] as const)('the exit node is gone (%s): blocked', async (why, words) => {
    const world: World = { routes: EXIT, facts: { exit: { kind: 'blocked', name: 'tahoe', why } } }
    const found = await target('1.1.1.1', world)
    expect(short(found)).toEqual([
      'blocked',
      `1.1.1.1 → pintail0, where it ends, because ${words}: nothing leaves another way.`,
    ])
  })
  test('the exit node is offline, without a direct path: blocked; with one it still serves', async () => {
    const offline = { ...tahoe, Online: false }
    const peers = [{ node: offline, prefixes: ['0.0.0.0/0'] }]
    const facts: Partial<ExplainFacts> = { exit: { kind: 'chosen', node: offline }, peers }
    const none = await target('1.1.1.1', { routes: EXIT, facts: { ...facts, pathOf: () => undefined } })
    expect(short(none)).toEqual([
      'blocked',
      '1.1.1.1 → nowhere, because your exit node tahoe is offline: nothing leaves another way.',
    ])
    expect((await target('1.1.1.1', { routes: EXIT, facts })).Verdict).toBe('exit-node')
  })
  test('closed after a crash: our own last route refuses', async () => {
    const routes = [{ type: '7', dst: 'default', table: '52', protocol: '152', metric: 60_000 }]
    const kernel: SystemAnswer = { kind: 'refused', why: 'unreachable' }
    const found = await target('1.1.1.1', { routes, kernel, facts: { ...throughTahoe, isRunning: false, peers: [] } })
    expect([found.Verdict, found.KernelAgrees]).toEqual(['blocked', true])
  })

  test('local networks that stay outside, with their reason', async () => {
    const routes = [...EXIT, thrown('192.168.1.0/24')]
    const found = await target('192.168.1.7', { routes, facts: { ...throughTahoe, allowsLan: true } })
    expect(short(found)).toEqual([
      'local',
      '192.168.1.7 → eth0, because the local network 192.168.1.0/24 stays outside of the tunnel.',
    ])
    expect(lost(found)).toEqual([
      ['exit-node', 'tahoe', '0.0.0.0/0', 'thrown'],
      ['default-route', 'eth0', '0.0.0.0/0', 'less-specific'],
    ])
    const home = await target('192.168.1.7', {
      routes: [thrown('192.168.1.0/24')],
      facts: { atHome: ['192.168.1.0/24'] },
    })
    expect(home.Sentence).toBe('192.168.1.7 → eth0, because you are in 192.168.1.0/24 yourself.')
  })

  test('this machine, its name server, the internet, IPv6, a broadcast', async () => {
    expect((await target('192.168.1.5')).Sentence).toBe('192.168.1.5 is this machine.')
    expect(short(await target('100.100.100.100', { routes: EXIT }))).toEqual([
      'this-machine',
      "100.100.100.100 is answered by Pintail on this machine: it is the network's name server.",
    ])
    expect(short(await target('1.1.1.1'))).toEqual([
      'internet',
      '1.1.1.1 → eth0 via 192.168.1.1, because the default route in the main table leads there.',
    ])
    expect((await target('2001:db8:9::1')).Verdict).toBe('internet')
    expect((await target('2001:db8::9')).Verdict).toBe('local')
    expect((await target('192.168.1.255')).Verdict).toBe('local')
    expect((await target('224.0.0.251')).Verdict).toBe('local')
    const lost = await target('224.0.0.251', { routes: EXIT, facts: throughTahoe })
    expect(short(lost)).toEqual([
      'unreachable',
      '224.0.0.251 → pintail0, where it ends, because such addresses mean the own link and do not pass the network.',
    ])
  })

  test('[EXP-8] 4via6: the site and the address behind it', async () => {
    const world: World = { routes6: tunnel('fd7a:115c:a1e0:b1a:0:7::/96') }
    const found = await target('fd7a:115c:a1e0:b1a:0:7:a01:203', world)
    expect(found.Via6).toEqual({ Site: 7, Address: '10.1.2.3' })
    expect(found.Sentence).toContain('(10.1.2.3 at site 7) → router1 (pintail0)')
  })

  test('refused by a rule, by a route; no route at all', async () => {
    const kernel: SystemAnswer = { kind: 'refused', why: 'prohibit' }
    const prohibited = [rule(10, { dst: '1.2.3.4', action: '8' }), ...BASE_RULES]
    const found = await target('1.2.3.4', { rules: prohibited, kernel })
    expect(short(found)).toEqual([
      'unreachable',
      '1.2.3.4 → nowhere, because rule 10 (from all to 1.2.3.4 prohibit) refuses it.',
    ])
    expect(found.KernelAgrees).toBe(true)
    const routes = [{ type: '6', dst: '1.2.0.0/16', table: '254', protocol: '3' }]
    expect((await target('1.2.3.4', { routes })).Sentence).toContain(
      'the route "blackhole 1.2.0.0/16" in the main table refuses it',
    )
    const nothing = await target('1.2.3.4', { rules: [rule(0, { table: '255' })] })
    expect(short(nothing)).toEqual(['unreachable', '1.2.3.4 → nowhere, because this machine has no route to it.'])
  })

  test('[EXP-8] the tunnel is down: the way without it, and who would have it', async () => {
    const facts: Partial<ExplainFacts> = { isRunning: false, peers: [], serviceAddresses: [] }
    const found = await target('100.64.0.7', { rules: [BASE_RULES[0]!, BASE_RULES[4]!], facts })
    expect(found.Verdict).toBe('internet')
    expect(lost(found)).toEqual([['peer-route', 'nas', '100.64.0.7/32', 'not-running']])
    expect(found.Notes).toEqual(['The tunnel is down: this is where traffic goes without it.'])
  })

  test('[EXP-8] userspace networking: the proxies know the way, the host does not', async () => {
    const facts: Partial<ExplainFacts> = { tunName: undefined, isInside: (ip) => isTailscaleIp(ip) }
    const answer = await explain('100.64.0.7', { facts })
    expect(answer.Mode).toBe('userspace')
    expect(answer.Targets[0]).toMatchObject({ Verdict: 'peer', Interface: '', Peer: { Name: 'nas' } })
    expect(answer.Targets[0]?.Sentence).toContain('nas (the proxies of this daemon')
    expect((await target('1.1.1.1', { facts })).Verdict).toBe('internet')
  })
})

describe('[EXP-2] what the operating system says', () => {
  test('another answer is shown, not hidden; silence is no agreement', async () => {
    const kernel: SystemAnswer = {
      kind: 'route',
      type: 'unicast',
      interfaceName: 'eth1',
      gateway: '',
      table: '7',
      source: '',
    }
    expect(await target('1.1.1.1', { kernel })).toMatchObject({ KernelAgrees: false, Kernel: 'dev eth1 table 7' })
    const silent: SystemAnswer = { kind: 'unknown', reason: 'x' }
    expect(await target('1.1.1.1', { kernel: silent })).toMatchObject({ KernelAgrees: null, Kernel: '' })
  })
  test('a source that is not this machine’s is not asked about', async () => {
    const { Problems, Targets } = await explain('1.1.1.1', {}, { from: '10.7.7.7' })
    expect(Problems).toEqual(['10.7.7.7 is no address of this machine, so no program of it sends from there.'])
    expect(Targets[0]?.KernelAgrees).toBe(null)
  })
  test('an answer of the wrong kind disagrees', () => {
    const host = hostFor({}, '1.1.1.1/32')
    const walk = walkRules(new RouteTables(host), { to: '1.1.1.1', from: undefined, uid: 0, protocol: 17, port: 0 })
    expect(agrees(walk, { kind: 'refused', why: 'unreachable' })).toBe(false)
  })
})

test('[EXP-5] a network: one answer for each way, the largest first', async () => {
  const world: World = { rules: [BYPASS, ...BASE_RULES], routes: EXIT, facts: throughTahoe }
  const whole = await explain('10.0.7.0/24', world)
  expect(whole.Targets.map(({ Verdict, Parts }) => [Verdict, Parts])).toEqual([['other-vpn', ['10.0.7.0/24']]])
  const parts = await explain('10.0.0.0/14', world)
  expect(parts.Targets.map(({ Verdict, Parts }) => [Verdict, Parts])).toEqual([
    ['exit-node', ['10.1.0.0/16', '10.2.0.0/15']],
    ['other-vpn', ['10.0.0.0/16']],
  ])
  const around = await explain('192.168.1.0/24', world)
  expect(around.Targets.map(({ Address, Parts, Notes }) => [Address, Parts, Notes])).toEqual([
    [
      '192.168.1.0',
      ['192.168.1.0/24'],
      ["Except this machine's own and broadcast addresses in it: 192.168.1.5, 192.168.1.255."],
    ],
  ])
  const many = Array.from({ length: 2_100 }, (_, i) => ({
    dst: `10.${i >> 8}.${i & 255}.0/24`,
    dev: 'wt0',
    table: '254',
  }))
  const refused = await explain('10.0.0.0/8', { routes: many })
  expect([refused.Targets, refused.Problems]).toEqual([
    [],
    ['2101 routes and rules lie in 10.0.0.0/8: ask about a smaller network.'],
  ])
})

test('[EXP-7] a name: each of its addresses', async () => {
  const { Targets, Names } = await explain('nas', { routes: tunnel('100.64.0.7') })
  expect(Names?.Name).toBe('nas')
  expect(Targets.map(({ Address, Verdict }) => [Address, Verdict])).toEqual([
    ['100.64.0.7', 'peer'],
    ['192.168.1.7', 'local'],
  ])
})

describe('[EXP-9] what else goes another way', () => {
  test('a rule for the source that connections get', async () => {
    const bySource = rule(100, { src: '192.168.1.5', table: '77' })
    const routes = [{ dst: 'default', dev: 'eth1', table: '77' }]
    const found = await target('1.1.1.1', { rules: [bySource, ...BASE_RULES], routes })
    expect(found.Interface).toBe('eth0')
    expect(found.Notes).toEqual([
      "Connections get the source 192.168.1.5, and with that another rule decides: 1.1.1.1 → eth1, because rule 100 (from 192.168.1.5 lookup 77), which is not Pintail's, decides about it.",
    ])
    const bound = await target('1.1.1.1', { rules: [bySource, ...BASE_RULES], routes }, { from: '192.168.1.5' })
    expect([bound.Interface, bound.Notes]).toEqual(['eth1', []])
  })
  test('a rule for one protocol, and for users', async () => {
    const byProtocol = rule(100, { ipproto: 'ipproto-6', action: '8' })
    const found = await target('1.1.1.1', { rules: [byProtocol, ...BASE_RULES] })
    expect(found.Notes).toEqual([
      'For tcp: 1.1.1.1 → nowhere, because rule 100 (from all ipproto 6 prohibit) refuses it.',
    ])
    const byUser = rule(5000, { uid_start: 1007, uid_end: 1007, table: '254', protocol: '152' })
    const setting = { ...emptyBypass, Users: ['build'], Cgroups: ['work.slice'] }
    const world: World = {
      rules: [byUser, ...BASE_RULES],
      routes: EXIT,
      facts: { ...throughTahoe, bypass: { Setting: setting, InEffect: [], Missing: [] } },
    }
    expect((await target('1.1.1.1', world)).Notes).toEqual([
      'Programs of build bypass the exit node.',
      'Programs in work.slice bypass the exit node.',
    ])
    const theirs = await target('1.1.1.1', world, { uid: 1007 })
    const inside = rule(4999, {
      ...{ dst: '100.64.0.0', dstlen: 10, uid_start: 1007, uid_end: 1007 },
      table: '52',
      protocol: '152',
    })
    const withPeers: World = { ...world, rules: [inside, ...world.rules!], routes: [...EXIT, ...tunnel('100.64.0.7')] }
    expect(await target('100.64.0.7', withPeers, { uid: 1007 })).toMatchObject({
      Verdict: 'peer',
      Peer: { Name: 'nas' },
    })
    expect(short(theirs)).toEqual([
      'internet',
      '1.1.1.1 → eth0 via 192.168.1.1, because programs of this user bypass the exit node.',
    ])
  })
  test('the same numbers around this machine', async () => {
    const rival = node('6', 'far', ['100.64.0.11/32'], ['192.168.1.0/24'])
    const netmap = { self, peers: new Map([['6', rival]]) } as unknown as Netmap
    const found = await target('192.168.1.7', { facts: { netmap } })
    expect(found.Conflicts).toEqual([
      '192.168.1.0/24 behind far has the same addresses as 192.168.1.0/24 around this machine (eth0).',
    ])
  })
})

test('whatever the host’s tables say, there is an answer, and rules lead in no circle', async () => {
  const table = fc.constantFrom('255', '254', '52', '7')
  const prefix = fc.constantFrom('default', '10.0.0.0/8', '10.0.0.0/16', '10.0.1.0/24', '10.0.1.100')
  const number = fc.constantFrom(0, 1, 8, 16, 5000, 5270, 32766)
  const rules = fc.array(
    fc.record(
      {
        ...{
          priority: number,
          src: fc.constantFrom('all', '10.0.1.1'),
          dst: fc.constantFrom('10.0.0.0'),
          dstlen: number,
        },
        ...{
          table,
          goto: number,
          nop: fc.constant(null),
          not: fc.constant(null),
          action: fc.constantFrom('6', '7', '8'),
        },
        ...{ suppress_prefixlen: number, protocol: fc.constantFrom('0', '152'), fwmark: fc.constant('0x80000') },
      },
      { requiredKeys: ['priority', 'src', 'table'] },
    ),
  )
  const routes = fc.array(
    fc.record(
      {
        ...{ type: fc.constantFrom('1', '2', '3', '6', '7', '8', '9'), dst: prefix, table, metric: number },
        ...{ dev: fc.constantFrom('eth0', 'wt0', 'pintail0'), gateway: fc.constant('192.168.1.1') },
        ...{ protocol: fc.constantFrom('0', '152'), flags: fc.constantFrom([], ['dead']) },
      },
      { requiredKeys: ['type', 'dst', 'table', 'dev'] },
    ),
  )
  await fc.assert(
    fc.asyncProperty(rules, routes, fc.boolean(), async (someRules, someRoutes, isNetwork) => {
      const readable = someRules.filter(({ dst, dstlen }) => dst === undefined || (dstlen ?? 0) <= 32)
      const world: World = {
        rules: readable,
        routes: someRoutes,
        facts: throughTahoe,
        kernel: { kind: 'unknown', reason: '' },
      }
      const { Targets } = await explain(isNetwork ? '10.0.0.0/12' : '10.0.1.100', world)
      for (const { Sentence, Steps, Losers } of Targets) {
        expect(Sentence).toMatch(/^10\.\S+ .*\.$/)
        expect(Steps.filter(({ Won }) => Won).length).toBeLessThanOrEqual(1)
        expect(Losers.length).toBeLessThanOrEqual(32)
      }
      expect(Targets.length).toBeGreaterThan(0)
    }),
  )
})
