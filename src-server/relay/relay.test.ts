import { createSocket } from 'node:dgram'
import { Duplex } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeCrypto } from '../../src-protocol/crypto/node-crypto.ts'
import {
  decodePacket,
  decodePeerGone,
  decodeServerInfo,
  decodeServerKey,
  encodeClientInfo,
  encodeFrame,
  encodeNotePreferred,
  encodeSendPacket,
  FRAME,
  FrameReader,
  PEER_GONE,
} from '../../src-protocol/wire/derp.ts'
import { nodeKeyText } from '../../src-protocol/wire/keys.ts'
import { decodeStunResponse, encodeStunRequest } from '../../src-protocol/wire/stun.ts'
import { type Front, openFront } from '../http/front.ts'
import { makeCertificate } from './certificate.ts'
import { RelayPart } from './relay-part.ts'
import { MAX_STRANGERS, RelayServer } from './relay-server.ts'
import { openStun, stunAnswer } from './stun-server.ts'

let server: RelayServer
let front: Front
let refusedKey = ''
const clients: Client[] = []
const tls = makeCertificate('127.0.0.1', Date.now())

beforeEach(async () => {
  server = new RelayServer({
    privateKey: nodeCrypto.newPrivateKey(),
    mayUse: (key) => key !== refusedKey,
    log: () => undefined,
  })
  front = await openFront({
    listen: { host: '127.0.0.1', port: 0 },
    purpose: 'test',
    tls,
    parts: [new RelayPart(server)],
  })
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy()
  await front.close()
  server.close()
})

class Client {
  readonly nodePrivate: Uint8Array
  readonly key: Uint8Array
  readonly socket: TLSSocket
  readonly frames: { type: number; payload: Uint8Array }[] = []
  readonly closed: Promise<void>
  #waiting: (() => void)[] = []

  constructor(nodePrivate = nodeCrypto.newPrivateKey(), headers = 'Upgrade: DERP\r\nConnection: Upgrade\r\n') {
    this.nodePrivate = nodePrivate
    this.key = nodeCrypto.x25519PublicKey(nodePrivate)
    this.socket = connect({ host: '127.0.0.1', port: front.port, ca: tls.cert })
    clients.push(this)
    const reader = new FrameReader()
    let head: Buffer | undefined = Buffer.alloc(0)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => resolve())
    this.socket.on('data', (bytes: Buffer) => {
      let rest = bytes
      if (head !== undefined) {
        head = Buffer.concat([head, bytes])
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return
        rest = head.subarray(end + 4)
        head = undefined
      }
      const frames = reader.push(rest)
      if (!frames.ok) throw new Error(frames.reason)
      for (const frame of frames.value) this.frames.push({ type: frame.type, payload: Uint8Array.from(frame.payload) })
      for (const wake of this.#waiting.splice(0)) wake()
    })
    this.socket.write(`GET /derp HTTP/1.1\r\nHost: x\r\n${headers}\r\n`)
  }

