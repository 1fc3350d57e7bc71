/**
 * Linux: look when the kernel says that links, addresses or routes changed, and rarely without being told. Where nobody
 * says so (no addon), once a second, which is within every promise about network changes.
 *
 * A gap between two looks means that the machine slept: NAT mappings and peers have moved on, so it counts as a change.
 */
import { readFileSync } from 'node:fs'
import { type NetworkWatch, openNetworkWatch } from '../../../src-native/network-watch.ts'
import { compareNetworks, defaultInterfaceV4, defaultInterfaceV6 } from './compare.ts'
import { hostInterfaces } from './interfaces.ts'
import type { HostNetwork, NetworkChange, NetworkMonitor } from './port.ts'

const LOOK_EVERY_MS = 1_000
/** When changes are told; a look costs more than a tick. */
const RARE_LOOK_MS = 30_000
/** A tick only compares clocks: has the machine slept? */
const TICK_MS = 2_000
/** After a change, look again soon whether that was all. */
const SETTLE_MS = 250
/** The event loop never stalls this long by itself. */
const SLEPT_MS = 10_000

export function openLinuxNetworkMonitor(options: { ownInterface: string | undefined }): NetworkMonitor {
  return new LinuxNetworkMonitor(options.ownInterface)
}

class LinuxNetworkMonitor implements NetworkMonitor {
  readonly #own: string | undefined
  readonly #watch: NetworkWatch | undefined
  #network: HostNetwork
  #listener: (change: NetworkChange) => void = () => {}
  #pending: Omit<NetworkChange, 'network'> | undefined
  #lastTickMs = Date.now()
  #lastLookMs = this.#lastTickMs
  #timer: NodeJS.Timeout | undefined

  constructor(own: string | undefined) {
    this.#own = own
    this.#network = readHostNetwork(own)
    this.#watch = openNetworkWatch(() => {
      this.#look()
      this.#arm()
    })
    this.#arm()
  }

  get network(): HostNetwork {
    return this.#network
  }

  onChange(listener: (change: NetworkChange) => void): void {
    this.#listener = listener
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#watch?.close()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const waitMs = this.#pending !== undefined ? SETTLE_MS : this.#watch === undefined ? LOOK_EVERY_MS : TICK_MS
    this.#timer = setTimeout(() => {
      this.#tick()
      this.#arm()
    }, waitMs).unref()
  }

  #tick(): void {
    const now = Date.now()
    const slept = now - this.#lastTickMs > SLEPT_MS
    this.#lastTickMs = now
    if (slept) this.#pending = { major: true, reason: 'wake-up' }
    const isDue = this.#watch === undefined || now - this.#lastLookMs > RARE_LOOK_MS
    if (isDue || this.#pending !== undefined) this.#look()
  }

  #read(): HostNetwork {
    try {
      return readHostNetwork(this.#own)
    } catch (error) {
      if (SHORTAGES.has((error as NodeJS.ErrnoException).code ?? '')) return this.#network
      throw error
    }
  }

  /** A change is told when the following look finds it settled. */
  #look(): void {
    this.#lastLookMs = Date.now()
    const next = this.#read()
    const change = compareNetworks(this.#network, next)
    this.#network = next
    if (change !== undefined) {
      this.#pending = this.#pending ?? change
      return
    }
    if (this.#pending === undefined) return
    const settled = this.#pending
    this.#pending = undefined
    this.#listener({ network: next, ...settled })
  }
}

/** Too little of something to find out at the moment; the next look will. */
const SHORTAGES = new Set(['EMFILE', 'ENFILE', 'ENOMEM'])

export function readHostNetwork(own: string | undefined): HostNetwork {
  const interfaces = Object.entries(hostInterfaces())
    .filter(([name]) => name !== own)
    .map(([name, addresses]) => ({
      name,
      addresses: (addresses ?? []).map((a) => ({
        address: a.address,
        bits: Number(a.cidr?.split('/')[1] ?? (a.family === 'IPv6' ? 128 : 32)),
        loopback: a.internal,
      })),
    }))
  return {
    interfaces,
    defaultV4: defaultInterfaceV4(readOrEmpty('/proc/net/route')),
    defaultV6: defaultInterfaceV6(readOrEmpty('/proc/net/ipv6_route'), own),
  }
}

/** Absent where the kernel lacks that family. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
