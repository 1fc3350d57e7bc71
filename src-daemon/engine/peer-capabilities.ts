/** What the network's policy lets others do with this node. Pure. [docs/rules/filter.md §5] */
import type { RawCapMap } from '../../src-contract/control/map.ts'
import type { IpText } from '../../src-contract/ids.ts'
import { grantedCapabilities } from '../../src-protocol/machines/grants.ts'
import type { Netmap } from '../../src-protocol/machines/netmap.ts'
import { nodeAddresses } from './node-text.ts'

/** Of whoever comes from this address, toward our address of the same family; null = none. */
export function peerCapabilities(netmap: Netmap, shieldsUp: boolean, source: IpText): RawCapMap | null {
  const own = nodeAddresses(netmap.self).find((ip) => ip.includes(':') === source.includes(':'))
  if (shieldsUp || own === undefined) return null
  const granted = grantedCapabilities(netmap.filterRules, source, own)
  return Object.keys(granted).length === 0 ? null : granted
}
