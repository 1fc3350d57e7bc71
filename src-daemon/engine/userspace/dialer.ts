/**
 * Connections that programs of this host ask for, by name or address: into the network, or by the system's own way where
 * the network does not reach. Names are asked at our resolver first. [docs/rules/netstack.md NST-30 … NST-33]
 */
import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { decodeDns, dnsType } from '../../../src-protocol/wire/dns.ts'
import { canonicalDnsName, isWithin } from '../../../src-protocol/wire/dns-name.ts'
import { decodeRecordData } from '../../../src-protocol/wire/dns-record.ts'
import { ipBytes, ipText, parseIp } from '../../../src-protocol/wire/ip.ts'
import { errorCode, errorText } from '../../io/log/log.ts'
import type { Dialer, DialFailure, DialResult } from '../../io/proxies/dialer-port.ts'
import type { DnsService } from '../dns/dns-service.ts'
import type { NetstackHost } from './netstack-host.ts'
import type { UserspaceRouter } from './userspace-router.ts'

const DIAL_MS = 15_000
const RESOLVE_MS = 8_000

/** The part of the network's own stack; absent where the kernel has an interface and does it all. */
export interface Overlay {
  readonly host: Pick<NetstackHost, 'connect'>
  readonly router: Pick<UserspaceRouter, 'isInside' | 'isOwn' | 'ownAddress'>
}

export interface DialerOptions {
  readonly dns: Pick<DnsService, 'query' | 'plan'>
  readonly overlay: Overlay | undefined
  /** What short names stand in, without a dot in front. */
  readonly ownDomain: () => string | undefined
}

export class UserspaceDialer implements Dialer {
  readonly #o: DialerOptions

  constructor(options: DialerOptions) {
    this.#o = options
  }

  async dial(host: string, port: number, signal: AbortSignal): Promise<DialResult> {
    const addresses = await this.resolve(host)
    if (addresses.length === 0) return failed('unknown-name', `no address for ${JSON.stringify(host)}`)
    let last: DialResult = failed('unreachable', `${host} cannot be reached`)
    const limit = AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS)])
    for (const address of addresses.slice(0, 4)) {
      last = await this.#dialAddress(address, port, limit)
      if (last.kind === 'connected' || limit.aborted) break
    }
    return last
  }

  /** Addresses to try in turn. */
  async resolve(host: string): Promise<Uint8Array[]> {
    const literal = parseIp(host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host)
    if (literal.ok) return [literal.value]
    const name = canonicalDnsName(host)
    if (name === undefined) return []
    const { plan } = this.#o.dns
    const own = this.#o.ownDomain() ?? ''
    const domains = name.includes('.') ? [] : new Set([own, ...plan.searchDomains].filter((domain) => domain !== ''))
    const candidates = [...[...domains].map((domain) => `${name}.${domain}`), name]
    for (const candidate of candidates) {
      const found = await this.#askOwn(candidate)
      if (found.length > 0) return found
    }
    const isOurs = candidates.some((candidate) => [...plan.localDomains].some((domain) => isWithin(candidate, domain)))
    // with servers of the network's own for everything, the system's would only give away what is asked
    if ((isOurs && name.includes('.')) || plan.defaults.length > 0) return []
    return this.#askSystem(name)
  }

  async #askOwn(name: string): Promise<Uint8Array[]> {
    // machines are known by name whatever the host's own names come from (accept-dns off)
    const known = this.#o.dns.plan.hosts.get(name)
    if (known !== undefined) return known.map(ipBytes)
    const found = await Promise.all([this.#ask(name, dnsType.A), this.#ask(name, dnsType.AAAA)])
    return found.flat()
  }

  async #ask(name: string, type: number): Promise<Uint8Array[]> {
    const { plan } = this.#o.dns
    const isKnown =
      plan.defaults.length > 0 || [...plan.localDomains, ...plan.routes.keys()].some((suffix) => isWithin(name, suffix))
    if (!isKnown) return []
    const answer = await Promise.race([this.#o.dns.query(name, type), after(RESOLVE_MS)])
    const message = answer === undefined ? undefined : decodeDns(answer.bytes)
    if (message === undefined || !message.ok) return []
    const { value } = message
    return value.answers.flatMap((record) => {
      const data = record.type === type ? decodeRecordData(value, record) : undefined
      const ip = data?.ok === true && data.value.kind === 'address' ? parseIp(data.value.address) : undefined
      return ip?.ok === true ? [ip.value] : []
    })
  }

  async #askSystem(name: string): Promise<Uint8Array[]> {
    const found = await Promise.race([lookup(name, { all: true }).catch(() => []), after(RESOLVE_MS)]) // nobody knows it
    return (found ?? []).flatMap(({ address }) => {
      const ip = parseIp(address)
      return ip.ok ? [ip.value] : []
    })
  }

  /** Whether the network's own stack would carry it. */
  isInside(address: Uint8Array): boolean {
    return this.#o.overlay?.router.isInside(address) ?? false
  }

  #dialAddress(address: Uint8Array, port: number, signal: AbortSignal): Promise<DialResult> {
    const { overlay } = this.#o
    if (overlay?.router.isOwn(address) === true) return dialSystem('127.0.0.1', port, signal)
    if (overlay === undefined || !overlay.router.isInside(address)) return dialSystem(ipText(address), port, signal)
    const src = overlay.router.ownAddress(address.length === 4 ? 4 : 6)
    if (src === undefined) {
      return Promise.resolve(failed('unreachable', 'this machine is not connected to its network (pintail up)'))
    }
    const stream = overlay.host.connect({ src, dst: address, dstPort: port })
    if (stream === undefined) return Promise.resolve(failed('busy', 'too many connections'))
    return connected(stream, signal)
  }
}

function dialSystem(host: string, port: number, signal: AbortSignal): Promise<DialResult> {
  return connected(connect({ host, port, allowHalfOpen: true, noDelay: true }), signal)
}

function connected(stream: Duplex, signal: AbortSignal): Promise<DialResult> {
  return new Promise((resolve) => {
    const onAbort = (): void =>
      void stream.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' }))
    const onError = (error: Error): void => {
      signal.removeEventListener('abort', onAbort)
      resolve(failed(reasonOf(errorCode(error)), errorText(error)))
    }
    stream.once('error', onError)
    stream.once('connect', () => {
      signal.removeEventListener('abort', onAbort)
      stream.removeListener('error', onError)
      resolve({ kind: 'connected', stream })
    })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

function reasonOf(code: string | undefined): DialFailure['reason'] {
  switch (code) {
    case 'ECONNREFUSED':
      return 'refused'
    case 'ETIMEDOUT':
      return 'timeout'
    default:
      return 'unreachable'
  }
}

function failed(reason: DialFailure['reason'], message: string): DialFailure {
  return { kind: 'failed', reason, message }
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => void setTimeout(resolve, ms, undefined).unref())
}
