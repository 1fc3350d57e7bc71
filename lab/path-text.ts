/** A peer's path in the words of `status`. */
import type { PeerStatus } from '../src-contract/localapi/status.ts'

export function pathText(peer: Pick<PeerStatus, 'Online' | 'Active' | 'CurAddr' | 'Relay' | 'PeerRelay'>): string {
  if (!peer.Online) return 'offline'
  if (peer.CurAddr !== '') return `direct ${peer.CurAddr}`
  if (peer.PeerRelay !== '') return `peer-relay ${peer.PeerRelay}`
  if (!peer.Active) return 'idle'
  return peer.Relay === '' ? 'no path' : `relay "${peer.Relay}"`
}
