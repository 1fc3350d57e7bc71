/** What the WireGuard machine is told and what it asks for; performing it is the daemon's part. */
import type { IpPort } from '../../../src-contract/ids.ts'
import type { PeerId } from '../activity.ts'
import type { Keypair } from './keypair.ts'

/** Where a datagram came from: an address, or a peer's key as the relay names it. Both are claims. */
export type Source = { readonly kind: 'udp'; readonly from: IpPort } | { readonly kind: 'relay'; readonly peer: PeerId }

/**
 * `handshake`: no keys to send with yet. `established`: there are. `expired`: they have become too old, and nothing was
 * sent since. `none`: never talked, given up, or wiped.
 */
export type SessionState = 'none' | 'handshake' | 'established' | 'expired'

/** To be performed in order: a keypair goes to the door before the message that makes the other end use it. */
export type WireGuardEffect =
  /** A handshake message, along the peer's path. */
  | { readonly kind: 'send'; readonly peer: PeerId; readonly bytes: Uint8Array }
  /** A cookie reply, back to where its cause came from. */
  | { readonly kind: 'reply'; readonly to: Source; readonly bytes: Uint8Array }
  | { readonly kind: 'addKeypair'; readonly keypair: Keypair }
  | { readonly kind: 'dropKeypair'; readonly localIndex: number }
  /** A packet that waited, or a keepalive (empty): to be sealed and sent. */
  | { readonly kind: 'sendPacket'; readonly peer: PeerId; readonly packet: Uint8Array }
  /** A new session to send with. Comes before its first `sendPacket`, so that something may be put in front. */
  | { readonly kind: 'established'; readonly peer: PeerId; readonly initiator: boolean }
  | { readonly kind: 'session'; readonly peer: PeerId; readonly state: SessionState }
  /** An authenticated handshake message came from there. For reception only: WireGuard does not roam here. */
  | { readonly kind: 'heardFrom'; readonly peer: PeerId; readonly source: Source }
