/**
 * Everything at once on a native path with its threads: packets of two hosts, peers and keys that come, rotate and go,
 * filters, ways, sockets, and an end in the middle. What may not be seen: a counter used twice, a packet that does not open.
 * The sanitizers run this, too. `PINTAIL_SEED=N` repeats the changes.
 */
import { createSocket, type Socket } from 'node:dgram'
import { describe, expect, test } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { concat } from '../src-protocol/wire/bytes.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeTcpPacket, encodeUdpPacket, tcpFlag } from '../src-protocol/wire/packet.ts'
import { loadAddon } from './addon.ts'
import { seed } from './both-sides.contract-suite.ts'
import type { DoorEvent, FilterTable } from './door.ts'
import { NativePath } from './native.ts'
import { Dice } from './random-packets.contract-suite.ts'

const found = loadAddon()
const TURNS = 400
const PEERS = [1, 2, 3, 4] as const
const NO_SOCKET = -1
/** What an interface with offloads puts before a packet: nothing special, or TCP to be cut every 1200 bytes. */
const PLAIN = new Uint8Array(10)
const JOINED = Uint8Array.of(1, 1, 0, 0, 0xb0, 0x04, 20, 0, 16, 0)

class Machine {
  readonly path: NativePath
  readonly #interfacePort: number
  readonly #network: number
  readonly heard = { reports: 0, noSession: 0, relayed: 0 }
  udpPort = 0
  isClosed = false
  other: Machine | undefined
  /** Called in the middle of the next delivery. */
  inside: (() => void) | undefined

  /** Its host is a socket: what it sends to itself comes out of the "interface", writing fails and is counted. */
  constructor(network: number, isPlain: boolean) {
    if (!found.ok) throw new Error(found.reason)
    const onEvents = (events: DoorEvent[]) => this.#hear(events)
    const options = { tunName: undefined, mtuBytes: 1280, udpPort: 0, fwmark: 0, aead: '', isPlain, onEvents } as const
    this.#network = network
    this.path = new NativePath(found.addon.dataPath, options, 0)
    this.newSockets()
    const host = found.addon.openUdp(4, 0, 0)
    this.#interfacePort = host.port
    found.addon.dataPath.start(this.path.handle, host.fd, 1, () => this.path.deliver())
  }

  newSockets(): void {
    if (!found.ok) return
    const { fd, port } = found.addon.openUdp(4, 0, 0)
    found.addon.dataPath.setSockets(this.path.handle, fd, NO_SOCKET)
    this.udpPort = port
  }

  address(peer: number): string {
    return `100.64.${this.#network}.${peer}`
  }

  hostSends(feeder: Socket, peer: number, isJoined: boolean): void {
    const flow = { src: ipBytes(this.address(peer)), dst: ipBytes(this.other!.address(peer)), srcPort: 7, dstPort: 9 }
    const packet = isJoined
      ? encodeTcpPacket(flow, { flags: tcpFlag.ack, seq: 1, ack: 1, payload: new Uint8Array(8_000) })
      : encodeUdpPacket(flow, new Uint8Array(200))
    feeder.send(concat(isJoined ? JOINED : PLAIN, packet), this.#interfacePort, '127.0.0.1')
  }

  #hear(events: readonly DoorEvent[]): void {
    for (const event of events) {
      if (event.kind === 'activity') this.heard.reports++
      if (event.kind === 'noSession') this.heard.noSession++
      if (event.kind !== 'toRelay' || this.other!.isClosed) continue
      this.heard.relayed++
      this.other!.path.receiveFromRelay(event.peer, event.bytes)
    }
    this.inside?.()
    this.inside = undefined
  }

  async close(): Promise<void> {
    this.isClosed = true
    await this.path.close()
  }
}

function openFilter(shieldsUp: boolean): FilterTable {
  const rule = { sources: ['0.0.0.0/0'], protocols: [6, 17] }
  return {
    rules: [{ ...rule, destinations: [{ prefix: '0.0.0.0/0', firstPort: 0, lastPort: 65535 }] }],
    localNets: ['100.64.0.0/16', 'fd7a:115c:a1e0:b1a:0:7::/96'],
    shieldsUp,
    peerApi: [{ address: '100.64.0.1', port: 80 }],
  }
}

class World {
  readonly dice = new Dice(seed)
  readonly ends: readonly [Machine, Machine]
  readonly #isPlain: boolean
  #nextIndex = 1

  constructor(isPlain: boolean) {
    this.#isPlain = isPlain
    this.ends = [new Machine(0, isPlain), new Machine(1, isPlain)]
    this.ends[0].other = this.ends[1]
    this.ends[1].other = this.ends[0]
    for (const peer of PEERS) this.join(peer)
    for (const { path } of this.ends) path.setFilter(openFilter(false))
  }

