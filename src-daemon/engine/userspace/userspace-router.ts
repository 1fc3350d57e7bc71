/**
 * Routing without a kernel: remembers what is wanted, and answers for each address whether it lies in the network. The
 * same declaration that the real router gets. [docs/rules/routing.md]
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import {
  ipBytes,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isTailscaleIp,
  type Prefix,
  parsePrefix,
  prefixContains,
} from '../../../src-protocol/wire/ip.ts'
import type { Router, RouterConfig, RouterResult } from '../../io/router/port.ts'

export class UserspaceRouter implements Router {
  onAddresses: (addresses: readonly Uint8Array[]) => void = () => {}
  #own: readonly IpText[] = []
  #inside: readonly Prefix[] = []
  #outside: readonly Prefix[] = []

  async apply(desired: RouterConfig | undefined): Promise<RouterResult> {
    this.#own = desired?.addresses ?? []
    this.#inside = parsed(desired?.routes ?? [])
    this.#outside = parsed([...(desired?.localRoutes ?? []), ...(desired?.bypass.prefixes ?? [])])
    this.onAddresses(this.#own.map(ipBytes))
    return { kind: 'applied', warnings: [] }
  }

  forget(): void {}

  async close(): Promise<void> {
    await this.apply(undefined)
  }

  /** Our own address of this family. */
  ownAddress(family: 4 | 6): Uint8Array | undefined {
    return this.#own.map(ipBytes).find((ip) => ip.length === (family === 4 ? 4 : 16))
  }

  isOwn(ip: Uint8Array): boolean {
    const bytes = String(ip)
    return this.#own.some((own) => String(ipBytes(own)) === bytes)
  }

  /** Into the network; else the system's own way. */
  isInside(ip: Uint8Array): boolean {
    if (isLoopback(ip) || isLinkLocal(ip) || isMulticast(ip) || ip.every((byte) => byte === 0)) return false
    if (isTailscaleIp(ip)) return true // never anywhere else, whether somebody is there or not
    const contains = (prefix: Prefix): boolean => prefixContains(prefix, ip)
    return !this.#outside.some(contains) && this.#inside.some(contains)
  }
}

function parsed(texts: readonly PrefixText[]): Prefix[] {
  return texts.flatMap((text) => {
    const prefix = parsePrefix(text)
    return prefix.ok ? [prefix.value] : []
  })
}
