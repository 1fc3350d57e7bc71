/** `POST /localapi/v0/ping` and `GET /localapi/v0/whois`. */
import type { Node, RawCapMap, UserProfile } from '../control/map.ts'

export type PingType = 'disco' | 'TSMP' | 'ICMP' | 'peerapi'

export interface PingResult {
  IP: string
  NodeIP: string
  NodeName: string
  Err: string
  LatencySeconds: number
  Endpoint: string
  PeerRelay: string
  DERPRegionID: number
  DERPRegionCode: string
  PeerAPIPort?: number
  PeerAPIURL?: string
  IsLocalIP?: boolean
}

export interface WhoIs {
  Node: Node
  UserProfile: UserProfile
  CapMap: RawCapMap | null
}
