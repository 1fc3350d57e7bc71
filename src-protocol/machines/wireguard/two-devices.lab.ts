/**
 * For tests: WireGuard devices on a made-up network with a made-up clock, above the plain data path of `data-path.lab.ts`.
 */
import type { IpPort } from '../../../src-contract/ids.ts'
import { nodeCrypto } from '../../crypto/node-crypto.ts'
import { viewOf } from '../../wire/bytes.ts'
import type { Crypto } from '../../wire/crypto.ts'
import { messageType } from '../../wire/wireguard.ts'
import type { PeerId } from '../activity.ts'
import { LabKeys, LabSlots } from './data-path.lab.ts'
import { WireGuardDevice } from './device.ts'
import type { Source, WireGuardEffect } from './effects.ts'

export type MessageName = 'initiation' | 'response' | 'cookie' | 'keepalive' | 'data'

export interface Sent {
  readonly at: number
  readonly from: string
  readonly to: string
  readonly what: MessageName
  readonly bytes: Uint8Array
}

interface InFlight {
  readonly at: number
  readonly run: () => void
}

export class Network {
  now = 1_000
  /** Wall clock minus `now`. */
  wallOffsetMs = 1_700_000_000_000
  latencyMs = 10
  /** True: this datagram is lost. */
  loses: (sent: Sent) => boolean = () => false
  readonly sent: Sent[] = []
  readonly nodes = new Map<string, TestNode>()
  #inFlight: InFlight[] = []

  transmit(sent: Sent, run: () => void): void {
    this.sent.push(sent)
    if (!this.loses(sent)) this.#inFlight.push({ at: this.now + this.latencyMs, run })
  }

  /** Lets time pass, event by event. */
  run(ms: number): void {
    const end = this.now + ms
    for (let step = 0; ; step++) {
      if (step > 100_000) throw new Error(`no end at ${this.now}`)
      let next = Number.POSITIVE_INFINITY
      for (const node of this.nodes.values()) next = Math.min(next, node.device.nextWake() ?? next)
      for (const datagram of this.#inFlight) next = Math.min(next, datagram.at)
      if (next > end) break
      this.now = Math.max(this.now, next)
      const arrived = this.#inFlight.filter((datagram) => datagram.at <= this.now)
      this.#inFlight = this.#inFlight.filter((datagram) => datagram.at > this.now)
      for (const datagram of arrived) datagram.run()
      for (const node of this.nodes.values()) {
        if ((node.device.nextWake() ?? Number.POSITIVE_INFINITY) <= this.now) node.perform(node.device.wake(this.now))
      }
    }
    this.now = end
  }

  /** `initiation a→b at 5.2` and so on, since the given moment. */
  names(since = 0): string[] {
    return this.sent.filter((sent) => sent.at >= since).map((sent) => `${sent.what} ${sent.from}→${sent.to}`)
  }
}

export interface NodeOptions {
  readonly crypto?: Crypto
  readonly privateKey?: Uint8Array
  readonly random01?: () => number
  readonly handshakesPerSecond?: number
}

export class TestNode {
  readonly name: string
  readonly network: Network
  readonly device: WireGuardDevice
  readonly effects: { readonly at: number; readonly effect: WireGuardEffect }[] = []
  /** Plaintexts that came out, keepalives too. */
  readonly received: { readonly peer: PeerId; readonly packet: Uint8Array }[] = []
  readonly keys = new Map<number, LabKeys>()
  readonly slots = new Map<PeerId, LabSlots>()
  readonly #names = new Map<PeerId, string>()

  constructor(network: Network, name: string, options: NodeOptions = {}) {
    this.name = name
    this.network = network
    const crypto = options.crypto ?? nodeCrypto
    this.device = new WireGuardDevice({
      crypto,
      privateKey: options.privateKey ?? nodeCrypto.newPrivateKey(),
      wallClockMs: () => network.now + network.wallOffsetMs,
      random01: options.random01 ?? (() => 0.5),
      ...(options.handshakesPerSecond === undefined ? {} : { handshakesPerSecond: options.handshakesPerSecond }),
    })
    network.nodes.set(name, this)
  }

  /** What the door has for this peer: which indices stand where. */
  doorSlots(peer: PeerId): { previous?: number; current?: number; next?: number } {
    const { previous, current, next } = this.slots.get(peer) ?? new LabSlots()
    return {
      ...(previous ? { previous: previous.keypair.localIndex } : {}),
      ...(current ? { current: current.keypair.localIndex } : {}),
      ...(next ? { next: next.keypair.localIndex } : {}),
    }
  }

