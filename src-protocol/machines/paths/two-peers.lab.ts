/**
 * Two peers on a simulated network, for tests of the path machine: relay with a delay, UDP through NATs that filter like
 * real ones, and a clock that jumps from event to event.
 */
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import { nodeCrypto as crypto } from '../../crypto/node-crypto.ts'
import { looksLikeDisco } from '../../wire/disco.ts'
import type { Destination, PathEffect } from './effects.ts'
import { Paths } from './paths.ts'

export const REGION = 7
const PEER = 1

/** What a side's router does with UDP. */
export type Nat = 'open' | 'port-filtering' | 'address-dependent-mapping' | 'blocked'

export interface Side {
  readonly name: 'a' | 'b'
  readonly paths: Paths
  readonly nodePublic: Uint8Array
  nat: Nat
  /** What others see for the mapping every destination shares. */
  readonly address: IpPort
  destination: Destination
  /** Destinations its router has let something out to. */
  readonly opened: Set<string>
  sent: { datagrams: number; relayed: number }
  /** Of its datagrams, in bytes. */
  largest: number
  readonly results: (PathEffect & { kind: 'pingResult' })[]
  restuns: number
}

interface Delivery {
  readonly at: Ms
  readonly order: number
  readonly run: () => void
}

export class TwoPeers {
  now: Ms = 1_000
  readonly udpDelayMs: Ms
  readonly relayDelayMs: Ms
  /** Nothing gets through over UDP while set, as when a cable is pulled somewhere between. */
  cut = false
  /** Datagrams with more payload vanish without a word: all, those of one sender, or those to one address. */
  hole: { readonly maxBytes: number; readonly of?: Side; readonly to?: IpPort } | undefined
  /** An address that an open side has besides its first. */
  second: { readonly of: Side; readonly address: IpPort } | undefined
  /** The relay takes packets and delivers none. */
  isRelayDead = false
  /** Share of datagrams that is lost, by these dice. */
  loss: { readonly share: number; readonly random01: () => number } | undefined
  readonly a: Side
  readonly b: Side
  #order = 0
  readonly #queue: Delivery[] = []

  constructor(options: { a?: Nat; b?: Nat; udpDelayMs?: Ms; relayDelayMs?: Ms; known?: boolean } = {}) {
    this.udpDelayMs = options.udpDelayMs ?? 10
    this.relayDelayMs = options.relayDelayMs ?? 30
    this.a = side('a', '203.0.113.1:41641' as IpPort, options.a ?? 'open')
    this.b = side('b', '203.0.113.2:41641' as IpPort, options.b ?? 'open')
    this.introduce(options.known ?? true)
    for (const own of [this.a, this.b]) {
      own.paths.setHome(REGION)
      this.perform(own, own.paths.handleOwnEndpoints([own.address], this.now))
    }
  }

  other(own: Side): Side {
    return own === this.a ? this.b : this.a
  }

  /** Tells both of each other; `known`: with the addresses, as the netmap does. */
  introduce(known: boolean): void {
    for (const own of [this.a, this.b]) {
      const peer = this.other(own)
      const facts = {
        nodeKey: peer.nodePublic,
        discoKey: peer.paths.discoPublic,
        endpoints: known ? [peer.address] : [],
        derpRegion: REGION,
      }
      this.perform(own, own.paths.setPeer(PEER, facts, this.now))
    }
  }

