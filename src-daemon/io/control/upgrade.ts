/**
 * One attempt to reach the coordination server: connect, `POST /ts2021`, Noise handshake. Certificates are not decisive
 * here, the Noise key is.                                                      [control.md §2.3, §2.4; CTL-2.3 to 2.5]
 */
import http from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { NoiseStream } from '../../../src-protocol/crypto/noise-stream.ts'
import { concat, toBase64 } from '../../../src-protocol/wire/bytes.ts'
import type { Crypto } from '../../../src-protocol/wire/crypto.ts'
import { errorFrameText, type Initiator, RESPONSE_BYTES, startInitiator } from '../../../src-protocol/wire/noise.ts'
import type { DialTarget, ServerAddress } from './dial-plan.ts'
import { ControlError } from './port.ts'
import type { SocketOpener } from './sockets.ts'

const UPGRADE_PROTOCOL = 'tailscale-control-protocol'
const ERROR_FRAME = 3
const MAX_ERROR_FRAME_BYTES = 3 + 0xffff

export interface UpgradeOptions {
  readonly crypto: Crypto
  readonly sockets: SocketOpener
  readonly server: ServerAddress
  readonly target: DialTarget
  readonly machinePrivate: Uint8Array
  readonly serverPublic: Uint8Array
  readonly version: number
  readonly signal: AbortSignal
}

export interface Upgraded {
  readonly stream: NoiseStream
  /** Why the certificate did not verify; undefined when it did, or without TLS. */
  readonly certificateProblem: string | undefined
}

export async function upgrade(o: UpgradeOptions): Promise<Upgraded> {
  const initiator = startInitiator(o)
  const socket = await o.sockets.open({ host: o.server.host, ...o.target, isVerified: false }, o.signal)
  const abort = (): void => void socket.destroy(o.signal.reason as Error)
  o.signal.addEventListener('abort', abort, { once: true })
  try {
    o.signal.throwIfAborted()
    const head = await requestUpgrade(o, socket, initiator.message)
    const { reply, rest } = await readReply(socket, head)
    return { stream: finish(o, socket, initiator, reply, rest), certificateProblem: certificateProblem(socket) }
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    o.signal.removeEventListener('abort', abort)
  }
}

function requestUpgrade(o: UpgradeOptions, socket: Socket, initiation: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const { authority } = o.server
  const request = http.request({
    method: 'POST',
    path: '/ts2021',
    headers: {
      host: authority,
      upgrade: UPGRADE_PROTOCOL,
      connection: 'upgrade',
      'x-tailscale-handshake': toBase64(initiation),
      'content-length': '0',
    },
    createConnection: () => socket,
  })
  request.on('error', reject)
  request.on('upgrade', (response, _socket, head) => {
    const { upgrade: protocol } = response.headers
    if (protocol === UPGRADE_PROTOCOL) resolve(head)
    else reject(new ControlError('not-a-control-server', `${authority} switches to another protocol`))
  })
  request.on('response', (response) => {
    response.resume()
    const { statusCode } = response
    const kind = (statusCode ?? 0) >= 500 ? 'unreachable' : 'not-a-control-server'
    reject(
      new ControlError(kind, `${authority} refuses the control protocol (HTTP ${statusCode}); a proxy in between?`),
    )
  })
  request.end()
  return promise
}

/** The 51 bytes of the response, or an error frame, and whatever came behind. */
function readReply(socket: Socket, head: Uint8Array): Promise<{ reply: Uint8Array; rest: Uint8Array }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ reply: Uint8Array; rest: Uint8Array }>()
  let held = head
  const look = (): void => {
    const expected = held[0] === ERROR_FRAME ? errorFrameBytes(held) : RESPONSE_BYTES
    if (held.length >= expected) resolve({ reply: held.subarray(0, expected), rest: held.subarray(expected) })
  }
  const onData = (bytes: Uint8Array): void => {
    held = concat(held, bytes)
    look()
  }
  const onEnd = (): void => reject(new ControlError('unreachable', 'the server closed during the handshake'))
  socket.on('data', onData)
  socket.on('error', reject)
  socket.on('close', onEnd)
  socket.on('end', onEnd)
  look()
  return promise.finally(() => {
    // paused, so that nothing is lost until the stream listens
    socket.pause()
    socket.off('data', onData)
    socket.off('error', reject)
    socket.off('close', onEnd)
    socket.off('end', onEnd)
    socket.on('error', ignoreLateError)
  })
}

/** The stream that takes the socket over reports its errors; this one only bridges the moment in between. */
function ignoreLateError(): void {}

function errorFrameBytes(held: Uint8Array): number {
  return held.length < 3 ? MAX_ERROR_FRAME_BYTES : 3 + ((held[1]! << 8) | held[2]!)
}

function finish(
  o: UpgradeOptions,
  socket: Socket,
  initiator: Initiator,
  reply: Uint8Array,
  rest: Uint8Array,
): NoiseStream {
  const keys = initiator.finish(reply)
  if (keys.ok) {
    return new NoiseStream({ socket, keys: keys.value, role: 'client', head: rest, crypto: o.crypto })
  }
  const text = errorFrameText(reply)
  if (text === undefined) throw new ControlError('other', `the server could not prove its key (${keys.reason})`)
  const kind = /unsupported client version/i.test(text) ? 'unsupported-version' : 'refused'
  throw new ControlError(kind, `the server refuses this client: ${text}`)
}

function certificateProblem(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket) || socket.authorized) return undefined
  return String(socket.authorizationError ?? 'unknown')
}
