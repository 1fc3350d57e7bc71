import { once } from 'node:events'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { FileTarget } from '../../src-contract/localapi/files.ts'
import { taildropTarget } from '../../src-contract/localapi/status.ts'
import { firstMap, TestDaemon, testNode } from './test-daemon.contract-suite.ts'

const CapMap = { 'https://tailscale.com/cap/file-sharing': [] }
const Hostinfo = { OS: 'linux', Services: [{ Proto: 'peerapi4', Port: 5000 }] }
let daemon: TestDaemon
beforeEach(async () => {
  daemon = await TestDaemon.open()
})
afterEach(() => daemon.close())

const inbox = () => join(daemon.folder, 'files', 'ada--uid-1')
function waiting(...names: string[]): void {
  mkdirSync(inbox(), { recursive: true })
  for (const name of names) writeFileSync(join(inbox(), name), name)
}

test('[LA-9] targets: who can be sent to, by name; the rest says why not in status', async () => {
  expect((await daemon.call('GET', 'file-targets')).text).toBe('not connected to the tailnet\n')
  await daemon.join()
  expect((await daemon.call('GET', 'file-targets')).text).toBe('file sharing not enabled by Tailscale admin\n')
  const Peers = [
    testNode(4, { Name: 'zoe.example.', Hostinfo }),
    testNode(3, { Name: 'bob.example.', Hostinfo, Online: false }),
    testNode(5, { Name: 'old.example.' }),
    testNode(6, { Name: 'others.example.', Hostinfo, User: 2 }),
    testNode(7, { Name: 'tv.example.', Hostinfo: { ...Hostinfo, OS: 'tvOS' } }),
  ]
  daemon.control.send(firstMap({ Node: testNode(1, { CapMap }), Peers }))
  const answer = (await daemon.call('GET', 'file-targets', { uid: 1000 })).json as FileTarget[]
  expect(answer.map(({ Node, PeerAPIURL }) => [Node.Name, PeerAPIURL])).toEqual([
    ['bob.example.', 'http://100.64.0.3:5000'],
    ['zoe.example.', 'http://100.64.0.4:5000'],
  ])
  const { Peer } = await daemon.backend.status(true)
  const reasons = Object.values(Peer ?? {}).map(({ DNSName, TaildropTarget }) => [
    DNSName.split('.')[0],
    TaildropTarget,
  ])
  expect(Object.fromEntries(reasons)).toEqual({
    zoe: taildropTarget.available,
    bob: taildropTarget.offline,
    old: taildropTarget.noPeerApi,
    others: taildropTarget.ownedByOtherUser,
    tv: taildropTarget.unsupportedOs,
  })
})

test('[LA-9] files: listed, read with their length, deleted; for those who may write only', async () => {
  expect((await daemon.call('GET', 'files/')).text).toBe('null\n')
  waiting('b', 'a #1', 'x.n2.partial')
  await daemon.join()
  expect((await daemon.call('GET', 'files/')).json).toEqual([
    { Name: 'a #1', Size: 4 },
    { Name: 'b', Size: 1 },
  ])
  const file = await daemon.call('GET', 'files/a%20%231')
  expect([file.status, file.headers['content-length'], file.headers['transfer-encoding'], file.text]).toEqual([
    200,
    '4',
    undefined,
    'a #1',
  ])
  expect((await daemon.call('HEAD', 'files/a%20%231')).headers['content-length']).toBe('4')
  for (const path of ['files/', 'files/b']) expect((await daemon.call('GET', path, { uid: 1000 })).status).toBe(403)
  expect((await daemon.call('DELETE', 'files/b', { uid: 1000 })).status).toBe(403)
  expect((await daemon.call('DELETE', 'files/b', { uid: 0 })).status).toBe(204)
  expect((await daemon.call('DELETE', 'files/b')).status).toBe(500)
  expect((await daemon.call('GET', 'files/b')).status).toBe(500)
  for (const bad of ['..%2fstate', '%ff', 'x.n2.partial'])
    expect((await daemon.call('GET', `files/${bad}`)).status, bad).toBe(400)
  expect(readdirSync(inbox()).sort()).toEqual(['a #1', 'x.n2.partial'])
})

test('[LA-9] waiting for a file: at once when one comes, null when the time is over', async () => {
  await daemon.join()
  expect((await daemon.call('GET', 'files/?waitsec=x')).status).toBe(400)
  expect((await daemon.call('GET', 'files/?waitsec=1')).text).toBe('null\n')
  const coming = daemon.call('GET', 'files/?waitsec=60')
  const body = Readable.from([Buffer.from('hello')])
  const file = { name: 'new', sender: 'n2', offset: 0, length: 5, body, cut: () => {} }
  expect(await daemon.taildrop.inbox.receive(file)).toEqual({ kind: 'done', name: 'new', bytes: 5 })
  expect((await coming).json).toEqual([{ Name: 'new', Size: 5 }])
})

test('[LA-6] while files wait, every message of the bus says so', async () => {
  waiting('a')
  await daemon.join()
  await vi.waitUntil(() => daemon.taildrop.inbox.isWaiting, { timeout: 10_000 })
  const watch = await daemon.watch(2)
  expect(await watch.find(() => true)).toMatchObject({ State: 6, FilesWaiting: {} })
  await daemon.call('DELETE', 'files/a')
  const after = await watch.find((notify) => notify.State === null)
  expect(after.FilesWaiting).toBeUndefined()
  watch.close()
})

