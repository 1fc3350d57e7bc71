/**
 * Members of a peer's status in the order a stock daemon writes them, for people and scripts that compare the documents
 * as text. A JSON reader must not care. [docs/rules/localapi.md LA-3]
 */
import type { PeerStatus } from '../../src-contract/localapi/status.ts'

/** A new member of `PeerStatus` does not compile without a row; the order of the rows is the order on the wire. */
const peerStatusRows: { readonly [K in keyof PeerStatus]-?: true } = {
  ID: true,
  NodeID: true,
  PublicKey: true,
  HostName: true,
  DNSName: true,
  OS: true,
  UserID: true,
  AltSharerUserID: true,
  TailscaleIPs: true,
  AllowedIPs: true,
  Tags: true,
  PrimaryRoutes: true,
  Addrs: true,
  CurAddr: true,
  Relay: true,
  PeerRelay: true,
  RxBytes: true,
  TxBytes: true,
  Created: true,
  LastWrite: true,
  LastSeen: true,
  LastHandshake: true,
  Online: true,
  ExitNode: true,
  ExitNodeOption: true,
  Active: true,
  PeerAPIURL: true,
  TaildropTarget: true,
  NoFileSharingReason: true,
  Capabilities: true,
  CapMap: true,
  sshHostKeys: true,
  ShareeNode: true,
  InNetworkMap: true,
  InMagicSock: true,
  InEngine: true,
  Expired: true,
  KeyExpiry: true,
  Location: true,
}

const peerStatusNames = Object.keys(peerStatusRows) as (keyof PeerStatus)[]

/** The same members, in stock's order; absent ones stay absent. */
export function peerStatusInOrder(status: PeerStatus): PeerStatus {
  const ordered: Partial<Record<keyof PeerStatus, unknown>> = {}
  for (const name of peerStatusNames) if (status[name] !== undefined) ordered[name] = status[name]
  return ordered as PeerStatus
}

/** Go writes the keys of a map sorted by their bytes. */
export function sortedByKey<V>(map: { readonly [key: string]: V }): { [key: string]: V } {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)))
}
