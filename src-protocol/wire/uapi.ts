/**
 * WireGuard's configuration protocol for userspace implementations: what `wg` speaks on `/var/run/wireguard/NAME.sock`.
 * Lines of text, a request ends with an empty line:                            [wireguard.com/xplatform, docs/rules/uapi.md]
 *
 *   get=1⏎ ⏎                         → key=value⏎ … errno=0⏎ ⏎
 *   set=1⏎ key=value⏎ … ⏎            → errno=0⏎ ⏎     device keys first, then each public_key= starts a peer
 *
 * A request is understood as a whole before any of it is applied. Not here: the socket, what a change means.
 */
import type { IpPort, PrefixText } from '../../src-contract/ids.ts'
import { concat, isAllZero, parseHex, toHex } from './bytes.ts'
import { bad, type Decoded, ok } from './decoded.ts'
import { ipPort, parseIpPort, parsePrefix, prefixText } from './ip.ts'
import { parseUtf8, utf8 } from './text.ts'

/** As in errno.h of Linux. On the wire it is negative, as the reference has it and `wg` expects. */
export const uapiErrno = { EPERM: 1, EIO: 5, EINVAL: 22, EPROTO: 71, EADDRINUSE: 98 } as const
export type UapiErrno = keyof typeof uapiErrno

const KEY_BYTES = 32

// Our own choices.

export const MAX_REQUEST_BYTES = 16 * 2 ** 20
export const MAX_LINE_BYTES = 64 * 2 ** 10

/** Absent members stay as they are. */
export interface UapiChange {
  /** Null: none any more. */
  readonly privateKey?: Uint8Array | null
  readonly listenPort?: number
  readonly fwmark?: number
  /** All peers go first. */
  readonly replacePeers: boolean
  /** In order; a peer may appear more than once. */
  readonly peers: readonly UapiPeerChange[]
}

export interface UapiPeerChange {
  readonly publicKey: Uint8Array
  readonly remove: boolean
  /** Changes a peer that is there, never makes one. */
  readonly updateOnly: boolean
  /** Null: none any more. */
  readonly presharedKey?: Uint8Array | null
  readonly endpoint?: IpPort
  /** 0: off. */
  readonly persistentKeepaliveSeconds?: number
  /** All prefixes of this peer go first. */
  readonly replaceAllowedIps: boolean
  /** In order. */
  readonly allowedIps: readonly { readonly prefix: PrefixText; readonly isRemoval: boolean }[]
}

export type UapiRequest =
  | { readonly kind: 'get' }
  | { readonly kind: 'set'; readonly change: UapiChange }
  /** Answer the number. After `isFatal` nothing more can be told apart on this connection. */
  | { readonly kind: 'invalid'; readonly errno: UapiErrno; readonly reason: string; readonly isFatal: boolean }

export interface UapiState {
  readonly privateKey: Uint8Array | undefined
  readonly listenPort: number
  readonly fwmark: number
  readonly peers: Iterable<UapiPeerState>
}

export interface UapiPeerState {
  readonly publicKey: Uint8Array
  readonly presharedKey?: Uint8Array | undefined
  readonly endpoint?: IpPort | undefined
  /** Wall clock; undefined = never. */
  readonly lastHandshakeMs?: number | undefined
  readonly rxBytes: number
  readonly txBytes: number
  readonly persistentKeepaliveSeconds: number
  readonly allowedIps: Iterable<PrefixText>
}

