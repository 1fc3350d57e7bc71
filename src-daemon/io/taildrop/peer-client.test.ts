/** Against real HTTP servers on loopback: one of ours with a folder behind it, and some that behave badly. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { afterEach, expect, test } from 'vitest'
import { BLOCK_BYTES, encodeBlock } from '../../../src-protocol/machines/taildrop/block-hashes.ts'
import type { Dialer } from '../proxies/dialer-port.ts'
import { openDropFolder } from './folder.ts'
import { type PeerSend, sendToPeer } from './peer-client.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Bytes that went out, per connection. */
let sent: number[] = []
const dialer: Dialer = {
  dial: (host, port) =>
    new Promise((resolve) => {
      const stream = connect({ host, port })
      stream.once('connect', () => resolve({ kind: 'connected', stream }))
      stream.once('error', (error) => resolve({ kind: 'failed', reason: 'refused', message: error.message }))
      const counts = sent
      stream.once('close', () => counts.push(stream.bytesWritten))
    }),
}
async function serve(server: Server): Promise<string> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => void sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const http = (listener: RequestListener): Promise<string> => serve(createHttpServer(listener))

const chunks = (bytes: Uint8Array): Readable => Readable.from(parts(bytes, 60_000))
async function* parts(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
function send(
  baseUrl: string,
  bytes: Uint8Array,
  change: Partial<PeerSend> = {},
  patience?: Parameters<typeof sendToPeer>[2],
) {
  sent = []
  const options: PeerSend = {
    baseUrl,
    name: 'a b.bin',
    length: bytes.length,
    body: chunks(bytes),
    signal: new AbortController().signal,
    onProgress: () => {},
    ...change,
  }
  return sendToPeer(dialer, options, patience)
}
/** What a receiver with this part does. */
async function receiver(part: Uint8Array): Promise<{ url: string; content: () => Buffer }> {
  const root = mkdtempSync(join(tmpdir(), 'pintail-send-'))
  closers.push(() => rmSync(root, { recursive: true, force: true }))
  const path = join(root, 'files')
  mkdirSync(path)
  if (part.length > 0) writeFileSync(join(path, 'a b.bin.n1.partial'), part)
  const folder = openDropFolder({ path, isDirect: false })
  const url = await http(async (request, response) => {
    expect([request.url, request.headers.host]).toEqual(['/v0/put/a%20b.bin', 'peer'])
    if (request.method === 'GET') {
      for await (const block of folder.blocks('a b.bin', 'n1')) response.write(encodeBlock(block))
      response.end()
      return
    }
    const offset = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? 'bytes=0-')?.[1])
    const length = request.headers['content-length']
    const known = length === undefined ? undefined : Number(length)
    const result = await folder.drop({
      ...{ name: 'a b.bin', sender: 'n1', offset, length: known, body: request, onProgress: () => {} },
    })
    response.writeHead(result.kind === 'done' ? 200 : 500).end(result.kind)
  })
  return { url, content: () => readFileSync(join(path, 'a b.bin')) }
}

test.each([0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5_000_000])('[TD-8] %i bytes', async (size) => {
  const bytes = randomBytes(size)
  const { url, content } = await receiver(Buffer.alloc(0))
  const progress: number[] = []
  expect(await send(url, bytes, { onProgress: (count) => progress.push(count) })).toEqual({
    kind: 'answered',
    status: 200,
    text: 'done',
    resumedAt: 0,
  })
  expect(content().equals(bytes)).toBe(true)
  expect([progress[0], progress.at(-1)]).toEqual([0, size])
  expect(progress).toEqual([...progress].sort((a, b) => a - b))
})

test('[TD-8] without a length it goes in chunks', async () => {
  const bytes = randomBytes(200_000)
  const { url, content } = await receiver(Buffer.alloc(0))
  expect(await send(url, bytes, { length: undefined })).toMatchObject({ status: 200 })
  expect(content().equals(bytes)).toBe(true)
})

const MB = randomBytes(1 << 20)
const changed = Buffer.from(MB)
changed[BLOCK_BYTES * 3 + 5] = (changed[BLOCK_BYTES * 3 + 5] ?? 0) ^ 1
test.each([
  ['half of it', MB.subarray(0, 500_000), 500_000],
  ['all of it', MB, MB.length],
  ['another one of this name', randomBytes(300_000), 0],
  ['one that differs in its fourth block', changed, 3 * BLOCK_BYTES],
  ['a longer one that begins so', Buffer.concat([MB, Buffer.from('more')]), MB.length],
])('[TD-8] the peer has %s: only the rest is sent', async (_what, part, from) => {
  const { url, content } = await receiver(part)
  expect(await send(url, MB)).toMatchObject({ status: 200, resumedAt: from })
  expect(content().equals(MB)).toBe(true)
  while (sent.length < 2) await new Promise((resolve) => setImmediate(resolve))
  const heads = 2_000
  expect(sent.reduce((sum, one) => sum + one, 0)).toBeLessThan(MB.length - from + heads)
})

test('[TD-8] an old peer that cannot go on gets all of it; its words come back', async () => {
  for (const status of [404, 405, 500]) {
    const url = await http((request, response) => {
      if (request.method === 'GET') return void response.writeHead(status).end('no')
      const hash = createHash('sha256')
      request.on('data', (chunk: Buffer) => hash.update(chunk))
      request.on('end', () => response.writeHead(409).end(`busy ${hash.digest('hex').slice(0, 8)}`))
    })
    const digest = createHash('sha256').update(MB).digest('hex').slice(0, 8)
    expect(await send(url, MB)).toEqual({ kind: 'answered', status: 409, text: `busy ${digest}`, resumedAt: 0 })
  }
})

