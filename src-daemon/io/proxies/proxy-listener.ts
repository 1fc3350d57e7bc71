/**
 * Listens for programs of this host that want to reach the network: SOCKS5, HTTP, or both at one address, told apart by
 * the first byte (5 is no letter). [docs/rules/netstack.md NST-30]
 */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { isLoopback, parseIp } from '../../../src-protocol/wire/ip.ts'
import type { Log } from '../log/log.ts'
import type { Dialer } from './dialer-port.ts'
import { createHttpProxy } from './http-proxy.ts'
import { serveSocks } from './socks5.ts'
import { SOCKS_VERSION } from './socks5-messages.ts'

const FIRST_BYTE_MS = 10_000
const MAX_CLIENTS = 1_024

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export interface ProxyOptions extends ListenAddress {
  readonly speaks: { readonly socks: boolean; readonly http: boolean }
  readonly dialer: Dialer
  readonly log: Log
}

export interface ProxyListener {
  readonly port: number
  close(): Promise<void>
}

export async function openProxy(options: ProxyOptions): Promise<ProxyListener> {
  const { host, speaks, dialer, log } = options
  const http = createHttpProxy(dialer)
  const clients = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    clients.add(socket)
    socket.once('close', () => clients.delete(socket))
    socket.on('error', () => {}) // a client that breaks off is its own affair
    greet(socket, (first) => {
      if (first === SOCKS_VERSION && speaks.socks) void serveSocks(socket, dialer)
      else if (first !== SOCKS_VERSION && speaks.http) http.emit('connection', socket)
      else socket.destroy()
    })
  })
  server.maxConnections = MAX_CLIENTS
  server.listen(options.port, host)
  await once(server, 'listening') // rejects on 'error'
  if (!isOnlyLocal(host)) {
    const consequence = 'whoever reaches this address uses the network as this machine, without a password'
    log.warn('proxy-open-to-others', { address: host, consequence })
  }
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of clients) socket.destroy()
      http.close()
      await closed
    },
  }
}

/** Looks at the first byte without taking it. */
function greet(socket: Socket, then: (first: number) => void): void {
  const patience = setTimeout(() => socket.destroy(), FIRST_BYTE_MS).unref()
  socket.once('close', () => clearTimeout(patience))
  socket.once('end', () => {
    if (!socket.writableEnded && socket.bytesRead === 0) socket.destroy()
  })
  socket.once('data', (chunk: Buffer) => {
    clearTimeout(patience)
    socket.pause()
    socket.unshift(chunk)
    then(chunk[0] ?? 0)
    process.nextTick(() => socket.resume())
  })
}

function isOnlyLocal(host: string): boolean {
  const ip = parseIp(host)
  return host === 'localhost' || (ip.ok && isLoopback(ip.value))
}
