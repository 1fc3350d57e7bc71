/**
 * At home: subnets of others that overlap a network around this host, and the proof that it is the same network. Pure.
 * The same numbers prove nothing (half of all homes are 192.168.1.0/24); what does is the subnet's own router, answering
 * an authenticated probe at an address inside the subnet and seeing us at our address inside it. [docs/rules/routing.md RTE-5]
 */
import type { Node } from '../../../src-contract/control/map.ts'
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import type { PathReport } from '../../../src-contract/localapi/pintail.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { ipBytes, parsePrefix, prefixContains, prefixText, splitIpPort } from '../../../src-protocol/wire/ip.ts'
import { prefixesOverlap } from '../../../src-protocol/wire/prefix-sets.ts'
import type { HostNetwork } from '../../io/netmon/port.ts'
import { offeredSubnets } from './accepted-prefixes.ts'
import { networksOf } from './desired.ts'

export interface Overlap {
  /** As the peer offers it. */
  readonly subnet: PrefixText
  readonly node: Node
  readonly interfaceName: string
  /** The network around us. */
  readonly network: PrefixText
  readonly ownAddresses: readonly IpText[]
}

/** What is to be left to the network around us. */
export interface HomeRoutes {
  /** These routes lie in it. */
  readonly off: readonly PrefixText[]
  /** It is a part of these routes' networks: only this part stays outside of the tunnel. */
  readonly local: readonly PrefixText[]
}

export const notAtHome: HomeRoutes = { off: [], local: [] }

export function findOverlaps(netmap: Netmap, network: HostNetwork, ownInterface: string | undefined): Overlap[] {
  const around = network.interfaces
    .filter(({ name }) => name !== ownInterface)
    .flatMap((face) => networksOf(face).map((prefix) => ({ face, prefix })))
  if (around.length === 0) return []
  return [...netmap.peers.values()].flatMap((node) =>
    offeredSubnets(node).flatMap((subnet) => {
      const prefix = parsePrefix(subnet)
      if (!prefix.ok) return []
      return around
        .filter((one) => prefixesOverlap(prefix.value, one.prefix))
        .map((one) => ({
          subnet,
          node,
          interfaceName: one.face.name,
          network: prefixText(one.prefix),
          ownAddresses: one.face.addresses.map(({ address }) => address),
        }))
    }),
  )
}

export function isProvenHome({ subnet, network, ownAddresses }: Overlap, report: PathReport | undefined): boolean {
  const both = [subnet, network].map(parsePrefix)
  const isInside = (ip: IpText): boolean =>
    both.every((prefix) => prefix.ok && prefixContains(prefix.value, ipBytes(ip)))
  return (report?.candidates ?? []).some(({ endpoint, seenAs }) => {
    if (seenAs === undefined) return false
    const own = splitIpPort(seenAs).address
    return isInside(splitIpPort(endpoint).address) && isInside(own) && ownAddresses.includes(own)
  })
}

export function homeRoutes(proven: readonly Overlap[]): HomeRoutes {
  const off = new Set<PrefixText>()
  const local = new Set<PrefixText>()
  for (const { subnet, network } of proven) {
    if (bitsOf(subnet) >= bitsOf(network)) off.add(subnet)
    else local.add(network)
  }
  return { off: [...off].sort(), local: [...local].sort() }
}

function bitsOf(prefix: PrefixText): number {
  return Number(prefix.slice(prefix.indexOf('/') + 1))
}
