/** Who manages DNS on this host: facts in, decision out. Pure; `linux.ts` gathers the facts. [features.md §8.4] */
import { parseResolvConf, resolvConfOwner } from '../../../src-protocol/wire/resolv-conf.ts'
import type { OsDnsMode } from './port.ts'

export interface DnsFacts {
  /** undefined: there is no /etc/resolv.conf. */
  readonly resolvConf: string | undefined
  readonly nsswitch: string
  readonly isResolvedThere: boolean
  /** undefined: not on the bus. */
  readonly networkManager: { readonly version: string; readonly usesResolved: boolean } | undefined
  readonly resolvconf: 'debian' | 'openresolv' | undefined
}

export interface DnsDecision {
  readonly mode: Exclude<OsDnsMode, 'memory'>
  readonly why: string
}

const STUB = '127.0.0.53'

export function decideDnsMode(facts: DnsFacts): DnsDecision {
  const { resolvConf, networkManager } = facts
  if (resolvConf === undefined) return { mode: 'direct', why: 'there is no resolv.conf' }
  const owner = resolvConfOwner(resolvConf)
  switch (owner) {
    case 'systemd-resolved': {
      if (!facts.isResolvedThere)
        return { mode: 'direct', why: 'resolv.conf is of systemd-resolved, which does not run' }
      if (!asksResolved(facts)) return { mode: 'direct', why: 'systemd-resolved runs, but programs do not ask it' }
      return networkManager?.usesResolved === true && takesDnsAway(networkManager.version)
        ? {
            mode: 'network-manager',
            why: `NetworkManager ${networkManager.version} overwrites what systemd-resolved is told`,
          }
        : { mode: 'systemd-resolved', why: 'programs ask systemd-resolved' }
    }
    case 'resolvconf':
      if (facts.resolvconf === 'debian')
        return { mode: 'resolvconf', why: "resolv.conf is put together by Debian's resolvconf" }
      if (facts.resolvconf === 'openresolv')
        return { mode: 'openresolv', why: 'resolv.conf is put together by openresolv' }
      return { mode: 'direct', why: 'resolv.conf is of resolvconf, which is not installed' }
    case 'NetworkManager': {
      if (!facts.isResolvedThere) return { mode: 'direct', why: 'NetworkManager writes resolv.conf itself' }
      if (!asksResolved(facts))
        return { mode: 'direct', why: 'NetworkManager writes resolv.conf, and programs do not ask systemd-resolved' }
      if (networkManager === undefined)
        return { mode: 'systemd-resolved', why: 'programs ask systemd-resolved; NetworkManager does not run' }
      if (takesDnsAway(networkManager.version)) {
        return {
          mode: 'network-manager',
          why: `NetworkManager ${networkManager.version} overwrites what systemd-resolved is told`,
        }
      }
      return networkManager.usesResolved
        ? { mode: 'systemd-resolved', why: 'NetworkManager leaves names to systemd-resolved' }
        : { mode: 'direct', why: 'NetworkManager writes resolv.conf itself' }
    }
    case 'stock':
      return { mode: 'direct', why: 'resolv.conf was left by another daemon of this kind' }
    default:
      return { mode: 'direct', why: 'nobody is known to manage resolv.conf' }
  }
}

/** Through its stub, or through the C library. */
function asksResolved({ resolvConf, nsswitch }: DnsFacts): boolean {
  const { nameservers } = parseResolvConf(resolvConf ?? '')
  if (nameservers.length > 0 && nameservers.every((address) => address === STUB)) return true
  const hosts = /^\s*hosts:(.*)$/m.exec(nsswitch)?.[1]?.split(/\s+/) ?? []
  const [resolve, dns] = [hosts.indexOf('resolve'), hosts.indexOf('dns')]
  return resolve >= 0 && (dns < 0 || resolve < dns)
}

/** These versions set each link's servers themselves and undo others' settings. */
function takesDnsAway(version: string): boolean {
  return /^1\.26\.[0-5](?:\D|$)/.test(version)
}
