import { once } from 'node:events'
import type { ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { nodeCrypto } from '../../../src-protocol/crypto/node-crypto.ts'
import { machineKeyText, Secret } from '../../../src-protocol/wire/keys.ts'
import { encodeErrorFrame } from '../../../src-protocol/wire/noise.ts'
import { makeCertificate } from '../../../src-server/relay/certificate.ts'
import { silentLog } from '../log/log.ts'
import { Http2Control, type Http2ControlOptions, retryAfter } from './http2.ts'
import { ControlError } from './port.ts'
import { parseKeyDocument } from './server-key.ts'
import { TestControlServer, type TestControlServerOptions } from './test-control-server.lab.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function server(o: TestControlServerOptions = {}): Promise<TestControlServer> {
  const started = await TestControlServer.start(o)
  closers.push(() => started.close())
  return started
}

const machine = nodeCrypto.newPrivateKey()
function client(serverUrl: string, more: Partial<Http2ControlOptions> = {}): Http2Control {
  const opened = new Http2Control({
    crypto: nodeCrypto,
    serverUrl,
    machineKey: new Secret(machine),
    log: silentLog,
    wallMs: () => 0,
    ...more,
  })
  closers.push(() => opened.close())
  return opened
}

const signal = AbortSignal.timeout(15_000)
async function ask(control: Http2Control, path = '/machine/x', body?: string): Promise<string> {
  const request = { method: 'POST' as const, path, signal, ...(body === undefined ? {} : { body }) }
  const response = await control.request(request)
  return `${response.status} ${await response.text(1000)}`
}
const problem = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof ControlError ? `${error.kind}: ${error.message}` : String(error)),
  )

/** A TCP server that does what no control server would. */
async function tcp(handle: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const listener: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    handle(socket)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
}

describe('connecting', () => {
  test('[CTL-2.3] requests travel inside Noise, in any arrangement of the first segments', async () => {
    for (const arrangement of [{}, { sendsEarlyPayload: true }, { answersInOneWrite: true, sendsEarlyPayload: true }]) {
      const s = await server(arrangement)
      const control = client(s.url)
      expect(await ask(control, '/machine/map', '{"a":1}')).toBe('200 POST /machine/map {"a":1}')
      expect(s.machineKeys).toEqual([machineKeyText(nodeCrypto.x25519PublicKey(machine))])
      expect(s.versions).toEqual([131])
    }
  })
  test('[CTL-2.8] one connection for all requests, also when they start together', async () => {
    const s = await server()
    const control = client(s.url)
    const replies = await Promise.all([ask(control, '/1'), ask(control, '/2'), ask(control, '/3')])
    expect(replies).toEqual(['200 POST /1 ', '200 POST /2 ', '200 POST /3 '])
    expect([s.machineKeys.length, s.keyRequests]).toEqual([1, 1])
  })
  test('[CTL-2.8] a connection that died fails what was under way, the next request dials', async () => {
    const s = await server({ onStream: (stream, headers) => void (headers[':path'] === '/hang' || reply(stream)) })
    const control = client(s.url)
    const hanging = problem(ask(control, '/hang'))
    await ask(control, '/go')
    s.cut()
    expect(await hanging).toMatch(/^unreachable: /)
    expect(await ask(control, '/go')).toBe('200 ok')
    const again = problem(ask(control, '/hang'))
    await ask(control, '/go')
    control.reset()
    expect(await again).toMatch(/^unreachable: /)
    expect(await ask(control, '/go')).toBe('200 ok')
  })
  test('[CTL-2.1] over https the key is fetched with verification, and trusted authorities are honoured', async () => {
    const tls = makeCertificate('127.0.0.1', Date.now())
    const s = await server({ tls })
    expect(await problem(ask(client(s.url)))).toMatch(/^tls: no trusted TLS connection to 127\.0\.0\.1/)
    expect(await ask(client(s.url, { sockets: { extraCertificates: [tls.cert] } }))).toBe('200 POST /machine/x ')
  })
  test('[CTL-2.1] a server that got another key is asked for it again', async () => {
    const s = await server()
    const control = client(s.url)
    await ask(control)
    s.serverPrivate.set(nodeCrypto.newPrivateKey())
    control.reset()
    expect(await ask(control)).toBe('200 POST /machine/x ')
    expect(s.keyRequests).toBe(2)
  })
  test('a signal ends a request that waits, and the connection stays', async () => {
    const s = await server({ onStream: (stream, headers) => void (headers[':path'] === '/hang' || reply(stream)) })
    const control = client(s.url)
    await ask(control, '/go')
    const gone = new AbortController()
    const hanging = control.request({ method: 'POST', path: '/hang', signal: gone.signal })
    gone.abort(new Error('enough'))
    await expect(hanging).rejects.toThrow('enough')
    expect(await ask(control, '/go')).toBe('200 ok')
    expect(s.machineKeys.length).toBe(1)
  })
  test('close ends everything and refuses what comes later', async () => {
    const s = await server({ onStream: () => undefined })
    const control = client(s.url)
    const hanging = problem(ask(control))
    await vi.waitFor(() => expect(s.sessions.size).toBe(1))
    control.close()
    expect(await hanging).not.toBe('no error')
    expect(await problem(ask(control))).toBe('other: the control connection is closed')
  })
})

