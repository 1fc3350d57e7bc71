/**
 * A TUN device opened and up, and what became of it since. Linux, through the addon; utun and Wintun have their place here
 * (`door.ts`).
 */
import { writeFileSync } from 'node:fs'
import type { Addon } from './addon.ts'
import { type NetworkWatch, openNetworkWatch } from './network-watch.ts'

const STATE_CHECK_MS = 1000
/** With a watch that says when something changes; it may have missed something. */
const RARE_CHECK_MS = 15_000

/** With offloads where the kernel has them; `PINTAIL_TUN_PLAIN=1` goes without, to tell a driver's fault from ours. */
export function openTunDevice(addon: Addon, name: string, mtuBytes: number): ReturnType<Addon['openTun']> {
  const device = open(addon, name, mtuBytes)
  try {
    noLinkLocal(device.name)
    addon.bringUp(device.name)
  } catch (error) {
    addon.closeFd(device.fd)
    throw error
  }
  return device
}

function open(addon: Addon, name: string, mtuBytes: number): ReturnType<Addon['openTun']> {
  if (process.env.PINTAIL_TUN_PLAIN === '1') return addon.openTun(name, mtuBytes, 'tun-plain')
  try {
    return addon.openTun(name, mtuBytes, 'tun')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error
    return addon.openTun(name, mtuBytes, 'tun-plain')
  }
}

/** A link-local address would only make the kernel send router solicitations into the tunnel. */
function noLinkLocal(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/addr_gen_mode`, '1')
  } catch (error) {
    // No IPv6 in this kernel, or /proc is read-only in this container: the solicitations are then dropped by the filter.
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOENT' && code !== 'EROFS' && code !== 'EACCES' && code !== 'EPERM') throw error
  }
}

/** Looks whether the interface is up when links change, and when told to; once a second where nothing says so. */
export class TunState {
  readonly #addon: Addon
  readonly #fd: number
  readonly #onState: (state: 'up' | 'down') => void
  readonly #timer: NodeJS.Timeout
  readonly #watch: NetworkWatch | undefined
  #up = true
  #gone = false

  constructor(addon: Addon, fd: number, onState: (state: 'up' | 'down') => void) {
    this.#addon = addon
    this.#fd = fd
    this.#onState = onState
    this.#watch = openNetworkWatch(() => this.check())
    this.#timer = setInterval(() => this.check(), this.#watch === undefined ? STATE_CHECK_MS : RARE_CHECK_MS)
    this.#timer.unref()
  }

  check(): void {
    const up = this.#gone ? false : this.#addon.tunIsUp(this.#fd)
    if (up !== undefined) this.#set(up)
  }

  /** The device answers nothing any more, for good. */
  gone(): void {
    this.#gone = true
    this.#set(false)
  }

  close(): void {
    this.#gone = true
    clearInterval(this.#timer)
    this.#watch?.close()
  }

  #set(up: boolean): void {
    if (up === this.#up) return
    this.#up = up
    this.#onState(up ? 'up' : 'down')
  }
}
