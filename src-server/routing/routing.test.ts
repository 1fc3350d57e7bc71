import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { MachineKeyText, NodeKeyText, PrefixText } from '../../src-contract/ids.ts'
import type { NodeRecord } from '../registry/model.ts'
import { autoApproval, offeredRoutes } from './offers.ts'
import { Routing } from './routing.ts'

function nodeRecord(id: number): NodeRecord {
  return {
    id,
    machineKey: `mkey:${id}` as MachineKeyText,
    nodeKey: `nodekey:${id}` as NodeKeyText,
    discoKey: null,
    userId: 1,
    tags: [],
    authKeyId: null,
    registerMethod: 'cli',
    ephemeral: false,
    givenName: `n${id}`,
    isRenamed: false,
    ipv4: `100.64.0.${id}`,
    ipv6: `fd7a:115c:a1e0::${id}`,
    hostinfo: {},
    approvedRoutes: [],
    primaryRoutes: [],
    endpoints: [],
    homeDerp: 0,
    capVersion: 131,
    createdAt: 0,
    expiresAt: null,
    lastSeen: null,
  }
}

const SUBNETS: readonly PrefixText[] = ['10.0.0.0/8', '10.1.0.0/16', 'fd00::/64']
const EXITS: readonly PrefixText[] = ['0.0.0.0/0', '::/0']
const approver = (routes: { [network: PrefixText]: string[] } = {}, exit: string[] = []) => ({
  auto: autoApproval(routes, exit),
  userName: ({ userId }: NodeRecord) => (userId === 1 ? 'alice' : undefined),
})

const isWithin = (route: PrefixText, network: PrefixText) =>
  route === network || (network === '10.0.0.0/8' && route === '10.1.0.0/16')

/** The registry, who is online and the routing, as the hub keeps them together. */
class World {
  readonly nodes = new Map<number, NodeRecord>()
  readonly online = new Set<number>()
  routing = new Routing(approver())
  autoRoutes: PrefixText[] = []

  change(id: number, fields: Partial<NodeRecord>): ReadonlySet<number> {
    const node = { ...(this.nodes.get(id) ?? nodeRecord(id)), ...fields }
    this.nodes.set(id, node)
    return this.keep(this.routing.follow(node, this.online.has(id)))
  }
  remove(id: number): ReadonlySet<number> {
    this.nodes.delete(id)
    this.online.delete(id)
    return this.keep(this.routing.forget(id))
  }
  setAuto(routes: PrefixText[]): ReadonlySet<number> {
    this.autoRoutes = routes
    return this.keep(this.routing.setApprover(this.approver))
  }
  restart(): void {
    this.routing = new Routing(this.approver)
    this.routing.start(this.nodes.values(), ({ id }) => this.online.has(id))
    this.keep(this.nodes.keys())
  }
  get approver() {
    return approver(Object.fromEntries(this.autoRoutes.map((route) => [route, ['alice']])))
  }
  /** Those who may have it, by the rules in the plainest words. */
  candidates(route: PrefixText): number[] {
    return [...this.nodes.values()]
      .filter((node) => node.hostinfo.RoutableIPs?.includes(route))
      .filter((node) => node.approvedRoutes.includes(route) || this.autoRoutes.some((auto) => isWithin(route, auto)))
      .map(({ id }) => id)
      .sort()
  }
  keep<T extends Iterable<number>>(ids: T): T {
    for (const id of ids) {
      const node = this.nodes.get(id)
      if (node !== undefined) this.nodes.set(id, { ...node, primaryRoutes: this.routing.of(id).primary })
    }
    return ids
  }
  view(): Map<number, string> {
    return new Map([...this.nodes.keys()].map((id) => [id, JSON.stringify(this.routing.of(id))]))
  }
}

const id = fc.integer({ min: 1, max: 4 })
const routes = fc.uniqueArray(fc.constantFrom(...SUBNETS, ...EXITS))
const step = fc.oneof(
  fc.record({ what: fc.constant('offer' as const), id, routes }),
  fc.record({ what: fc.constant('approve' as const), id, routes }),
  fc.record({ what: fc.constant('online' as const), id, routes }),
  fc.record({ what: fc.constant('offline' as const), id, routes }),
  fc.record({ what: fc.constant('remove' as const), id, routes }),
  fc.record({ what: fc.constant('auto' as const), id, routes: fc.uniqueArray(fc.constantFrom(...SUBNETS)) }),
  fc.record({ what: fc.constant('restart' as const), id, routes }),
)