  join(peer: number): void {
    for (const { path, other } of this.ends) {
      const jailed = this.dice.chance(10)
      path.setPeer({ peer, allowedIps: [`${other!.address(peer)}/32`, `10.${peer}.0.0/16`], jailed })
    }
    this.renew(peer)
    this.route(peer)
  }

  /** A session: either may have started it. */
  renew(peer: number): void {
    const index = this.#nextIndex++
    const key = (from: number) => new Uint8Array(32).map((_, i) => (index >> ((i % 3) * 8)) + from)
    const first = this.dice.below(2)
    for (const [own, { path }] of this.ends.entries()) {
      const slot = own === first ? 'current' : 'next'
      const keys = { sendKey: key(own), receiveKey: key(1 - own) }
      path.addKeypair({ peer, localIndex: index, remoteIndex: index, ...keys, slot })
    }
  }

  route(peer: number): void {
    for (const { path, other } of this.ends) {
      const udp = `127.0.0.1:${other!.udpPort}` as IpPort
      // A plain device has no relays: it would follow its peer, and then send both ways.
      const byRelay = this.#isPlain ? { udp, relay: false } : { relay: true }
      const ways = [{ udp, relay: false }, { udp, relay: false }, { udp, vni: 5, relay: false }, byRelay]
      path.setDestination(peer, this.dice.pick(ways))
    }
  }

  change(): void {
    const { dice, ends } = this
    const peer = dice.pick(PEERS)
    const machine = dice.pick(ends)
    const { path } = machine
    const changes = [
      () => this.renew(peer),
      () => this.renew(peer),
      () => this.route(peer),
      () => path.dropKeypair(this.#nextIndex - 1 - dice.below(6)),
      () => path.removePeer(peer),
      () => this.join(peer),
      () => path.setFilter(openFilter(dice.chance(20))),
      () => path.setLocalService(dice.chance(20) ? [machine.address(peer)] : []),
      () => path.setOwnDisco(dice.chance(50) ? new Uint8Array(32) : undefined),
      () => path.setOwnAddresses({ v4: machine.address(1) }),
      () => path.expectEcho(dice.below(9)),
      () => path.setMtu(1280 + dice.below(200)),
      () => path.sendPacket(peer, new Uint8Array(0)),
      () => path.sendDatagram(`127.0.0.1:${machine.other!.udpPort}` as IpPort, new Uint8Array(148).fill(1, 0, 1)),
      () => path.stats(),
      () => {
        if (!dice.chance(20)) return
        machine.newSockets()
        for (const each of PEERS) this.route(each)
      },
    ]
    dice.pick(changes)()
  }
}

describe.skipIf(!found.ok).each([
  ['a node', false],
  ['a plain device', true],
] as const)('%s', (_name, isPlain) => {
  test(`changes of everything while packets move, and an end in the middle (seed ${seed})`, async () => {
    const world = new World(isPlain)
    const { dice, ends } = world
    const feeder = createSocket('udp4')
    try {
      for (let turn = 0; turn < TURNS; turn++) {
        for (let i = 0; i < 12; i++) dice.pick(ends).hostSends(feeder, dice.pick(PEERS), dice.chance(20))
        for (let i = dice.below(4); i > 0; i--) world.change()
        if (turn % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 1)) // else only between threads
        await new Promise((resolve) => setImmediate(resolve))
      }
      for (const { path, heard } of ends) {
        const { drops, faults } = path.stats()
        for (const never of ['in-decrypt', 'in-replay-seen', 'in-counter-range', 'in-ip-header']) {
          expect(drops[never], never).toBeUndefined()
        }
        expect(Object.keys(faults).filter((name) => name !== 'host-write')).toEqual([])
        expect(faults['host-write']).toBeGreaterThan(0) // so far it came: opened, allowed, for the host
        expect(heard.reports).toBeGreaterThan(0)
        expect(heard.noSession).toBeGreaterThan(0)
        if (!isPlain) expect(heard.relayed).toBeGreaterThan(0)
      }
      // The end comes from inside a delivery, with packets under way, and the other goes on.
      const [first, second] = ends
      let closing: Promise<void> | undefined
      first.inside = () => {
        closing = first.close()
      }
      for (let i = 0; closing === undefined && i < 10_000; i++) {
        world.join(1)
        for (const machine of ends) machine.hostSends(feeder, 1, true)
        first.path.sendPacket(1, new Uint8Array(0))
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      await closing
      expect(first.isClosed).toBe(true)
      const before = second.path.stats().peers.get(1)!.txPackets
      for (let i = 0; second.path.stats().peers.get(1)!.txPackets === before && i < 5_000; i++) {
        second.hostSends(feeder, 1, true)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      expect(second.path.stats().peers.get(1)!.txPackets).toBeGreaterThan(before)
    } finally {
      await Promise.all(ends.map((machine) => machine.close()))
      feeder.close()
    }
  })
})
