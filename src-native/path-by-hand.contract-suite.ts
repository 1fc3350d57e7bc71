/**
 * A data path of either kind without sockets, interface and threads: packets of the host and of peers go in, what comes out
 * is told. One session a peer, with fixed keys; the far ends are this file.
 */
import type { IpPort } from '../src-contract/ids.ts'
import { concat } from '../src-protocol/wire/bytes.ts'
import { loadAddon } from './addon.ts'
import { type AeadKind, nodeAead } from './aead.ts'
import type { AddressPair, DoorEvent, FilterTable, Keypair, PeerId, PeerTable } from './door.ts'
import { TransportKeys } from './keypairs.ts'
import { readEvents } from './native-events.ts'
import { hostPrefix, packFilter, packPrefixes, pairPrefixes } from './pack-tables.ts'
import { DatagramSource, SlotBatch, slotBytesFor, socketAddress } from './slots.ts'
import type { TunHandlers } from './tun.ts'
import { openTwin } from './twin.ts'
import type { UdpHandlers } from './udp.ts'

export const MTU_BYTES = 1280
const FAR = socketAddress('192.0.2.2:41641' as IpPort)!
const ADDRESS_BYTES = 28
const OFFLOAD_BYTES = 10

/** What one step led to. */
export interface Outcome {
  readonly toHost: Uint8Array[]
  /** Opened and with padding cut off. */
  readonly toPeer: { readonly peer: PeerId; readonly packet: Uint8Array }[]
  readonly events: DoorEvent[]
  /** Those of this step alone. */
  readonly drops: { readonly [reason: string]: number }
}

export interface PathByHand {
  /** With a new session, also when it is set again. */
  setPeer(table: Omit<PeerTable, 'jailed'>): void
  setFilter(table: FilterTable): void
  setOwnAddresses(addresses: AddressPair): void
  setOwnDisco(key: Uint8Array | undefined): void
  setLocalService(addresses: readonly string[]): void
  setClock(nowMs: number): void
  fromHost(packet: Uint8Array): Promise<Outcome>
  /** A TCP or UDP super-packet, checksum left to the device; `undefined`: this path never sees one. */
  readonly fromHostJoined: ((packet: Uint8Array, segmentBytes: number) => Promise<Outcome>) | undefined
  fromPeer(peer: PeerId, packet: Uint8Array): Promise<Outcome>
  sendPacket(peer: PeerId, packet: Uint8Array): Promise<Outcome>
}

const keyOf = (peer: PeerId, direction: number) => new Uint8Array(32).fill(peer * 2 + direction)

function keypairOf(peer: PeerId): Keypair {
  return {
    peer,
    localIndex: 100 + peer,
    remoteIndex: 200 + peer,
    sendKey: keyOf(peer, 0),
    receiveKey: keyOf(peer, 1),
    slot: 'current',
  }
}

/** The other ends of all sessions. */
class FarEnds {
  readonly #keys = new Map<PeerId, TransportKeys>()
  readonly #aead: AeadKind = nodeAead

  forget(peer: PeerId): void {
    this.#keys.delete(peer)
  }

  seal(peer: PeerId, packet: Uint8Array): Uint8Array {
    const padded = new Uint8Array(Math.ceil(packet.length / 16) * 16)
    padded.set(packet)
    const datagram = new Uint8Array(padded.length + 32)
    this.#of(peer).seal(padded, datagram)
    return datagram
  }

  open(datagram: Uint8Array): { readonly peer: PeerId; readonly packet: Uint8Array } {
    const peer = datagram[4]! - 200
    const opened = this.#of(peer).open(datagram)
    if (!opened.ok) throw new Error(opened.reason)
    const padded = opened.value
    const length = padded[0]! >> 4 === 4 ? (padded[2]! << 8) | padded[3]! : 40 + ((padded[4]! << 8) | padded[5]!)
    return { peer, packet: Uint8Array.from(padded.subarray(0, length)) }
  }

  #of(peer: PeerId): TransportKeys {
    const known = this.#keys.get(peer)
    if (known !== undefined) return known
    const { localIndex, remoteIndex, sendKey, receiveKey } = keypairOf(peer)
    const mirrored: Keypair = {
      peer,
      localIndex: remoteIndex,
      remoteIndex: localIndex,
      sendKey: receiveKey,
      receiveKey: sendKey,
      slot: 'current',
    }
    const fresh = new TransportKeys(mirrored, 0, this.#aead.create)
    this.#keys.set(peer, fresh)
    return fresh
  }
}

