/** Real listeners on loopback addresses: ours is 127.9.0.1, peers ask from addresses of theirs. */
import { request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { FilterRule, Node } from '../../../src-contract/control/map.ts'
import { foldMapResponse } from '../../../src-protocol/machines/netmap.ts'
import { encodeDnsQuery } from '../../../src-protocol/wire/dns.ts'
import { createLog } from '../../io/log/log.ts'
import { openPeerApiListener } from '../../io/peerapi/listener.ts'
import type { PeerApiView } from './admission.ts'
import { nameRoute } from './name-route.ts'
import { PeerApi } from './peer-api.ts'
import { peerApiPorts } from './port-choice.ts'

const OURS = '127.9.0.1'
const SAME_PERSON = '127.9.0.2'
const FRIEND = '127.9.0.3'
const STRANGER = '127.9.0.9'
const QUESTION = Buffer.from(encodeDnsQuery(7, 'www.example.com', 1)!)

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

function node(id: number, address: string, user: number): Node {
  const key = `nodekey:${String(id).padStart(64, '0')}`
  const Name = `m${id}.tail.example.`
  return { ID: id, StableID: `n${id}`, Name, User: user, Key: key, Addresses: [`${address}/32`] } as Node
}
function view(change: Partial<PeerApiView> = {}, rules: FilterRule[] = []): PeerApiView {
  const Peers = [node(2, SAME_PERSON, 1), node(3, FRIEND, 2)]
  const message = { Node: node(1, OURS, 1), Peers, PacketFilter: rules }
  const folded = foldMapResponse(undefined, message, { wallMs: 0, isNewStream: true })
  if (!folded.ok) throw new Error(folded.reason)
  return { netmap: folded.value.netmap, shieldsUp: false, offersExitNode: false, ...change }
}
async function open(answer: (query: Uint8Array) => Promise<Uint8Array> = async (query) => query, first = view()) {
  const api = new PeerApi({
    open: (options) => openPeerApiListener(options, { headMs: 300, silenceMs: 600 }),
    routes: [nameRoute(answer)],
    log: createLog({ level: 'error', write: () => {}, wallClockMs: () => 0 }),
  })
  closers.push(() => api.close())
  const listens = new Promise<void>((resolve) => {
    api.onPorts = resolve
  })
  api.configure(first)
  await listens
  return api
}

interface Asked {
  readonly from?: string
  readonly path?: string
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: Buffer
}
const port = (api: PeerApi): number => api.ports[0]!.port
/** "STATUS TEXT", or why the connection ended. */
function ask(api: PeerApi, { from = FRIEND, path = '/', method = 'GET', headers = {}, body }: Asked): Promise<string> {
  return new Promise((resolve) => {
    const target = { host: OURS, port: port(api), localAddress: from, path, method, headers, agent: false as const }
    const request = httpRequest(target, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
      })
      response.on('end', () => resolve(`${response.statusCode} ${text.trim()}`))
    })
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    request.end(body)
  })
}
const askNames = (api: PeerApi, from: string): Promise<string> =>
  ask(api, { from, path: `/dns-query?dns=${QUESTION.toString('base64url')}` })
const raw = (api: PeerApi, from = FRIEND): Socket => {
  const socket = connect({ host: OURS, port: port(api), localAddress: from })
  socket.on('error', () => {})
  closers.push(() => socket.destroy())
  ends.set(socket, new Promise((resolve) => socket.once('close', () => resolve())))
  return socket
}
const ends = new WeakMap<Socket, Promise<void>>()
const isClosed = (socket: Socket) => ends.get(socket)

test('[PA-1] ports by address: known answers, and the next ones when they are taken', async () => {
  // CRC-32 of 00 00 01 is 8846e984, of 01 00 01 it is 898483b3
  expect(peerApiPorts('0.0.0.1').slice(0, 2)).toEqual([0xe984, 0x83b3])
  expect(peerApiPorts('fd7a:115c:a1e0::1')[0]).toBe(0xe984)
  const [first, second, third] = peerApiPorts(OURS)
  const api = await open()
  expect(api.ports).toEqual([{ address: OURS, port: first }])
  const other = await open()
  expect(other.ports).toEqual([{ address: OURS, port: second }])
  expect((await open()).ports).toEqual([{ address: OURS, port: third }])
  expect(api.services).toEqual([
    { Proto: 'peerapi4', Port: first },
    { Proto: 'peerapi-dns-proxy', Port: 1 },
  ])
})

test('[PA-1] without a network nobody listens, and a new address gets its own port', async () => {
  const api = await open()
  const changed = () =>
    new Promise<void>((resolve) => {
      api.onPorts = resolve
    })
  let news = changed()
  api.configure(undefined)
  await news
  expect([api.ports, api.services]).toEqual([[], []])
  news = changed()
  api.configure(view())
  await news
  expect(await ask(api, {})).toBe("200 Hello, m3.tail.example. This is Pintail's PeerAPI.")
})

