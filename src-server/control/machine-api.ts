/** The HTTP/2 requests inside one Noise connection: register, map, and a polite no to the rest.       [control.md §2.7, §5] */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { MachineKeyText } from '../../src-contract/ids.ts'
import type { CertificateRequests } from '../certificates/certificate-requests.ts'
import { homeRegion } from '../mapper/hostinfo.ts'
import type { Maps } from '../mapper/maps.ts'
import type { NodeRecord } from '../registry/model.ts'
import type { Registry, VolatileFields } from '../registry/registry.ts'
import { type Hub, type MapSink, mapFrame } from './hub.ts'
import { answerRegister, type Caller, isSupported, type RegisterDoor } from './register.ts'
import { type CleanMapRequest, parseMapRequest, parseRegister } from './requests.ts'

export interface MachineDoor extends RegisterDoor {
  readonly registry: Registry
  readonly hub: Hub
  readonly maps: Maps
  /** Undefined: this server issues none. */
  readonly certificates: CertificateRequests | undefined
}

const MAX_BODY_BYTES = 1 << 20
/** Of somebody who is no node yet and can only register: the largest Hostinfo we take, and room for the rest. */
const MAX_STRANGER_BODY_BYTES = 96 << 10
const BODY_TIMEOUT_MS = 30_000

export async function answerMachine(
  door: MachineDoor,
  caller: Caller,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): Promise<void> {
  const { machineKey } = caller
  const method = headers[':method']
  const path = (headers[':path'] ?? '').split('?', 1)[0]!
  const isCertificate = path === '/machine/pintail/certificate' && door.certificates !== undefined
  if (path !== '/machine/register' && path !== '/machine/map' && !isCertificate) {
    // clients take both for "this server does not do that"
    return answer(
      stream,
      path.startsWith('/machine/') ? 501 : 404,
      path.startsWith('/machine/') ? 'not implemented' : 'not found',
    )
  }
  if (method !== 'POST') return answer(stream, 405, 'expected POST')
  const body = await readBody(stream, door.registry.knowsMachine(machineKey) ? MAX_BODY_BYTES : MAX_STRANGER_BODY_BYTES)
  if (body === undefined) return answer(stream, 413, 'the request is too large or too slow')
  if (path === '/machine/map') return handleMap(door, machineKey, stream, body)
  if (isCertificate) {
    const reply = await door.certificates!.answer(machineKey, body)
    if (reply.status === 200) return answer(stream, 200, JSON.stringify(reply.body), 'application/json')
    return answer(stream, reply.status, reply.text)
  }

  const request = parseRegister(body)
  if (!request.ok) return answer(stream, 400, `bad request: ${request.reason}`)
  if (!isSupported(request.value.Version)) return answer(stream, 400, unsupported(request.value.Version))
  const gone = new AbortController()
  stream.once('close', () => gone.abort())
  const response = await answerRegister(door, caller, request.value, gone.signal)
  if (!gone.signal.aborted) answer(stream, 200, JSON.stringify(response), 'application/json')
}

function unsupported(version: number): string {
  return `unsupported client version: ${version}; this server needs 113 (release 1.80) or newer`
}

function handleMap(door: MachineDoor, machineKey: MachineKeyText, stream: ServerHttp2Stream, body: Uint8Array): void {
  const parsed = parseMapRequest(body)
  if (!parsed.ok) {
    answer(stream, 400, `bad request: ${parsed.reason}`)
    return
  }
  const request = parsed.value
  if (!isSupported(request.Version)) {
    answer(stream, 400, unsupported(request.Version))
    return
  }
  const node = door.registry.nodeByKey(request.NodeKey)
  if (node === undefined || node.machineKey !== machineKey) {
    handleStranger(door, machineKey, stream, request)
    return
  }

  const current = learn(door, node, request)
  if (!request.isStream) {
    stream.respond({ ':status': 200 })
    stream.end(request.omitsPeers ? undefined : mapFrame(door.maps.fullText(current), request.isCompressed))
    return
  }
  const session = door.hub.open(current, request.isCompressed, openSink(stream))
  stream.once('close', () => session.ended())
}

/** Whoever was deleted is told that the login ended, so that the client asks its user; everybody else is unknown. */
function handleStranger(
  door: MachineDoor,
  machineKey: MachineKeyText,
  stream: ServerHttp2Stream,
  request: CleanMapRequest,
): void {
  const tombstone = door.registry.tombstone(request.NodeKey)
  if (tombstone === undefined || tombstone.machineKey !== machineKey || !request.isStream) {
    answer(stream, 404, 'node not found')
    return
  }
  const session = door.hub.openOutcast(tombstone.node, tombstone.deletedAt, request.isCompressed, openSink(stream))
  stream.once('close', () => session.ended())
}

function openSink(stream: ServerHttp2Stream): MapSink {
  stream.respond({ ':status': 200 })
  return {
    write: (bytes) => void stream.write(bytes),
    get waitingBytes() {
      return stream.writableLength
    },
    ping: (answered) => {
      const { session } = stream
      if (session === undefined || session.destroyed) return
      session.ping((error) => {
        if (error === null) answered()
      })
    },
    close: () => {
      if (!stream.closed) stream.end()
    },
  }
}

/** What the client says of itself; only differences are kept, so that equal updates wake nobody. */
function learn(door: MachineDoor, node: NodeRecord, request: CleanMapRequest): NodeRecord {
  const fields: { -readonly [K in keyof VolatileFields]: VolatileFields[K] } = {}
  if (request.discoKey !== undefined && request.discoKey !== node.discoKey) fields.discoKey = request.discoKey
  if (request.endpoints !== undefined && request.endpoints.join() !== node.endpoints.join())
    fields.endpoints = request.endpoints
  if (request.Version !== node.capVersion) fields.capVersion = request.Version
  if (request.hostinfo !== undefined) {
    const NetInfo = request.hostinfo.NetInfo ?? node.hostinfo.NetInfo
    const hostinfo = NetInfo === undefined ? request.hostinfo : { ...request.hostinfo, NetInfo }
    if (JSON.stringify(hostinfo) !== JSON.stringify(node.hostinfo)) fields.hostinfo = hostinfo
    const home = homeRegion(hostinfo)
    if (home !== 0 && home !== node.homeDerp) fields.homeDerp = home
  }
  if (Object.keys(fields).length === 0) return node
  return door.registry.update(node.id, fields) ?? node
}

function answer(stream: ServerHttp2Stream, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  if (stream.closed || stream.destroyed || stream.headersSent) return
  stream.respond({ ':status': status, 'content-type': type })
  stream.end(text)
  // an answer before the whole request was read: ask the client to stop sending
  if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
}

function readBody(stream: ServerHttp2Stream, maxBytes: number): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>()
  const parts: Buffer[] = []
  let size = 0
  const timer = setTimeout(() => resolve(undefined), BODY_TIMEOUT_MS)
  stream.on('data', (part: Buffer) => {
    size += part.length
    if (size <= maxBytes) {
      parts.push(part)
      return
    }
    parts.length = 0
    resolve(undefined)
  })
  stream.once('end', () => resolve(Buffer.concat(parts)))
  stream.once('close', () => resolve(undefined))
  return promise.finally(() => clearTimeout(timer))
}
