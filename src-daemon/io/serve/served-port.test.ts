import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import type { IpText } from '../../../src-contract/ids.ts'
import type { HttpHandler } from '../../../src-contract/localapi/serve.ts'
import { answerFor } from '../../../src-protocol/machines/serve/answer.ts'
import { silentLog } from '../log/log.ts'
import { FileServers } from './file-servers.ts'
import type { ServedPort } from './port.ts'
import { ReverseProxy } from './proxy.ts'
import { openServedPort } from './served-port.ts'

// Real sockets on this computer: a program, the port in front of it, and whoever asks.

const HERE = '127.0.0.1' as IpText
const folder = mkdtempSync(join(tmpdir(), 'pintail-serve-'))
const failures: string[] = []
const proxy = new ReverseProxy((_target, reason) => failures.push(reason))
const own = { uid: process.getuid!(), gid: process.getgid!() }
const files = new FileServers({ ownerOf: (key) => (key.includes('/nobodys') ? undefined : own), log: silentLog })
const parts = { proxy, files, log: silentLog }
const closers: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})
afterAll(async () => {
  await Promise.all([proxy.close(), files.close()])
  rmSync(folder, { recursive: true })
})

async function listening(server: Server | ReturnType<typeof createNetServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, HERE, resolve))
  closers.push(() => {
    if ('closeAllConnections' in server) server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

/** Some port that is free, most probably. */
async function freePort(): Promise<number> {
  const probe = createNetServer()
  await new Promise<void>((resolve) => probe.listen(0, HERE, resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

async function site(handlers: { [mount: string]: HttpHandler }): Promise<number> {
  const port = await freePort()
  const servers = { [`nas.example.net:${port}`]: { Handlers: handlers } }
  const caller = { loginName: 'ann@example.net', displayName: 'Ann Å', profilePicUrl: '' }
  const served: ServedPort = {
    kind: 'web',
    tls: undefined,
    answer: (facts) => answerFor({ servers, domain: 'example.net' }, { ...facts, caller, callerCaps: new Map() }),
  }
  const listener = await openServedPort(parts, HERE, port, served)
  closers.push(() => listener.close())
  return port
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly trailers: IncomingMessage['trailers']
  readonly body: string
}

function ask(port: number, path: string, options: { method?: string; headers?: object; body?: string } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const headers = { host: `nas.example.net:${port}`, ...options.headers }
    const asking = request(
      { host: HERE, port, path, method: options.method ?? 'GET', headers, agent: false },
      (answer) => {
        let body = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk) => {
          body += chunk
        })
        answer.on('end', () =>
          resolve({ status: answer.statusCode!, headers: answer.headers, trailers: answer.trailers, body }),
        )
        answer.on('error', reject)
      },
    )
    asking.on('error', reject)
    asking.end(options.body)
  })
}

test('[SVE-4.5] text, redirects, and nothing', async () => {
  const port = await site({ '/hi': { Text: 'hello' }, '/old': { Redirect: '308:/new' } })
  expect(await ask(port, '/hi')).toMatchObject({ status: 200, body: 'hello' })
  expect(await ask(port, '/old')).toMatchObject({ status: 308, headers: { location: '/new' } })
  expect((await ask(port, '/other')).status).toBe(404)
  expect((await ask(port, '/hi', { headers: { host: 'nas' } })).status).toBe(200) // a short name is completed
  expect((await ask(port, '/hi', { headers: { host: 'evil.example' } })).status).toBe(404)
  expect((await ask(port, '/a/../hi')).status).toBe(400)
})

test('[SVE-5.1] the program hears who asks from us alone, and sees the path below the mount', async () => {
  const echo = createServer((seen, reply) => {
    reply.setHeader('Keep-Alive', 'timeout=99')
    reply.setHeader('X-Own', ['a', 'b'])
    reply.end(JSON.stringify({ url: seen.url, headers: seen.headers }))
  })
  const program = await listening(echo)
  const port = await site({ '/api': { Proxy: `http://127.0.0.1:${program}/base` } })
  const answer = await ask(port, '/api/x%2Fy?q=1', {
    headers: {
      'Tailscale-User-Login': 'root@evil',
      tailscale_user_login: 'root@evil',
      'X-Forwarded-For': '1.2.3.4',
      Connection: 'x-private',
      'X-Private': 'hop',
      Cookie: 'a=b',
    },
  })
  expect(answer.headers['x-own']).toBe('a, b')
  expect(answer.headers['keep-alive']).not.toBe('timeout=99')
  const seen = JSON.parse(answer.body)
  expect(seen.url).toBe('/base/x%2Fy?q=1')
  expect(seen.headers).toMatchObject({
    host: `nas.example.net:${port}`,
    cookie: 'a=b',
    'tailscale-user-login': 'ann@example.net',
    'tailscale-user-name': '=?utf-8?q?Ann_=C3=85?=',
    'x-forwarded-for': HERE,
    'x-forwarded-host': `nas.example.net:${port}`,
  })
  expect(seen.headers).not.toHaveProperty('tailscale_user_login')
  expect(seen.headers).not.toHaveProperty('x-private')
})

test('[SVE-8.1] bodies both ways, streams of events as they come, trailers, HEAD', async () => {
  const program = await listening(
    createServer((seen, reply) => {
      if (seen.url === '/events') {
        reply.writeHead(200, { 'Content-Type': 'text/event-stream', Trailer: 'X-Sum' })
        reply.write('data: 1\n\n')
        setTimeout(() => {
          reply.addTrailers({ 'X-Sum': '3' })
          reply.end('data: 2\n\n')
        }, 50)
      } else {
        let bytes = 0
        seen.on('data', (chunk) => {
          bytes += chunk.length
        })
        seen.on('end', () => reply.end(`${seen.method} ${bytes}`))
      }
    }),
  )
  const port = await site({ '/': { Proxy: String(program) } })
  expect((await ask(port, '/', { method: 'PUT', body: 'x'.repeat(3 << 20) })).body).toBe(`PUT ${3 << 20}`)
  expect((await ask(port, '/', { method: 'HEAD' })).status).toBe(200)
  const events = await ask(port, '/events')
  expect(events.body).toBe('data: 1\n\ndata: 2\n\n')
  expect(events.trailers).toEqual({ 'x-sum': '3' })
})

test('[SVE-8.2] a caller who reads slowly slows the program down; one who leaves ends it', async () => {
  let sent = 0
  let isGone = false
  const chunk = Buffer.alloc(64 << 10)
  const program = await listening(
    createServer((_seen, reply) => {
      const pump = (): void => {
        while (!isGone && reply.write(chunk)) sent += chunk.length
      }
      reply.on('drain', pump)
      reply.on('close', () => {
        isGone = true
      })
      pump()
    }),
  )
  const port = await site({ '/': { Proxy: String(program) } })
  const slow = connect(port, HERE)
  slow.write(`GET / HTTP/1.1\r\nHost: nas:${port}\r\n\r\n`)
  await new Promise((resolve) => slow.once('readable', resolve))
  let before = -1
  while (before !== sent) {
    before = sent
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  expect(sent).toBeLessThan(48 << 20) // what the kernel's buffers hold, and not an endless stream
  slow.destroy()
  await expect.poll(() => isGone, { timeout: 5_000 }).toBe(true)
})

test('[SVE-8.3] nobody there is a 502 that says no more than that; half an answer does not look whole', async () => {
  const port = await site({ '/': { Proxy: String(await freePort()) } })
  expect((await ask(port, '/')).status).toBe(502)
  expect(failures.at(-1)).toMatch(/ECONNREFUSED/)
  const half = createNetServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'))
  })
  const broken = await site({ '/': { Proxy: String(await listening(half)) } })
  await expect(ask(broken, '/')).rejects.toThrow()
})