test('[PA-3] strangers hear nothing; web pages and other hosts are refused', async () => {
  const api = await open()
  expect(await ask(api, { from: STRANGER })).toBe('ECONNRESET')
  expect(await ask(api, { headers: { Referer: 'http://evil.example/' } })).toBe('403 not for web pages')
  expect(await ask(api, { headers: { Origin: 'null' } })).toBe('403 not for web pages')
  for (const Host of ['evil.example', `${FRIEND}:${port(api)}`, `${OURS}:1`, OURS, 'PEER.'])
    expect(await ask(api, { headers: { Host } }), Host).toBe('403 unknown host')
  expect(await ask(api, { headers: { Host: 'peer' } })).toContain('200 Hello')
  expect(await ask(api, { method: 'HEAD' })).toBe('200 ')
  expect(await ask(api, { path: '/v0/put/x', method: 'PUT', body: Buffer.alloc(100) })).toBe(
    '404 unsupported peerapi path',
  )
  expect(await ask(api, { path: '/dns-query/../x' })).toBe('404 unsupported peerapi path')
})

const internet = (IP: string, First = 0, Last = 65_535): FilterRule =>
  ({ SrcIPs: [FRIEND], DstPorts: [{ IP, Ports: { First, Last } }] }) as FilterRule

test.each([
  ['the same person', SAME_PERSON, view(), true],
  ['another person', FRIEND, view({}, [internet('0.0.0.0/0')]), false],
  ['who may use the exit node', FRIEND, view({ offersExitNode: true }, [internet('*')]), true],
  ['who may use the machine only', FRIEND, view({ offersExitNode: true }, [internet(OURS)]), false],
  ['who may not ask port 53', FRIEND, view({ offersExitNode: true }, [internet('0.0.0.0/0', 80, 80)]), false],
  ['shields up', FRIEND, view({ offersExitNode: true, shieldsUp: true }, [internet('*')]), false],
])('[PA-4] names for %s', async (_who, from, first, may) => {
  const api = await open(async () => Buffer.from('answered'), first)
  expect(await askNames(api, from)).toBe(may ? '200 answered' : '403 DNS is not offered to this peer')
})

test('[PA-4] bodies: their type, their size, and nothing after too much of it', async () => {
  const api = await open(async () => Buffer.from('answered'))
  const post = (body: Buffer, type = 'application/dns-message') =>
    ask(api, { from: SAME_PERSON, path: '/dns-query', method: 'POST', headers: { 'Content-Type': type }, body })
  expect(await post(QUESTION)).toBe('200 answered')
  expect(await post(QUESTION, 'text/plain')).toContain('415')
  expect(await post(Buffer.from('x'))).toContain('400')
  expect(await post(Buffer.alloc(70_000))).toMatch(/^413|EPIPE|ECONNRESET/)
})

test('[PA-2] slow heads, silent bodies and too many connections are ended; others are served meanwhile', async () => {
  const api = await open()
  const slow = raw(api)
  slow.write('GET / HTTP/1.1\r\nHost: peer\r\nX: ')
  const drip = setInterval(() => slow.write('x'), 50)
  closers.push(() => clearInterval(drip))
  const silent = raw(api, SAME_PERSON)
  silent.write('POST /dns-query HTTP/1.1\r\nHost: peer\r\nContent-Length: 100\r\n\r\n12')
  const garbage = raw(api)
  garbage.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  const tunnel = raw(api)
  tunnel.write('CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: peer\r\n\r\n')
  expect(await ask(api, {})).toContain('200')
  await Promise.all([slow, silent, garbage, tunnel].map(isClosed))
  const many = Array.from({ length: 40 }, () => raw(api))
  await Promise.any(many.map(isClosed))
  expect(await ask(api, { from: SAME_PERSON })).toContain('200')
})

test('[PA-2] questions sent on one connection without waiting: no more at a time than anybody gets', async () => {
  let open_ = 0
  let most = 0
  const api = await open(async (query) => {
    most = Math.max(most, ++open_)
    await new Promise((resolve) => setTimeout(resolve, 20))
    open_--
    return query
  })
  const socket = raw(api, SAME_PERSON)
  const one = `GET /dns-query?dns=${QUESTION.toString('base64url')} HTTP/1.1\r\nHost: peer\r\n\r\n`
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.write(one.repeat(200))
  while (text.split('HTTP/1.1 ').length <= 200) await new Promise((resolve) => socket.once('data', resolve))
  expect(most).toBeLessThanOrEqual(32)
  expect(text).toContain('HTTP/1.1 200')
  expect(text).toContain('HTTP/1.1 503')
})
