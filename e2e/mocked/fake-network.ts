/** A household's network for tests and pictures: each kind of device and each kind of path at least once; or any number. */
import type { Node, UserProfile } from '../../src-contract/control/map.ts'
import type { IpPort, IpText, NodeKeyText, PrefixText } from '../../src-contract/ids.ts'
import type { PathKind, PathReport } from '../../src-contract/localapi/pintail.ts'
import type { RouteExplanation, RouteStep } from '../../src-contract/localapi/route-explain.ts'
import type { SubnetRoute } from '../../src-contract/localapi/subnet-routes.ts'
import { FakeDaemon, type FakeOptions } from './fake-daemon.ts'
import { quietPreview } from './fake-routes.ts'

export const SUFFIX = 'home.example.net'

interface Sketch {
  name: string
  os?: string
  owner?: number
  tags?: string[]
  path?: [kind: PathKind, where: string, latencyMs: number]
  isOffline?: boolean
  routes?: string[]
}

const household: Sketch[] = [
  { name: 'nas', path: ['direct', '192.168.1.20:41641', 0.8], routes: ['192.168.1.0/24'] },
  {
    name: 'vps-frankfurt',
    tags: ['tag:server'],
    path: ['direct', '203.0.113.7:41641', 18.4],
    routes: ['0.0.0.0/0', '::/0'],
  },
  { name: 'office-desktop', os: 'windows', path: ['relay', 'fra', 54.2] },
  { name: 'phone', os: 'android', path: ['relay', 'fra', 88] },
  { name: 'macbook-air', os: 'macOS', owner: 2, path: ['direct', '[2001:db8:7::20]:41641', 12] },
  { name: 'pi-garage', tags: ['tag:iot'], path: ['peer-relay', '203.0.113.7:40000', 31] },
  { name: 'cam-01', tags: ['tag:iot'], path: ['idle', '', 0] },
  { name: 'cam-02', tags: ['tag:iot'], path: ['idle', '', 0] },
  { name: 'cam-10', tags: ['tag:iot'], isOffline: true },
  { name: 'tablet', os: 'iOS', owner: 2, path: ['idle', '', 0] },
  { name: 'living-room-tv', os: 'tvOS', isOffline: true },
  { name: 'grandmas-laptop', os: 'windows', owner: 3, isOffline: true },
]

export const users: UserProfile[] = [
  { ID: 1, LoginName: 'alice@home.example', DisplayName: 'Alice' },
  { ID: 2, LoginName: 'bob@home.example', DisplayName: 'Bob' },
  { ID: 3, LoginName: 'rosa@home.example', DisplayName: 'Rosa' },
]

export function fakeNode(index: number, sketch: Sketch): Node {
  const v4 = `100.64.${Math.floor(index / 250)}.${(index % 250) + 1}/32`
  const v6 = `fd7a:115c:a1e0::${(index + 1).toString(16)}/128`
  return {
    ID: index + 1,
    StableID: `n${index + 1}CNTRL`,
    Name: `${sketch.name}.${SUFFIX}.`,
    User: sketch.owner ?? 1,
    Key: `nodekey:${(index + 1).toString(16).padStart(64, '0')}` as NodeKeyText,
    KeyExpiry: '2027-05-20T10:00:00Z',
    Addresses: [v4, v6],
    AllowedIPs: [v4, v6, ...(sketch.routes ?? [])],
    Endpoints: [],
    Hostinfo: { OS: sketch.os ?? 'linux', Hostname: sketch.name, IPNVersion: '1.102.5' },
    Created: '2026-03-02T08:00:00Z',
    Tags: sketch.tags ?? null,
    Online: sketch.isOffline !== true,
    ...(sketch.isOffline ? { LastSeen: new Date(Date.now() - (index + 1) * 5_400_000).toISOString() } : {}),
    MachineAuthorized: true,
  }
}

export function fakePath([kind, where, latencyMs]: [PathKind, string, number]): PathReport {
  return {
    kind,
    endpoint: kind === 'direct' || kind === 'peer-relay' ? (where as IpPort) : '',
    derpRegion: kind === 'relay' ? 4 : 0,
    derpRegionCode: kind === 'relay' ? where : '',
    latencyMs,
    candidates: [],
    history: [],
  }
}

export function selfNode(): Node {
  return {
    ...fakeNode(0, { name: 'thinkpad' }),
    Endpoints: ['198.51.100.4:41641' as IpPort, '192.168.1.33:41641' as IpPort],
  }
}

/** A daemon in the household's network. */
export function householdDaemon(socketPath: string, options: FakeOptions = {}): FakeDaemon {
  const nodes = household.map((sketch, at) => fakeNode(at + 1, sketch))
  const daemon = new FakeDaemon(socketPath, { self: selfNode(), nodes, users, ...options })
  daemon.prefs = {
    ...daemon.prefs,
    Config: {
      PrivateNodeKey: `privkey:${'0'.repeat(64)}`,
      OldPrivateNodeKey: `privkey:${'0'.repeat(64)}`,
      NetworkLockKey: `nlpriv:${'0'.repeat(128)}`,
      UserProfile: users[0] as UserProfile,
      NodeID: 'n1CNTRL',
    },
  }
  for (const [at, sketch] of household.entries())
    if (sketch.path !== undefined) daemon.paths[nodes[at]?.StableID ?? ''] = fakePath(sketch.path)
  const phone = nodes[3]
  if (phone !== undefined)
    daemon.pingAnswers[phone.StableID] = { Endpoint: '', DERPRegionID: 4, DERPRegionCode: 'fra', LatencySeconds: 0.088 }
  return daemon
}