test('[SRV-R3] whatever happens: one primary for each approved subnet with a router online, moved only when it must be', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const world = new World()
      const owner = (route: PrefixText) =>
        [...world.nodes.keys()].filter((n) => world.routing.of(n).primary.includes(route))
      for (const { what, id, routes } of steps) {
        const before = new Map(SUBNETS.map((route) => [route, owner(route)[0]]))
        const shown = world.view()
        let told: ReadonlySet<number> | undefined
        if (what === 'offer') told = world.change(id, { hostinfo: { RoutableIPs: routes } })
        else if (what === 'approve') told = world.change(id, { approvedRoutes: routes })
        else if (what === 'remove') told = world.remove(id)
        else if (what === 'auto') told = world.setAuto(routes)
        else if (what === 'restart') world.restart()
        else {
          if (what === 'online') world.online.add(id)
          else world.online.delete(id)
          if (world.nodes.has(id)) told = world.change(id, {})
        }
        for (const route of SUBNETS) {
          const may = world.candidates(route)
          const online = may.filter((n) => world.online.has(n))
          const [has, ...others] = owner(route)
          expect(others).toEqual([])
          expect(has !== undefined).toBe(may.length > 0)
          if (online.length > 0) expect(online).toContain(has)
          const had = before.get(route)
          if (had !== undefined && may.includes(had) && (online.includes(had) || online.length === 0))
            expect(has).toBe(had)
          else if (online.length > 0 && has !== had) expect(has).toBe(Math.min(...online))
        }
        for (const [n, node] of world.nodes)
          expect(world.routing.of(n).exit).toEqual(
            EXITS.filter((r) => node.hostinfo.RoutableIPs?.includes(r) && node.approvedRoutes.includes(r)),
          )
        // whoever looks different in AllowedIPs is told to be
        const looks = (text: string | undefined) => {
          const { exit, primary } = JSON.parse(text ?? '{"exit":[],"primary":[]}')
          return JSON.stringify([exit, primary])
        }
        if (told !== undefined)
          for (const [n, text] of world.view())
            if (looks(text) !== looks(shown.get(n))) expect([...told, 'told']).toContain(n)
      }
    }),
    { numRuns: 300 },
  )
})

test('[SRV-R3] after a restart who had a subnet has it, though another one joined first', () => {
  const world = new World()
  for (const n of [1, 2]) {
    world.online.add(n)
    world.change(n, { hostinfo: { RoutableIPs: ['10.0.0.0/8'] }, approvedRoutes: ['10.0.0.0/8'] })
  }
  world.online.delete(1)
  world.change(1, {})
  world.online.add(1)
  world.change(1, {})
  expect(world.routing.of(2).primary).toEqual(['10.0.0.0/8'])
  world.restart()
  expect(world.routing.of(2).primary).toEqual(['10.0.0.0/8'])
  world.online.delete(2)
  world.restart()
  expect(world.routing.of(1).primary).toEqual(['10.0.0.0/8'])
})

test('[SRV-R1] what is offered: masked, once, nothing that is not to be routed, and no end of it', () => {
  const offered = (...list: unknown[]) => offeredRoutes({ RoutableIPs: list as PrefixText[] })
  expect(offered('10.9.9.9/8', '10.0.0.0/8', '2001:db8::1/32')).toEqual(['10.0.0.0/8', '2001:db8::/32'])
  expect(offered('0.0.0.0/0', '::/0')).toEqual(['0.0.0.0/0', '::/0'])
  expect(offered('100.64.0.0/16', '100.100.0.0/32', '64.0.0.0/2', 'fd7a:115c:a1e0::/64', 'fd00::/8')).toEqual([])
  expect(offered('fd7a:115c:a1e0:b1a:0:7:a00:0/104')).toEqual(['fd7a:115c:a1e0:b1a:0:7:a00:0/104'])
  expect(offered('127.0.0.0/8', '127.1.0.0/16', '::1/128', '224.0.0.0/4', 'ff02::/16', 'fe80::/64')).toEqual([])
  expect(offered('169.254.169.254/32')).toEqual(['169.254.169.254/32'])
  expect(offered('10.0.0.0', '10.0.0.0/33', '/8', 'x', '', 7, null, {}, ['10.0.0.0/8'], '10.0.0.0/-1', '1/8')).toEqual(
    [],
  )
  const many = Array.from({ length: 10_000 }, (_, n) => `10.${n >> 8}.${n & 255}.0/24`)
  expect(offered(...many)).toHaveLength(512)
  for (const said of [null, 'x', 7, {}, true]) expect(offeredRoutes({ RoutableIPs: said as never })).toEqual([])
})

test('[SRV-R2] the configuration approves what lies inside, for tags, owners and named nodes, and never the internet by a network', () => {
  const offers = { RoutableIPs: ['10.1.0.0/16', '10.0.0.0/8', '192.168.0.0/16', 'fd00::/64', ...EXITS] }
  const approved = (fields: Partial<NodeRecord>, routes: { [network: PrefixText]: string[] }, exit: string[] = []) => {
    const routing = new Routing(approver(routes, exit))
    routing.follow({ ...nodeRecord(1), hostinfo: offers, ...fields }, true)
    return routing.of(1).approved
  }
  expect(approved({}, { '10.1.0.0/16': ['alice'] })).toEqual(['10.1.0.0/16'])
  expect(approved({}, { '0.0.0.0/0': ['alice'] })).toEqual(['10.0.0.0/8', '10.1.0.0/16', '192.168.0.0/16'])
  expect(approved({}, { '::/0': ['bob', 'alice'] })).toEqual(['fd00::/64'])
  expect(approved({ userId: null, tags: ['tag:router'] }, { '10.0.0.0/8': ['tag:router'] })).toHaveLength(2)
  expect(approved({ userId: null, tags: ['tag:router'] }, { '10.0.0.0/8': ['alice'] })).toEqual([])
  expect(approved({}, {}, ['alice'])).toEqual(['0.0.0.0/0', '::/0'])
  // a computer calls itself what it likes, also like a user, a tag or a node
  for (const givenName of ['bob', 'nas'])
    expect(approved({ givenName }, { '10.0.0.0/8': ['bob', 'node:nas', 'node:bob'] }, ['bob'])).toEqual([])
  expect(approved({ givenName: 'nas', isRenamed: true }, { '10.0.0.0/8': ['node:nas'] })).toHaveLength(2)
})
