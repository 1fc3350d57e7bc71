/**
 * What a caller may do, from the credentials of its socket. Pure. [docs/rules/localapi.md LA-1]
 * Unknown credentials mean nothing at all, not "everybody".
 */
import type { PeerCredentials } from '../io/users/port.ts'

export type Need = 'nothing' | 'read' | 'write'

export interface Rights {
  readonly read: boolean
  readonly write: boolean
}

export const noRights: Rights = { read: false, write: false }

export function rightsOf(
  caller: PeerCredentials | undefined,
  who: { readonly daemonUid: number; readonly operatorUid: number | undefined },
): Rights {
  if (caller === undefined) return noRights
  const isRoot = caller.uid === 0
  const isDaemonUser = who.daemonUid !== 0 && caller.uid === who.daemonUid
  const isOperator = who.operatorUid !== undefined && caller.uid === who.operatorUid
  return { read: true, write: isRoot || isDaemonUser || isOperator }
}

export function mayCall(rights: Rights, need: Need): boolean {
  return need === 'nothing' ? rights.read : rights[need]
}