/** A whole reply to `get=1`. */
export function encodeUapiState(state: UapiState): Uint8Array {
  const lines: string[] = []
  if (state.privateKey !== undefined) lines.push(`private_key=${toHex(state.privateKey)}`)
  if (state.listenPort !== 0) lines.push(`listen_port=${state.listenPort}`)
  if (state.fwmark !== 0) lines.push(`fwmark=${state.fwmark}`)
  for (const peer of state.peers) {
    lines.push(`public_key=${toHex(peer.publicKey)}`)
    if (peer.presharedKey !== undefined) lines.push(`preshared_key=${toHex(peer.presharedKey)}`)
    lines.push('protocol_version=1')
    if (peer.endpoint !== undefined) lines.push(`endpoint=${peer.endpoint}`)
    const handshakeMs = Math.max(0, Math.floor(peer.lastHandshakeMs ?? 0))
    const milliseconds = handshakeMs % 1000
    lines.push(`last_handshake_time_sec=${(handshakeMs - milliseconds) / 1000}`)
    lines.push(`last_handshake_time_nsec=${milliseconds * 1_000_000}`)
    lines.push(`tx_bytes=${peer.txBytes}`)
    lines.push(`rx_bytes=${peer.rxBytes}`)
    lines.push(`persistent_keepalive_interval=${peer.persistentKeepaliveSeconds}`)
    for (const prefix of peer.allowedIps) lines.push(`allowed_ip=${prefix}`)
  }
  lines.push('errno=0', '', '')
  return utf8(lines.join('\n'))
}

/** A whole reply to `set=1`, or to what could not be done. */
export function encodeUapiErrno(errno: UapiErrno | undefined): Uint8Array {
  return utf8(`errno=${errno === undefined ? 0 : -uapiErrno[errno]}\n\n`)
}

/** Requests out of a stream of bytes, in any pieces. */
export class UapiReader {
  #line: Uint8Array[] = []
  #lineBytes = 0
  #requestBytes = 0
  #operation: 'none' | 'get' | 'set' = 'none'
  #change = new ChangeParser()
  #problem: { readonly errno: UapiErrno; readonly reason: string } | undefined
  #isBroken = false

