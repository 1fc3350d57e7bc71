import { afterEach, describe, expect, test, vi } from 'vitest'
import type { FilterRule, Node } from '../../../src-contract/control/map.ts'
import type { IpPort } from '../../../src-contract/ids.ts'
import type { NetcheckReport } from '../../../src-contract/localapi/netcheck.ts'
import type { PathReport } from '../../../src-contract/localapi/pintail.ts'
import { openDataPath } from '../../../src-native/open-data-path.ts'
import { nodeCrypto } from '../../../src-protocol/crypto/node-crypto.ts'
import { foldMapResponse, type Netmap } from '../../../src-protocol/machines/netmap.ts'
import { nodeKeyText, Secret } from '../../../src-protocol/wire/keys.ts'
import { silentLog } from '../../io/log/log.ts'
import { MemoryNetworkMonitor } from '../../io/netmon/memory.ts'
import { MemoryRouter } from '../../io/router/memory.ts'
import { plainWish } from '../routing/wish.ts'
import { type Mesh, openMesh } from './mesh.ts'
import type { PathEffect, PathMachine, PathPeer } from './needs.ts'

/** The simplest path machine: a peer is where the map says. */
class StaticPaths implements PathMachine {
  readonly calls: string[] = []
  setHome(): void {}
  setPeer(peer: number, facts: PathPeer): PathEffect[] {
    this.calls.push('setPeer')
    const udp = facts.endpoints[0]
    if (udp === undefined) return []
    return [{ kind: 'setDestination', peer, destination: { udp, relay: false }, relayRegion: facts.derpRegion }]
  }
  removePeer(): PathEffect[] {
    this.calls.push('removePeer')
    return []
  }
  handleDatagram = (): PathEffect[] => []
  handleExternalSend(): PathEffect[] {
    this.calls.push('externalSend')
    return []
  }
  handleReceived(_peer: number, from: IpPort | 'relay'): PathEffect[] {
    this.calls.push(`received ${from === 'relay' ? 'relay' : 'udp'}`)
    return []
  }
  handleRelayGone = (): PathEffect[] => []
  handleSendFailed = (): PathEffect[] => []
  handleOwnEndpoints(endpoints: readonly IpPort[]): PathEffect[] {
    this.calls.push(`own ${endpoints.length}`)
    return []
  }
  handleNetworkChange = (): PathEffect[] => []
  ping(): { id: number; effects: PathEffect[] } {
    return { id: 7, effects: [{ kind: 'pingResult', id: 7, latencyMs: 3, endpoint: '192.0.2.1:5' as IpPort }] }
  }
  wake = (): PathEffect[] => []
  nextWake = (): undefined => undefined
  report = (): PathReport => ({
    kind: 'direct',
    endpoint: '',
    derpRegion: 1,
    derpRegionCode: '',
    latencyMs: 0,
    candidates: [],
    history: [],
  })
}

const noNet: NetcheckReport = {
  Now: '',
  UDP: true,
  IPv6: false,
  IPv4: true,
  IPv6CanSend: false,
  IPv4CanSend: true,
  OSHasIPv6: false,
  ICMPv4: false,
  MappingVariesByDestIP: false,
  UPnP: null,
  PMP: null,
  PCP: null,
  PreferredDERP: 1,
  RegionLatency: {},
  RegionV4Latency: {},
  RegionV6Latency: {},
  GlobalV4Counters: null,
  GlobalV6Counters: null,
  GlobalV4: '203.0.113.9:4242' as IpPort,
  GlobalV6: '',
  CaptivePortal: null,
}

interface Side {
  readonly id: number
  readonly mesh: Mesh
  readonly nodeKey: Secret
  readonly paths: StaticPaths
  readonly router: MemoryRouter
  readonly port: number
  readonly relayed: number[]
}

const open: Side[] = []
afterEach(async () => {
  for (const side of open.splice(0)) await side.mesh.close()
})

async function openSide(id: number, nodeKey = new Secret(nodeCrypto.newPrivateKey())): Promise<Side> {
  const paths = new StaticPaths()
  const router = new MemoryRouter()
  const relayed: number[] = []
  let port = 0
  const mesh = await openMesh({
    tunName: undefined,
    udpPort: 0,
    fwmark: 0,
    openDataPath: async (options) => {
      const door = await openDataPath(options)
      port = door.udpPorts.v4
      return door
    },
    openRouter: async () => router,
    openPaths: () => paths,
    openRelays: () => ({
      setMap() {},
      setHome() {},
      send: (region) => relayed.push(region),
      networkChanged() {},
      liveCount: 1,
      close() {},
    }),
    openNetcheck: () => ({ run: async () => noNet, handleStun() {} }),
    monitor: new MemoryNetworkMonitor(),
    crypto: nodeCrypto,
    now: () => performance.now(),
    wallMs: () => Date.now(),
    random01: () => 0.5,
    log: silentLog,
  })
  const side = { id, mesh, nodeKey, paths, router, port, relayed }
  open.push(side)
  return side
}

