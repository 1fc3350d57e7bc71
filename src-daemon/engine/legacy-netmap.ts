/** The netmap in the form that watchers of old and `debug?action=current-netmap` know. Pure. */

import type { LegacyNetMap } from '../../src-contract/localapi/notify.ts'
import type { Netmap } from '../../src-protocol/machines/netmap.ts'
import { ZERO_MACHINE_KEY } from '../../src-protocol/wire/keys.ts'
import { compareIds } from './ids-order.ts'

export function legacyNetMap(netmap: Netmap): LegacyNetMap {
  return {
    Cached: false,
    SelfNode: netmap.self,
    AllCaps: Object.keys(netmap.self.CapMap ?? {}).sort(),
    NodeKey: netmap.self.Key,
    MachineKey: netmap.self.Machine ?? ZERO_MACHINE_KEY,
    Peers: [...netmap.peers.values()].sort((a, b) => compareIds(a.ID, b.ID)),
    DNS: netmap.dns ?? {},
    PacketFilter: [],
    PacketFilterRules: [...netmap.filterRules],
    SSHPolicy: netmap.sshPolicy ?? null,
    CollectServices: false,
    DERPMap: netmap.derpMap ?? null,
    DisplayMessages: null,
    TKAEnabled: false,
    TKAHead: '',
    Domain: netmap.domain,
    DomainAuditLogID: '',
    UserProfiles: Object.fromEntries(netmap.userProfiles),
  }
}
