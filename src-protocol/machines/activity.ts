/**
 * What the data path reports about a keypair's traffic. The same shape as in `src-native/door.ts`, declared here because
 * machines do not import the door; a test holds the two together.
 */
import type { IpPort } from '../../src-contract/ids.ts'

/** A WireGuard peer, numbered by the daemon. */
export type PeerId = number

/** Traffic since the last report of this keypair, merged: the order within one report is unknown. */
export interface Activity {
  readonly kind: 'activity'
  readonly peer: PeerId
  readonly localIndex: number
  /** A non-empty packet was sealed / anything (also a keepalive) was sealed. */
  readonly sentData: boolean
  readonly sentAny: boolean
  readonly receivedData: boolean
  readonly receivedAny: boolean
  /** Next send counter of that keypair. */
  readonly sendCounter: number
  /** Where the last authenticated datagram came from. */
  readonly from: IpPort | 'relay' | undefined
}
