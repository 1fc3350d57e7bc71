/**
 * The data path in TypeScript: oracle for the native one and the fallback where that cannot run. Same door, same bytes.
 *
 * Per packet it allocates what node:crypto makes it allocate, and views. Order of checks inbound and outbound is that of
 * tsmp-filter.md §5; sealing and slots are wireguard.md §2 and §4. Not here: handshakes, keys' birth, path choice.
 */
import type { IpPort } from '../src-contract/ids.ts'
import { encodeTsmpPacket } from '../src-protocol/wire/packet.ts'
import { type AeadKind, MIN_TRANSPORT_BYTES } from './aead.ts'
import type {
  AddressPair,
  DataPath,
  DataPathOptions,
  DataPathStats,
  Destination,
  FilterTable,
  Keypair,
  PeerCounters,
  PeerId,
  PeerTable,
} from './door.ts'
import { TUN_OFFLOADS } from './door.ts'
import { EventQueue } from './event-queue.ts'
import { getU32, paddedLength, TransportKeys } from './keypairs.ts'
import { isEmptyPair, masqueradeIn, masqueradeOut, NO_ADDRESSES, type OwnAddresses, parsePair } from './masquerade.ts'
import { lowerMss, TCP_SYN } from './mss.ts'
import { OwnDisco } from './own-disco.ts'
import { PacketFields, TCP, TSMP } from './packet-fields.ts'
import { PacketFilter } from './packet-filter.ts'
import { PeerEntry } from './peer-entry.ts'
import { type ParsedPrefix, PrefixMap, prefixOf } from './prefix-map.ts'
import { Routes } from './routes.ts'
import { answerEcho, isServiceEcho } from './service-echo.ts'
import { type DatagramSource, type SlotBatch, socketAddress } from './slots.ts'
import type { HostInterface, TunHandlers } from './tun.ts'
import type { UdpHandlers, UdpPorts, UdpTransport } from './udp.ts'
import { VIA_GROWTH_BYTES, Via, viaToV4, viaToV6 } from './via.ts'
import type { ViaEnds } from './via-flows.ts'

const GENEVE_BYTES = 8
const ECHO_EXPECTED_MS = 10_000
/** Shorter than anything we speak (STUN 20): noise, or the one-byte tails of some offload work-arounds. */
const MIN_DATAGRAM_BYTES = 20
/** Full queues are a drop, not a reason to doubt the address. */
const OVERFLOW_CODES = new Set(['EAGAIN', 'ENOBUFS'])

export interface TwinParts {
  readonly openUdp: (port: number, handlers: UdpHandlers) => Promise<UdpTransport>
  readonly openTun: ((handlers: TunHandlers) => HostInterface) | undefined
  readonly aead: AeadKind
  /** A plain WireGuard device (`open-plain-path.ts`). */
  readonly isPlain?: boolean
  readonly whyNotNative?: string | undefined
  /** Monotonic milliseconds. */
  readonly nowMs: () => number
}

export async function openTwin(options: DataPathOptions, parts: TwinParts): Promise<DataPath> {
  const path = new Twin(options, parts)
  await path.open()
  return path
}

class Twin implements DataPath {
  readonly #options: DataPathOptions
  readonly #parts: TwinParts
  #udp!: UdpTransport
  #tun: HostInterface | undefined
  #closed = false

  readonly #peers = new Map<PeerId, PeerEntry>()
  readonly #keys = new Map<number, TransportKeys>()
  readonly #routes = new Routes()
  #filter = new PacketFilter(undefined)
  #jailedFilter = new PacketFilter(undefined)
  #localServices = new PrefixMap<true>()
  #hasLocalServices = false
  readonly #expectedEchoes = new Map<number, number>()
  #ownAddresses: OwnAddresses = NO_ADDRESSES
  readonly #ownDisco = new OwnDisco()
  readonly #via = new Via()

  readonly #up: EventQueue

  readonly #fields = new PacketFields()
  readonly #scratch: Uint8Array

