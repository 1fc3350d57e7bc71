/**
 * What only our daemon offers: `/localapi/v0/pintail/…`. Clients probe `features` first; a stock daemon answers 404 and
 * the screens that need more say so.
 */
import type { IpPort, StableNodeId, TimeText } from '../ids.ts'

/** `GET pintail/features`. Names are added, never reused. */
export interface PintailFeatures {
  version: string
  /** One integer; `docs/rules/localapi.md` lists what each step added. */
  extension: number
  features: string[]
}

/** Where a peer's packets go right now. `idle`: no session, the path is picked on the first packet. */
export type PathKind = 'direct' | 'relay' | 'peer-relay' | 'idle' | 'none'

/** Closed list: why a path changed. */
export type PathReason =
  | 'first-packet'
  | 'pong'
  | 'better-path'
  | 'ping-timeout'
  | 'network-change'
  | 'peer-restarted'
  | 'endpoint-gone'
  | 'no-home-relay'
  /** Small packets pass, full ones are lost on the way. */
  | 'mtu-too-small'
  /** The same, not yet certain: packets go both ways. */
  | 'mtu-in-doubt'
  | 'idle'

export interface PathTransition {
  at: TimeText
  from: PathKind
  to: PathKind
  endpoint: IpPort | ''
  derpRegion: number
  reason: PathReason
}

/** `GET pintail/paths` → `{ [StableNodeId]: PathReport }`. */
export interface PathReport {
  kind: PathKind
  endpoint: IpPort | ''
  derpRegion: number
  derpRegionCode: string
  /** Of the path in use; 0 when it was never measured. */
  latencyMs: number
  candidates: {
    endpoint: IpPort
    source: 'netmap' | 'call-me-maybe' | 'ping'
    lastPongMs: number | null
    /** Our address as the peer saw it there, if it answered from this very address. */
    seenAs?: IpPort
    /** Packets of this size on the wire are lost on the way there although small ones pass. */
    tooSmallForBytes?: number
  }[]
  history: PathTransition[]
}

/**
 * `GET pintail/datapath`: what moves the packets, and what it had to drop or survive since the daemon started. Texts are
 * empty where there is nothing to say.
 */
export interface DatapathReport {
  backend: 'native' | 'twin'
  /** Why packets go the slow way through JavaScript. */
  whyNotNative: string
  aead: string
  /** Why not the fastest AEAD there is. */
  whyNotFasterAead: string
  interfaceName: string
  /** What passes the interface in super-packets. */
  tunOffload: string
  mtuBytes: number
  udpPorts: { v4: number; v6: number | null }
  /** Why there are no sockets at the moment. */
  socketProblem: string
  peers: number
  rxBytes: number
  txBytes: number
  rxPackets: number
  txPackets: number
  /** Reason → packets. `docs/operations.md` explains them. */
  drops: { [reason: string]: number }
  /** Trouble below the tunnel that was survived → how often. */
  faults: { [fault: string]: number }
}

export type PathReports = { [id: StableNodeId]: PathReport }
