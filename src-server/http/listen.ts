/** Opening listening sockets: all addresses means IPv6 and IPv4 where the machine has both. */
import type { Server } from 'node:net'
import { type ListenAddress, listenText } from '../config/address.ts'

/** Answers the port. An address in use, or not ours, is said in words. */
export async function listenOn(server: Server, address: ListenAddress, purpose: string): Promise<number> {
  try {
    await listenOnce(server, address.host ?? '::', address.port)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (address.host === undefined && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'))
      await listenOnce(server, '0.0.0.0', address.port)
    else throw listenError(error, address, purpose)
  }
  const bound = server.address()
  return bound !== null && typeof bound === 'object' ? bound.port : address.port
}

function listenOnce(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ host, port }, () => {
    server.off('error', reject)
    resolve()
  })
  return promise
}

export function listenError(error: unknown, address: ListenAddress, purpose: string): Error {
  const { code, message } = error as NodeJS.ErrnoException
  const why =
    code === 'EADDRINUSE'
      ? 'another program uses it'
      : code === 'EACCES'
        ? 'ports below 1024 need root or CAP_NET_BIND_SERVICE'
        : code === 'EADDRNOTAVAIL'
          ? 'this machine does not have that address'
          : message
  return new Error(`cannot listen on ${listenText(address)} for ${purpose}: ${why}`, { cause: error })
}