  constructor(options: DataPathOptions, parts: TwinParts) {
    this.#options = options
    this.#parts = parts
    this.#up = new EventQueue(options.onEvents, () => {
      this.#tun?.flush()
      this.#udp.flush()
    })
    this.#scratch = new Uint8Array(65_536 + 128)
  }

  async open(): Promise<void> {
    this.#udp = await this.#parts.openUdp(this.#options.udpPort, this.#udpHandlers())
    try {
      this.#tun = this.#parts.openTun?.({
        onPacket: (batch, slot) => this.#fromHost(batch, slot),
        onBatchEnd: () => this.#up.deliver(),
        onState: (state) => this.#up.push({ kind: state === 'up' ? 'tunUp' : 'tunDown' }),
      })
    } catch (error) {
      await this.#udp.close()
      throw error
    }
  }

  get tunName(): string | undefined {
    return this.#tun?.name
  }

  get whyNotNative(): string | undefined {
    return this.#parts.whyNotNative
  }

  get udpPorts(): UdpPorts {
    return this.#udp.ports
  }

  // Tables

  setPeer(table: PeerTable): void {
    let peer = this.#peers.get(table.peer)
    if (peer === undefined) {
      peer = new PeerEntry(table.peer)
      this.#peers.set(table.peer, peer)
    }
    peer.isJailed = table.jailed
    const masquerade = table.masquerade && parsePair(table.masquerade)
    peer.masquerade = masquerade === undefined || isEmptyPair(masquerade) ? undefined : masquerade
    const allowed = table.allowedIps.map(prefixOf).filter((prefix) => prefix !== undefined)
    peer.v4 = ownV4(allowed)
    this.#routes.replace(peer, allowed)
  }

  setOwnAddresses(addresses: AddressPair): void {
    this.#ownAddresses = parsePair(addresses)
  }

  setOwnDisco(key: Uint8Array | undefined): void {
    this.#ownDisco.set(key)
  }

  removePeer(id: PeerId): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.#routes.replace(peer, [])
    for (const keys of peer.keys.all()) this.#keys.delete(keys.localIndex)
    this.#peers.delete(id)
    peer.isRemoved = true
  }

  addKeypair(keypair: Keypair): void {
    const peer = this.#peers.get(keypair.peer)
    if (peer === undefined) return
    const keys = new TransportKeys(keypair, this.#parts.nowMs(), this.#parts.aead.create)
    this.#keys.set(keys.localIndex, keys)
    this.#forget(peer.keys.add(keys, keypair.slot))
  }

  dropKeypair(localIndex: number): void {
    const keys = this.#keys.get(localIndex)
    if (keys === undefined) return
    this.#keys.delete(localIndex)
    this.#peers.get(keys.peer)?.keys.remove(keys)
  }

  setDestination(id: PeerId, destination: Destination): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    peer.udp = destination.udp === undefined ? undefined : socketAddress(destination.udp)
    peer.vni = destination.vni
    peer.useRelay = destination.relay
  }

  setFilter(table: FilterTable): void {
    this.#via.setNets(table.localNets)
    this.#filter = new PacketFilter(table, this.#filter)
    this.#jailedFilter = new PacketFilter({ ...table, rules: [], shieldsUp: true }, this.#jailedFilter)
  }

  setLocalService(addresses: readonly string[]): void {
    this.#localServices = new PrefixMap()
    for (const address of addresses) {
      const prefix = prefixOf(`${address}/${address.includes(':') ? 128 : 32}`)
      if (prefix !== undefined) this.#localServices.set(prefix, true)
    }
    this.#hasLocalServices = addresses.length > 0
  }

  expectEcho(identifier: number): void {
    const now = this.#parts.nowMs()
    for (const [known, until] of this.#expectedEchoes) if (until < now) this.#expectedEchoes.delete(known)
    this.#expectedEchoes.set(identifier, now + ECHO_EXPECTED_MS)
  }

  // Sending

  sendDatagram(to: IpPort, bytes: Uint8Array): void {
    const address = socketAddress(to)
    const room = address && !this.#closed ? this.#udp.reserve(address, bytes.length) : undefined
    if (room === undefined) {
      this.#up.drop('no-socket')
      return
    }
    room.set(bytes)
    this.#up.plan()
  }

  sendPacket(id: PeerId, packet: Uint8Array): void {
    const peer = this.#peers.get(id)
    if (peer === undefined || this.#closed) return
    if (packet.length > 65_535) {
      this.#up.drop('too-long')
      return
    }
    const isPacket = packet.length > 0 && this.#fields.read(packet, packet.length)
    if (isPacket) this.#filterOf(peer).remember(this.#fields)
    const padded = this.#scratch.subarray(0, paddedLength(packet.length, this.#options.mtuBytes))
    padded.set(packet)
    padded.fill(0, packet.length)
    if (isPacket && peer.masquerade !== undefined) {
      masqueradeOut(padded, this.#fields, peer.masquerade, this.#ownAddresses)
    }
    this.#seal(peer, padded, packet.length)
    this.#up.plan()
  }

  writeToHost(packet: Uint8Array): void {
    this.#toHost(packet)
    this.#up.plan()
  }

  /** From the TUN device. */
  #fromHost(batch: SlotBatch, slot: number): void {
    const length = batch.length(slot)
    const packet = batch.payload(slot)
    const p = this.#fields
    if (!p.read(packet, length)) {
      this.#up.drop(length < 20 ? 'out-too_short' : 'out-unknown_protocol')
      return
    }
    const isPlain = this.#parts.isPlain === true
    if (!isPlain && isServiceEcho(packet, p)) {
      answerEcho(packet, p)
      this.#toHost(packet)
      return
    }
    const forbidden = isPlain ? undefined : this.#forbidden(packet)
    if (forbidden !== undefined) {
      this.#up.drop(`out-${forbidden}`)
      return
    }
    if (this.#isLocalService(p)) {
      this.#up.push({ kind: 'local', peer: undefined, packet: packet.slice() })
      return
    }
    const peer = this.#routes.lookup(p.family, p.d0, p.d1, p.d2, p.d3)
    const verdict = isPlain ? 'accept' : (peer === undefined ? this.#filter : this.#filterOf(peer)).outbound(p)
    if (verdict !== 'accept') {
      this.#up.drop(`out-${verdict}`)
      return
    }
    if (peer === undefined) {
      this.#up.drop('out-no-route')
      return
    }
    if (this.#via.isOn) {
      const ends = this.#via.answers(packet, p, peer.id, this.#parts.nowMs())
      if (typeof ends === 'string') {
        this.#up.drop(`out-${ends}`)
        return
      }
      if (ends !== undefined) {
        this.#answerVia(peer, packet, ends)
        return
      }
    }
    if (!isPlain) this.#changeOutbound(peer, packet)
    const padded = batch.payload(slot, paddedLength(length, this.#options.mtuBytes))
    padded.fill(0, length)
    this.#seal(peer, padded, length)
  }

  /** What never leaves, before anybody looks where it would go. */
  #forbidden(packet: Uint8Array): 'tsmp' | 'own-disco' | undefined {
    if (this.#fields.protocol === TSMP) return 'tsmp'
    return this.#ownDisco.isIn(packet, this.#fields) ? 'own-disco' : undefined
  }

  #changeOutbound(peer: PeerEntry, packet: Uint8Array): void {
    const p = this.#fields
    if (peer.masquerade !== undefined) masqueradeOut(packet, p, peer.masquerade, this.#ownAddresses)
    if ((p.tcpFlags & TCP_SYN) !== 0) lowerMss(packet, p, this.#options.mtuBytes)
  }

  /** An answer of the host to what came in by 4via6: a little longer than it was. */
  #answerVia(peer: PeerEntry, packet: Uint8Array, ends: ViaEnds): void {
    const length = packet.length + VIA_GROWTH_BYTES
    const padded = this.#scratch.subarray(0, paddedLength(length, this.#options.mtuBytes))
    padded.set(packet, VIA_GROWTH_BYTES)
    padded.fill(0, length)
    viaToV6(padded, packet.length, ends)
    if (this.#fields.read(padded, length)) this.#changeOutbound(peer, padded)
    this.#seal(peer, padded, length)
  }

  /** Seals for a peer and sends along its paths; `length` without padding. */
  #seal(peer: PeerEntry, padded: Uint8Array, length: number): void {
    const keys = peer.keys.current
    if (keys === undefined || !keys.canSend(this.#parts.nowMs())) {
      this.#up.push({ kind: 'noSession', peer: peer.id, packet: padded.slice(0, length) })
      return
    }
    this.#up.touch(peer)
    peer.sentAny = true
    if (length > 0) peer.sentData = true
    const size = padded.length + MIN_TRANSPORT_BYTES
    const sealed = this.#reserve(peer, size)
    if (sealed === undefined && !peer.useRelay) {
      this.#up.drop('out-no-path')
      return
    }
    const target = sealed ?? new Uint8Array(size)
    keys.seal(padded, target)
    peer.txBytes += size
    peer.txPackets++
    if (peer.useRelay) {
      this.#up.push({ kind: 'toRelay', peer: peer.id, bytes: sealed === undefined ? target : target.slice() })
    }
  }

  /** Room in the outgoing batch of the peer's direct path, behind the Geneve header if it has one. */
  #reserve(peer: PeerEntry, size: number): Uint8Array | undefined {
    if (peer.udp === undefined) return undefined
    if (peer.vni === undefined) return this.#udp.reserve(peer.udp, size)
    const room = this.#udp.reserve(peer.udp, size + GENEVE_BYTES)
    if (room === undefined) return undefined
    putGeneveHeader(room, peer.vni)
    return room.subarray(GENEVE_BYTES)
  }

  // Receiving

  receiveFromRelay(_peer: PeerId, bytes: Uint8Array): void {
    // Which peer the relay names is not proof; the keypair is.
    if (!isTransport(bytes)) {
      this.#up.drop('in-unknown-index')
      return
    }
    this.#openAny(bytes, 'relay')
    this.#up.plan()
  }

  #udpHandlers(): UdpHandlers {
    return {
      onDatagram: (bytes, from) => this.#fromNetwork(bytes, from),
      onBatchEnd: () => this.#up.deliver(),
      onSendFailed: (to, code) => {
        if (OVERFLOW_CODES.has(code)) this.#up.drop('out-queue-full')
        else this.#up.push({ kind: 'sendFailed', to, code })
      },
    }
  }

  #fromNetwork(bytes: Uint8Array, from: DatagramSource): void {
    if (bytes.length < MIN_DATAGRAM_BYTES) {
      this.#up.drop('in-short')
      return
    }
    const inner = isGeneveWireGuard(bytes) ? bytes.subarray(GENEVE_BYTES) : bytes
    if (isTransport(inner)) this.#openAny(inner, from)
    else this.#up.push({ kind: 'datagram', from: from.text(), bytes: bytes.slice() })
  }

  #openAny(datagram: Uint8Array, from: DatagramSource | 'relay'): void {
    const keys = this.#keys.get(getU32(datagram, 4))
    if (keys === undefined) this.#up.drop('in-unknown-index')
    else this.#open(keys, datagram, from)
  }

  #open(keys: TransportKeys, datagram: Uint8Array, from: DatagramSource | 'relay'): void {
    const peer = this.#peers.get(keys.peer)
    if (peer === undefined) return
    if (keys.isTooOld(this.#parts.nowMs())) {
      this.#up.drop('in-keypair-expired')
      return
    }
    const opened = keys.open(datagram)
    if (!opened.ok) {
      this.#up.drop(`in-${opened.reason}`)
      return
    }
    const plain = opened.value

    if (peer.keys.next === keys) {
      this.#forget(peer.keys.confirm())
      this.#up.push({ kind: 'confirmed', peer: peer.id, localIndex: keys.localIndex })
    }
    this.#up.touch(peer)
    peer.receivedAny = true
    peer.heardFrom(from)
    if (this.#parts.isPlain === true && from !== 'relay') peer.follow(from)
    peer.rxBytes += datagram.length
    peer.rxPackets++
    if (plain.length === 0) return
    peer.receivedData = true
    this.#fromPeer(peer, plain)
  }

  /** A decrypted packet: is it the peer's to send, ours to take, and where does it go? */
  #fromPeer(peer: PeerEntry, padded: Uint8Array): void {
    const p = this.#fields
    if (!p.read(padded, padded.length)) {
      this.#up.drop('in-ip-header')
      return
    }
    const packet = padded.subarray(0, p.totalBytes)
    p.bytes = p.totalBytes
    const isPlain = this.#parts.isPlain === true
    if (this.#routes.lookup(p.family, p.s0, p.s1, p.s2, p.s3) !== peer && (isPlain || !peer.ownsSource(p))) {
      this.#up.drop('in-source')
      return
    }
    if (isPlain) {
      this.#toHost(packet)
      return
    }
    if (peer.masquerade !== undefined) masqueradeIn(packet, p, peer.masquerade, this.#ownAddresses)
    if (p.protocol === TSMP) {
      this.#up.push({ kind: 'tsmp', peer: peer.id, packet: packet.slice() })
      return
    }
    if (this.#isExpectedEcho(p)) {
      this.#up.push({ kind: 'echoReply', peer: peer.id, packet: packet.slice() })
      return
    }
    if (this.#ownDisco.isIn(packet, p)) {
      this.#up.drop('in-own-disco')
      return
    }
    const filter = this.#filterOf(peer)
    const verdict = filter.inbound(p)
    if (verdict !== 'accept' && !filter.isPeerApiSyn(p)) {
      this.#up.drop(`in-${verdict}`)
      this.#reject(peer, packet, filter.shieldsUp)
      return
    }
    if ((p.tcpFlags & TCP_SYN) !== 0) lowerMss(packet, p, this.#options.mtuBytes)
    if (this.#isLocalService(p)) this.#up.push({ kind: 'local', peer: peer.id, packet: packet.slice() })
    else if (this.#via.isOn) this.#toHostOrVia(peer, packet)
    else this.#toHost(packet)
  }

  /** Where there are 4via6 networks of ours. */
  #toHostOrVia(peer: PeerEntry, packet: Uint8Array): void {
    const p = this.#fields
    const now = this.#parts.nowMs()
    if (!this.#via.serves(p)) {
      if (this.#via.admitPlain(p, now)) this.#toHost(packet)
      else this.#up.drop('in-via-conflict')
      return
    }
    const problem = this.#via.admit(packet, p, peer.id, peer.v4, now)
    if (problem === undefined) this.#toHost(packet.subarray(viaToV4(packet, p, peer.v4)))
    else this.#up.drop(`in-${problem}`)
  }

  /** Tells the peer that its connection attempt was refused; only ever for IPv4 SYNs. */
  #reject(peer: PeerEntry, packet: Uint8Array, shieldsUp: boolean): void {
    const p = this.#fields
    if (p.family !== 4 || p.protocol !== TCP || !p.isSyn()) return
    const { sourcePort: srcPort, destinationPort: dstPort } = p
    const reason = (shieldsUp ? 'S' : 'A').charCodeAt(0)
    this.sendPacket(
      peer.id,
      encodeTsmpPacket(packet.slice(16, 20), packet.slice(12, 16), {
        kind: 'rejected',
        protocol: TCP,
        reason,
        srcPort,
        dstPort,
        maybeBroken: false,
      }),
    )
  }

  #isExpectedEcho(p: PacketFields): boolean {
    if (this.#expectedEchoes.size === 0 || !p.isIcmp() || p.icmpType !== (p.family === 4 ? 0 : 129)) return false
    const until = this.#expectedEchoes.get(p.icmpIdentifier)
    return until !== undefined && this.#parts.nowMs() <= until
  }

  #isLocalService(p: PacketFields): boolean {
    return this.#hasLocalServices && this.#localServices.lookup(p.family, p.d0, p.d1, p.d2, p.d3) === true
  }

  #toHost(packet: Uint8Array): void {
    if (this.#tun === undefined) {
      this.#up.drop('in-no-interface')
      return
    }
    if (!this.#tun.write(packet)) this.#up.drop('in-too-long')
  }

  #filterOf(peer: PeerEntry): PacketFilter {
    return peer.isJailed ? this.#jailedFilter : this.#filter
  }

  #forget(gone: readonly TransportKeys[]): void {
    for (const keys of gone) if (this.#keys.get(keys.localIndex) === keys) this.#keys.delete(keys.localIndex)
  }

  // Life

  async rebind(udpPort: number): Promise<UdpPorts> {
    await this.#udp.close()
    try {
      this.#udp = await this.#parts.openUdp(udpPort, this.#udpHandlers())
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || udpPort === 0) throw error
      this.#udp = await this.#parts.openUdp(0, this.#udpHandlers())
    }
    return this.#udp.ports
  }

  stats(): DataPathStats {
    const drops = this.#up.drops()
    const truncated = this.#udp.truncated()
    if (truncated > 0) drops['in-too-long-datagram'] = truncated
    const peers = new Map<PeerId, PeerCounters>()
    for (const { id, rxBytes, txBytes, rxPackets, txPackets } of this.#peers.values()) {
      peers.set(id, { rxBytes, txBytes, rxPackets, txPackets })
    }
    return {
      backend: 'twin',
      aead: this.#parts.aead.name,
      whyNotFasterAead: undefined,
      tunOffload: this.#tun && TUN_OFFLOADS[this.#tun.offload],
      drops,
      faults: {},
      peers,
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#up.close() // a last disconnect message may still be waiting
    this.#closed = true
    this.#tun?.close()
    await this.#udp.close()
  }
}

/** A node has one address of 100.64.0.0/10; what else it may use is behind it. */
function ownV4(allowed: readonly ParsedPrefix[]): number {
  return allowed.find(({ family, bits, w0 }) => family === 4 && bits === 32 && w0 >>> 22 === 0x64400000 >>> 22)?.w0 ?? 0
}

function isTransport(bytes: Uint8Array): boolean {
  return bytes.length >= MIN_TRANSPORT_BYTES && getU32(bytes, 0) === 4
}

function isGeneveWireGuard(bytes: Uint8Array): boolean {
  return (
    bytes[2] === 0x7a && bytes[3] === 0x12 && (bytes[0]! & 0xc0) === 0 && (bytes[1]! & 0x3f) === 0 && bytes[7] === 0
  )
}

function putGeneveHeader(target: Uint8Array, vni: number): void {
  target[0] = 0
  target[1] = 0
  target[2] = 0x7a
  target[3] = 0x12
  target[4] = vni >>> 16
  target[5] = vni >>> 8
  target[6] = vni
  target[7] = 0
}