  async next(type: number): Promise<Uint8Array> {
    const deadline = Date.now() + 5000
    for (;;) {
      const at = this.frames.findIndex((frame) => frame.type === type)
      if (at >= 0) return this.frames.splice(at, 1)[0]!.payload
      if (Date.now() > deadline || this.socket.destroyed) throw new Error(`no frame of type ${type}`)
      await Promise.race([
        new Promise<void>((resolve) => this.#waiting.push(resolve)),
        new Promise((resolve) => setTimeout(resolve, 100)),
      ])
    }
  }

  async login(): Promise<this> {
    const serverKey = decodeServerKey(await this.next(FRAME.serverKey))
    if (!serverKey.ok) throw new Error(serverKey.reason)
    expect(serverKey.value).toEqual(server.publicKey)
    this.socket.write(
      encodeClientInfo(nodeCrypto, this.nodePrivate, serverKey.value, { version: 2, CanAckPings: true })!,
    )
    this.socket.write(encodeNotePreferred(true))
    expect(decodeServerInfo(nodeCrypto, this.nodePrivate, serverKey.value, await this.next(FRAME.serverInfo))).toEqual({
      ok: true,
      value: { version: 2 },
    })
    return this
  }

  async packet() {
    const packet = decodePacket(await this.next(FRAME.recvPacket))
    if (!packet.ok) throw new Error(packet.reason)
    return packet.value
  }
}

const disco = (n: number) => Uint8Array.of(0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac, ...new Uint8Array(60).fill(n))

test('[SRV-6.4] login, then packets both ways, with their source', async () => {
  const a = await new Client().login()
  const b = await new Client().login()
  a.socket.write(encodeSendPacket(b.key, Uint8Array.of(1, 2, 3)))
  expect(await b.packet()).toEqual({ key: a.key, packet: Uint8Array.of(1, 2, 3) })
  b.socket.write(encodeSendPacket(a.key, new Uint8Array(65_536).fill(7)))
  expect((await a.packet()).packet.length).toBe(65_536)
  a.socket.write(encodeSendPacket(a.key, Uint8Array.of(9)))
  expect((await a.packet()).key).toEqual(a.key)
  expect(server.clientCount).toBe(2)
})

test('ping, unknown frames, and all that breaks a connection', async () => {
  const a = await new Client().login()
  a.socket.write(
    Buffer.concat([
      encodeFrame(0x77, new Uint8Array(100_000)),
      encodeFrame(FRAME.ping, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9)),
    ]),
  )
  expect(await a.next(FRAME.pong)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
  const faults: [number, Uint8Array][] = [
    [FRAME.sendPacket, new Uint8Array(31)],
    [FRAME.sendPacket, new Uint8Array(32 + 65_537)],
    [FRAME.notePreferred, new Uint8Array(2)],
    [FRAME.ping, new Uint8Array(7)],
    [FRAME.watchConns, new Uint8Array(0)],
    [FRAME.closePeer, new Uint8Array(32)],
  ]
  for (const [type, payload] of faults) {
    const bad = await new Client().login()
    bad.socket.write(encodeFrame(type, payload))
    await bad.closed
  }
  const early = new Client()
  await early.next(FRAME.serverKey)
  early.socket.write(encodeFrame(FRAME.ping, new Uint8Array(8)))
  await early.closed
  const liar = new Client()
  await liar.next(FRAME.serverKey)
  liar.socket.write(encodeFrame(FRAME.clientInfo, new Uint8Array(200).fill(5)))
  await liar.closed
  const huge = await new Client().login()
  huge.socket.write(Uint8Array.of(4, 0xff, 0xff, 0xff, 0xff))
  await huge.closed
  expect(server.clientCount).toBe(1)
})

test('[SRV-6.5] several connections of one key, and the notice when the last is gone', async () => {
  const a = await new Client().login()
  const b1 = await new Client().login()
  const b2 = await new Client(b1.nodePrivate).login()
  b1.socket.write(encodeSendPacket(a.key, Uint8Array.of(1)))
  expect((await a.packet()).key).toEqual(b1.key)
  a.socket.write(encodeSendPacket(b1.key, Uint8Array.of(2)))
  expect((await b1.packet()).packet).toEqual(Uint8Array.of(2)) // it spoke last
  b2.socket.write(encodeNotePreferred(true))
  b2.socket.write(encodeFrame(FRAME.ping, new Uint8Array(8)))
  await b2.next(FRAME.pong)
  a.socket.write(encodeSendPacket(b1.key, Uint8Array.of(3)))
  expect((await b2.packet()).packet).toEqual(Uint8Array.of(3))
  b2.socket.destroy()
  await expect.poll(() => server.clientCount).toBe(2)
  a.socket.write(encodeSendPacket(b1.key, Uint8Array.of(4)))
  expect((await b1.packet()).packet).toEqual(Uint8Array.of(4))
  expect(a.frames).toEqual([])
  b1.socket.destroy()
  expect(decodePeerGone(await a.next(FRAME.peerGone))).toEqual({
    ok: true,
    value: { key: b1.key, reason: PEER_GONE.disconnected },
  })
})

test('[SRV-6.6] not here: only for discovery packets, and not too often', async () => {
  const a = await new Client().login()
  const nobody = nodeCrypto.x25519PublicKey(nodeCrypto.newPrivateKey())
  a.socket.write(encodeSendPacket(nobody, Uint8Array.of(1)))
  for (let n = 0; n < 20; n++) a.socket.write(encodeSendPacket(nobody, disco(n)))
  expect(decodePeerGone(await a.next(FRAME.peerGone))).toEqual({
    ok: true,
    value: { key: nobody, reason: PEER_GONE.notHere },
  })
  a.socket.write(encodeFrame(FRAME.ping, new Uint8Array(8)))
  await a.next(FRAME.pong)
  expect(a.frames.filter((frame) => frame.type === FRAME.peerGone).length).toBeLessThanOrEqual(3)
})

test('[SRV-6.3] a reader that stalls loses old packets, keeps discovery, and holds nobody up', async () => {
  const a = await new Client().login()
  const slow = await new Client().login()
  const quick = await new Client().login()
  slow.socket.pause()
  const bulk = new Uint8Array(60_000)
  for (let n = 0; n < 400; n++) a.socket.write(encodeSendPacket(slow.key, bulk))
  a.socket.write(encodeSendPacket(slow.key, disco(1)))
  a.socket.write(encodeSendPacket(quick.key, Uint8Array.of(5)))
  expect((await quick.packet()).packet).toEqual(Uint8Array.of(5))
  slow.socket.resume()
  for (;;) {
    const { packet } = await slow.packet()
    if (packet.length === 66) break
  }
})

test('[SRV-6.7] a key that may not use the relay is cut off after its login', async () => {
  const stranger = new Client()
  refusedKey = nodeKeyText(stranger.key)
  await expect(stranger.login()).rejects.toThrow()
  await stranger.closed
  refusedKey = ''
})

test('login cut at each length, and random bytes, break only themselves', async () => {
  const login = encodeClientInfo(nodeCrypto, nodeCrypto.newPrivateKey(), server.publicKey, { version: 2 })!
  for (let length = 0; length < login.length; length += 7) {
    const cut = new Client()
    await cut.next(FRAME.serverKey)
    cut.socket.end(login.subarray(0, length))
    await cut.closed
  }
  for (let n = 0; n < 20; n++) {
    const noise = new Client()
    await noise.next(FRAME.serverKey)
    noise.socket.end(nodeCrypto.randomBytes(3000))
    await noise.closed
  }
  expect(server.clientCount).toBe(0)
  await new Client().login()
})

test('the pages of a relay', async () => {
  const ask = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const socket = connect({ host: '127.0.0.1', port: front.port, ca: tls.cert, ALPNProtocols: ['h2', 'http/1.1'] })
    socket.once('secureConnect', () => expect(socket.alpnProtocol).toBe('http/1.1'))
    const all = Object.entries({ Host: 'x', Connection: 'close', ...headers }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    socket.write(`${method} ${path} HTTP/1.1\r\n${all.join('')}\r\n`)
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes.toString()
    })
    socket.once('close', () => resolve(text))
    socket.once('error', reject)
    return promise
  }
  expect(await ask('/derp')).toMatch(/^HTTP\/1\.1 426 /)
  expect(await ask('/derp', { Connection: 'upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Protocol': 'derp' })).toMatch(
    /^HTTP\/1\.1 501 /,
  )
  expect(await ask('/derp', { Connection: 'upgrade', Upgrade: 'h2c' })).toMatch(/^HTTP\/1\.1 426 /)
  expect(await ask('/nope', { Connection: 'upgrade', Upgrade: 'DERP' })).toMatch(/^HTTP\/1\.1 404 /)
  expect(await ask('/derp/latency-check')).toMatch(/^HTTP\/1\.1 200 [\s\S]*Access-Control-Allow-Origin: \*/)
  expect(await ask('/derp/probe', {}, 'POST')).toMatch(/405/)
  expect(await ask('/generate_204', { 'X-Tailscale-Challenge': 'ts_abc' })).toMatch(
    /^HTTP\/1\.1 204 [\s\S]*X-Tailscale-Response: response ts_abc/,
  )
  expect(await ask('/generate_204', { 'X-Tailscale-Challenge': 'a b' })).not.toMatch(/X-Tailscale-Response/)
  expect(await ask('/bootstrap-dns')).toMatch(/\{\}$/)
})