describe('[LA-9] file-put', () => {
  const seen: string[] = []
  let peer: Server
  beforeEach(async () => {
    seen.length = 0
    peer = createServer((request, response) => {
      if (request.method === 'GET') return void response.end()
      let text = ''
      request.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      request.on('end', () => {
        seen.push(`${request.url} ${text}`)
        if (text === 'no') response.writeHead(409).end('file already exists\n')
        else response.end('{}\n')
      })
    })
    await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve))
    daemon.dial = async () => {
      const stream = connect((peer.address() as AddressInfo).port, '127.0.0.1')
      await once(stream, 'connect')
      return { kind: 'connected', stream }
    }
    await daemon.join(firstMap({ Node: testNode(1, { CapMap }), Peers: [testNode(2, { Hostinfo }), testNode(3)] }))
  })
  afterEach(() => peer.close())

  const put = (path: string, body: string, headers = {}) => daemon.call('PUT', `file-put/${path}`, { body, headers })

  test('goes to the peer, and its answer comes back', async () => {
    const watch = await daemon.watch(0)
    expect((await put('n2/na%C3%AFve%20%281%29.txt', 'hello')).text).toBe('{}\n')
    expect(seen).toEqual(['/v0/put/na%C3%AFve%20%281%29.txt hello'])
    const refused = await put('n2/b', 'no')
    expect([refused.status, refused.text]).toEqual([409, 'file already exists\n'])
    const { OutgoingFiles } = await watch.find((notify) => notify.OutgoingFiles?.[1]?.Finished === true)
    const known = { PeerID: 'n2', Finished: true, ID: expect.stringMatching(/^[0-9a-f]{30}$/) }
    expect(OutgoingFiles).toEqual([
      {
        ...known,
        Name: 'na%C3%AFve%20%281%29.txt',
        DeclaredSize: 5,
        Sent: 5,
        Succeeded: true,
        Started: expect.anything(),
      },
      { ...known, Name: 'b', DeclaredSize: 2, Sent: 2, Succeeded: false, Started: expect.anything() },
    ])
    watch.close()
  })

  test('more than any other body may have; nothing at all', async () => {
    expect((await put('n2/big', 'x'.repeat(3 << 20))).status).toBe(200)
    expect((await put('n2/empty', '')).status).toBe(200)
    expect(seen.map((text) => text.length)).toEqual(['/v0/put/big '.length + (3 << 20), '/v0/put/empty '.length])
  })

  test('refused: who may not write, no such target, no name, nobody there', async () => {
    for (const [path, status] of [
      ['n3/a', 404], // has no PeerAPI
      ['n9/a', 404],
      ['n2/', 400],
      ['n2', 400],
      ['n2/..%2fa', 400],
      ['n2/a%00', 400],
    ] as const)
      expect((await put(path, 'x')).status, path).toBe(status)
    daemon.dial = async () => ({ kind: 'failed', reason: 'timeout', message: 'no answer in time' })
    const dead = await put('n2/a', 'x')
    expect([dead.status, dead.text]).toEqual([504, 'no answer in time\n'])
    expect((await daemon.call('PUT', 'file-put/n2/a', { body: 'x', uid: 1000 })).status).toBe(403)
    expect(seen).toEqual([])
  })

  test('[TD-9] a file for a device that is offline: kept, listed, cancelled; sent when it is there', async () => {
    const at = (Online: boolean) => [testNode(2, { Hostinfo, Online }), testNode(3)]
    daemon.control.send(firstMap({ Node: testNode(1, { CapMap }), Peers: at(false) }))
    const keep = (query: string, body = 'hello') => daemon.call('PUT', `pintail/transfers?${query}`, { body })
    const { ID } = (await keep('to=n2&name=a%20b')).json as { ID: string }
    const other = (await keep('to=n2&name=c')).json as { ID: string }
    const list = (await daemon.call('GET', 'pintail/transfers')).json
    expect(list).toMatchObject([
      { ID, PeerID: 'n2', Name: 'a b', Size: 5, State: 'waiting' },
      { ID: other.ID, Name: 'c' },
    ])
    expect((await daemon.call('DELETE', `pintail/transfers?id=${other.ID}`)).status).toBe(204)
    expect((await daemon.call('DELETE', `pintail/transfers?id=${other.ID}`)).status).toBe(404)
    for (const [query, status] of [
      ['to=n3&name=a', 404],
      ['to=n2&name=..%2Fa', 400],
      ['to=n2', 400],
    ] as const)
      expect((await keep(query)).status, query).toBe(status)
    expect((await daemon.call('GET', 'pintail/transfers', { uid: 1000 })).status).toBe(403)
    expect(seen).toEqual([])
    daemon.control.send({ Peers: at(true) })
    await vi.waitUntil(() => daemon.taildrop.queue.list.length === 0, { timeout: 10_000 })
    expect(seen).toEqual(['/v0/put/a%20b hello'])
    const history = (await daemon.call('GET', 'pintail/transfers/history', { uid: 0 })).json
    expect(history).toMatchObject([
      { Direction: 'out', PeerID: 'n2', PeerName: 'host2', Name: 'a b', Size: 5, Result: 'done' },
    ])
    expect((await daemon.call('DELETE', 'pintail/transfers/history')).status).toBe(204)
    expect((await daemon.call('GET', 'pintail/transfers/history')).json).toEqual([])
  })
})
