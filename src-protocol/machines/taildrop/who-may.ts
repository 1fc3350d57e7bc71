/**
 * Between whom files may go: whom we can send to and, if not, why; and who may send to us.
 * [features.md §2; docs/rules/taildrop.md TD-2] Pure.
 */
import type { Node, RawCapMap } from '../../../src-contract/control/map.ts'
import { idText } from '../../../src-contract/ids.ts'
import { taildropTarget } from '../../../src-contract/localapi/status.ts'

const FILE_SHARING = 'https://tailscale.com/cap/file-sharing'
/** The peer may be sent to, although it is another person's. */
const FILE_SHARING_TARGET = 'https://tailscale.com/cap/file-sharing-target'
/** The peer may send, although it is another person's. */
const FILE_SEND = 'https://tailscale.com/cap/file-send'

export type TargetReason = (typeof taildropTarget)[keyof typeof taildropTarget]

export function isFileSharingOn(self: Node): boolean {
  return self.CapMap?.[FILE_SHARING] !== undefined || self.Capabilities?.includes(FILE_SHARING) === true
}

/** What lasts comes first: that a machine of somebody else is offline as well is not worth a word. */
export function whyNotTarget(facts: {
  readonly isRunning: boolean
  readonly self: Node | undefined
  readonly peer: Node
  readonly hasPeerApi: boolean
  /** What the peer's address may do with us. */
  readonly grantedToPeer: RawCapMap | null
}): TargetReason {
  const { isRunning, self, peer, hasPeerApi, grantedToPeer } = facts
  if (!isRunning) return taildropTarget.notRunning
  if (self === undefined) return taildropTarget.noNetmap
  if (!isFileSharingOn(self)) return taildropTarget.missingCap
  const isOwn = isSameOwner(self, peer)
  if (!isOwn && !has(grantedToPeer, FILE_SHARING_TARGET)) return taildropTarget.ownedByOtherUser
  if (peer.Hostinfo?.OS === 'tvOS') return taildropTarget.unsupportedOs
  if (!hasPeerApi) return peer.Online === false ? taildropTarget.offline : taildropTarget.noPeerApi
  return peer.Online === false ? taildropTarget.offline : taildropTarget.available
}

/** One that is offline is tried all the same: the server may be the last to know. */
export function isWorthTrying(reason: TargetReason, hasPeerApi: boolean): boolean {
  return hasPeerApi && (reason === taildropTarget.available || reason === taildropTarget.offline)
}

export function maySendToUs(self: Node, peer: Node, grantedToPeer: RawCapMap | null): boolean {
  if (!isFileSharingOn(self) || peer.UnsignedPeerAPIOnly === true) return false
  return isSameOwner(self, peer) || has(grantedToPeer, FILE_SEND)
}

/** A tag is no person. */
function isSameOwner(self: Node, peer: Node): boolean {
  const isTagged = [self, peer].some(({ Tags }) => (Tags ?? []).length > 0)
  return !isTagged && idText(self.User) === idText(peer.User)
}

function has(granted: RawCapMap | null, capability: string): boolean {
  return granted !== null && Object.hasOwn(granted, capability)
}