  know(peer: PeerId, other: TestNode, presharedKey?: Uint8Array): void {
    this.#names.set(peer, other.name)
    this.device.addPeer(peer, other.device.publicKey, presharedKey)
  }

  /** As the host would: an IP packet (or an empty one) for a peer. */
  send(peer: PeerId, packet: Uint8Array): void {
    const { now } = this.network
    const current = this.slots.get(peer)?.current
    if (current === undefined || current.isTooOld(now)) {
      this.perform(this.device.handleNoSession(peer, packet, now))
      return
    }
    this.#transmit(peer, current.seal(packet), packet.length === 0 ? 'keepalive' : 'data')
    this.#report(current, { sentData: packet.length > 0, sentAny: true })
  }

  receive(bytes: Uint8Array, source: Source): void {
    const { now } = this.network
    const keys = messageType(bytes) === 4 ? this.keys.get(viewOf(bytes).getUint32(4, true)) : undefined
    if (keys === undefined) {
      this.perform(this.device.handleDatagram(bytes, source, now))
      return
    }
    if (keys.isTooOld(now)) return
    const packet = keys.open(bytes)
    if (packet === undefined) return
    const slots = this.slots.get(keys.keypair.peer)!
    if (slots.next === keys) {
      slots.confirm()
      this.perform(this.device.handleConfirmed(keys.keypair.peer, keys.keypair.localIndex, now))
    }
    this.received.push({ peer: keys.keypair.peer, packet })
    this.#report(keys, { receivedData: packet.length > 0, receivedAny: true })
  }

  perform(effects: WireGuardEffect[]): void {
    for (const effect of effects) {
      this.effects.push({ at: this.network.now, effect })
      switch (effect.kind) {
        case 'send':
          this.#transmit(effect.peer, effect.bytes, messageType(effect.bytes) === 1 ? 'initiation' : 'response')
          break
        case 'reply': {
          const to = effect.to.kind === 'udp' ? nodeAt(effect.to.from) : (this.#names.get(effect.to.peer) ?? '?')
          this.#deliver(to, effect.bytes, 'cookie')
          break
        }
        case 'addKeypair': {
          const { keypair } = effect
          const keys = new LabKeys(keypair, this.network.now)
          const slots = this.slots.get(keypair.peer) ?? new LabSlots()
          this.slots.set(keypair.peer, slots)
          slots.add(keys)
          this.keys.set(keypair.localIndex, keys)
          break
        }
        case 'dropKeypair': {
          const keys = this.keys.get(effect.localIndex)
          if (keys !== undefined) this.slots.get(keys.keypair.peer)!.remove(keys)
          this.keys.delete(effect.localIndex)
          break
        }
        case 'sendPacket':
          this.send(effect.peer, effect.packet)
          break
      }
    }
  }

  #transmit(peer: PeerId, bytes: Uint8Array, what: MessageName): void {
    this.#deliver(this.#names.get(peer)!, bytes, what)
  }

  #deliver(to: string, bytes: Uint8Array, what: MessageName): void {
    const sent: Sent = { at: this.network.now, from: this.name, to, what, bytes }
    this.network.transmit(sent, () =>
      this.network.nodes.get(to)?.receive(bytes, { kind: 'udp', from: addressOf(this.name) }),
    )
  }

  #report(
    keys: LabKeys,
    what: { sentData?: boolean; sentAny?: boolean; receivedData?: boolean; receivedAny?: boolean },
  ): void {
    const activity = {
      kind: 'activity',
      peer: keys.keypair.peer,
      localIndex: keys.keypair.localIndex,
      sentData: false,
      sentAny: false,
      receivedData: false,
      receivedAny: false,
      sendCounter: keys.sendCounter,
      from: undefined,
      ...what,
    } as const
    this.perform(this.device.handleActivity(activity, this.network.now))
  }
}

/** One-letter names have the address 192.0.2.<letter>. */
export function addressOf(name: string): IpPort {
  return `192.0.2.${name.charCodeAt(0)}:41641` as IpPort
}

function nodeAt(address: IpPort): string {
  return String.fromCharCode(Number(/\.(\d+):/.exec(address)?.[1]))
}

/** Two that know each other as peer 1. */
export function createPair(options: { a?: NodeOptions; b?: NodeOptions } = {}): {
  network: Network
  a: TestNode
  b: TestNode
} {
  const network = new Network()
  const a = new TestNode(network, 'a', options.a)
  const b = new TestNode(network, 'b', options.b)
  a.know(1, b)
  b.know(1, a)
  return { network, a, b }
}

export const packet = (mark: number): Uint8Array => Uint8Array.of(0x45, mark, 1, 2, 3)