test('[SRV-6.8] STUN answers the clients own question over IPv4 and IPv6 and nothing else', async () => {
  const stun = await openStun({ host: undefined, port: 0 })
  for (const [type, host] of [
    ['udp4', '127.0.0.1'],
    ['udp6', '::1'],
  ] as const) {
    const socket = createSocket(type)
    await new Promise<void>((resolve) => socket.bind(0, host, resolve))
    const heard: Buffer[] = []
    socket.on('message', (message) => heard.push(message))
    const id = nodeCrypto.randomBytes(12)
    socket.send(Uint8Array.of(1, 2, 3), stun.port, host)
    socket.send(encodeStunRequest(id).subarray(0, 30), stun.port, host)
    socket.send(encodeStunRequest(id), stun.port, host)
    await expect.poll(() => heard.length).toBe(1)
    const { port } = socket.address()
    expect(decodeStunResponse(Uint8Array.from(heard[0]!))).toEqual({
      ok: true,
      value: { transactionId: Uint8Array.from(id), mapped: type === 'udp4' ? `127.0.0.1:${port}` : `[::1]:${port}` },
    })
    socket.close()
  }
  await stun.close()
})

test('[SRV-6.8] a request with the forged source port 0 gets silence, not the end of the server', () => {
  const request = encodeStunRequest(nodeCrypto.randomBytes(12))
  expect(stunAnswer(request, { address: '203.0.113.1', port: 0 })).toBeUndefined()
  expect(stunAnswer(request, { address: '203.0.113.1', port: 1 })).toHaveLength(32)
})

test('[SRV-6.9] connections that never log in are few, and do not keep others out', async () => {
  const node = await new Client().login()
  const open = Array.from(
    { length: MAX_STRANGERS + 10 },
    () => new Duplex({ read() {}, write: (_bytes, _encoding, done) => done() }),
  )
  for (const socket of open) server.accept(socket, new Uint8Array(0))
  expect(open.filter((socket) => socket.destroyed)).toHaveLength(10)
  expect(open.slice(0, 10).every((socket) => socket.destroyed)).toBe(true)
  node.socket.write(encodeSendPacket(node.key, Uint8Array.of(1)))
  expect((await node.packet()).packet).toEqual(Uint8Array.of(1))
})
