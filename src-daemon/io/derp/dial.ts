/**
 * Opens a TLS connection to a relay node and turns it into a stream of frames. Sockets carry the routing mark, so that the
 * relay is never reached through the tunnel it carries.                                                 [derp.md §2.1-2.3]
 */
import net from 'node:net'
import tls from 'node:tls'
import type { DerpNode } from '../../../src-contract/control/map.ts'
import { connectFirst, type PastTunnel, settled } from '../past-tunnel.ts'
import { trustedRoots } from '../tls-roots.ts'
import { targetsOf } from './targets.ts'
import { pinProblem, trustOf } from './verify.ts'

/** Each node has this long to be found and to accept a connection; then the next one of its region is tried. */
const CONNECT_MS = 1_500
const MAX_HEADER_BYTES = 16 * 1024

export type DialOptions = PastTunnel

export interface Upgraded {
  readonly socket: tls.TLSSocket
  /** Bytes that came behind the answer: the first frames. */
  readonly head: Uint8Array
}

/** A TLS connection to a node that is who the map says. Also what the HTTPS latency check measures on. */
export async function openTls(node: DerpNode, options: DialOptions): Promise<tls.TLSSocket> {
  const targets = targetsOf(node)
  if (targets.length === 0) throw new Error(`no address for relay ${node.HostName}`)
  const tcp = await connectFirst(targets, CONNECT_MS, options)
  const trust = trustOf(node)
  const secure = tls.connect({
    socket: tcp,
    rejectUnauthorized: trust.kind === 'roots',
    secureContext: trustedRoots(),
    ALPNProtocols: ['http/1.1'],
    // An address is verified like a name, but never sent as one.
    ...(net.isIP(node.HostName) === 0 ? { servername: node.HostName } : { host: node.HostName }),
    ...(trust.kind === 'roots'
      ? {
          checkServerIdentity: (_host: string, certificate: tls.PeerCertificate) =>
            tls.checkServerIdentity(trust.name, certificate),
        }
      : {}),
  })
  tcp.on('error', (error) => secure.destroy(error))
  await settled(secure, 'secureConnect', options.signal)
  if (trust.kind === 'pin') {
    const certificate = secure.getPeerX509Certificate()
    const problem =
      certificate === undefined
        ? 'no certificate'
        : pinProblem(certificate.raw, trust.sha256, node.HostName, Date.now())
    if (problem !== undefined) {
      secure.destroy()
      throw new Error(`relay ${node.HostName}: ${problem}`)
    }
  }
  return secure
}

/** Opens the relay stream of a node. `idealNode`: the region's first node, when this is another one. */
export async function dialDerp(node: DerpNode, idealNode: string | undefined, options: DialOptions): Promise<Upgraded> {
  const socket = await openTls(node, options)
  try {
    const port = node.DERPPort && node.DERPPort !== 443 ? `:${node.DERPPort}` : ''
    const host = net.isIP(node.HostName) === 6 ? `[${node.HostName}]` : node.HostName
    socket.write(
      `GET /derp HTTP/1.1\r\nHost: ${host}${port}\r\nUser-Agent: pintail\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n` +
        `${idealNode === undefined ? '' : `Ideal-Node: ${idealNode}\r\n`}\r\n`,
    )
    const { status, head } = await readHead(socket, options.signal)
    if (status !== 101) throw new Error(`relay ${node.HostName} answered ${status} instead of opening a relay stream`)
    return { socket, head }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** Reads the status line and header of an answer; what came behind stays for the caller. */
export function readHead(socket: tls.TLSSocket, signal: AbortSignal): Promise<{ status: number; head: Uint8Array }> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0)
    const done = (error: unknown, value?: { status: number; head: Uint8Array }) => {
      socket.off('data', onData)
      socket.off('error', done)
      socket.off('close', onClose)
      signal.removeEventListener('abort', onAbort)
      socket.pause()
      if (value === undefined) reject(error)
      else resolve(value)
    }
    const onData = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk])
      const end = seen.indexOf('\r\n\r\n')
      if (end < 0) {
        if (seen.length > MAX_HEADER_BYTES) done(new Error('the relay’s answer has an endless header'))
        return
      }
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(seen.toString('latin1', 0, end))?.[1] ?? 0)
      done(undefined, { status, head: new Uint8Array(seen.subarray(end + 4)) })
    }
    const onClose = () => done(new Error('the relay closed the connection'))
    const onAbort = () => done(signal.reason)
    socket.on('data', onData)
    socket.once('error', done)
    socket.once('close', onClose)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
  })
}