  /** One encrypted packet from a side, over whatever its paths say; answers by which ways it left. */
  send(own: Side, bytes = 128): void {
    const peer = this.other(own)
    this.perform(own, own.paths.handleExternalSend(PEER, this.now))
    const { udp, relay } = own.destination
    if (udp !== undefined)
      this.#udp(own, udp, bytes, (from) =>
        this.perform(peer, peer.paths.handleReceived(PEER, from, undefined, this.now)),
      )
    if (relay && !this.isRelayDead)
      this.#at(this.relayDelayMs, () => this.perform(peer, peer.paths.handleReceived(PEER, 'relay', REGION, this.now)))
  }

  /** Runs until a moment; `each` sends a packet every so often, as an application does. */
  run(ms: Ms, traffic?: { readonly from: readonly Side[]; readonly everyMs: Ms }): void {
    const end = this.now + ms
    let nextSend = traffic === undefined ? Number.POSITIVE_INFINITY : this.now
    for (;;) {
      const wakes = [this.a, this.b].map(({ paths }) => paths.nextWake() ?? Number.POSITIVE_INFINITY)
      const next = Math.min(this.#queue[0]?.at ?? Number.POSITIVE_INFINITY, ...wakes, nextSend)
      if (next > end) break
      this.now = Math.max(this.now, next)
      if (traffic !== undefined && nextSend <= this.now) {
        for (const own of traffic.from) this.send(own)
        nextSend = this.now + traffic.everyMs
      }
      while (this.#queue[0] !== undefined && this.#queue[0].at <= this.now) this.#queue.shift()!.run()
      for (const own of [this.a, this.b]) this.perform(own, own.paths.wake(this.now))
    }
    this.now = end
  }

  kind(own: Side): string {
    return own.paths.report(PEER, this.now).kind
  }

  perform(own: Side, effects: readonly PathEffect[]): void {
    const peer = this.other(own)
    for (const effect of effects) {
      if (effect.kind === 'setDestination') own.destination = effect.destination
      else if (effect.kind === 'pingResult') own.results.push(effect)
      else if (effect.kind === 'restun') {
        own.restuns++
        this.#at(50, () => this.perform(own, own.paths.handleOwnEndpoints([own.address], this.now)))
      } else if (effect.kind === 'sendDatagram') {
        own.sent.datagrams++
        own.largest = Math.max(own.largest, effect.bytes.length)
        this.#udp(own, effect.to, effect.bytes.length, (from) => {
          if (looksLikeDisco(effect.bytes)) this.perform(peer, peer.paths.handleDatagram(effect.bytes, from, this.now))
        })
      } else if (effect.kind === 'sendRelay') {
        own.sent.relayed++
        if (this.isRelayDead) continue
        const source = { relayRegion: effect.region, nodeKey: own.nodePublic }
        this.#at(this.relayDelayMs, () => this.perform(peer, peer.paths.handleDatagram(effect.bytes, source, this.now)))
      }
    }
  }

  /** A datagram through both routers, or into nothing. */
  #udp(own: Side, to: IpPort, bytes: number, deliver: (from: IpPort) => void): void {
    const peer = this.other(own)
    if (own.nat === 'blocked' || this.cut) return
    own.opened.add(to)
    if (this.loss !== undefined && this.loss.random01() < this.loss.share) return
    const { hole } = this
    if (hole !== undefined && bytes > hole.maxBytes && (hole.of ?? own) === own && (hole.to ?? to) === to) return
    // A mapping that depends on the destination shows an address there that nobody else has heard of.
    const from =
      own.nat === 'address-dependent-mapping' ? (own.address.replace(':41641', ':50001') as IpPort) : own.address
    this.#at(this.udpDelayMs, () => {
      if (peer.nat === 'blocked' || this.cut) return
      const peerSeenAs =
        peer.nat === 'address-dependent-mapping' ? peer.address.replace(':41641', ':50001') : peer.address
      if (to !== peerSeenAs && (this.second?.of !== peer || to !== this.second.address)) return
      if (peer.nat !== 'open' && !peer.opened.has(from)) return
      deliver(from)
    })
  }

  #at(delayMs: Ms, run: () => void): void {
    this.#queue.push({ at: this.now + delayMs, order: this.#order++, run })
    this.#queue.sort((x, y) => x.at - y.at || x.order - y.order)
  }
}

let clock = 1_800_000_000_000
function side(name: 'a' | 'b', address: IpPort, nat: Nat): Side {
  const nodePublic = crypto.x25519PublicKey(crypto.newPrivateKey())
  const paths = new Paths({ crypto, discoPrivate: crypto.newPrivateKey(), nodePublic, wallClockMs: () => clock++ })
  return {
    name,
    paths,
    nodePublic,
    nat,
    address,
    destination: { relay: false },
    opened: new Set(),
    sent: { datagrams: 0, relayed: 0 },
    largest: 0,
    results: [],
    restuns: 0,
  }
}
