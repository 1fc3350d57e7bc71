/**
 * What may stay outside of the tunnel, whoever asks for it: a setting, another VPN's routes, an answer from a name server.
 * The network's own addresses are reached through the tunnel and nowhere else; past it, packets for other machines would
 * leave uncovered. Pure. [docs/rules/bypass.md BYP-6]
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import {
  isLinkLocal,
  isLoopback,
  isMulticast,
  type Prefix,
  parsePrefix,
  tailscaleRanges,
} from '../../../src-protocol/wire/ip.ts'
import { prefixesOverlap } from '../../../src-protocol/wire/prefix-sets.ts'
import { hostPrefixText } from '../node-text.ts'

const NOWHERE: readonly IpText[] = ['0.0.0.0', '255.255.255.255', '::']
const overlay = tailscaleRanges.flatMap((text) => {
  const prefix = parsePrefix(text)
  return prefix.ok ? [prefix.value] : []
})

export function holdsOverlay(prefix: Prefix): boolean {
  return overlay.some((range) => prefixesOverlap(range, prefix))
}

/** Of an interface: also not the internet, not even in halves, as some VPNs write it. */
export function mayPassWithInterface(text: PrefixText): boolean {
  const prefix = parsePrefix(text)
  return prefix.ok && prefix.value.bits > 1 && !holdsOverlay(prefix.value)
}

/** Of a name, whose server may say anything. */
export function mayPassWithName(address: IpText): boolean {
  const prefix = parsePrefix(hostPrefixText(address))
  if (!prefix.ok || NOWHERE.includes(address)) return false
  const { ip } = prefix.value
  return !isLoopback(ip) && !isLinkLocal(ip) && !isMulticast(ip) && !holdsOverlay(prefix.value)
}
