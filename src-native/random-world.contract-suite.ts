/**
 * Tables, keypairs and packets from one seed, for both data paths: whatever JavaScript, the host and peers may do to them.
 */
import type { IpPort } from '../src-contract/ids.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeIpPacket, encodeUdpPacket } from '../src-protocol/wire/packet.ts'
import { type BothSides, FarEnds, type Seen, sealPacket, seed } from './both-sides.contract-suite.ts'
import type { Destination, PeerTable } from './door.ts'
import { clock } from './ends.contract-suite.ts'
import type { TransportKeys } from './keypairs.ts'
import {
  Dice,
  OWN_DISCO,
  OWN_V4,
  OWN_V6,
  PEERS_V4,
  PEERS_V6,
  randomPacket,
  randomPrefixes,
  randomTable,
  randomViaPacket,
  SEEN_V4,
  SEEN_V6,
} from './random-packets.contract-suite.ts'

const PEERS = PEERS_V4.length
const addressOf = (peer: number) => `192.0.2.${peer + 1}:41641` as IpPort

export class RandomWorld {
  readonly dice = new Dice(seed)
  readonly far = new FarEnds()
  readonly both: BothSides
  packets = 0
  readonly #removed = new Set<number>()

  constructor(both: BothSides) {
    this.both = both
    both.doors((door) => {
      door.setOwnAddresses({ v4: OWN_V4, v6: OWN_V6 })
      door.setOwnDisco(OWN_DISCO)
    })
    this.#eachPeer((peer) => this.#setPeer(peer))
    this.#eachPeer((peer) => this.#setDestination(peer))
    this.renewSessions()
  }

