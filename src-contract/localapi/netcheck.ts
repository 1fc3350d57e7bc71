/**
 * `POST /localapi/v0/pintail/netcheck`: what the local network lets through, as JSON of `netcheck --format=json`
 * (a stock daemon has no such endpoint, its client measures). Durations are nanoseconds, null = not determined.
 */
import type { IpPort, TimeText } from '../ids.ts'

export interface NetcheckReport {
  Now: TimeText
  UDP: boolean
  IPv6: boolean
  IPv4: boolean
  IPv6CanSend: boolean
  IPv4CanSend: boolean
  OSHasIPv6: boolean
  ICMPv4: boolean
  MappingVariesByDestIP: boolean | null
  UPnP: boolean | null
  PMP: boolean | null
  PCP: boolean | null
  /** 0 = none. */
  PreferredDERP: number
  RegionLatency: { [regionId: string]: number }
  RegionV4Latency: { [regionId: string]: number }
  RegionV6Latency: { [regionId: string]: number }
  GlobalV4Counters: { [endpoint: IpPort]: number } | null
  GlobalV6Counters: { [endpoint: IpPort]: number } | null
  GlobalV4: IpPort | ''
  GlobalV6: IpPort | ''
  CaptivePortal: boolean | null
}
