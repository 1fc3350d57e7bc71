/**
 * What a caller may do, from the credentials of its socket. Pure. [docs/rules/localapi.md LA-1]
 * Unknown credentials mean nothing at all, not "everybody".
 */
import { DEFAULT_SOCKET_PATH } from '../../src-contract/localapi/socket-path.ts'
import type { PeerCredentials } from '../io/users/port.ts'

export type Need = 'nothing' | 'read' | 'write'

export interface Rights {
  readonly read: boolean
  readonly write: boolean
  /** May write as the operator, and not as root or the daemon's user. */
  readonly isOperator: boolean
}

export const noRights: Rights = { read: false, write: false, isOperator: false }

export function rightsOf(
  caller: PeerCredentials | undefined,
  who: { readonly daemonUid: number; readonly operatorUid: number | undefined },
): Rights {
  if (caller === undefined) return noRights
  const isOwner = caller.uid === 0 || caller.uid === who.daemonUid
  const isOperator = !isOwner && caller.uid === who.operatorUid
  return { read: true, write: isOwner || isOperator, isOperator }
}

export function mayCall(rights: Rights, need: Need): boolean {
  return need === 'nothing' ? rights.read : rights[need]
}

/** What the person types, in whose shell `$USER` is his own name. */
export function operatorCommand(socketPath: string): string {
  const socket = socketPath === DEFAULT_SOCKET_PATH ? '' : ` --socket='${socketPath.replaceAll("'", "'\\''")}'`
  return `sudo pintail${socket} set --operator=$USER`
}
