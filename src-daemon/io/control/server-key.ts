/**
 * The coordination server's own key: `GET /key`. Over `https:` this is the root of trust, so the certificate is verified;
 * over `http:` the network is trusted, once per start.                                        [control.md §2.1; CTL-2.1]
 */
import http from 'node:http'
import { CAPABILITY_VERSION } from '../../../src-contract/control/versions.ts'
import { isAllZero } from '../../../src-protocol/wire/bytes.ts'
import { isJsonObject, parseJson } from '../../../src-protocol/wire/json.ts'
import { parseMachineKey } from '../../../src-protocol/wire/keys.ts'
import type { ServerAddress } from './dial-plan.ts'
import { ControlError, connectionError } from './port.ts'
import type { SocketOpener } from './sockets.ts'

const MAX_KEY_BYTES = 65_536

export async function fetchServerKey(
  server: ServerAddress,
  sockets: SocketOpener,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { status, location, text } = await get(server, sockets, signal).catch((error: unknown) => {
    if (signal.aborted && signal.reason?.name !== 'TimeoutError') throw signal.reason
    throw connectionError(server.authority, signal.aborted ? signal.reason : error)
  })
  if (status >= 500) throw new ControlError('unreachable', `${server.authority} answers with error ${status}`)
  if (location !== undefined && status >= 300 && status < 400) {
    throw new ControlError('not-a-control-server', `${server.authority} redirects to ${location.slice(0, 100)}`)
  }
  return parseKeyDocument(server.authority, status, text)
}

/** Exported for its test: the reply may be any page of any server. */
export function parseKeyDocument(authority: string, status: number, text: string): Uint8Array {
  const json = status === 200 ? parseJson(text) : undefined
  const publicKey = json?.ok && isJsonObject(json.value) ? json.value.publicKey : undefined
  const key = typeof publicKey === 'string' ? parseMachineKey(publicKey) : undefined
  if (!key?.ok) {
    throw new ControlError('not-a-control-server', `${authority} is not a coordination server (no key at /key)`)
  }
  if (isAllZero(key.value)) {
    throw new ControlError('unsupported-version', `${authority} is a coordination server of a time before 2022`)
  }
  return key.value
}

interface KeyReply {
  readonly status: number
  readonly location: string | undefined
  readonly text: string
}

async function get(server: ServerAddress, sockets: SocketOpener, signal: AbortSignal): Promise<KeyReply> {
  const [first] = server.targets
  const socket = await sockets.open({ host: server.host, ...first, isVerified: true }, signal)
  const { promise, resolve, reject } = Promise.withResolvers<KeyReply>()
  const request = http.request({
    path: `/key?v=${CAPABILITY_VERSION}`,
    headers: { host: server.authority },
    signal,
    createConnection: () => socket,
  })
  request.on('error', reject)
  request.on('response', (response) => {
    const parts: Buffer[] = []
    let size = 0
    response.on('data', (part: Buffer) => {
      size += part.length
      if (size <= MAX_KEY_BYTES) parts.push(part)
      else request.destroy(new ControlError('not-a-control-server', `${server.authority} sent a page, not a key`))
    })
    response.on('error', reject)
    response.on('end', () => {
      const { location } = response.headers
      resolve({ status: response.statusCode ?? 0, location, text: Buffer.concat(parts).toString('utf8') })
      request.destroy()
    })
  })
  request.end()
  return promise
}
