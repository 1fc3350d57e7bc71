/** Who asks at the PeerAPI, and whether a request is one of a peer's program at all. Pure. [docs/rules/peerapi.md PA-3] */
import type { Node } from '../../../src-contract/control/map.ts'
import type { IpText } from '../../../src-contract/ids.ts'
import { idText } from '../../../src-contract/ids.ts'
import { compileFilter } from '../../../src-native/filter.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { ipBytes, ipText, parseIp, parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import type { PeerApiRequest } from '../../io/peerapi/port.ts'
import { findNodeForWhois } from '../find-node.ts'
import { nodeAddresses } from '../node-text.ts'

/** What the answers depend on. */
export interface PeerApiView {
  readonly netmap: Netmap
  readonly shieldsUp: boolean
  /** Both default routes are advertised. */
  readonly offersExitNode: boolean
}

/** Undefined: nobody that we know, to whom nothing is said. */
export function findCaller(view: PeerApiView, remote: IpText): Node | undefined {
  const node = findNodeForWhois(view.netmap, remote)
  return node?.Expired === true ? undefined : node
}

/** Web pages must not reach peers through somebody's browser. Undefined: go on; else why not. */
export function refusal(view: PeerApiView, request: PeerApiRequest): string | undefined {
  if (request.headers.referer !== undefined || request.headers.origin !== undefined) return 'not for web pages'
  const host = typeof request.headers.host === 'string' ? request.headers.host : ''
  return isOurHost(view, request, host) ? undefined : 'unknown host'
}

function isOurHost(view: PeerApiView, { localPort }: PeerApiRequest, host: string): boolean {
  if (host === 'peer') return true
  const form = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(host)
  const ip = parseIp(form?.[1] ?? form?.[2] ?? '')
  return ip.ok && Number(form?.[3]) === localPort && nodeAddresses(view.netmap.self).includes(ipText(ip.value))
}

/** Machines of the same person; a tag has no person. */
export function isSamePerson({ netmap: { self } }: PeerApiView, peer: Node): boolean {
  if (idText(peer.ID) === idText(self.ID)) return true
  return (peer.Tags ?? []).length === 0 && (self.Tags ?? []).length === 0 && idText(peer.User) === idText(self.User)
}

const ANYWHERE: { readonly [family in 4 | 6]: string } = { 4: '0.0.0.0', 6: '2000::' }
const TCP = 6
const DNS_PORT = 53

/** Whoever could ask name servers through us as an exit node, and machines of our own person. */
export function mayAskNames(view: PeerApiView, peer: Node, remote: IpText): boolean {
  if (isSamePerson(view, peer)) return true
  if (view.shieldsUp || !view.offersExitNode) return false
  const source = ipBytes(remote)
  const destination = ipBytes(ANYWHERE[source.length === 4 ? 4 : 6])
  const holds = (prefix: string, ip: Uint8Array): boolean => {
    const parsed = parsePrefix(prefix)
    return parsed.ok && parsed.value.ip.length === ip.length && prefixContains(parsed.value, ip)
  }
  return compileFilter(view.netmap.filterRules).rules.some(
    ({ sources, protocols, destinations }) =>
      protocols.includes(TCP) &&
      sources.some((prefix) => holds(prefix, source)) &&
      destinations.some(
        ({ prefix, firstPort, lastPort }) =>
          firstPort <= DNS_PORT && DNS_PORT <= lastPort && holds(prefix, destination),
      ),
  )
}