  /** Also of those that were removed. */
  renewSessions(): void {
    this.#eachPeer((peer) => {
      if (this.#removed.delete(peer)) {
        this.#setPeer(peer)
        this.#setDestination(peer)
      }
      this.#addKeypair(peer, 'current')
    })
  }

  change(): void {
    this.dice.pick(this.#changes)()
  }

  packet(): void {
    this.packets++
    const { dice, both } = this
    const peer = dice.below(PEERS)
    const way = dice.below(40)
    if (way < 20) {
      this.#fromPeer(peer)
    } else if (way < 36) {
      both.fromHost(dice.chance(15) ? randomViaPacket(dice, peer, 'out') : randomPacket(dice, undefined, peer))
    } else if (way < 38) {
      const own = dice.chance(10) ? new Uint8Array(0) : randomPacket(dice, undefined, peer)
      both.doors((door) => door.sendPacket(peer, own))
    } else if (way < 39) {
      const packet = randomPacket(dice, peer, undefined)
      both.doors((door) => door.writeToHost(packet.slice()))
    } else {
      this.#receive(
        peer,
        Uint8Array.from({ length: dice.below(64) }, () => (dice.chance(40) ? 4 : dice.below(256))),
      )
    }
  }

  #fromPeer(peer: number): void {
    const { dice } = this
    const keys = this.#someKeys(peer)
    const inner = dice.chance(2)
      ? new Uint8Array(0)
      : dice.chance(15)
        ? randomViaPacket(dice, peer, 'in')
        : randomPacket(dice, peer, undefined)
    if (dice.chance(1)) keys.sendCounter += dice.below(20_000)
    const counter = keys.sendCounter
    const isLate = dice.chance(3)
    if (isLate) keys.sendCounter = Math.max(0, counter - dice.below(20_000))
    const datagram = sealPacket(keys, inner)
    if (isLate) keys.sendCounter = counter
    if (dice.chance(2)) datagram[dice.below(datagram.length)]! ^= 1 << dice.below(8)
    this.#receive(peer, datagram)
    if (dice.chance(2)) this.#receive(peer, datagram)
  }

  #someKeys(peer: number): TransportKeys {
    const known = this.far.of(peer)
    return this.dice.chance(85) ? known.at(-1)! : known[Math.max(0, known.length - 1 - this.dice.below(5))]!
  }

  #receive(peer: number, datagram: Uint8Array): void {
    const { dice, both } = this
    if (dice.chance(10)) {
      both.doors((door) => door.receiveFromRelay(peer, datagram.slice()))
      return
    }
    const from = dice.chance(95) ? addressOf(peer) : ('198.51.100.7:999' as IpPort)
    const isWrapped = dice.chance(5)
    both.receive(from, isWrapped ? Uint8Array.of(0, 0, 0x7a, 0x12, 0, 0, 9, 0, ...datagram) : datagram)
  }

  readonly #changes: readonly (() => void)[] = [
    ...many(3, () => {
      const table = randomTable(this.dice)
      this.both.doors((door) => door.setFilter(table))
    }),
    ...many(3, () => this.#setPeer(this.#anyPeer())),
    () => this.#setDestination(this.#anyPeer()),
    () => this.#addKeypair(this.#anyPeer(), 'current'),
    () => this.#addKeypair(this.#anyPeer(), 'next'),
    () => {
      const known = this.far.of(this.#anyPeer())
      const { remoteIndex } = known[Math.max(0, known.length - 1 - this.dice.below(4))]!
      this.both.doors((door) => door.dropKeypair(remoteIndex))
    },
    () => this.#removePeer(this.#anyPeer()),
    () => {
      const services = this.dice.some([OWN_V4, OWN_V6, PEERS_V4[0]!, '100.100.100.100'], 2)
      this.both.doors((door) => door.setLocalService(services))
    },
    () => {
      const identifier = this.dice.chance(70) ? 77 : 78
      this.both.doors((door) => door.expectEcho(identifier))
    },
    () => {
      const addresses = this.dice.pick([{ v4: OWN_V4, v6: OWN_V6 }, { v4: OWN_V4, v6: OWN_V6 }, { v4: OWN_V4 }, {}])
      const key = this.dice.chance(80) ? OWN_DISCO : undefined
      this.both.doors((door) => {
        door.setOwnAddresses(addresses)
        door.setOwnDisco(key)
      })
    },
    // A session ends at 180 s, a flow of 4via6 after minutes.
    ...many(2, () => {
      clock.nowMs += this.dice.below(this.dice.chance(5) ? 600_000 : 3_000)
    }),
  ]

  #removePeer(peer: number): void {
    this.both.doors((door) => door.removePeer(peer))
    this.#removed.add(peer)
  }

  #anyPeer(): number {
    return this.dice.below(PEERS)
  }

  /** Flows of UDP and SCTP beyond what is remembered, and answers to some of them. */
  async flows(): Promise<{ readonly answered: number; readonly forgotten: number }> {
    const { dice, both } = this
    const shieldsUp = dice.chance(30)
    both.doors((door) => {
      door.setFilter({ rules: [], localNets: [`${OWN_V4}/32`, `${OWN_V6}/128`], shieldsUp, peerApi: [] })
      door.setLocalService([])
      door.setOwnDisco(undefined)
    })
    const started = Array.from({ length: 400 + dice.below(400) }, (_, i) => ({
      peer: dice.below(PEERS),
      isV6: dice.chance(40),
      isSctp: dice.chance(20),
      port: 1_000 + i,
    }))
    const send = (flow: (typeof started)[number], isAnswer: boolean, far: number) => {
      const { peer, isV6, isSctp, port } = flow
      const own = ipBytes(isV6 ? OWN_V6 : OWN_V4)
      const other = ipBytes((isV6 ? PEERS_V6 : PEERS_V4)[peer]!)
      const [src, dst, srcPort, dstPort] = isAnswer ? [other, own, far, port] : [own, other, port, far]
      const sctp = () =>
        encodeIpPacket(
          src,
          dst,
          132,
          Uint8Array.of(srcPort >> 8, srcPort, dstPort >> 8, dstPort, 0, 0, 0, 0, 0, 0, 0, 0),
        )
      const packet = isSctp ? sctp() : encodeUdpPacket({ src, dst, srcPort, dstPort }, new Uint8Array(4))
      this.packets++
      if (isAnswer) both.receive(addressOf(peer), sealPacket(this.far.newest(peer), packet))
      else if (dice.chance(90)) both.fromHost(packet)
      else both.doors((door) => door.sendPacket(peer, packet))
    }
    const before = (await this.compare()).drops['in-acl'] ?? 0
    let written = 0
    for (const [i, flow] of started.entries()) {
      send(flow, false, 53)
      if (dice.chance(20)) send(started[dice.below(i + 1)]!, dice.chance(50), 53)
    }
    for (let n = 250; n > 0; n--) send(dice.pick(started), true, dice.chance(97) ? 53 : 54)
    const seen = await this.compare()
    written += seen.written.length
    return { answered: written, forgotten: (seen.drops['in-acl'] ?? 0) - before }
  }

  compare(): Promise<Seen> {
    return this.both.compare(`up to packet ${this.packets}`)
  }

  #setPeer(peer: number): void {
    const { dice } = this
    const table: PeerTable = {
      peer,
      allowedIps: [`${PEERS_V4[peer]}/32`, `${PEERS_V6[peer]}/128`, ...(dice.chance(40) ? randomPrefixes(dice) : [])],
      jailed: dice.chance(15),
      masquerade: dice.chance(30) ? { v4: SEEN_V4, v6: SEEN_V6 } : undefined,
    }
    this.both.doors((door) => door.setPeer(table))
  }

  #setDestination(peer: number): void {
    const { dice } = this
    const kinds: readonly Destination[] = [
      { udp: addressOf(peer), relay: false },
      { udp: addressOf(peer), relay: false },
      { udp: addressOf(peer), relay: true },
      { relay: true },
      { relay: false },
      { udp: addressOf(peer), vni: dice.below(2 ** 24), relay: false },
    ]
    const destination = dice.pick(kinds)
    this.both.doors((door) => door.setDestination(peer, destination))
  }

  #addKeypair(peer: number, slot: 'current' | 'next'): void {
    const keypair = this.far.create(peer, slot)
    this.both.doors((door) => door.addKeypair(keypair))
  }

  #eachPeer(act: (peer: number) => void): void {
    for (let peer = 0; peer < PEERS; peer++) act(peer)
  }
}

function many<T>(times: number, item: T): T[] {
  return new Array<T>(times).fill(item)
}
