/**
 * Which ports of a coordination server are tried, and with which is begun. Pure.
 *
 * Deviation: stock clients begin with plain HTTP and, within two minutes of an earlier dial, try TLS alone, which cuts
 * off public `http:` servers after a reconnect. We begin with what the URL says and let the other follow, always.
 * [control.md §2.2; CTL-2.2]
 */
import { isIP } from 'node:net'
import { isLinkLocal, isLoopback, isPrivateIp, isTailscaleIp, parseIp } from '../../../src-protocol/wire/ip.ts'
import { ControlError } from './port.ts'

export interface DialTarget {
  readonly isTls: boolean
  readonly port: number
}

export interface ServerAddress {
  /** Without brackets. */
  readonly host: string
  /** For `Host:` and messages: with the port where it is not the scheme's own. */
  readonly authority: string
  /** Scheme and authority, nothing behind. */
  readonly origin: string
  readonly targets: readonly [DialTarget, ...DialTarget[]]
}

export function parseServerUrl(text: string): ServerAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw new ControlError('other', `not a server URL: ${text.slice(0, 100)}`)
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? undefined : Number(url.port)
  return { host, authority: url.host, origin: url.origin, targets: targetsOf(url.protocol === 'https:', host, port) }
}

function targetsOf(isHttps: boolean, host: string, port: number | undefined): [DialTarget, ...DialTarget[]] {
  if (isHttps) {
    return [
      { isTls: true, port: port ?? 443 },
      { isTls: false, port: 80 },
    ]
  }
  const plain = { isTls: false, port: port ?? 80 }
  return isNearby(host) ? [plain] : [plain, { isTls: true, port: 443 }]
}

/** Hosts that run without certificates and without anybody listening on 443. */
function isNearby(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true
  if (isIP(host) === 0) return false
  const ip = parseIp(host)
  if (!ip.ok) return false
  return isPrivateIp(ip.value) || isLoopback(ip.value) || isLinkLocal(ip.value) || isTailscaleIp(ip.value)
}