test('[SVE-8.4] WebSocket: the bytes of both after a 101, and any other answer as it is', async () => {
  const program = createServer((_seen, reply) => {
    reply.statusCode = 401
    reply.end('who are you')
  })
  program.on('upgrade', (seen: IncomingMessage, socket: Socket) => {
    if (seen.url !== '/ws') {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
      return
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-As: ${seen.headers['tailscale-user-login']}\r\n\r\n`,
    )
    socket.pipe(socket)
  })
  const port = await site({ '/': { Proxy: String(await listening(program)) } })
  const open = (path: string) => {
    const socket = connect(port, HERE)
    closers.push(() => socket.destroy())
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: nas:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\nearly`,
    )
    return { socket, read: () => text }
  }
  const echo = open('/ws')
  await expect.poll(() => echo.read(), { timeout: 5_000 }).toMatch(/^HTTP\/1\.1 101 .*X-As: ann@example\.net.*early$/s)
  echo.socket.write(' later')
  await expect.poll(() => echo.read(), { timeout: 5_000 }).toMatch(/early later$/)
  const refused = open('/other')
  await expect.poll(() => refused.read(), { timeout: 5_000 }).toMatch(/^HTTP\/1\.1 403 .*no$/s)
})

test('[SVE-8.5] what is no request is refused, and a head that never ends is not waited for', async () => {
  const port = await site({ '/': { Text: 'x' } })
  const answerTo = (text: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(port, HERE)
      let got = ''
      socket.on('data', (chunk) => {
        got += chunk
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve(got))
      socket.write(text)
    })
  const smuggled = `POST / HTTP/1.1\r\nHost: nas:${port}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`
  expect(await answerTo(smuggled)).toMatch(/^HTTP\/1\.1 400/)
  expect(await answerTo(`GET / HTTP/1.1\r\nHost: nas\r\nX: ${'y'.repeat(70 << 10)}\r\n\r\n`)).toMatch(
    /^(HTTP\/1\.1 4|$)/,
  )
  expect(await answerTo('CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 405/)
  expect(await answerTo('\x16\x03\x01\x02\x00\x01')).toMatch(/^(HTTP\/1\.1 400|$)/)
})

test('[SVE-6.3] streams: bytes both ways after the header, either end may finish first', async () => {
  const program = await listening(
    createNetServer({ allowHalfOpen: true }, (socket) => {
      let got = ''
      socket.on('data', (chunk) => {
        got += chunk
      })
      socket.on('end', () => socket.end(`got ${got}`))
    }),
  )
  const port = await freePort()
  const header = Uint8Array.from(Buffer.from('PROXY '))
  const listener = await openServedPort(parts, HERE, port, {
    kind: 'stream',
    tls: undefined,
    plan: () => ({ to: { host: HERE, port: program }, header }),
  })
  closers.push(() => listener.close())
  const socket = connect({ port, host: HERE, allowHalfOpen: true })
  socket.end('hello')
  const texts: Buffer[] = []
  for await (const chunk of socket) texts.push(chunk)
  expect(Buffer.concat(texts).toString()).toBe('got PROXY hello')
})

test('[SVE-9.1] files and folders: types, ranges, indexes; nothing above, nothing hidden, nothing of nobody', async () => {
  await mkdir(join(folder, 'web/sub'), { recursive: true })
  writeFileSync(join(folder, 'web/index.html'), '<p>home')
  writeFileSync(join(folder, 'web/sub/a b.txt'), 'a text')
  writeFileSync(join(folder, 'web/.secret'), 'secret')
  writeFileSync(join(folder, 'above.txt'), 'above')
  symlinkSync('/nowhere', join(folder, 'web/broken'))
  const port = await site({
    '/docs': { Path: join(folder, 'web') },
    '/one': { Path: join(folder, 'above.txt') },
    '/nobodys': { Path: join(folder, 'web') },
  })
  expect(await ask(port, '/docs')).toMatchObject({ status: 301, headers: { location: '/docs/' } })
  expect(await ask(port, '/docs/')).toMatchObject({ status: 200, body: '<p>home' })
  expect(await ask(port, '/docs/sub/a%20b.txt')).toMatchObject({ status: 200, body: 'a text' })
  expect(await ask(port, '/docs/sub/a%20b.txt', { headers: { range: 'bytes=2-3' } })).toMatchObject({
    status: 206,
    body: 'te',
  })
  expect(await ask(port, '/one')).toMatchObject({ status: 200, body: 'above' })
  for (const path of [
    '/one/x',
    '/docs/above.txt',
    '/docs/.secret',
    '/docs/broken',
    '/docs/..%2fabove.txt',
    '/docs/sub',
  ])
    expect((await ask(port, path)).status, path).not.toBe(200)
  expect((await ask(port, '/docs/', { headers: { 'Pintail-File-Root': '/etc' } })).body).toBe('<p>home')
  expect((await ask(port, '/nobodys/')).status).toBe(403)
  expect((await ask(port, '/docs/', { method: 'PUT', body: 'x' })).status).toBe(405)
})
