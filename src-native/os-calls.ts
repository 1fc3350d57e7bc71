/** System calls that Node has no API for, for sockets that JavaScript owns. */
import { loadAddon, requireAddon } from './addon.ts'

export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** Who is at the other end of a connected unix socket. */
export function peerCredentials(socketFd: number): PeerCredentials {
  return requireAddon('reading who is calling').peerCredentials(socketFd)
}

/** Routing mark, so that our own connections bypass the tunnel's routes. Needs CAP_NET_ADMIN. */
export function setSocketMark(socketFd: number, mark: number): void {
  requireAddon('marking a socket').setSocketMark(socketFd, mark)
}

/**
 * An unconnected TCP socket with a routing mark, for `new net.Socket({ fd }).connect({ host: <literal>, port, family })`.
 * The mark has to be set before the connection starts, which Node's own sockets do not allow.
 */
export function createMarkedSocket(family: 4 | 6, mark: number): number {
  return requireAddon('marking a socket').createMarkedSocket(family, mark)
}

/**
 * Round trip of one ICMPv4 echo in ms; undefined without an answer in time. Rejects with `code` EPERM or EACCES where
 * neither datagram nor raw ICMP sockets are allowed.
 */
export function icmpEcho(address: string, timeoutMs: number, mark: number): Promise<number | undefined> {
  return requireAddon('an ICMP echo').icmpEcho(address, timeoutMs, mark)
}

/** One datagram to a unix socket, without waiting; `@name` is an abstract one. Throws with `code` when nobody takes it. */
export function sendUnixDatagram(path: string, text: string): void {
  requireAddon('a unix datagram').sendUnixDatagram(path, text)
}

/** Closes a descriptor that no Node object took over. */
export function closeFd(fd: number): void {
  requireAddon('closing a descriptor').closeFd(fd)
}

/** Why there is no addon, in one sentence; undefined when there is one. */
export function addonMissing(): string | undefined {
  const found = loadAddon()
  return found.ok ? undefined : found.reason
}
