/** `watch-ipn-bus`: one Notify per line; mask bits choose what the first message carries and what follows. */
import type { ClientVersion, DerpMap, DnsConfig, FilterRule, Node, PeerChange, UserProfile } from '../control/map.ts'
import type { NodeId, NodeKeyText, StableNodeId, TimeText } from '../ids.ts'
import type { ChangesReport } from './changes.ts'
import type { IncomingFile, OutgoingFile } from './files.ts'
import type { Prefs } from './prefs.ts'
import type { IpnStateNumber } from './state.ts'
import type { Status } from './status.ts'

export const watchMask = {
  engineUpdates: 1,
  initialState: 2,
  initialPrefs: 4,
  initialNetMap: 8,
  noPrivateKeys: 16,
  initialDriveShares: 32,
  initialOutgoingFiles: 64,
  initialHealthState: 128,
  rateLimit: 256,
  healthActions: 512,
  initialSuggestedExitNode: 1024,
  initialClientVersion: 2048,
  peerChanges: 4096,
  noNetMap: 8192,
  initialStatus: 16384,
  peerPatches: 32768,
  inProcessNoDisconnect: 65536,
  sysPolicyChanges: 131072,
  peerWireGuardState: 262144,
} as const

export interface EngineStatus {
  RBytes: number
  WBytes: number
  NumLive: number
  LiveDERPs: number
  LivePeers: { [nodeKey: string]: { NodeKey: NodeKeyText; TxBytes: number; RxBytes: number; LastHandshake: TimeText } }
}

export interface HealthWarning {
  WarnableCode: string
  Severity: 'high' | 'medium' | 'low'
  Title: string
  Text: string
  BrokenSince?: TimeText
  DependsOn?: string[]
  ImpactsConnectivity?: boolean
  PrimaryAction?: { URL: string; Label: string }
}

export interface LegacyNetMap {
  Cached: boolean
  SelfNode: Node
  AllCaps: string[] | null
  NodeKey: NodeKeyText
  MachineKey: string
  Peers: Node[] | null
  DNS: DnsConfig
  PacketFilter: unknown[] | null
  PacketFilterRules: FilterRule[] | null
  SSHPolicy: unknown
  CollectServices: boolean
  DERPMap: DerpMap | null
  DisplayMessages: unknown
  TKAEnabled: boolean
  TKAHead: string
  Domain: string
  DomainAuditLogID: string
  UserProfiles: { [userId: string]: UserProfile }
}

/** The first nine members are always written (null when unset); the rest are left out when unset. */
export interface Notify {
  Version: string
  ErrMessage: string | null
  LoginFinished: Record<string, never> | null
  State: IpnStateNumber | null
  Prefs: Prefs | null
  NetMap: LegacyNetMap | null
  Engine: EngineStatus | null
  BrowseToURL: string | null
  DriveShares: unknown[] | null
  SessionID?: string
  SelfChange?: Node
  InitialStatus?: Status
  PeerChangedPatch?: PeerChange[]
  PeersChanged?: Node[]
  PeersRemoved?: NodeId[]
  UserProfiles?: { [userId: string]: UserProfile }
  PeerState?: {
    [id: StableNodeId]: {
      PeerWireGuardState: 'none' | 'handshake' | 'established' | 'expired'
      PeerWireGuardStateAt: TimeText
    }
  }
  FilesWaiting?: Record<string, never>
  IncomingFiles?: IncomingFile[]
  OutgoingFiles?: OutgoingFile[]
  ClientVersion?: ClientVersion
  Health?: { Warnings: { [code: string]: HealthWarning } | null }
  SuggestedExitNode?: string
  /** Ours alone: a change of the network began to wait, or does no longer. */
  PintailChanges?: ChangesReport
}
