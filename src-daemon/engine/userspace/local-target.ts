/**
 * Where a flow that others begin goes on this host: our own addresses mean this host itself, advertised networks what
 * lies in them. Pure. [docs/rules/netstack.md NST-20]
 */
import { ipText, isLinkLocal, isLoopback, isMulticast, isTailscaleIp } from '../../../src-protocol/wire/ip.ts'

export interface TargetFacts {
  readonly isOwn: (ip: Uint8Array) => boolean
  /** Ports of our own proxies: whoever reached them would be us. */
  readonly closedPorts: ReadonlySet<number>
}

/** Hosts to try in turn; none = refused. */
export function localTargets(address: Uint8Array, port: number, facts: TargetFacts): readonly string[] {
  if (facts.isOwn(address)) {
    if (facts.closedPorts.has(port)) return []
    return address.length === 4 ? ['127.0.0.1'] : ['::1', '127.0.0.1']
  }
  return isForbidden(address) ? [] : [ipText(address)]
}

/** Never reached through an advertised route, whatever it says. */
function isForbidden(ip: Uint8Array): boolean {
  const isUnspecified = ip.length === 4 ? ip[0] === 0 : ip.every((byte) => byte === 0)
  const isReserved = ip.length === 4 && ip[0]! >= 240 // with the broadcast address
  return isUnspecified || isReserved || isLoopback(ip) || isLinkLocal(ip) || isMulticast(ip) || isTailscaleIp(ip)
}
