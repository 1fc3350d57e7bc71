/**
 * What a coordination server tells a node: MapResponse and its parts, exactly as on the wire (ts2021, capability
 * version 145). Omitted means "unchanged since the previous message of this stream"; `docs/rules/control.md` numbers
 * the exceptions. Unknown members pass through every fold.
 */
import type {
  DiscoKeyText,
  Int64,
  IpPort,
  IpText,
  MachineKeyText,
  NodeId,
  NodeKeyText,
  PrefixText,
  StableNodeId,
  TimeText,
  UserId,
} from '../ids.ts'

export type RawCapMap = { [capability: string]: unknown[] | null }

export interface Service {
  Proto: string
  Port: number
  Description?: string
}

export interface NetInfo {
  MappingVariesByDestIP?: boolean | null
  WorkingIPv6?: boolean | null
  OSHasIPv6?: boolean | null
  WorkingUDP?: boolean | null
  WorkingICMPv4?: boolean | null
  HavePortMap?: boolean
  UPnP?: boolean | null
  PMP?: boolean | null
  PCP?: boolean | null
  /** Home relay region; a node without one cannot be reached over a relay. */
  PreferredDERP?: number
  LinkType?: string
  /** `"<region>-v4" | "<region>-v6"` → seconds. */
  DERPLatency?: { [regionAndFamily: string]: number }
  FirewallMode?: string
}

export interface Hostinfo {
  IPNVersion?: string
  BackendLogID?: string
  FrontendLogID?: string
  OS?: string
  OSVersion?: string
  Distro?: string
  DistroVersion?: string
  DistroCodeName?: string
  Container?: boolean | null
  Desktop?: boolean | null
  Userspace?: boolean | null
  UserspaceRouter?: boolean | null
  DeviceModel?: string
  Package?: string
  Machine?: string
  GoArch?: string
  Hostname?: string
  ShieldsUp?: boolean
  ShareeNode?: boolean
  NoLogsNoSupport?: boolean
  WireIngress?: boolean
  IngressEnabled?: boolean
  AllowsUpdate?: boolean
  RoutableIPs?: PrefixText[] | null
  RequestTags?: string[] | null
  WoLMACs?: string[]
  Services?: Service[] | null
  NetInfo?: NetInfo | null
  sshHostKeys?: string[]
  ServicesHash?: string
  PeerRelay?: boolean
  ExitNodeID?: StableNodeId
  Location?: Location
  App?: string
  [other: string]: unknown
}

export interface Location {
  Country?: string
  CountryCode?: string
  City?: string
  CityCode?: string
  Latitude?: number
  Longitude?: number
  Priority?: number
}

export interface Node {
  ID: NodeId
  StableID: StableNodeId
  /** FQDN with a trailing dot (Headscale without base domain: a bare label). */
  Name: string
  User: UserId
  Sharer?: UserId
  Key: NodeKeyText
  KeyExpiry?: TimeText
  KeySignature?: string | null
  Machine?: MachineKeyText
  DiscoKey?: DiscoKeyText
  Addresses: PrefixText[] | null
  /** null or absent = `Addresses`; `[]` = really nothing. */
  AllowedIPs?: PrefixText[] | null
  Endpoints?: IpPort[] | null
  /** Legacy form of the home region, `127.3.3.40:N`. */
  DERP?: string
  HomeDERP?: number
  Hostinfo?: Hostinfo | null
  Created?: TimeText
  Cap?: number
  Tags?: string[] | null
  PrimaryRoutes?: PrefixText[] | null
  LastSeen?: TimeText
  Online?: boolean | null
  MachineAuthorized?: boolean
  Capabilities?: string[] | null
  CapMap?: RawCapMap | null
  UnsignedPeerAPIOnly?: boolean
  ComputedName?: string
  ComputedNameWithHost?: string
  Expired?: boolean
  SelfNodeV4MasqAddrForThisPeer?: IpText
  SelfNodeV6MasqAddrForThisPeer?: IpText
  IsWireGuardOnly?: boolean
  IsJailed?: boolean
  ExitNodeDNSResolvers?: Resolver[]
  [other: string]: unknown
}

export interface PeerChange {
  NodeID: NodeId
  DERPRegion?: number
  Cap?: number
  CapMap?: RawCapMap
  Endpoints?: IpPort[]
  Key?: NodeKeyText
  KeySignature?: string
  DiscoKey?: DiscoKeyText
  Online?: boolean
  LastSeen?: TimeText
  KeyExpiry?: TimeText
}

export interface UserProfile {
  ID: UserId
  LoginName: string
  DisplayName: string
  ProfilePicURL?: string
  Groups?: string[]
}

