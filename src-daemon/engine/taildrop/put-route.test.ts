/** A real PeerAPI listener with a real folder behind it; peers send from addresses of theirs. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { type ClientRequest, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Node } from '../../../src-contract/control/map.ts'
import type { Notify } from '../../../src-contract/localapi/notify.ts'
import { foldMapResponse } from '../../../src-protocol/machines/netmap.ts'
import { silentLog } from '../../io/log/log.ts'
import { openPeerApiListener } from '../../io/peerapi/listener.ts'
import type { PeerApiView } from '../peerapi/admission.ts'
import { PeerApi } from '../peerapi/peer-api.ts'
import { openTaildrop } from './open-taildrop.ts'
import { putRoute } from './put-route.ts'
import type { Taildrop } from './taildrop.ts'

const OURS = '127.9.1.1'
const OWN = '127.9.1.2'
const OTHER = '127.9.1.3'
const FRIEND = '127.9.1.4'
const CAP = 'https://tailscale.com/cap'

const noDialer = { dial: async () => ({ kind: 'failed', reason: 'unreachable', message: 'nobody' }) as const }

let folder: string
let api: PeerApi
let taildrop: Taildrop
let told: Partial<Notify>[]
/** Added to the clock of the inbox. */
let skippedMs: number

function node(id: number, address: string, user: number, change: Partial<Node> = {}): Node {
  const Key = `nodekey:${String(id).padStart(64, '0')}`
  return {
    ID: id,
    StableID: `n${id}`,
    Name: `m${id}.x.`,
    User: user,
    Key,
    Addresses: [`${address}/32`],
    ...change,
  } as Node
}
function view(change: Partial<PeerApiView> = {}, self: Partial<Node> = {}): PeerApiView {
  const grant = { SrcIPs: [FRIEND], CapGrant: [{ Dsts: [`${OURS}/32`], CapMap: { [`${CAP}/file-send`]: null } }] }
  const Node = node(1, OURS, 1, { CapMap: { [`${CAP}/file-sharing`]: [] }, ...self })
  const Peers = [node(2, OWN, 1), node(3, OTHER, 2), node(4, FRIEND, 2)]
  const UserProfiles = [{ ID: 1, LoginName: '../ada@example.com', DisplayName: '' }]
  const message = { Node, Peers, PacketFilter: [grant], UserProfiles }
  const folded = foldMapResponse(undefined, message, { wallMs: 0, isNewStream: true })
  if (!folded.ok) throw new Error(folded.reason)
  return { netmap: folded.value.netmap, shieldsUp: false, offersExitNode: false, ...change }
}
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-put-'))
  told = []
  skippedMs = 0
  const nowMs = () => performance.now() + skippedMs
  taildrop = openTaildrop({
    stateFolder: folder,
    taildropFolder: undefined,
    dialer: noDialer,
    nowMs,
    wallMs: Date.now,
    log: silentLog,
  })
  taildrop.tell = (fields) => told.push({ ...fields, ...taildrop.common })
  api = new PeerApi({
    open: (options) => openPeerApiListener(options),
    routes: [putRoute(taildrop.inbox)],
    log: silentLog,
  })
  await configure(view())
})
afterEach(async () => {
  taildrop.close()
  await api.close()
  rmSync(folder, { recursive: true, force: true })
})
async function configure(next: PeerApiView): Promise<void> {
  const listens = new Promise<void>((resolve) => {
    api.onPorts = resolve
  })
  taildrop.configure(next.netmap)
  const isNew = api.ports.length === 0
  api.configure(next)
  if (isNew) await listens
}

const STAGING = () => join(folder, 'files', '.._ada-example.com-uid-1')
const files = () => readdirSync(STAGING()).sort()