const allowAll: FilterRule[] = [{ SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: { First: 0, Last: 65535 } }] }]

function nodeOf(side: Side, change: Partial<Node> = {}): Node {
  return {
    ID: side.id,
    StableID: `n${side.id}`,
    Name: `host${side.id}.`,
    User: 1,
    Key: nodeKeyText(nodeCrypto.x25519PublicKey(side.nodeKey.expose())),
    DiscoKey: side.mesh.discoKey,
    Addresses: [`100.64.0.${side.id}/32`],
    Endpoints: [`127.0.0.1:${side.port}` as IpPort],
    HomeDERP: 1,
    ...change,
  } as Node
}

function netmapOf(self: Side, peers: readonly Node[]): Netmap {
  const derpMap = { Regions: { 1: { RegionID: 1, RegionCode: 'home', RegionName: '', Nodes: [] } } }
  const message = { Node: nodeOf(self), Peers: [...peers], PacketFilter: allowAll, DERPMap: derpMap }
  const folded = foldMapResponse(undefined, message, { wallMs: Date.now(), isNewStream: true })
  if (!folded.ok) throw new Error(folded.reason)
  return folded.value.netmap
}

function configure(side: Side, peers: readonly Node[]): void {
  side.mesh.configure({ nodeKey: side.nodeKey, netmap: netmapOf(side, peers), shieldsUp: false, wish: plainWish })
}

const ping = (from: Side, to: Node, ms = 3_000) =>
  from.mesh.ping(to, {
    address: `100.64.0.${to.ID}`,
    type: 'TSMP',
    sizeBytes: 0,
    signal: AbortSignal.timeout(ms),
  })