test('[TD-8] a refusal ends the sending at once', async () => {
  const url = await http((request, response) => {
    if (request.method === 'GET') response.end()
    else response.writeHead(403, { 'Content-Length': 11 }).write('not for you') // it goes on listening
  })
  const endless = new PassThrough()
  const filling = setInterval(() => endless.write(Buffer.alloc(100_000)), 1)
  closers.push(() => clearInterval(filling))
  expect(await send(url, MB, { body: endless, length: undefined })).toMatchObject({ status: 403, text: 'not for you' })
})

test.each([
  ['lines that are none', '{"checksum":1}\nnonsense\n'],
  ['a line without end', 'x'.repeat(100_000)],
  ['blocks of no size', `${JSON.stringify({ checksum: 'ab'.repeat(32), algo: 'sha256', size: 0 })}\n`.repeat(1000)],
  ['more blocks than the file has', encodeBlock({ sha256Hex: 'ab'.repeat(32), size: 65_536 }).repeat(1000)],
])('[TD-8] a list of %s: everything is sent', async (_what, list) => {
  let received = 0
  const url = await http((request, response) => {
    if (request.method === 'GET') return void response.end(list)
    request.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    request.on('end', () => response.end('{}'))
  })
  expect(await send(url, MB)).toMatchObject({ kind: 'answered', status: 200, resumedAt: 0 })
  expect(received).toBe(MB.length)
})

const patient = { listMs: 20_000, takeMs: 20_000, lastWordMs: 20_000 }
const ZEROS = Buffer.alloc(32 << 20)
const firstTen = { sha256Hex: createHash('sha256').update(ZEROS.subarray(0, 10)).digest('hex'), size: 10 }
/** Answers the first question, and deals with the file as told. */
const then =
  (file: RequestListener): RequestListener =>
  (request, response) =>
    request.method === 'GET' ? void response.end() : file(request, response)
test.each<[string, Partial<typeof patient>, RequestListener, RegExp]>([
  ['never answers', { listMs: 200 }, () => {}, /does not answer/],
  [
    'lists one block and goes silent',
    { listMs: 200 },
    (_q, answer) => void answer.write(encodeBlock(firstTen)),
    /silent/,
  ],
  ['takes nothing', { takeMs: 200 }, then((request) => void request.pause()), /took nothing/],
  ['takes all and says nothing', { lastWordMs: 200 }, then((request) => void request.resume()), /does not say/],
  ['hangs up', {}, then((request) => void request.socket.destroy()), /./],
])('[TD-8] a peer that %s: the reason, in time', async (_what, patience, listener, reason) => {
  const url = await http(listener)
  const result = await send(url, ZEROS, {}, { ...patient, ...patience })
  expect(result).toEqual({ kind: 'broke-off', reason: expect.stringMatching(reason) })
})

test('[TD-8] no HTTP at all, nobody there', async () => {
  const url = await serve(createServer((socket) => void socket.end('SSH-2.0-x\r\n')))
  expect(await send(url, MB)).toMatchObject({ kind: 'broke-off' })
  expect(await send('http://127.0.0.1:1', MB)).toEqual({
    kind: 'unreachable',
    reason: expect.stringContaining('ECONNREFUSED'),
  })
})

test('[TD-8] a connection that does not come about is begun again, and the late one is not kept', async () => {
  const { url, content } = await receiver(Buffer.alloc(0))
  const late: Socket[] = []
  let count = 0
  const moody: Dialer = {
    dial: async (host, port, signal) => {
      if (++count > 1) return dialer.dial(host, port, signal)
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      const stream = connect({ host, port })
      late.push(stream)
      return { kind: 'connected', stream }
    },
  }
  const options = { baseUrl: url, name: 'a b.bin', length: 5, body: Readable.from([Buffer.from('hello')]) }
  const result = await sendToPeer(moody, { ...options, signal: new AbortController().signal, onProgress: () => {} })
  expect(result).toMatchObject({ kind: 'answered', status: 200 })
  expect(content().toString()).toBe('hello')
  await new Promise((resolve) => setImmediate(resolve))
  expect(late.map(({ destroyed }) => destroyed)).toEqual([true])
})

test('[TD-8] cancelled in the midst; a source that breaks off', async () => {
  const url = await http((request, response) => void (request.method === 'GET' ? response.end() : request.resume()))
  const stop = new AbortController()
  const endless = new PassThrough()
  endless.write('x')
  const going = send(url, MB, {
    body: endless,
    length: undefined,
    signal: stop.signal,
    onProgress: (n) => n > 0 && stop.abort(),
  })
  expect(await going).toEqual({ kind: 'broke-off', reason: 'cancelled' })
  async function* broken(): AsyncIterable<Uint8Array> {
    yield Buffer.from('x')
    throw new Error('disk on fire')
  }
  expect(await send(url, MB, { body: Readable.from(broken()) })).toEqual({ kind: 'broke-off', reason: 'disk on fire' })
})

test('[TD-8] a slow peer holds the sender back: no more is read than the sockets take', async () => {
  const url = await http((request, response) => void (request.method === 'GET' ? response.end() : request.pause()))
  let read = 0
  async function* counted(): AsyncIterable<Uint8Array> {
    for (let i = 0; i < 2_000; i++) {
      read += 65_536
      yield Buffer.alloc(65_536)
    }
  }
  await send(url, MB, { body: Readable.from(counted()), length: undefined }, { ...patient, takeMs: 500 })
  expect(read).toBeLessThan(32 << 20)
})
