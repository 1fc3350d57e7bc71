/**
 * The native data path behind the door: hands tables down, brings records up. What happens to a packet is decided in
 * `addon/datapath/engine.cpp`, in the same order as in the twin.
 */
import type { IpPort } from '../src-contract/ids.ts'
import type { Addon, TunOffload } from './addon.ts'
import type {
  AddressPair,
  DataPath,
  DataPathOptions,
  DataPathStats,
  Destination,
  DoorEvent,
  FilterTable,
  Keypair,
  PeerCounters,
  PeerId,
  PeerTable,
} from './door.ts'
import { TUN_OFFLOADS } from './door.ts'
import type { AeadName, NativeFunctions, NativeHandle } from './native-addon.ts'
import { type HostTrouble, readEvents } from './native-events.ts'
import { hostPrefix, packFilter, packPrefixes, pairPrefixes } from './pack-tables.ts'
import { socketAddress } from './slots.ts'
import { openTunDevice, TunState } from './tun-device.ts'
import { openBothFamilies, type UdpPorts } from './udp.ts'

/** Traffic of JavaScript's own is reported so late; packet threads find a moment for theirs, and everything else comes at once. */
const ACTIVITY_MS = 50
const NO_ADDRESS = new Uint8Array(0)
const NO_KEY = new Uint8Array(0)
const NO_SOCKET = -1

export interface NativeOptions extends DataPathOptions {
  /** '' = the fastest there is. */
  readonly aead: AeadName | ''
  /** A plain WireGuard device (`open-plain-path.ts`); otherwise a node of a Tailscale network. */
  readonly isPlain?: boolean
}

export async function openNative(addon: Addon, options: NativeOptions): Promise<NativePath> {
  const path = new NativePath(addon.dataPath, options, 0)
  try {
    await path.open(addon)
  } catch (error) {
    await path.close()
    throw error
  }
  return path
}