/** Any number of devices, for budgets. */
export function crowd(count: number): Node[] {
  return Array.from({ length: count }, (_, at) =>
    fakeNode(at + 1, {
      name: `device-${at + 1}`,
      isOffline: at % 3 === 2,
      ...(at % 5 === 0 ? { tags: ['tag:ci'] } : {}),
    }),
  )
}

/** A house with exit nodes of each kind: devices near, far and away, and servers that are offered by their place. */
export function withExitNodes(daemon: FakeDaemon): void {
  const exits = ['0.0.0.0/0', '::/0']
  const extra: Sketch[] = [
    { name: 'nas-home', routes: exits },
    { name: 'office-gateway', os: 'windows', routes: exits, path: ['relay', 'fra', 61] },
    { name: 'cabin-pi', routes: exits, isOffline: true },
  ]
  for (const [at, sketch] of extra.entries()) {
    const node = fakeNode(20 + at, sketch)
    daemon.nodes.set(node.StableID, node)
    if (sketch.path !== undefined) daemon.paths[node.StableID] = fakePath(sketch.path)
  }
  const places = [
    ['SE', 'Sweden', 'Malmö', 55.6, 13],
    ['SE', 'Sweden', 'Stockholm', 59.3, 18.1],
    ['TW', 'Taiwan', 'Taipei', 25, 121.5],
    ['JP', 'Japan', 'Tokyo', 35.7, 139.7],
    ['DE', 'Germany', 'Frankfurt', 50.1, 8.7],
    ['CH', 'Switzerland', 'Zürich', 47.4, 8.5],
  ] as const
  let index = 100
  for (const [CountryCode, Country, City, Latitude, Longitude] of places)
    for (let at = 1; at <= 3; at++) {
      const node = fakeNode(index++, {
        name: `${CountryCode.toLowerCase()}-${City.slice(0, 3).toLowerCase()}-${at}`,
        routes: exits,
      })
      const Location = { Country, CountryCode, City, CityCode: City.slice(0, 3), Latitude, Longitude, Priority: at }
      daemon.nodes.set(node.StableID, { ...node, IsWireGuardOnly: true, Hostinfo: { ...node.Hostinfo, Location } })
    }
  daemon.suggestedExitNode = 'n21CNTRL'
  const fra = { RegionID: 4, RegionCode: 'fra', RegionName: 'Frankfurt', Latitude: 50.1, Longitude: 8.7, Nodes: null }
  daemon.derpMap = { Regions: { 4: fra } }
  if (daemon.self !== null) daemon.self = { ...daemon.self, HomeDERP: 4 }
}

/** A laptop with the company's VPN beside, networks behind other devices, and something listed already. */
export function withNetworks(daemon: FakeDaemon): void {
  const { routes } = daemon
  const via = (Prefix: string, Via: string, ViaName: string) =>
    ({ Prefix, Via, ViaName, Online: true, InUse: true, Reason: '' }) as SubnetRoute
  routes.routes.Routes.push(
    via('10.20.0.0/16', 'n22CNTRL', 'office-gateway'),
    { ...via('192.168.1.0/24', 'n2CNTRL', 'nas'), InUse: false, Reason: 'at-home' },
    { ...via('192.168.7.0/24', 'n23CNTRL', 'cabin-pi'), Online: false },
  )
  daemon.prefs = { ...daemon.prefs, RouteAll: true }
  routes.suggestions = [{ Interface: 'wt0', Prefixes: ['10.0.0.0/16', '10.99.0.0/16'] as PrefixText[] }]
  routes.bypass = {
    Setting: {
      Prefixes: ['172.16.4.0/22' as PrefixText],
      Suffixes: ['corp.example'],
      Interfaces: ['tun-old'],
      Users: [],
      Cgroups: [],
    },
    InEffect: [
      { Prefix: '172.16.4.0/22' as PrefixText, From: 'setting' },
      { Prefix: '203.0.113.80/32' as PrefixText, From: 'name git.corp.example' },
    ],
    Missing: ['interface tun-old'],
  }
  const preview = quietPreview()
  preview.Diff.Rules.Removed.push('172.16.4.0/22')
  routes.preview = preview
  routes.explanation = companyExplained()
}

function companyExplained(): RouteExplanation {
  const step = (Priority: number, Name: string, Rule: string, Won: boolean, Why: string): RouteStep => ({
    Priority,
    Name,
    Rule,
    IsOurs: Priority >= 5000,
    Table: '',
    Prefix: '',
    Kind: '',
    Interface: '',
    Gateway: '',
    Metric: 0,
    Won,
    Why,
  })
  return {
    Asked: { To: '10.8.4.2', Kind: 'address', From: '', Uid: 0, Proto: '', Port: 0 },
    Targets: [
      {
        Address: '10.8.4.2' as IpText,
        Parts: [],
        MoreParts: 0,
        Verdict: 'other-vpn',
        Sentence: '10.8.4.2 → wt0, because you bypass 10.8.0.0/16.',
        Interface: 'wt0',
        Gateway: '',
        Source: '',
        Steps: [
          step(0, 'local table', 'from all lookup local', false, 'no address of this machine'),
          step(5000, 'your bypass list', 'from all to 10.8.0.0/16 lookup main', true, '10.8.0.0/16 belongs to wt0'),
        ],
        RulesPassedOver: 2,
        Losers: [
          {
            Kind: 'exit-node',
            Name: 'nas-home',
            Prefix: '0.0.0.0/0' as PrefixText,
            Interface: 'pintail0',
            Table: '52',
            Node: 'n21CNTRL',
            Reason: 'bypassed',
            Why: 'your bypass list comes first',
          },
        ],
        Filter: [],
        Conflicts: [],
        Notes: [],
        KernelAgrees: true,
        Kernel: 'dev wt0 table main',
      },
    ],
    Mode: 'kernel',
    IsRunning: true,
    Problems: [],
  }
}