export interface DerpNode {
  Name: string
  RegionID: number
  HostName: string
  /** Empty = verify HostName; another name = verify that; `sha256-raw:<hex>` = pin the certificate. */
  CertName?: string
  /** Empty = resolve HostName; a literal = that; anything else ("none") = family off. */
  IPv4?: string
  IPv6?: string
  /** 0 = 3478, -1 = no STUN. */
  STUNPort?: number
  STUNOnly?: boolean
  /** 0 = 443. */
  DERPPort?: number
  InsecureForTests?: boolean
  STUNTestIP?: string
  CanPort80?: boolean
}

export interface DerpRegion {
  RegionID: number
  RegionCode: string
  RegionName: string
  Latitude?: number
  Longitude?: number
  Avoid?: boolean
  NoMeasureNoHome?: boolean
  Nodes: DerpNode[] | null
}

export interface DerpMap {
  HomeParams?: { RegionScore?: { [regionId: string]: number } | null } | null
  Regions?: { [regionId: string]: DerpRegion | null } | null
  omitDefaultRegions?: boolean
}

export interface Resolver {
  Addr?: string
  BootstrapResolution?: IpText[]
  UseWithExitNode?: boolean
}

export interface DnsConfig {
  Resolvers?: Resolver[] | null
  Routes?: { [suffix: string]: Resolver[] | null } | null
  FallbackResolvers?: Resolver[] | null
  Domains?: string[] | null
  Proxied?: boolean
  Nameservers?: IpText[] | null
  CertDomains?: string[] | null
  ExtraRecords?: { Name: string; Type?: string; Value: string }[] | null
  ExitNodeFilteredSet?: string[] | null
}

export interface PortRange {
  First: number
  Last: number
}

export interface CapGrant {
  Dsts: PrefixText[] | null
  Caps?: string[]
  CapMap?: RawCapMap
}

export interface FilterRule {
  SrcIPs: string[] | null
  SrcBits?: number[]
  DstPorts?: { IP: string; Bits?: number; Ports: PortRange }[] | null
  IPProto?: number[] | null
  CapGrant?: CapGrant[] | null
}

export interface DisplayMessage {
  Title: string
  Text: string
  Severity: 'high' | 'medium' | 'low'
  ImpactsConnectivity?: boolean
  PrimaryAction?: { URL: string; Label: string }
}

export interface PingRequest {
  URL: string
  URLIsNoise?: boolean
  Log?: boolean
  Types?: string
  IP?: IpText
  Payload?: string
}

export interface MapResponse {
  KeepAlive?: boolean
  PingRequest?: PingRequest | null
  PopBrowserURL?: string
  Node?: Node | null
  DERPMap?: DerpMap | null
  Peers?: Node[] | null
  PeersChanged?: Node[] | null
  PeersRemoved?: NodeId[] | null
  PeersChangedPatch?: PeerChange[] | null
  PeerSeenChange?: { [nodeId: string]: boolean } | null
  OnlineChange?: { [nodeId: string]: boolean } | null
  DNSConfig?: DnsConfig | null
  Domain?: string
  CollectServices?: boolean | null
  PacketFilter?: FilterRule[] | null
  PacketFilters?: { [name: string]: FilterRule[] | null } | null
  UserProfiles?: UserProfile[] | null
  Health?: string[] | null
  DisplayMessages?: { [id: string]: DisplayMessage | null } | null
  SSHPolicy?: { rules?: unknown[] | null } | null
  ControlTime?: TimeText | null
  TKAInfo?: { Head?: string; Disabled?: boolean } | null
  Debug?: { SleepSeconds?: number; DisableLogTail?: boolean; Exit?: number } | null
  ControlDialPlan?: { Candidates?: unknown[] | null } | null
  ClientVersion?: ClientVersion | null
  Seq?: Int64
  MapSessionHandle?: string
  [other: string]: unknown
}

export interface ClientVersion {
  RunningLatest?: boolean
  LatestVersion?: string
  UrgentSecurityUpdate?: boolean
  Notify?: boolean
  NotifyURL?: string
  NotifyText?: string
}

/** Why an address is among a node's endpoints; the numbers are the wire's. */
export const endpointType = { unknown: 0, local: 1, stun: 2, portMapped: 3, stunLocalPort: 4, explicit: 5 } as const
export type EndpointType = (typeof endpointType)[keyof typeof endpointType]

export interface MapRequest {
  Version: number
  Compress?: string
  KeepAlive?: boolean
  NodeKey: NodeKeyText
  DiscoKey?: DiscoKeyText
  Stream?: boolean
  Hostinfo?: Hostinfo | null
  Endpoints?: IpPort[] | null
  EndpointTypes?: EndpointType[] | null
  OmitPeers?: boolean
  ReadOnly?: boolean
  TKAHead?: string
  DebugFlags?: string[]
  [other: string]: unknown
}