describe('two meshes over loopback', () => {
  test('a TSMP ping through a real tunnel; status sees the session', async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    configure(a, [nodeOf(b)])
    configure(b, [nodeOf(a)])
    const pong = await ping(a, nodeOf(b))
    expect(pong).toMatchObject({ Err: '', NodeIP: '100.64.0.2', NodeName: 'host2' })
    expect(pong.LatencySeconds).toBeGreaterThan(0)
    expect(a.mesh.runtimeOf(nodeOf(b))).toMatchObject({
      session: 'established',
      directEndpoint: `127.0.0.1:${b.port}`,
    })
    expect(a.mesh.liveLinks).toBe(2)
    expect(a.router.applied).toMatchObject({ addresses: ['100.64.0.1'], routes: ['100.64.0.2/32'], mtuBytes: 1280 })
    expect(a.paths.calls).toContain('externalSend')
    expect(b.paths.calls).toContain('received udp')
    expect(a.relayed).toEqual([])
  })

  test('[PKT-1.1] [PKT-1.5] a peer that knows us by another address: pings of either side arrive', async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    const seen: Partial<Node> = { Addresses: ['100.99.0.1/32'] }
    configure(a, [nodeOf(b, { SelfNodeV4MasqAddrForThisPeer: '100.99.0.1' })])
    configure(b, [nodeOf(a, seen)])
    expect(await ping(a, nodeOf(b))).toMatchObject({ Err: '', NodeIP: '100.64.0.2' })
    const back = await b.mesh.ping(nodeOf(a, seen), {
      address: '100.99.0.1',
      type: 'TSMP',
      sizeBytes: 0,
      signal: AbortSignal.timeout(3_000),
    })
    expect(back).toMatchObject({ Err: '', NodeIP: '100.99.0.1' })
    // The map says that the masquerade is over: the other side does not take our own address.
    configure(a, [nodeOf(b)])
    expect((await ping(a, nodeOf(b), 300)).Err).toBe('ping was given up')
  })

  test('a peer that restarted is reached at once when the map tells its new disco key', async () => {
    const a = await openSide(1)
    const b = await openSide(2)
    configure(a, [nodeOf(b)])
    configure(b, [nodeOf(a)])
    await ping(a, nodeOf(b))
    const again = await openSide(2, b.nodeKey)
    configure(again, [nodeOf(a)])
    configure(a, [nodeOf(again)])
    expect((await ping(a, nodeOf(again))).Err).toBe('')
  })

  test('[PATH-16] a handshake that a dead relay swallowed goes again in the moment an address appears', async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    configure(a, [nodeOf(b, { Endpoints: [] })])
    configure(b, [nodeOf(a)])
    const pong = ping(a, nodeOf(b))
    await vi.waitFor(() => expect(a.relayed).toEqual([1]))
    configure(a, [nodeOf(b)])
    expect((await pong).Err).toBe('') // within three seconds; the retry comes after five
  })

  test('[PATH-12] a peer that only a narrow path reaches is named, until it leaves', async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    const endpoint = `127.0.0.1:${b.port}` as IpPort
    const candidates = [{ endpoint, source: 'netmap' as const, lastPongMs: 1, tooSmallForBytes: 1340 }]
    a.paths.report = () => ({ ...new StaticPaths().report(), kind: 'direct', endpoint, candidates })
    a.paths.handleOwnEndpoints = () => [{ kind: 'pathChanged', peer: 1 }]
    let told = 0
    a.mesh.events = { ...a.mesh.events, onLinks: () => told++ }
    configure(a, [nodeOf(b)])
    await vi.waitFor(() => expect(a.mesh.narrowPeers).toEqual(['host2, 1340 bytes']))
    expect(told).toBeGreaterThan(0)
    configure(a, [])
    expect(a.mesh.narrowPeers).toEqual([])
  })

  test('a peer that left, an expired one and an unknown one are not reached', async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    configure(a, [nodeOf(b)])
    configure(b, [nodeOf(a)])
    await ping(a, nodeOf(b))
    configure(b, [])
    expect((await ping(a, nodeOf(b), 300)).Err).toBe('ping was given up')
    configure(a, [nodeOf(b, { Expired: true })])
    expect((await ping(a, nodeOf(b))).Err).toBe('unknown peer')
    expect(a.router.applied?.routes).toEqual([])
  })

  test('down: nothing is left; up again: it works as before', async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    configure(a, [nodeOf(b)])
    configure(b, [nodeOf(a)])
    await ping(a, nodeOf(b))
    a.mesh.deconfigure()
    expect((await ping(a, nodeOf(b))).Err).toBe('local tailscaled stopped')
    expect([a.mesh.liveLinks, a.mesh.endpoints, a.router.applied]).toEqual([0, [], undefined])
    await new Promise((resolve) => setTimeout(resolve, 60)) // a responder takes no two handshakes within 20 ms
    configure(a, [nodeOf(b)])
    expect((await ping(a, nodeOf(b))).Err).toBe('')
  })

  test('down and up again: whoever talked to us before reaches us at once, not after fifteen seconds', async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    configure(a, [nodeOf(b)])
    configure(b, [nodeOf(a)])
    expect((await ping(b, nodeOf(a))).Err).toBe('')
    a.mesh.deconfigure()
    await new Promise((resolve) => setTimeout(resolve, 60)) // a responder takes no two handshakes within 20 ms
    configure(a, [nodeOf(b)])
    await expect.poll(async () => (await ping(b, nodeOf(a), 300)).Err, { timeout: 7_000 }).toBe('')
  })

  test('no direct address: handshakes go to the relay of the peer', async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    configure(a, [nodeOf(b, { Endpoints: [], HomeDERP: 9 })])
    void ping(a, nodeOf(b), 200)
    await expect.poll(() => a.relayed).toEqual([9])
  })

  test('a peer without any address yet: its first handshake leaves as soon as the map brings one', async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    configure(a, [nodeOf(b, { Endpoints: [], HomeDERP: 0 })])
    configure(b, [nodeOf(a)])
    const pong = ping(a, nodeOf(b), 2_000)
    await new Promise((resolve) => setTimeout(resolve, 30))
    configure(a, [nodeOf(b)])
    expect((await pong).Err).toBe('')
  })

  test("a disco ping is the path machine's; own endpoints reach it and are told", async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    let told = 0
    a.mesh.events = { onSelf: () => told++, onRouter() {}, onLinks() {}, onSockets() {}, onPeerSession() {} }
    configure(a, [nodeOf(b)])
    const pong = await a.mesh.ping(nodeOf(b), {
      address: '100.64.0.2',
      type: 'disco',
      sizeBytes: 0,
      signal: AbortSignal.timeout(1000),
    })
    expect(pong).toMatchObject({ Endpoint: '192.0.2.1:5', LatencySeconds: 0.003 })
    await expect.poll(() => a.mesh.endpoints).toEqual([{ address: '203.0.113.9:4242', type: 2 }])
    expect(a.paths.calls).toContain('own 1')
    expect(a.mesh.netInfo).toMatchObject({ PreferredDERP: 1, WorkingUDP: true })
    expect(told).toBeGreaterThan(0)
    expect(a.mesh.pathOfAll().n2).toMatchObject({ kind: 'direct', derpRegionCode: 'home' })
  })

  test('garbage on the socket changes nothing', async () => {
    const [a, b] = [await openSide(1), await openSide(2)]
    configure(a, [nodeOf(b)])
    configure(b, [nodeOf(a)])
    a.mesh.handleDoorEvents(
      Array.from({ length: 2_000 }, (_, i) => {
        const bytes = nodeCrypto.randomBytes(i % 200)
        if (bytes.length > 4) bytes.set([1 + (i % 4), 0, 0, 0])
        return { kind: 'datagram', from: '127.0.0.1:9' as IpPort, bytes } as const
      }),
    )
    expect((await ping(a, nodeOf(b))).Err).toBe('')
  })
})
