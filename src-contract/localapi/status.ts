/** `GET /localapi/v0/status`, field for field as a stock daemon writes it. Slices that Go would leave nil are null. */

import type { ClientVersion, Location, RawCapMap, UserProfile } from '../control/map.ts'
import {
  type IpPort,
  type IpText,
  type NodeId,
  type NodeKeyText,
  type PrefixText,
  type StableNodeId,
  type TimeText,
  type UserId,
  ZERO_TIME,
} from '../ids.ts'
import type { IpnStateName } from './state.ts'

/** Whether a file can be sent to a peer, and if not, why. */
export const taildropTarget = {
  unknown: 0,
  available: 1,
  noNetmap: 2,
  notRunning: 3,
  missingCap: 4,
  offline: 5,
  noPeerInfo: 6,
  unsupportedOs: 7,
  noPeerApi: 8,
  ownedByOtherUser: 9,
} as const

export interface PeerStatus {
  ID: StableNodeId
  NodeID: NodeId
  PublicKey: NodeKeyText
  HostName: string
  /** FQDN with trailing dot. */
  DNSName: string
  OS: string
  UserID: UserId
  AltSharerUserID?: UserId
  TailscaleIPs: IpText[] | null
  AllowedIPs?: PrefixText[]
  Tags?: string[]
  PrimaryRoutes?: PrefixText[]
  Addrs: IpPort[] | null
  /** Direct path in use, or "". */
  CurAddr: string
  /** Region code of the home (or active) relay. */
  Relay: string
  /** `ip:port:vni:N` or "". */
  PeerRelay: string
  RxBytes: number
  TxBytes: number
  Created: TimeText
  LastWrite: TimeText
  LastSeen: TimeText
  LastHandshake: TimeText
  Online: boolean
  ExitNode: boolean
  ExitNodeOption: boolean
  Active: boolean
  PeerAPIURL: string[] | null
  TaildropTarget: number
  NoFileSharingReason: string
  Capabilities?: string[]
  CapMap?: RawCapMap
  sshHostKeys?: string[]
  ShareeNode?: boolean
  InNetworkMap: boolean
  InMagicSock: boolean
  InEngine: boolean
  Expired?: boolean
  KeyExpiry?: TimeText
  Location?: Location
}

export interface Status {
  Version: string
  TUN: boolean
  BackendState: IpnStateName
  HaveNodeKey?: boolean
  AuthURL: string
  TailscaleIPs: IpText[] | null
  Self: PeerStatus
  ExitNodeStatus?: { ID: StableNodeId; Online: boolean; TailscaleIPs: PrefixText[] }
  Health: string[] | null
  MagicDNSSuffix: string
  CurrentTailnet: { Name: string; MagicDNSSuffix: string; MagicDNSEnabled: boolean } | null
  CertDomains: string[] | null
  ExtraRecords?: { Name: string; Type?: string; Value: string }[]
  Peer: { [nodeKey: string]: PeerStatus } | null
  User: { [userId: string]: UserProfile } | null
  ClientVersion: ClientVersion | null
}

/** A peer of which nothing is known: what each member is before somebody says more. */
export const EMPTY_PEER_STATUS: PeerStatus = {
  ID: '',
  NodeID: 0,
  PublicKey: `nodekey:${'0'.repeat(64)}` as NodeKeyText,
  HostName: '',
  DNSName: '',
  OS: '',
  UserID: 0,
  TailscaleIPs: null,
  Addrs: null,
  CurAddr: '',
  Relay: '',
  PeerRelay: '',
  RxBytes: 0,
  TxBytes: 0,
  Created: ZERO_TIME,
  LastWrite: ZERO_TIME,
  LastSeen: ZERO_TIME,
  LastHandshake: ZERO_TIME,
  Online: false,
  ExitNode: false,
  ExitNodeOption: false,
  Active: false,
  PeerAPIURL: null,
  TaildropTarget: taildropTarget.unknown,
  NoFileSharingReason: '',
  InNetworkMap: false,
  InMagicSock: false,
  InEngine: false,
}
