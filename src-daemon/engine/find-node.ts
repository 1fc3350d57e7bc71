/** Nodes by what a client names them with. Pure. */
import type { Node } from '../../src-contract/control/map.ts'
import { type Int64, idText } from '../../src-contract/ids.ts'
import type { Netmap } from '../../src-protocol/machines/netmap.ts'
import { ipText, parseIp, parseIpPort } from '../../src-protocol/wire/ip.ts'
import { nodeAddresses } from './node-text.ts'

/** Canonical text, or undefined when it is no address. */
export function canonicalIp(text: string): string | undefined {
  const parsed = parseIp(text)
  return parsed.ok ? ipText(parsed.value) : undefined
}

export function isOwnAddress(netmap: Netmap, address: string): boolean {
  return nodeAddresses(netmap.self).includes(address)
}

/** A peer whose own address this is. */
export function findPeerByAddress(netmap: Netmap, address: string): Node | undefined {
  for (const node of netmap.peers.values()) if (nodeAddresses(node).includes(address)) return node
  return undefined
}

export function findNodeById(netmap: Netmap, id: Int64): Node | undefined {
  return idText(netmap.self.ID) === idText(id) ? netmap.self : netmap.peers.get(idText(id))
}

/** The address in `ip`, `ip:port` or `[ip]:port`. */
export function addressForWhois(text: string): string | undefined {
  const withPort = parseIpPort(text)
  return canonicalIp(text) ?? (withPort.ok ? ipText(withPort.value.ip) : undefined)
}

/** `ip`, `ip:port`, `[ip]:port` or `nodekey:…`, of a peer or of this node. */
export function findNodeForWhois(netmap: Netmap, text: string): Node | undefined {
  if (text.startsWith('nodekey:')) {
    if (netmap.self.Key === text) return netmap.self
    for (const node of netmap.peers.values()) if (node.Key === text) return node
    return undefined
  }
  const address = addressForWhois(text)
  if (address === undefined) return undefined
  return isOwnAddress(netmap, address) ? netmap.self : findPeerByAddress(netmap, address)
}
