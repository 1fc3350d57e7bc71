/** What the path machines ask of the world, and what they are told of a peer. */
import type { IpPort } from '../../../src-contract/ids.ts'

export type PeerId = number

export interface PathPeer {
  readonly nodeKey: Uint8Array
  /** undefined: the peer does not speak disco. */
  readonly discoKey: Uint8Array | undefined
  readonly endpoints: readonly IpPort[]
  /** Its home relay; 0 = none. */
  readonly derpRegion: number
  /** No disco, no relay: endpoints only. */
  readonly wireGuardOnly?: boolean
}

/** The same shape as the data path's (`src-native/door.ts`). */
export interface Destination {
  readonly udp?: IpPort
  readonly vni?: number
  readonly relay: boolean
}

export type PathEffect =
  | { readonly kind: 'sendDatagram'; readonly to: IpPort; readonly bytes: Uint8Array }
  | { readonly kind: 'sendRelay'; readonly region: number; readonly nodeKey: Uint8Array; readonly bytes: Uint8Array }
  | {
      readonly kind: 'setDestination'
      readonly peer: PeerId
      readonly destination: Destination
      readonly relayRegion: number
    }
  /** Own endpoints are too old: measure, then `handleOwnEndpoints`. */
  | { readonly kind: 'restun' }
  | {
      readonly kind: 'pingResult'
      readonly id: number
      readonly latencyMs: number
      readonly endpoint?: IpPort
      readonly derpRegion?: number
    }
  | { readonly kind: 'pathChanged'; readonly peer: PeerId }
