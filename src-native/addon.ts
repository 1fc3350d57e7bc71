/**
 * Loads the native addon and types its functions (`addon/module.cpp` lists them, `scripts/native.mjs` builds it).
 *
 * Not the data path: these are the system calls that both data paths and the daemon's sockets need. Errors carry
 * `code` (`EPERM`, …) like Node's own.
 *
 * `PINTAIL_ADDON=PATH` names the file to load, and no other is tried: `scripts/sanitize.mjs` runs tests with one that is
 * built with a sanitizer.
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { NativeFunctions } from './native-addon.ts'

declare const handle: unique symbol
/** A running reader thread; only the addon can look inside. */
export interface ReaderHandle {
  readonly [handle]: true
}

/** A thread that hears of changes of the network. */
export interface NetworkWatchHandle {
  readonly [handle]: true
}

/** The two keys of a keypair, ready for use. */
export interface AeadHandle {
  readonly [handle]: true
}

/** As in `addon/module.cpp`. */
const VERSION = 8

/** 0: packets only. 1: a virtio header before each, TCP in super-packets. 2: UDP too. */
export type TunOffload = 0 | 1 | 2

export interface Addon {
  readonly version: number
  /** A TUN device (`tap`: with Ethernet frames), still down: no packet information header, non-blocking. */
  openTun(
    name: string,
    mtuBytes: number,
    kind: 'tun' | 'tun-plain' | 'tap',
  ): { readonly fd: number; readonly name: string; readonly offload: TunOffload }
  bringUp(name: string): void
  /** Writes slots; 0 or the errno of the last packet that failed. */
  writeTun(fd: number, slots: ArrayBuffer, slotBytes: number, count: number, offload: TunOffload): number
  /** Undefined: cannot be told at the moment (no descriptor left). */
  tunIsUp(fd: number): boolean | undefined
  openUdp(family: 4 | 6, port: number, mark: number): { readonly fd: number; readonly port: number }
  /** Sends slots; undefined, or `[slot, errno, …]`. Slot -1: segmentation offload does not work on this socket. */
  sendUdp(fd: number, slots: ArrayBuffer, slotBytes: number, count: number, offload: 0 | 1): number[] | undefined
  /** `count` below zero is a negative errno: the thread has ended. The batch is lent until the callback returns. */
  startReader(
    fd: number,
    kind: 'tun' | 'tun-offload' | 'udp',
    slotBytes: number,
    slots: number,
    onBatch: (batch: number, count: number) => void,
  ): { readonly handle: ReaderHandle; readonly buffers: readonly ArrayBuffer[] }
  stopReader(reader: ReaderHandle): void
  readerTruncated(reader: ReaderHandle): number
  /** Whether this runtime lends its OpenSSL; without it the next three throw. */
  hasAead(): boolean
  createAead(sendKey: Uint8Array, receiveKey: Uint8Array): AeadHandle
  /** Seals with the counter in `target[8..16]`; ciphertext and tag follow that header. */
  seal(aead: AeadHandle, plain: Uint8Array, target: Uint8Array): boolean
  /** Opens a whole transport datagram; false, and `target` worthless, when it is not authentic. */
  open(aead: AeadHandle, datagram: Uint8Array, target: Uint8Array): boolean
  peerCredentials(fd: number): { readonly pid: number; readonly uid: number; readonly gid: number }
  setSocketMark(fd: number, mark: number): void
  createMarkedSocket(family: 4 | 6, mark: number): number
  closeFd(fd: number): void
  /** One datagram to a unix socket; a first `@` stands for the abstract name space. */
  sendUnixDatagram(path: string, text: string): void
  /** Calls back, a moment after the first of several, when links, addresses or routes change. Does not keep the process. */
  startNetworkWatch(onChange: () => void): NetworkWatchHandle
  stopNetworkWatch(watch: NetworkWatchHandle): void
  readonly dataPath: NativeFunctions
  /** Milliseconds of one ICMPv4 echo; undefined without an answer in time. Rejects with EPERM and the like. */
  icmpEcho(address: string, timeoutMs: number, mark: number): Promise<number | undefined>
}

export type LoadedAddon =
  | { readonly ok: true; readonly addon: Addon }
  | { readonly ok: false; readonly reason: string; readonly cause: unknown }

/** From the checkout, and beside a bundled daemon. */
const PLACES = ['../build/native/pintail.node', './pintail.node', './native/pintail.node']

let loaded: LoadedAddon | undefined

export function loadAddon(): LoadedAddon {
  loaded ??= load()
  return loaded
}

/** The addon, or an Error that says what to do. */
export function requireAddon(purpose: string): Addon {
  const found = loadAddon()
  if (found.ok) return found.addon
  throw new Error(`${purpose} needs the native addon: ${found.reason}`, { cause: found.cause })
}

function load(): LoadedAddon {
  const require = createRequire(import.meta.url)
  let cause: unknown
  const named = process.env.PINTAIL_ADDON
  const paths = named ? [named] : PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url)))
  for (const path of paths) {
    try {
      const addon = require(path) as Addon
      if (addon.version === VERSION) return { ok: true, addon }
      return { ok: false, reason: `${path} is not of this version; run npm run native`, cause: undefined }
    } catch (error) {
      // Not there: try the next place. There but not loadable: that is the reason worth telling.
      if (named || (error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') {
        const [reason] = (error as Error).message.split('\n') // the rest is where it was looked for
        return { ok: false, reason: `${path} does not load (${reason})`, cause: error }
      }
      cause = error
    }
  }
  return { ok: false, reason: 'it is not built; run npm run native (needs g++: sudo apt-get install -y g++)', cause }
}
