/** A scripted control server for tests of the client: real sockets, Noise and HTTP/2, answers from a function. */
import { once } from 'node:events'
import http from 'node:http'
import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { nodeCrypto } from '../../../src-protocol/crypto/node-crypto.ts'
import { NoiseStream } from '../../../src-protocol/crypto/noise-stream.ts'
import { parseBase64 } from '../../../src-protocol/wire/bytes.ts'
import { machineKeyText } from '../../../src-protocol/wire/keys.ts'
import { encodeEarlyPayload, respond } from '../../../src-protocol/wire/noise.ts'

export interface TestControlServerOptions {
  readonly tls?: { readonly key: string; readonly cert: string }
  readonly sendsEarlyPayload?: boolean
  /** Everything behind the 101 in one segment with it. */
  readonly answersInOneWrite?: boolean
  /** In place of the usual answer to the upgrade. */
  readonly onUpgrade?: (socket: Duplex) => void
  /** In place of the usual answer to `/key`. */
  readonly onKey?: (response: http.ServerResponse) => void
  readonly onStream?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void
}

export class TestControlServer {
  readonly serverPrivate = nodeCrypto.newPrivateKey()
  readonly sessions = new Set<ServerHttp2Session>()
  readonly machineKeys: string[] = []
  readonly versions: number[] = []
  keyRequests = 0
  #o: TestControlServerOptions
  #sockets = new Set<Duplex>()
  #server: http.Server

  private constructor(o: TestControlServerOptions) {
    this.#o = o
    this.#server = o.tls === undefined ? http.createServer() : https.createServer({ ...o.tls })
    this.#server.on('connection', (socket: Duplex) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => undefined)
    })
    this.#server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
      if (!request.url?.startsWith('/key?v=')) {
        response.writeHead(404).end('no such page')
        return
      }
      this.keyRequests++
      if (o.onKey !== undefined) o.onKey(response)
      else response.end(JSON.stringify({ publicKey: machineKeyText(nodeCrypto.x25519PublicKey(this.serverPrivate)) }))
    })
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
  }

  static async start(o: TestControlServerOptions = {}): Promise<TestControlServer> {
    const server = new TestControlServer(o)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }
  get url(): string {
    return `${this.#o.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`
  }

  #upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#o.onUpgrade !== undefined) {
      this.#o.onUpgrade(socket)
      return
    }
    const initiation = parseBase64(String(request.headers['x-tailscale-handshake']))
    if (!initiation.ok) throw new Error(initiation.reason)
    const accepted = respond({
      crypto: nodeCrypto,
      serverPrivate: this.serverPrivate,
      initiation: initiation.value,
    })
    if (!accepted.ok) {
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
      return
    }
    const { reply, keys, machinePublic, version } = accepted.value
    this.machineKeys.push(machineKeyText(machinePublic))
    this.versions.push(version)
    const switching =
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\n\r\n'
    if (this.#o.answersInOneWrite === true) socket.cork()
    socket.write(switching)
    socket.write(reply)
    const stream = new NoiseStream({ socket, keys, role: 'server', head })
    stream.on('error', () => undefined)
    if (this.#o.sendsEarlyPayload === true) stream.write(encodeEarlyPayload({ nodeKeyChallenge: 'chalpub:00' }))
    const session = http2.performServerHandshake(stream)
    setImmediate(() => socket.uncork())
    this.sessions.add(session)
    session.on('error', () => undefined)
    session.on('close', () => this.sessions.delete(session))
    session.on('stream', (h2, headers) => {
      h2.on('error', () => undefined)
      if (this.#o.onStream !== undefined) this.#o.onStream(h2, headers)
      else echo(h2, headers)
    })
  }

  /** Cuts every connection, as a crash would. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

function echo(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const parts: Buffer[] = []
  stream.on('data', (part: Buffer) => parts.push(part))
  stream.on('end', () => {
    stream.respond({ ':status': 200 })
    stream.end(`${headers[':method']} ${headers[':path']} ${Buffer.concat(parts)}`)
  })
}