function reply(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200 })
  stream.end('ok')
}

describe('what is told when it does not work', () => {
  test('[CTL-2.1] a web page, another JSON, a redirect, an error, an old server', async () => {
    const pages: [string, (response: import('node:http').ServerResponse) => void][] = [
      ['not-a-control-server: ', (r) => r.end('<html>Welcome</html>')],
      ['not-a-control-server: ', (r) => r.end('{"publicKey":"mkey:12"}')],
      ['not-a-control-server: ', (r) => r.writeHead(404).end('nope')],
      ['not-a-control-server: ', (r) => r.writeHead(302, { location: 'https://elsewhere.example/' }).end()],
      ['not-a-control-server: ', (r) => r.end('x'.repeat(100_000))],
      ['unreachable: ', (r) => r.writeHead(502).end('bad gateway')],
      ['unsupported-version: ', (r) => r.end(`{"publicKey":"mkey:${'0'.repeat(64)}"}`)],
    ]
    for (const [kind, onKey] of pages) {
      const s = await server({ onKey })
      expect(await problem(ask(client(s.url)))).toMatch(new RegExp(`^${kind}`))
    }
  })
  test('[CTL-2.1] the key document, whatever it is', () => {
    for (const text of ['', 'null', '[]', '"mkey:"', '{"publicKey":5}', '{', '\ufeff{}', 'f'.repeat(64)]) {
      expect(() => parseKeyDocument('host', 200, text)).toThrow('host is not a coordination server')
    }
  })
  test('nobody there, no such name, no HTTP, silence', async () => {
    const closed = await tcp(() => undefined)
    closers.pop()!()
    expect(await problem(ask(client(closed)))).toMatch(/^unreachable: .*ECONNREFUSED/)
    expect(await problem(ask(client('http://no-such-name.invalid')))).toMatch(/^unreachable: the name/)
    const babble = await tcp((socket) => socket.end('SSH-2.0-OpenSSH\r\n'))
    expect(await problem(ask(client(babble)))).toMatch(/^not-a-control-server: /)
    const drop = await tcp((socket) => socket.destroy())
    expect(await problem(ask(client(drop)))).toMatch(/^unreachable: /)
    expect(await problem(ask(client('nonsense')))).toMatch(/^other: not a server URL/)
  })
  test('[CTL-2.3] [CTL-2.5] an upgrade that goes wrong', async () => {
    const switching =
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\n\r\n'
    const frame = (text: string) => Buffer.from(encodeErrorFrame(text)).toString('latin1')
    const cases: [RegExp, string][] = [
      [/^not-a-control-server: .*HTTP 200/, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
      [/^unreachable: .*HTTP 503/, 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'],
      [/^not-a-control-server: /, switching.replace('tailscale-control-protocol', 'websocket')],
      [/^refused: .*not today/, switching + frame('not today')],
      [/^unsupported-version: /, switching + frame('unsupported client version: 131')],
      [/^other: .*could not prove its key/, `${switching}\x02\x00\x30${'x'.repeat(48)}`],
      [/^other: .*could not prove its key/, switching + 'y'.repeat(60)],
      [/^unreachable: .*during the handshake/, `${switching}\x02\x00`],
    ]
    for (const [expected, bytes] of cases) {
      const s = await server({ onUpgrade: (socket) => socket.end(bytes, 'latin1') })
      expect(await problem(ask(client(s.url))), JSON.stringify(bytes)).toMatch(expected)
    }
  })
})

test('[CTL-3.2] Retry-After in seconds or as a date', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  const date = 'Thu, 01 Jan 2026 00:00:30 GMT'
  expect([retryAfter('7', now), retryAfter(date, now), retryAfter(date, now + 60_000)]).toEqual([7000, 30_000, 0])
  expect([retryAfter(undefined, now), retryAfter('soon', now)]).toEqual([undefined, undefined])
})
