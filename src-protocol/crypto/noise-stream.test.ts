import { once } from 'node:events'
import http2 from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import { encodeEarlyPayload, type NoiseKeys, respond, startInitiator } from '../wire/noise.ts'
import { nodeCrypto } from './node-crypto.ts'
import { NoiseStream } from './noise-stream.ts'

function handshake(): { client: NoiseKeys; server: NoiseKeys } {
  const serverPrivate = nodeCrypto.newPrivateKey()
  const initiator = startInitiator({
    crypto: nodeCrypto,
    machinePrivate: nodeCrypto.newPrivateKey(),
    serverPublic: nodeCrypto.x25519PublicKey(serverPrivate),
    version: 131,
  })
  const accepted = respond({ crypto: nodeCrypto, serverPrivate, initiation: initiator.message })
  if (!accepted.ok) throw new Error(accepted.reason)
  const keys = initiator.finish(accepted.value.reply)
  if (!keys.ok) throw new Error(keys.reason)
  return { client: keys.value, server: accepted.value.keys }
}

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function tcpPair(): Promise<[Socket, Socket]> {
  const listener = createServer()
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }
  const client = connect(port, '127.0.0.1')
  const [server] = (await once(listener, 'connection')) as [Socket]
  closers.push(() => {
    client.destroy()
    server.destroy()
    listener.close()
  })
  return [client, server]
}

function pairOver(a: Duplex, b: Duplex): { client: NoiseStream; server: NoiseStream } {
  const keys = handshake()
  return {
    client: new NoiseStream({ socket: a, keys: keys.client, role: 'client' }),
    server: new NoiseStream({ socket: b, keys: keys.server, role: 'server' }),
  }
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

describe('NoiseStream', () => {
  test('[CTL-2.6] carries megabytes both ways at once and ends cleanly', async () => {
    const { client, server } = pairOver(...(await tcpPair()))
    const up = Buffer.from(nodeCrypto.randomBytes(3_000_000))
    const down = Buffer.from(nodeCrypto.randomBytes(2_000_000))
    const [gotDown, gotUp] = await Promise.all([readAll(client), readAll(server), client.end(up), server.end(down)])
    expect(gotUp.equals(up)).toBe(true)
    expect(gotDown.equals(down)).toBe(true)
  })

  test('[CTL-2.7] HTTP/2 runs over it, with and without an early payload', async () => {
    for (const early of [undefined, { nodeKeyChallenge: `chalpub:${'11'.repeat(32)}` }]) {
      const { client, server } = pairOver(...(await tcpPair()))
      if (early !== undefined) server.write(encodeEarlyPayload(early))
      const serverSession = http2.performServerHandshake(server)
      serverSession.on('stream', (stream, headers) => {
        stream.respond({ ':status': 200 })
        stream.end(`you asked ${headers[':path']}`)
      })
      const session = http2.connect('https://control', { createConnection: () => client })
      const request = session.request({ ':path': '/machine/map', ':method': 'POST' })
      request.end()
      expect((await readAll(request)).toString()).toBe('you asked /machine/map')
      expect(client.earlyPayload).toEqual(early)
      session.close()
      await once(client, 'close')
    }
  })

  test('[CTL-2.3] bytes behind the handshake that were already read are not lost', async () => {
    const keys = handshake()
    const [a, b] = duplexPair()
    const sent: Buffer[] = []
    b.on('data', (bytes) => sent.push(bytes as Buffer))
    const server = new NoiseStream({ socket: b, keys: keys.server, role: 'server' })
    server.write('first words')
    const [head] = (await once(a, 'data')) as [Buffer]
    const client = new NoiseStream({ socket: a, keys: keys.client, role: 'client', head })
    const [text] = (await once(client, 'data')) as [Buffer]
    expect(text.toString()).toBe('first words')
    client.destroy()
  })

  test('[CTL-2.6] a damaged record ends the stream with its reason, and the socket with it', async () => {
    const keys = handshake()
    const [a, b] = duplexPair()
    const client = new NoiseStream({ socket: a, keys: keys.client, role: 'client' })
    client.resume()
    const failed = once(client, 'error')
    b.write(Uint8Array.of(4, 0, 20, ...new Uint8Array(20)))
    expect(((await failed)[0] as { code: string }).code).toBe('noise-auth')
    expect(a.destroyed).toBe(true)
  })

  test('[CTL-2.6] a socket that dies closes the stream; one that died before does too', async () => {
    const [a, b] = await tcpPair()
    const { client } = pairOver(a, b)
    client.resume()
    const closed = once(client, 'close')
    b.destroy()
    await closed
    const late = new NoiseStream({ socket: a, keys: handshake().client, role: 'client' })
    await once(late, 'close')
  })

  test('a reader that does not read holds the sender back', async () => {
    const { client, server } = pairOver(...(await tcpPair()))
    let isBlocked = false
    for (let i = 0; i < 2000 && !isBlocked; i++) {
      isBlocked = !server.write(Buffer.alloc(16_384))
      if (isBlocked) isBlocked = await stillBlocked(server)
    }
    expect(isBlocked).toBe(true)
    expect(client.readableLength).toBeLessThan(1 << 20)
  })
})

/** Whether `drain` stays out for a moment. */
async function stillBlocked(stream: Duplex): Promise<boolean> {
  const drained = once(stream, 'drain').then(() => false)
  return await Promise.race([drained, new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 200))])
}
