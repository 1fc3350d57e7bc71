import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createNetServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defaultPrefs } from '../src-contract/localapi/prefs.ts'
import { LocalClient } from './local-client.ts'
import { resolveSocketPath } from './socket-path.ts'

let folder: string
let socketPath: string
let client: LocalClient
const closers: (() => void)[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-client-'))
  socketPath = join(folder, 'd.sock')
  client = new LocalClient({ socketPath })
})
afterEach(async () => {
  client.close()
  for (const close of closers.splice(0)) close()
  await rm(folder, { recursive: true, force: true })
})

type Handler = (req: IncomingMessage, res: ServerResponse, body: string) => void

async function daemon(handler: Handler): Promise<Server> {
  const server = createServer((req, res) => {
    const parts: Buffer[] = []
    req.on('data', (part: Buffer) => parts.push(part))
    req.on('end', () => handler(req, res, Buffer.concat(parts).toString()))
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  closers.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return server
}

/** A daemon that is not even an HTTP server. */
async function rawDaemon(bytes: string | Buffer, end = true) {
  const server = createNetServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', () => {
      socket.write(bytes)
      if (end) socket.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  closers.push(() => server.close())
}

const failing = (promise: Promise<unknown>) =>
  promise.then(
    () => ({ code: 'none', message: 'it worked', status: 0 }),
    (error: { code: string; message: string; status: number }) => ({
      code: error.code,
      message: error.message,
      status: error.status,
    }),
  )

test('[LA-1.5] sends the Host, the capability, no Origin, and reads the answer', async () => {
  const seen: unknown[] = []
  await daemon((req, res) => {
    const { host, origin } = req.headers
    seen.push([req.method, req.url, host, req.headers['tailscale-cap'], origin])
    res.setHeader('Tailscale-Version', '1.2.3')
    res.end('{"BackendState":"Running"}')
  })
  expect((await client.status({ peers: false })).BackendState).toBe('Running')
  expect(seen).toEqual([['GET', '/localapi/v0/status?peers=false', 'local-tailscaled.sock', '131', undefined]])
  expect(client.daemonVersion).toBe('1.2.3')
})

test('reads share a connection, commands have their own', async () => {
  const sockets = new Set<unknown>()
  await daemon((req, res) => {
    sockets.add(req.socket)
    if (req.method === 'POST') res.writeHead(204).end()
    else res.end('{}')
  })
  await client.status()
  await client.prefs()
  expect(sockets.size).toBe(1)
  await client.logout()
  expect(sockets.size).toBe(2)
})

test('ids beyond 2^53 stay exact, both ways', async () => {
  let sent = ''
  await daemon((req, res, body) => {
    if (req.method === 'PATCH') sent = body
    res.end('{"Self":{"NodeID":9007199254740993,"UserID":12,"x":"9007199254740993"},"f":0.12345678901234567890}')
  })
  const status = await client.status()
  expect(status.Self.NodeID).toBe(9007199254740993n)
  expect(status.Self.UserID).toBe(12)
  expect((status.Self as unknown as { x: string }).x).toBe('9007199254740993')
  await client.editPrefs({ Config: { NodeID: 9007199254740993n } as never, Hostname: 'a', HostnameSet: true })
  expect(sent).toBe('{"Config":{"NodeID":9007199254740993},"Hostname":"a","HostnameSet":true}')
})

describe('[LA-1.6] errors', () => {
  test.each([
    [400, '{"Error":"no such pref"}', { code: 'bad-request', message: 'no such pref', status: 400 }],
    [500, '{"error":"no matching peer"}\n', { code: 'failed', message: 'no matching peer', status: 500 }],
    [500, 'plain words\n', { code: 'failed', message: 'plain words', status: 500 }],
    [403, 'access denied\n', { code: 'access-denied', message: 'access denied', status: 403 }],
    [401, 'who\n', { code: 'access-denied', message: 'who', status: 401 }],
    [404, '404 page not found\n', { code: 'not-found', message: '404 page not found', status: 404 }],
    [412, 'etag mismatch', { code: 'precondition-failed', message: 'etag mismatch', status: 412 }],
    [503, '', { code: 'failed', message: '503 Service Unavailable', status: 503 }],
    [500, '{broken', { code: 'failed', message: '{broken', status: 500 }],
    [301, '', { code: 'failed', message: '301 Moved Permanently', status: 301 }],
  ])('%i %s', async (status, body, expected) => {
    await daemon((_req, res) => res.writeHead(status).end(body))
    expect(await failing(client.status())).toEqual(expected)
  })

  test('a 2xx that is not the promised one is a failure', async () => {
    await daemon((_req, res) => res.writeHead(200).end('ok'))
    expect(await failing(client.logout())).toEqual({ code: 'failed', message: 'ok', status: 200 })
  })

  test('check-prefs objects with 200', async () => {
    await daemon((_req, res) => res.end('{"Error":"cannot"}'))
    expect(await client.checkPrefs(defaultPrefs())).toBe('cannot')
  })

  test('no socket, a dead socket, a file in its place', async () => {
    expect((await failing(client.status())).code).toBe('daemon-unreachable')
    const other = new LocalClient({ socketPath: '/proc/self/status' })
    expect((await failing(other.status())).code).toBe('daemon-unreachable')
  })

  test('what only our daemon has is undefined elsewhere', async () => {
    await daemon((_req, res) => res.writeHead(404).end('404 page not found'))
    expect(await client.pintailFeatures()).toBeUndefined()
    expect(await client.pintailPaths()).toBeUndefined()
  })
})

describe('hostile answers', () => {
  const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"Self":null}'

  test('cut at each length: an error, never a hang or half a value', async () => {
    let cut = 0
    const server = createNetServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.once('data', () => socket.end(whole.slice(0, cut)))
    })
    await new Promise<void>((resolve) => server.listen(socketPath, resolve))
    closers.push(() => server.close())
    for (cut = 0; cut < whole.length; cut++)
      expect(['daemon-unreachable', 'bad-reply']).toContain((await failing(client.status())).code)
    expect((await client.status()).Self.ID).toBe('')
  })

  test.each([
    ['cut JSON', '{"Self":{"ID":'],
    ['no JSON', '<html>'],
    ['empty', ''],
    ['a number', '12'],
    ['null', 'null'],
  ])('%s', async (_name, body) => {
    await daemon((_req, res) => res.end(body))
    expect((await failing(client.status())).code).toBe('bad-reply')
  })

  test('another protocol on the socket', async () => {
    await rawDaemon('SSH-2.0-OpenSSH_9.2\r\n')
    expect((await failing(client.status())).code).toBe('bad-reply')
  })

  test('a huge error body is not collected', async () => {
    await daemon((_req, res) => {
      res.on('error', () => undefined)
      res.writeHead(500).end('x'.repeat(1_000_000))
    })
    expect((await failing(client.status())).code).toBe('bad-reply')
  })

  test('silence before and within the answer', async () => {
    await daemon((req, res) => {
      if (req.url?.endsWith('prefs')) res.writeHead(200).write('{')
    })
    expect((await failing(client.status({ timeoutMs: 30 }))).code).toBe('timeout')
    expect((await failing(client.prefs({ timeoutMs: 30 }))).code).toBe('timeout')
  })

  test('an abort throws its own reason', async () => {
    await daemon(() => undefined)
    const abort = new AbortController()
    const call = client.ping('100.64.0.1', 'disco', { signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
    await expect(client.status({ signal: abort.signal })).rejects.toThrow('enough')
  })

  test('a kept-alive connection that the daemon dropped is replaced', async () => {
    const server = await daemon((_req, res) => res.end('{}'))
    await client.status()
    server.closeAllConnections()
    expect((await client.status()).BackendState).toBe('NoState')
  })
})

describe('socket path', () => {
  test('named beats environment beats the first that answers', async () => {
    await daemon((_req, res) => res.end('{}'))
    const gone = join(folder, 'gone.sock')
    expect(await resolveSocketPath({ explicit: '/a', env: { PINTAIL_SOCKET: '/b' } })).toBe('/a')
    expect(await resolveSocketPath({ env: { PINTAIL_SOCKET: '/b' } })).toBe('/b')
    expect(await resolveSocketPath({ env: {}, candidates: [gone, socketPath] })).toBe(socketPath)
    expect(await resolveSocketPath({ env: {}, candidates: [gone] })).toBe(gone)
  })
})