interface Put {
  readonly from?: string
  readonly method?: string
  readonly headers?: Record<string, string | number>
  readonly body?: Uint8Array
}
function begin(
  escaped: string,
  { from = OWN, method = 'PUT', headers = {} }: Put = {},
): [ClientRequest, Promise<string>] {
  const port = api.ports[0]!.port
  const request = httpRequest({
    host: OURS,
    port,
    localAddress: from,
    path: `/v0/put/${escaped}`,
    method,
    headers: { Host: 'peer', ...headers },
    agent: false,
  })
  const answer = new Promise<string>((resolve) => {
    request.on('response', (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      response.on('end', () => resolve(`${response.statusCode} ${text.trim()}`))
      response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    })
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
  })
  return [request, answer]
}
function put(escaped: string, options: Put = {}): Promise<string> {
  const [request, answer] = begin(escaped, options)
  request.end(options.body ?? Buffer.from('hello'))
  return answer
}
const get = (escaped: string, from = OWN): Promise<string> => {
  const [request, answer] = begin(escaped, { method: 'GET', from })
  request.end()
  return answer
}
async function until(isTrue: () => boolean): Promise<void> {
  const end = performance.now() + 5_000
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`it did not come true: ${isTrue}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('[TD-3] a file arrives, waits, and the watchers hear of it', async () => {
  expect(await put('na%C3%AFve%20%231.txt')).toBe('200 {}')
  expect(readFileSync(join(STAGING(), 'naïve #1.txt'), 'utf8')).toBe('hello')
  const incoming = told.flatMap(({ IncomingFiles }) => (IncomingFiles === undefined ? [] : [IncomingFiles]))
  expect(incoming[0]).toMatchObject([{ Name: 'naïve #1.txt', DeclaredSize: 5, Received: 0 }])
  expect(incoming.at(-2)).toMatchObject([{ Name: 'naïve #1.txt', Received: 5, Done: true }])
  expect(incoming.at(-1)).toEqual([])
  expect(told.at(-1)).toEqual({ FilesWaiting: {} })
  expect(await taildrop.inbox.remove('naïve #1.txt')).toBe(true)
  expect(told.at(-1)).toEqual({})
})

test('[TD-1] names from hell are refused before anything is stored', async () => {
  for (const escaped of [
    '..%2Fx',
    '%2e%2e',
    'a%00b',
    'x.partial',
    '%ff',
    'a/b',
    `${'x'.repeat(256)}`,
    'gpj%E2%80%AE.exe',
  ])
    expect(await put(escaped), escaped).toBe('400 invalid filename')
  await taildrop.inbox.waiting()
  expect(readdirSync(folder).length === 0 || files().length === 0).toBe(true)
})

test('[TD-2] own devices and whoever has a grant; not others, not with shields up, not when it is off', async () => {
  const refused = expect.stringMatching(/^403 Taildrop is not open/)
  expect(await put('a', { from: OTHER })).toEqual(refused)
  expect(await get('', OTHER)).toEqual(refused)
  expect(await put('a', { from: FRIEND })).toBe('200 {}')
  await configure(view({ shieldsUp: true }))
  expect(await put('b')).toEqual(refused)
  await configure(view({}, { CapMap: {} }))
  expect(await put('b')).toEqual(refused)
  await configure(view({}, { Tags: ['tag:server'] }))
  expect(await put('b')).toEqual(refused)
  expect(files()).toEqual(['a'])
})

test('[TD-2] whoever is refused hears why although the whole body was on its way', async () => {
  expect(await put('a', { from: OTHER, body: Buffer.alloc(3 << 20) })).toMatch(/^403 /)
})

test('[TD-3] other methods, bad ranges', async () => {
  expect(await put('a', { method: 'POST' })).toBe('405 expected method GET or PUT')
  for (const Range of ['bytes=1-2', 'bytes=-1', 'items=0-', 'bytes=0-,5-'])
    expect(await put('a', { headers: { Range } })).toMatch(/^400 invalid range/)
  expect(await put('a', { headers: { Range: 'bytes=5-' } })).toBe('416 there are only 0 bytes of it')
})

test('[TD-4] cut in the middle: the part stays, is described, and the rest completes it', async () => {
  const bytes = randomBytes(200_000)
  const [request, broken] = begin('big.bin', { headers: { 'Content-Length': bytes.length } })
  request.write(bytes.subarray(0, 150_000))
  await until(() => told.some(({ IncomingFiles }) => IncomingFiles?.length === 1))
  await new Promise((resolve) => setTimeout(resolve, 50))
  request.destroy()
  await broken
  await until(() => told.at(-2)?.IncomingFiles?.[0]?.Done === true || told.at(-1)?.IncomingFiles?.length === 0)
  expect(files()).toEqual(['big.bin.n2.partial'])
  expect(await get('')).toBe('200 ["big.bin"]')
  expect(await get('', FRIEND)).toBe('200 []')
  const lines = (await get('big.bin')).slice(4).split('\n')
  expect(JSON.parse(lines[0]!)).toEqual({
    checksum: createHash('sha256').update(bytes.subarray(0, 65_536)).digest('hex'),
    algo: 'sha256',
    size: 65_536,
  })
  const have = lines.reduce((sum, line) => sum + JSON.parse(line).size, 0)
  expect(have).toBe(150_000)
  expect(await put('big.bin', { headers: { Range: `bytes=${have}-` }, body: bytes.subarray(have) })).toBe('200 {}')
  expect(readFileSync(join(STAGING(), 'big.bin')).equals(bytes)).toBe(true)
  expect(files()).toEqual(['big.bin'])
})

test('[TD-4] no part yet: an empty list', async () => {
  expect(await get('nothing')).toBe('200 ')
})

test('[TD-5] the same name twice at once is refused; after silence the new connection takes over', async () => {
  const headers = { 'Content-Length': 10 }
  const [stuck, end] = begin('a', { headers })
  stuck.write('01234')
  await until(() => taildrop.inbox.incoming.length === 1)
  await until(() => files().length === 1)
  expect(await put('a', { headers, body: Buffer.from('abcdefghij') })).toMatch(/^409 /)
  expect(await put('a', { from: FRIEND })).toBe('200 {}')
  skippedMs = 60_000
  expect(await put('a', { headers, body: Buffer.from('abcdefghij') })).toBe('200 {}')
  expect(await end).toMatch(/ECONNRESET|EPIPE/)
  expect(files()).toEqual(['a', 'a (1)'])
})

test('[TD-3] without a length: what comes until the proper end is whole; without one it is a part', async () => {
  const [whole, answer] = begin('stream', { headers: { 'Transfer-Encoding': 'chunked' } })
  whole.write('one')
  whole.end('two')
  expect(await answer).toBe('200 {}')
  expect(readFileSync(join(STAGING(), 'stream'), 'utf8')).toBe('onetwo')
  const socket = connect({ host: OURS, port: api.ports[0]!.port, localAddress: OWN })
  socket.on('error', () => {})
  socket.end('PUT /v0/put/lost HTTP/1.1\r\nHost: peer\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n')
  await until(() => files().includes('lost.n2.partial'))
  await until(() => taildrop.inbox.incoming.length === 0)
  expect(files()).toEqual(['lost.n2.partial', 'stream'])
})

test('[TD-7] another network, another person: what is under way ends, and nobody sees what waits', async () => {
  await put('a')
  const [request, end] = begin('b', { headers: { 'Content-Length': 10 } })
  request.write('01')
  await until(() => taildrop.inbox.incoming.length === 1)
  taildrop.configure(undefined)
  expect(await end).toMatch(/ECONNRESET|EPIPE/)
  expect(await taildrop.inbox.waiting()).toEqual([])
  expect(await put('c')).toBe('403 Taildrop is not ready')
  taildrop.configure(view().netmap)
  expect((await taildrop.inbox.waiting()).map(({ name }) => name)).toEqual(['a'])
})
