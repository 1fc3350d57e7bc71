/**
 * One data path by hand (`ends.contract-suite.ts`) with a session to each peer, whose far end is this file: packets of the
 * host and of peers go in, and each step tells what came out.
 */
import type { IpPort } from '../src-contract/ids.ts'
import { nodeAead } from './aead.ts'
import type { DataPath, DoorEvent, Keypair, PeerId, PeerTable } from './door.ts'
import { clock, type End, type EndKind } from './ends.contract-suite.ts'
import { TransportKeys } from './keypairs.ts'

const FAR = '192.0.2.2:41641' as IpPort
const FIRST_LOCAL = 100
const FIRST_REMOTE = 200

/** What one step led to. */
export interface Outcome {
  readonly toHost: Uint8Array[]
  /** Opened and with padding cut off. */
  readonly toPeer: { readonly peer: PeerId; readonly packet: Uint8Array }[]
  /** Without activity. */
  readonly events: DoorEvent[]
  /** Those of this step alone. */
  readonly drops: { readonly [reason: string]: number }
}

export async function pathByHand(kind: EndKind): Promise<PathByHand> {
  clock.nowMs = 0
  const events: DoorEvent[] = []
  return new PathByHand(await kind.open((batch) => events.push(...batch), { hasHost: true }), events)
}

export class PathByHand {
  readonly door: DataPath
  readonly #end: End
  readonly #events: DoorEvent[]
  readonly #far = new Map<PeerId, TransportKeys>()
  #drops: { readonly [reason: string]: number } = {}

  constructor(end: End, events: DoorEvent[]) {
    this.#end = end
    this.#events = events
    this.door = end.path
  }

  /** Gets a new session each time it is set. */
  setPeer(table: Omit<PeerTable, 'jailed'> & { readonly jailed?: boolean }): void {
    const { peer } = table
    const keys = keypairOf(peer)
    this.door.setPeer({ jailed: false, ...table })
    this.door.addKeypair(keys)
    this.door.setDestination(peer, { udp: FAR, relay: false })
    const mirrored: Keypair = {
      ...keys,
      localIndex: keys.remoteIndex,
      remoteIndex: keys.localIndex,
      sendKey: keys.receiveKey,
      receiveKey: keys.sendKey,
    }
    this.#far.set(peer, new TransportKeys(mirrored, 0, nodeAead.create))
  }

  get takesJoined(): boolean {
    return this.#end.fromHostJoined !== undefined
  }

  fromHost(packet: Uint8Array): Promise<Outcome> {
    this.#end.fromHost(packet)
    return this.#outcome()
  }

  fromHostJoined(packet: Uint8Array, segmentBytes: number): Promise<Outcome> {
    this.#end.fromHostJoined!(packet, segmentBytes)
    return this.#outcome()
  }

  fromPeer(peer: PeerId, packet: Uint8Array, { isPadded = true } = {}): Promise<Outcome> {
    const padded = new Uint8Array(isPadded ? Math.ceil(packet.length / 16) * 16 : packet.length)
    padded.set(packet)
    const datagram = new Uint8Array(padded.length + 32)
    this.#far.get(peer)!.seal(padded, datagram)
    this.#end.receive(FAR, datagram)
    return this.#outcome()
  }

  sendPacket(peer: PeerId, packet: Uint8Array): Promise<Outcome> {
    this.door.sendPacket(peer, packet)
    return this.#outcome()
  }

  async #outcome(): Promise<Outcome> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    const before = this.#drops
    this.#drops = this.door.stats().drops
    const drops = Object.entries(this.#drops).map(([reason, count]) => [reason, count - (before[reason] ?? 0)] as const)
    return {
      toHost: this.#end.written.splice(0).map((packet) => Uint8Array.from(packet)),
      toPeer: this.#end.sent.splice(0).map(({ bytes }) => this.#open(bytes)),
      events: this.#events
        .splice(0)
        .filter(({ kind }) => kind !== 'activity')
        .map(withPlainBytes),
      drops: Object.fromEntries(drops.filter(([, count]) => count > 0)),
    }
  }

  #open(datagram: Uint8Array): { readonly peer: PeerId; readonly packet: Uint8Array } {
    const peer = datagram[4]! - FIRST_REMOTE
    const opened = this.#far.get(peer)!.open(datagram)
    if (!opened.ok) throw new Error(opened.reason)
    const padded = opened.value
    const word = (at: number) => (padded[at]! << 8) | padded[at + 1]!
    return { peer, packet: Uint8Array.from(padded.subarray(0, padded[0]! >> 4 === 4 ? word(2) : 40 + word(4))) }
  }
}

/** What are Buffers on one path and not on the other, compares equal. */
function withPlainBytes(event: DoorEvent): DoorEvent {
  return 'packet' in event ? { ...event, packet: Uint8Array.from(event.packet) } : event
}

function keypairOf(peer: PeerId): Keypair {
  return {
    peer,
    localIndex: FIRST_LOCAL + peer,
    remoteIndex: FIRST_REMOTE + peer,
    sendKey: new Uint8Array(32).fill(peer * 2),
    receiveKey: new Uint8Array(32).fill(peer * 2 + 1),
    slot: 'current',
  }
}
