/** A client of the control protocol for tests: real sockets, real Noise, real HTTP/2, JSON in and out. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { zstdDecompressSync } from 'node:zlib'
import type { MapResponse } from '../../src-contract/control/map.ts'
import type { RegisterResponse } from '../../src-contract/control/register.ts'
import type { NodeKeyText } from '../../src-contract/ids.ts'
import { nodeCrypto } from '../../src-protocol/crypto/node-crypto.ts'
import { NoiseStream } from '../../src-protocol/crypto/noise-stream.ts'
import { toBase64 } from '../../src-protocol/wire/bytes.ts'
import { discoKeyText, machineKeyText, nodeKeyText, parseMachineKey } from '../../src-protocol/wire/keys.ts'
import { MapMessageReader } from '../../src-protocol/wire/map-framing.ts'
import { errorFrameText, RESPONSE_BYTES, startInitiator } from '../../src-protocol/wire/noise.ts'

export function newNodeKey(): NodeKeyText {
  return nodeKeyText(nodeCrypto.x25519PublicKey(nodeCrypto.newPrivateKey()))
}

/** Everything a test needs of one open map stream. */
export interface TestStream {
  readonly messages: MapResponse[]
  /** The next message that satisfies the test, also among those that came before and were not asked for yet. */
  next(isIt: (message: MapResponse) => boolean, timeoutMs?: number): Promise<MapResponse>
  readonly ended: Promise<void>
  readonly status: Promise<number>
  close(): void
}

export class TestMachine {
  readonly machinePrivate = nodeCrypto.newPrivateKey()
  readonly machineKey = machineKeyText(nodeCrypto.x25519PublicKey(this.machinePrivate))
  readonly discoKey = discoKeyText(nodeCrypto.x25519PublicKey(nodeCrypto.newPrivateKey()))
  nodeKey = newNodeKey()
  readonly version: number
  readonly #url: URL
  #session: Promise<ClientHttp2Session> | undefined

  constructor(url: string, version = 131) {
    this.#url = new URL(url)
    this.version = version
  }

  /** Registers with this machine's present node key. */
  async register(request: object = {}): Promise<RegisterResponse> {
    const body = {
      Version: this.version,
      NodeKey: this.nodeKey,
      OldNodeKey: `nodekey:${'0'.repeat(64)}`,
      Expiry: '0001-01-01T00:00:00Z',
      Followup: '',
      Hostinfo: { Hostname: 'box', OS: 'linux' },
      ...request,
    }
    const { status, bytes } = await this.request('POST', '/machine/register', JSON.stringify(body))
    if (status !== 200) throw new Error(`status ${status}: ${bytes.toString()}`)
    return JSON.parse(bytes.toString()) as RegisterResponse
  }

  async update(request: object): Promise<number> {
    const body = {
      Version: this.version,
      NodeKey: this.nodeKey,
      DiscoKey: this.discoKey,
      Stream: false,
      OmitPeers: true,
      ...request,
    }
    return (await this.request('POST', '/machine/map', JSON.stringify(body))).status
  }

  async stream(request: object = {}): Promise<TestStream> {
    const body = {
      Version: this.version,
      NodeKey: this.nodeKey,
      DiscoKey: this.discoKey,
      Stream: true,
      KeepAlive: true,
      Compress: 'zstd',
      ...request,
    }
    const http = await this.#open('POST', '/machine/map')
    http.end(JSON.stringify(body))
    return readStream(http, body.Compress === 'zstd')
  }