/** Exported for tests, which drive one by hand (`manual`, see `native-addon.ts`) instead of opening it. */
export class NativePath implements DataPath {
  #addon: Addon | undefined
  readonly #native: NativeFunctions
  readonly #options: NativeOptions
  readonly handle: NativeHandle
  readonly whyNotNative = undefined
  readonly #keyBytes = new Uint8Array(64)
  tunName: string | undefined
  udpPorts: UdpPorts = { v4: 0, v6: undefined }
  #tunState: TunState | undefined
  #tunOffload: TunOffload = 0
  #isFlushPlanned = false
  #activityTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor(native: NativeFunctions, options: NativeOptions, manual: 0 | 1 | 2) {
    this.#native = native
    this.#options = options
    this.handle = native.create(options.mtuBytes, options.aead, manual, options.isPlain === true ? 1 : 0)
  }

  async open(addon: Addon): Promise<void> {
    this.#addon = addon
    const { tunName, mtuBytes, udpPort } = this.#options
    await this.#openSockets(udpPort)
    let fd = -1
    if (tunName !== undefined) {
      const device = openTunDevice(addon, tunName, mtuBytes)
      fd = device.fd
      this.tunName = device.name
      this.#tunOffload = device.offload
      this.#tunState = new TunState(addon, fd, (state) =>
        this.#options.onEvents([{ kind: state === 'up' ? 'tunUp' : 'tunDown' }]),
      )
    }
    this.#native.start(this.handle, fd, this.#tunOffload, () => this.deliver())
  }

  async #openSockets(port: number): Promise<void> {
    const addon = this.#addon
    if (addon === undefined) throw new Error('this path is driven by hand')
    const opened = await openBothFamilies(port, async (family, wanted) => {
      const { fd, port: bound } = addon.openUdp(family, wanted, this.#options.fwmark)
      return { port: bound, socket: fd }
    })
    this.#native.setSockets(this.handle, opened.v4, opened.v6 ?? NO_SOCKET)
    this.udpPorts = opened.ports
  }

  // Up

  /** Hands up what waits. */
  deliver(): void {
    if (this.#closed) return
    const buffer = this.#native.take(this.handle)
    if (buffer === undefined) return
    const events: DoorEvent[] = []
    for (const event of readEvents(buffer)) this.#sort(event, events)
    if (events.length === 0) return
    this.#options.onEvents(events)
    this.#flush()
  }

  #sort(event: DoorEvent | HostTrouble, events: DoorEvent[]): void {
    if (event.kind === 'hostTrouble') {
      this.#tunState?.check()
      return
    }
    if (event.kind === 'confirmed') this.#native.reap(this.handle, event.peer)
    events.push(event)
  }

  #askForActivity(): void {
    this.#activityTimer ??= setTimeout(() => {
      this.#activityTimer = undefined
      this.deliver()
    }, ACTIVITY_MS)
    this.#activityTimer.unref()
  }

  // Tables

  setPeer({ peer, allowedIps, jailed, masquerade }: PeerTable): void {
    const seen = packPrefixes(pairPrefixes(masquerade))
    this.#native.setPeer(this.handle, peer, jailed ? 1 : 0, packPrefixes(allowedIps), seen)
  }

  setMtu(mtuBytes: number): void {
    this.#native.setMtu(this.handle, mtuBytes)
  }

  setOwnAddresses(addresses: AddressPair): void {
    this.#native.setOwnAddresses(this.handle, packPrefixes(pairPrefixes(addresses)))
  }

  setOwnDisco(key: Uint8Array | undefined): void {
    this.#native.setOwnDisco(this.handle, key ?? NO_KEY)
  }

  removePeer(peer: PeerId): void {
    this.#native.removePeer(this.handle, peer)
  }

  addKeypair({ peer, localIndex, remoteIndex, sendKey, receiveKey, slot }: Keypair): void {
    const keys = this.#keyBytes
    keys.set(sendKey)
    keys.set(receiveKey, 32)
    this.#native.addKeypair(this.handle, peer, localIndex, remoteIndex, keys, slot === 'next' ? 1 : 0)
    keys.fill(0)
  }

  dropKeypair(localIndex: number): void {
    this.#native.dropKeypair(this.handle, localIndex)
  }

  setDestination(peer: PeerId, { udp, vni, relay }: Destination): void {
    const address = udp === undefined ? NO_ADDRESS : addressBytes(udp)
    this.#native.setDestination(this.handle, peer, address ?? NO_ADDRESS, vni ?? -1, relay ? 1 : 0)
  }

  setFilter(table: FilterTable): void {
    this.#native.setFilter(this.handle, packFilter(table))
  }

  setLocalService(addresses: readonly string[]): void {
    this.#native.setLocalServices(this.handle, packPrefixes(addresses.map(hostPrefix)))
  }

  expectEcho(identifier: number): void {
    this.#native.expectEcho(this.handle, identifier)
  }

  // Sending

  sendDatagram(to: IpPort, bytes: Uint8Array): void {
    const address = addressBytes(to)
    if (address === undefined) return
    this.#native.sendDatagram(this.handle, address, bytes)
    this.#planFlush()
  }

  sendPacket(peer: PeerId, packet: Uint8Array): void {
    this.#native.sendPacket(this.handle, peer, packet)
    this.#planFlush()
  }

  receiveFromRelay(_peer: PeerId, bytes: Uint8Array): void {
    this.#native.receiveFromRelay(this.handle, bytes)
    this.#planFlush()
  }

  writeToHost(packet: Uint8Array): void {
    this.#native.writeToHost(this.handle, packet)
    this.#planFlush()
  }

  /** Everything of this turn goes out together, right after the code that is running now. */
  #planFlush(): void {
    if (this.#isFlushPlanned) return
    this.#isFlushPlanned = true
    queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    this.#isFlushPlanned = false
    if (this.#native.flush(this.handle) && !this.#closed) this.#askForActivity()
  }

  // Life

  async rebind(udpPort: number): Promise<UdpPorts> {
    this.#native.setSockets(this.handle, NO_SOCKET, NO_SOCKET)
    try {
      await this.#openSockets(udpPort)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || udpPort === 0) throw error
      await this.#openSockets(0)
    }
    return this.udpPorts
  }

  stats(): DataPathStats {
    const { aead, drops, faults, peers: numbers } = this.#native.stats(this.handle)
    const peers = new Map<PeerId, PeerCounters>()
    for (let at = 0; at < numbers.length; at += 5) {
      peers.set(numbers[at]!, {
        rxBytes: numbers[at + 1]!,
        txBytes: numbers[at + 2]!,
        rxPackets: numbers[at + 3]!,
        txPackets: numbers[at + 4]!,
      })
    }
    return {
      backend: 'native',
      aead,
      whyNotFasterAead: this.#options.aead === '' ? this.#native.aeadProblem() : undefined,
      tunOffload: this.tunName === undefined ? undefined : TUN_OFFLOADS[this.#tunOffload],
      drops,
      faults,
      peers,
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#flush()
    this.deliver() // what it has to say for the last time
    this.#closed = true
    clearTimeout(this.#activityTimer)
    this.#tunState?.close()
    this.#native.close(this.handle)
  }
}

function addressBytes(text: IpPort): Uint8Array | undefined {
  const address = socketAddress(text)
  return address && new Uint8Array(address.words.buffer)
}