function newDrops(before: { readonly [r: string]: number }, after: { readonly [r: string]: number }) {
  return Object.fromEntries(
    Object.entries(after)
      .map(([reason, count]) => [reason, count - (before[reason] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  )
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const notActivity = (event: { readonly kind: string }) => event.kind !== 'activity'

export async function twinByHand(): Promise<PathByHand> {
  const far = new FarEnds()
  const clock = { nowMs: 0 }
  const toHost: Uint8Array[] = []
  const sent: Uint8Array[] = []
  const events: DoorEvent[] = []
  let udp: UdpHandlers | undefined
  let tun: TunHandlers | undefined
  const path = await openTwin(
    { tunName: 'by-hand', mtuBytes: MTU_BYTES, udpPort: 0, fwmark: 0, onEvents: (batch) => events.push(...batch) },
    {
      aead: nodeAead,
      nowMs: () => clock.nowMs,
      openUdp: async (_port, handlers) => {
        udp = handlers
        return {
          kind: 'addon',
          ports: { v4: 41641, v6: undefined },
          reserve: (_to, length) => {
            const bytes = new Uint8Array(length)
            sent.push(bytes)
            return bytes
          },
          flush: () => undefined,
          truncated: () => 0,
          close: async () => undefined,
        }
      },
      openTun: (handlers) => {
        tun = handlers
        return {
          name: 'by-hand',
          offload: 0,
          write: (packet) => toHost.push(Uint8Array.from(packet)) > 0,
          flush: () => undefined,
          close: () => undefined,
        }
      },
    },
  )
  let drops: { readonly [reason: string]: number } = {}
  const outcome = async (): Promise<Outcome> => {
    await turn()
    const before = drops
    drops = path.stats().drops
    return {
      toHost: toHost.splice(0),
      toPeer: sent.splice(0).map((datagram) => far.open(datagram)),
      events: events.splice(0).filter(notActivity),
      drops: newDrops(before, drops),
    }
  }
  return {
    setPeer(table) {
      far.forget(table.peer)
      path.setPeer({ ...table, jailed: false })
      path.addKeypair(keypairOf(table.peer))
      path.setDestination(table.peer, { udp: FAR.text, relay: false })
    },
    setFilter: (table) => path.setFilter(table),
    setOwnAddresses: (addresses) => path.setOwnAddresses(addresses),
    setOwnDisco: (key) => path.setOwnDisco(key),
    setLocalService: (addresses) => path.setLocalService(addresses),
    setClock(nowMs) {
      clock.nowMs = nowMs
    },
    fromHost(packet) {
      const batch = new SlotBatch(slotBytesFor(65_535), 1)
      batch.add(packet.length)!.set(packet)
      tun!.onPacket(batch, 0)
      tun!.onBatchEnd()
      return outcome()
    },
    fromHostJoined: undefined,
    fromPeer(peer, packet) {
      const source = new DatagramSource()
      source.load(FAR.words, 0)
      udp!.onDatagram(far.seal(peer, packet), source)
      udp!.onBatchEnd()
      return outcome()
    },
    sendPacket(peer, packet) {
      path.sendPacket(peer, packet)
      return outcome()
    },
  }
}

/** undefined where there is no addon. */
export async function nativeByHand(): Promise<PathByHand | undefined> {
  const found = loadAddon()
  if (!found.ok || !found.addon.dataPath.hasBackend('')) return undefined
  const native = found.addon.dataPath
  const handle = native.create(MTU_BYTES, '', 2)
  const far = new FarEnds()
  const farAddress = new Uint8Array(FAR.words.slice().buffer)
  let drops: { readonly [reason: string]: number } = {}
  native.setClock(handle, 0)
  const outcome = async (): Promise<Outcome> => {
    native.flush(handle)
    const before = drops
    drops = native.stats(handle).drops
    const records = native.take(handle)
    return {
      toHost: recorded(native.takeWritten(handle)),
      toPeer: recorded(native.takeSent(handle)).map((datagram) => far.open(datagram)),
      events: (records === undefined ? [] : (readEvents(records) as DoorEvent[])).filter(notActivity),
      drops: newDrops(before, drops),
    }
  }
  const feedHost = (header: Uint8Array, packet: Uint8Array): Promise<Outcome> => {
    native.feedHost(handle, concat(header, packet))
    return outcome()
  }
  return {
    setPeer({ peer, allowedIps, masquerade }) {
      far.forget(peer)
      const { localIndex, remoteIndex, sendKey, receiveKey } = keypairOf(peer)
      native.setPeer(handle, peer, 0, packPrefixes(allowedIps), packPrefixes(pairPrefixes(masquerade)))
      native.addKeypair(handle, peer, localIndex, remoteIndex, concat(sendKey, receiveKey), 0)
      native.setDestination(handle, peer, farAddress, -1, 0)
    },
    setFilter: (table) => native.setFilter(handle, packFilter(table)),
    setOwnAddresses: (addresses) => native.setOwnAddresses(handle, packPrefixes(pairPrefixes(addresses))),
    setOwnDisco: (key) => native.setOwnDisco(handle, key ?? new Uint8Array(0)),
    setLocalService: (addresses) => native.setLocalServices(handle, packPrefixes(addresses.map(hostPrefix))),
    setClock: (nowMs) => native.setClock(handle, nowMs),
    fromHost: (packet) => feedHost(new Uint8Array(OFFLOAD_BYTES), packet),
    fromHostJoined: (packet, segmentBytes) => feedHost(offloadHeader(packet, segmentBytes), packet),
    fromPeer(peer, packet) {
      native.feedNetwork(handle, farAddress, far.seal(peer, packet))
      return outcome()
    },
    sendPacket(peer, packet) {
      native.sendPacket(handle, peer, packet)
      return outcome()
    },
  }
}

/** `addon/offload.h`; IPv4 without options, or IPv6. */
function offloadHeader(packet: Uint8Array, segmentBytes: number): Uint8Array {
  const isV4 = packet[0]! >> 4 === 4
  const start = isV4 ? 20 : 40
  const isTcp = packet[isV4 ? 9 : 6] === 6
  const header = new Uint8Array(OFFLOAD_BYTES)
  const view = new DataView(header.buffer)
  header[0] = 1
  header[1] = !isTcp ? 5 : isV4 ? 1 : 4
  view.setUint16(4, segmentBytes, true)
  view.setUint16(6, start, true)
  view.setUint16(8, isTcp ? 16 : 6, true)
  return header
}

/** 28 bytes of address · u32 length · bytes. */
function recorded(buffer: ArrayBuffer): Uint8Array[] {
  const view = new DataView(buffer)
  const found: Uint8Array[] = []
  for (let at = 0; at < buffer.byteLength; ) {
    const length = view.getUint32(at + ADDRESS_BYTES, true)
    found.push(new Uint8Array(buffer.slice(at + ADDRESS_BYTES + 4, at + ADDRESS_BYTES + 4 + length)))
    at += ADDRESS_BYTES + 4 + length
  }
  return found
}