  async request(method: string, path: string, body: string | Uint8Array): Promise<{ status: number; bytes: Buffer }> {
    const http = await this.#open(method, path)
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; bytes: Buffer }>()
    let status = 0
    const parts: Buffer[] = []
    http.on('response', (headers) => {
      status = Number(headers[':status'])
    })
    http.on('data', (part: Buffer) => parts.push(part))
    http.on('close', () => resolve({ status, bytes: Buffer.concat(parts) }))
    http.on('error', reject)
    http.end(body)
    return promise
  }

  async #open(method: string, path: string): Promise<ClientHttp2Stream> {
    this.#session ??= this.#dial()
    return (await this.#session).request(
      { ':method': method, ':path': path, ':authority': 'unused', ':scheme': 'https' },
      { endStream: false },
    )
  }

  /** Sends bytes that are no HTTP/2 through a proper channel; answers when the server has hung up. */
  async babble(bytes: Uint8Array): Promise<void> {
    const noise = await this.#channel()
    const { promise, resolve } = Promise.withResolvers<void>()
    noise.on('error', () => undefined)
    noise.on('data', () => undefined)
    noise.once('close', resolve)
    noise.once('end', () => noise.destroy())
    noise.write(bytes)
    await promise
  }

  async #dial(): Promise<ClientHttp2Session> {
    const noise = await this.#channel()
    const session = connectHttp2('https://unused', { createConnection: () => noise })
    session.on('error', () => undefined)
    return session
  }

  async #channel(): Promise<NoiseStream> {
    const answer = await fetch(new URL(`/key?v=${this.version}`, this.#url))
    const serverPublic = parseMachineKey(((await answer.json()) as { publicKey: string }).publicKey)
    if (!serverPublic.ok) throw new Error('no server key')
    const initiator = startInitiator({
      crypto: nodeCrypto,
      machinePrivate: this.machinePrivate,
      serverPublic: serverPublic.value,
      version: this.version,
    })
    const { socket, rest } = await upgrade(this.#url, toBase64(initiator.message))
    const head = await atLeast(socket, rest, RESPONSE_BYTES)
    const keys = initiator.finish(head.subarray(0, RESPONSE_BYTES))
    if (!keys.ok) throw new Error(`handshake: ${keys.reason}`)
    return new NoiseStream({ socket, keys: keys.value, role: 'client', head: head.subarray(RESPONSE_BYTES) })
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => undefined)
    session?.destroy()
    this.#session = undefined
  }
}

async function upgrade(url: URL, handshake: string): Promise<{ socket: Socket; rest: Buffer }> {
  const socket = connect(Number(url.port), url.hostname)
  socket.write(
    `POST /ts2021 HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\nX-Tailscale-Handshake: ${handshake}\r\nContent-Length: 0\r\n\r\n`,
  )
  let read = Buffer.alloc(0)
  for (;;) {
    const end = read.indexOf('\r\n\r\n')
    if (end >= 0) {
      const head = read.subarray(0, end).toString()
      if (!head.startsWith('HTTP/1.1 101')) throw new Error(head)
      return { socket, rest: read.subarray(end + 4) }
    }
    read = Buffer.concat([read, await chunk(socket)])
  }
}

async function atLeast(socket: Socket, have: Buffer, count: number): Promise<Buffer> {
  let bytes = have
  while (bytes.length < count) {
    const refusal = errorFrameText(bytes)
    if (refusal !== undefined) throw new Error(refusal)
    bytes = Buffer.concat([bytes, await chunk(socket)])
  }
  return bytes
}

function chunk(socket: Socket): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const done = (bytes: Buffer) => {
    socket.pause()
    socket.off('close', closed)
    resolve(bytes)
  }
  const closed = () => reject(new Error('closed'))
  socket.once('data', done)
  socket.once('close', closed)
  socket.on('error', () => undefined)
  socket.resume()
  return promise
}

function readStream(http: ClientHttp2Stream, isCompressed: boolean): TestStream {
  const messages: MapResponse[] = []
  const reader = new MapMessageReader(64 << 20)
  const status = Promise.withResolvers<number>()
  const ended = Promise.withResolvers<void>()
  const asking = new Set<() => void>()
  let asked = 0
  let isMap = false
  const early: Buffer[] = []
  http.on('response', (headers) => {
    isMap = headers[':status'] === 200
    status.resolve(Number(headers[':status']))
    if (isMap) read(Buffer.concat(early))
  })
  // the first data may be told before the headers
  http.on('data', (bytes: Buffer) => {
    if (isMap) read(bytes)
    else early.push(bytes)
  })
  const read = (bytes: Buffer) => {
    const answer = reader.push(bytes)
    if (!answer.ok) throw new Error(answer.reason)
    for (const message of answer.value)
      messages.push(
        JSON.parse(Buffer.from(isCompressed ? zstdDecompressSync(message) : message).toString()) as MapResponse,
      )
    for (const ask of asking) ask()
  }
  http.on('error', () => undefined)
  http.on('close', () => {
    status.resolve(0)
    ended.resolve()
  })
  return {
    messages,
    status: status.promise,
    ended: ended.promise,
    close: () => http.close(),
    next(isIt, timeoutMs = 5000) {
      const { promise, resolve, reject } = Promise.withResolvers<MapResponse>()
      const timer = setTimeout(() => {
        asking.delete(look)
        reject(new Error(`no such message among ${JSON.stringify(messages.slice(asked))}`))
      }, timeoutMs)
      const look = () => {
        const at = messages.findIndex((message, index) => index >= asked && isIt(message))
        if (at < 0) return
        asked = at + 1
        clearTimeout(timer)
        asking.delete(look)
        resolve(messages[at]!)
      }
      asking.add(look)
      look()
      return promise
    },
  }
}
