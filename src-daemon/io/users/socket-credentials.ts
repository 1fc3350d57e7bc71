/**
 * SO_PEERCRED of an accepted Unix socket. `_handle` is not a public interface of Node: it is used here and nowhere else,
 * and the test beside this file fails on the day it changes.
 */
import type { Socket } from 'node:net'
import { addonMissing, peerCredentials } from '../../../src-native/os-calls.ts'
import type { PeerCredentials } from './port.ts'

/** undefined where the addon is missing: then nobody can be told apart. */
export function socketCredentialsReader(): ((socket: Socket) => PeerCredentials | undefined) | undefined {
  return addonMissing() === undefined ? readSocketCredentials : undefined
}

export function readSocketCredentials(socket: Socket): PeerCredentials | undefined {
  const fd = socketDescriptor(socket)
  if (fd === undefined) return undefined
  try {
    return peerCredentials(fd)
  } catch {
    return undefined // it closed meanwhile; unknown callers have no rights
  }
}

export function socketDescriptor(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null }
  const fd = handle?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}
