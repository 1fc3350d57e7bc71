/**
 * Which of the prefixes that the server allows a peer we let it have: always its own addresses, its subnets if we accept
 * routes, the internet if it is our exit node. Pure. [features.md §5, §6]
 */
import type { Node } from '../../../src-contract/control/map.ts'
import type { PrefixText } from '../../../src-contract/ids.ts'
import { isTailscaleIp, parsePrefix, prefixText } from '../../../src-protocol/wire/ip.ts'
import { hostPrefixText, nodeAddresses } from '../node-text.ts'
import type { RoutingWish } from './wish.ts'

export type AcceptWish = Pick<RoutingWish, 'acceptsRoutes' | 'routesOff' | 'exit'>

/** An empty `AllowedIPs` really means none; none at all means the node's own addresses. */
export function acceptedPrefixes(node: Node, wish: AcceptWish): PrefixText[] {
  const own = nodeAddresses(node).map(hostPrefixText)
  if (node.AllowedIPs === undefined || node.AllowedIPs === null) return own
  const accepted = new Set<PrefixText>()
  for (const text of node.AllowedIPs) {
    if (own.includes(text)) accepted.add(text)
    else {
      const prefix = parsePrefix(text)
      if (prefix.ok && accepts(node, prefix.value, wish)) accepted.add(prefixText(prefix.value))
    }
  }
  return [...accepted]
}

/** Subnets that the peer offers, whether we accept them or not. */
export function offeredSubnets(node: Node): PrefixText[] {
  const own = nodeAddresses(node).map(hostPrefixText)
  const offered: PrefixText[] = []
  for (const text of node.AllowedIPs ?? []) {
    const prefix = parsePrefix(text)
    if (own.includes(text) || !prefix.ok || prefix.value.bits === 0 || isOverlayHost(prefix.value)) continue
    offered.push(prefixText(prefix.value))
  }
  return offered
}

export function sameAcceptance(a: AcceptWish, b: AcceptWish): boolean {
  return (
    a.acceptsRoutes === b.acceptsRoutes &&
    a.exit?.peer === b.exit?.peer &&
    a.routesOff.length === b.routesOff.length &&
    a.routesOff.every((route, i) => route === b.routesOff[i])
  )
}

interface ParsedPrefix {
  readonly ip: Uint8Array
  readonly bits: number
}

function accepts(node: Node, prefix: ParsedPrefix, wish: AcceptWish): boolean {
  if (prefix.bits === 0) return wish.exit?.peer === node.StableID
  if (isOverlayHost(prefix)) return true // a service of the network itself
  return wish.acceptsRoutes && !wish.routesOff.includes(prefixText(prefix))
}

function isOverlayHost({ ip, bits }: ParsedPrefix): boolean {
  return bits === ip.length * 8 && isTailscaleIp(ip)
}