  /** Keeps no part of `bytes`. Nothing comes after a fatal answer. */
  push(bytes: Uint8Array): UapiRequest[] {
    const requests: UapiRequest[] = []
    for (let at = 0; at < bytes.length && !this.#isBroken; ) {
      const end = bytes.indexOf(0x0a, at)
      const piece = bytes.subarray(at, end < 0 ? bytes.length : end)
      at = end < 0 ? bytes.length : end + 1
      this.#lineBytes += piece.length
      this.#requestBytes += piece.length + (end < 0 ? 0 : 1)
      if (this.#lineBytes > MAX_LINE_BYTES) requests.push(this.#break('line-too-long'))
      else if (this.#requestBytes > MAX_REQUEST_BYTES) requests.push(this.#break('request-too-long'))
      else if (end < 0) this.#line.push(piece.slice())
      else {
        const request = this.#takeLine(this.#line.length === 0 ? piece : concat(...this.#line, piece))
        if (request !== undefined) requests.push(request)
      }
    }
    return requests
  }

  #takeLine(line: Uint8Array): UapiRequest | undefined {
    this.#line = []
    this.#lineBytes = 0
    const text = parseUtf8(line)
    if (this.#operation === 'none') {
      const operation = text.ok ? text.value : ''
      if (operation !== 'get=1' && operation !== 'set=1') return this.#break('unknown-operation')
      this.#operation = operation === 'get=1' ? 'get' : 'set'
      return undefined
    }
    if (line.length === 0) return this.#finish()
    if (this.#problem !== undefined) return undefined
    if (this.#operation === 'get') this.#problem = { errno: 'EINVAL', reason: 'get-with-lines' }
    else if (!text.ok || !text.value.includes('=')) this.#problem = { errno: 'EPROTO', reason: 'no-key-value' }
    else {
      const taken = this.#change.takeLine(text.value)
      if (!taken.ok) this.#problem = { errno: 'EINVAL', reason: taken.reason }
    }
    return undefined
  }

  #finish(): UapiRequest {
    const problem = this.#problem
    const request: UapiRequest =
      problem !== undefined
        ? { kind: 'invalid', ...problem, isFatal: false }
        : this.#operation === 'get'
          ? { kind: 'get' }
          : { kind: 'set', change: this.#change.value }
    this.#operation = 'none'
    this.#requestBytes = 0
    this.#change = new ChangeParser()
    this.#problem = undefined
    return request
  }

  #break(reason: string): UapiRequest {
    this.#isBroken = true
    this.#line = []
    return { kind: 'invalid', errno: 'EPROTO', reason, isFatal: true }
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }
type GrowingPeer = Writable<Omit<UapiPeerChange, 'allowedIps'>> & {
  allowedIps: { readonly prefix: PrefixText; readonly isRemoval: boolean }[]
}

class ChangeParser {
  readonly #peers: GrowingPeer[] = []
  readonly #device: Writable<Omit<UapiChange, 'peers'>> = { replacePeers: false }

  get value(): UapiChange {
    return { ...this.#device, peers: this.#peers }
  }

  takeLine(line: string): Decoded<true> {
    const equals = line.indexOf('=')
    const key = line.slice(0, equals)
    const value = line.slice(equals + 1)
    if (key === 'public_key') return this.#startPeer(value)
    const peer = this.#peers.at(-1)
    return peer === undefined ? takeDeviceLine(this.#device, key, value) : takePeerLine(peer, key, value)
  }

  #startPeer(value: string): Decoded<true> {
    const publicKey = parseKey(value)
    if (!publicKey.ok) return publicKey
    this.#peers.push({
      publicKey: publicKey.value,
      remove: false,
      updateOnly: false,
      replaceAllowedIps: false,
      allowedIps: [],
    })
    return DONE
  }
}

const DONE = ok(true as const)

function takeDeviceLine(device: Writable<Omit<UapiChange, 'peers'>>, key: string, value: string): Decoded<true> {
  switch (key) {
    case 'private_key':
      return take(parseKey(value), (parsed) => {
        device.privateKey = isAllZero(parsed) ? null : parsed
      })
    case 'listen_port':
      return take(parseNumber(value, 0xffff), (parsed) => {
        device.listenPort = parsed
      })
    case 'fwmark':
      return take(parseNumber(value, 0xffffffff), (parsed) => {
        device.fwmark = parsed
      })
    case 'replace_peers':
      return take(parseTrue(value), () => {
        device.replacePeers = true
      })
    default:
      return bad('device-key')
  }
}

function takePeerLine(peer: GrowingPeer, key: string, value: string): Decoded<true> {
  switch (key) {
    case 'remove':
      return take(parseTrue(value), () => {
        peer.remove = true
      })
    case 'update_only':
      return take(parseTrue(value), () => {
        peer.updateOnly = true
      })
    case 'preshared_key':
      return take(parseKey(value), (parsed) => {
        peer.presharedKey = isAllZero(parsed) ? null : parsed
      })
    case 'endpoint':
      return take(parseIpPort(value), (parsed) => {
        peer.endpoint = ipPort(parsed.ip, parsed.port)
      })
    case 'persistent_keepalive_interval':
      return take(parseNumber(value, 0xffff), (parsed) => {
        peer.persistentKeepaliveSeconds = parsed
      })
    case 'replace_allowed_ips':
      return take(parseTrue(value), () => {
        peer.replaceAllowedIps = true
        peer.allowedIps = []
      })
    case 'allowed_ip': {
      const isRemoval = value.startsWith('-')
      return take(parsePrefix(isRemoval ? value.slice(1) : value), (parsed) => {
        peer.allowedIps.push({ prefix: prefixText(parsed), isRemoval })
      })
    }
    case 'protocol_version':
      return value === '1' ? DONE : bad('protocol-version')
    default:
      return bad('peer-key')
  }
}

function take<T>(parsed: Decoded<T>, keep: (value: T) => void): Decoded<true> {
  if (!parsed.ok) return parsed
  keep(parsed.value)
  return DONE
}

function parseKey(value: string): Decoded<Uint8Array> {
  if (value.length !== 2 * KEY_BYTES) return bad('key-length')
  return parseHex(value)
}

/** Decimal without sign, as the reference reads it. */
function parseNumber(value: string, max: number): Decoded<number> {
  if (!/^\d{1,10}$/.test(value)) return bad('number')
  const number = Number(value)
  return number <= max ? ok(number) : bad('number')
}

function parseTrue(value: string): Decoded<true> {
  return value === 'true' ? DONE : bad('not-true')
}
