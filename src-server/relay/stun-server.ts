/** Tells clients which address their UDP packets come from. Silent to everything that is not their own question. [netcheck.md §1] */
import { createSocket, type Socket } from 'node:dgram'
import { ipPort } from '../../src-protocol/wire/ip.ts'
import { decodeStunRequest, encodeStunResponse } from '../../src-protocol/wire/stun.ts'
import type { ListenAddress } from '../config/address.ts'
import { listenError } from '../http/listen.ts'

export interface StunServer {
  readonly port: number
  close(): Promise<void>
}

export async function openStun(address: ListenAddress): Promise<StunServer> {
  const socket = await bind(address)
  socket.on('message', (message, from) => {
    const answer = stunAnswer(message, from)
    if (answer !== undefined) socket.send(answer, from.port, from.address, () => undefined)
  })
  socket.on('error', () => undefined) // an ICMP error about an answer concerns nobody
  return {
    port: socket.address().port,
    close: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      socket.close(() => resolve())
      return promise
    },
  }
}

/** What goes back to where a datagram came from; undefined = silence. */
export function stunAnswer(
  message: Uint8Array,
  from: { readonly address: string; readonly port: number },
): Uint8Array | undefined {
  if (from.port === 0) return undefined // forged: nobody can be answered there, and dgram throws at the attempt
  const request = decodeStunRequest(message)
  if (!request.ok) return undefined
  // a wildcard socket sees IPv4 as ::ffff:a.b.c.d; the answer names the IPv4 address
  return encodeStunResponse(request.value, ipPort(from.address.split('%', 1)[0]!, from.port))
}

async function bind(address: ListenAddress): Promise<Socket> {
  const host = address.host ?? '::'
  try {
    return await bindOnce(host, address.port)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (address.host !== undefined || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL'))
      throw listenError(error, address, 'STUN (derp.server.stun_listen)')
    return bindOnce('0.0.0.0', address.port)
  }
}

function bindOnce(host: string, port: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' })
  socket.once('error', (error) => {
    socket.close()
    reject(error)
  })
  socket.bind(port, host, () => {
    socket.removeAllListeners('error')
    resolve(socket)
  })
  return promise
}
