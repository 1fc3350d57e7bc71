/**
 * The twin and a native path side by side, for differential tests: the same calls, datagrams and packets go into both, and
 * everything that can be seen from outside must be the same, byte for byte.
 */
import { expect } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { nodeAead } from './aead.ts'
import type { DataPath, DoorEvent, Keypair, PeerId } from './door.ts'
import { type End, type EndKind, type EndOptions, endKinds } from './ends.contract-suite.ts'
import { paddedLength, TransportKeys } from './keypairs.ts'

const MTU_BYTES = 1280

/** Native paths to compare with; none where the addon is not built. */
export const nativeKinds: readonly EndKind[] = endKinds().filter(({ name }) => name !== 'twin')

/** Repeats a run that failed. */
export const seed = Number(process.env.PINTAIL_SEED ?? Math.floor(Math.random() * 2 ** 31))

interface Side extends End {
  readonly events: DoorEvent[]
}

/** What came out of the twin, and therefore of both. */
export interface Seen {
  readonly sent: End['sent']
  readonly written: readonly Uint8Array[]
  readonly events: readonly DoorEvent[]
  /** Since the beginning. */
  readonly drops: { readonly [reason: string]: number }
}

export class BothSides {
  readonly #twin: Side
  readonly #native: Side

  constructor(twin: Side, native: Side) {
    this.#twin = twin
    this.#native = native
  }

  static async open(native: EndKind, options: EndOptions = { hasHost: true }): Promise<BothSides> {
    const side = async (kind: EndKind): Promise<Side> => {
      const events: DoorEvent[] = []
      return Object.assign(await kind.open((batch) => events.push(...batch), options), { events })
    }
    return new BothSides(await side(endKinds()[0]!), await side(native))
  }

  doors(call: (door: DataPath) => void): void {
    call(this.#twin.path)
    call(this.#native.path)
  }

  /** Each gets bytes of its own: packets are changed in place. */
  receive(from: IpPort, datagram: Uint8Array): void {
    for (const side of [this.#twin, this.#native]) side.receive(from, datagram.slice())
  }

  fromHost(packet: Uint8Array): void {
    for (const side of [this.#twin, this.#native]) side.fromHost(packet.slice())
  }

  /** A super-packet for the native path; the twin gets what it should be cut into. */
  fromHostJoined(packet: Uint8Array, segmentBytes: number, pieces: readonly Uint8Array[]): void {
    this.#twin.fromHost(...pieces.map((piece) => piece.slice()))
    this.#native.fromHostJoined!(packet.slice(), segmentBytes)
  }

  /** After this turn: nothing differs. `where` is for whoever has to find out why it does. */
  async compare(where: string): Promise<Seen> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    const [twin, native] = [look(this.#twin), look(this.#native)]
    if (twin.text !== native.text) expect(native.text, `${where}, seed ${seed}`).toBe(twin.text)
    return twin
  }

  async close(): Promise<void> {
    for (const side of [this.#twin, this.#native]) await side.path.close()
  }
}

function look(side: Side): Seen & { readonly text: string } {
  const sent = byDestination(side.sent.splice(0))
  const written = side.written.splice(0)
  const events = side.events.splice(0)
  const { drops, peers } = side.path.stats()
  const text = [
    ...sent.map(({ to, bytes }) => `sent ${to} ${hex(bytes)}`),
    ...written.map((bytes) => `written ${hex(bytes)}`),
    ...events.map((event) => Object.entries(event).map(memberText).join(' ')),
    `drops ${JSON.stringify(Object.entries(drops).sort())}`,
    `peers ${JSON.stringify([...peers].sort(([a], [b]) => a - b))}`,
  ].join('\n')
  return { sent, written, events, drops, text }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

function memberText([name, value]: [string, unknown]): string {
  return `${name}=${value instanceof Uint8Array ? hex(value) : value}`
}

/** What leaves in one turn may leave in any order, except to one address. */
function byDestination(sent: End['sent']): End['sent'] {
  return sent.sort((a, b) => (a.to < b.to ? -1 : a.to > b.to ? 1 : 0))
}

/** The far ends of all peers: they seal under any keypair there has ever been. */
export class FarEnds {
  readonly #keys = new Map<PeerId, TransportKeys[]>()
  #nextIndex = 100

  /** A keypair for our side; its far end is kept here. */
  create(peer: PeerId, slot: Keypair['slot']): Keypair {
    const localIndex = this.#nextIndex++
    const key = (salt: number) =>
      Uint8Array.from({ length: 32 }, (_, i) => (Math.imul(localIndex, 0x9e3779b1) >>> (i % 4)) + salt)
    const keypair: Keypair = {
      peer,
      localIndex,
      remoteIndex: localIndex + 0x10000,
      sendKey: key(1),
      receiveKey: key(2),
      slot,
    }
    const mirrored: Keypair = {
      ...keypair,
      localIndex: keypair.remoteIndex,
      remoteIndex: localIndex,
      sendKey: keypair.receiveKey,
      receiveKey: keypair.sendKey,
    }
    const known = this.#keys.get(peer) ?? []
    known.push(new TransportKeys(mirrored, 0, nodeAead.create))
    this.#keys.set(peer, known)
    return keypair
  }

  /** Newest last. */
  of(peer: PeerId): readonly TransportKeys[] {
    return this.#keys.get(peer) ?? []
  }

  newest(peer: PeerId): TransportKeys {
    return this.of(peer).at(-1)!
  }
}

/** A whole datagram, padded as peers do. */
export function sealPacket(keys: TransportKeys, packet: Uint8Array): Uint8Array {
  const padded = new Uint8Array(paddedLength(packet.length, MTU_BYTES))
  padded.set(packet)
  const datagram = new Uint8Array(padded.length + 32)
  keys.seal(padded, datagram)
  return datagram
}
