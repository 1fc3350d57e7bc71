import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { MapResponse, Node } from '../src-contract/control/map.ts'
import { AdminClient } from './admin/client.ts'
import { parseConfig } from './config/load.ts'
import { newNodeKey, TestMachine } from './control/noise-client.lab.ts'
import { MAX_STRANGERS } from './control/ts2021.ts'
import { createLog } from './log.ts'
import { type RunningServer, startServer } from './server.ts'

let folder: string
let server: RunningServer
let url: string
let admin: AdminClient
const machines: TestMachine[] = []

async function start(extra = '') {
  const config = parseConfig(`
server_url: http://127.0.0.1:1
listen_addr: 127.0.0.1:0
state_dir: ${folder}
unix_socket: ${folder}/c.sock
node: {offline_after: 150ms, ephemeral: {inactivity_timeout: 300ms}}
derp: {server: {listen: 127.0.0.1:0, stun_listen: 127.0.0.1:0, hostname: 127.0.0.1}}
${extra}`)
  server = await startServer({
    config,
    log: createLog({ level: 'error', format: 'text' }),
  })
  url = `http://127.0.0.1:${server.controlPort}`
  admin = new AdminClient(`${folder}/c.sock`)
}
function machine(version?: number) {
  const made = new TestMachine(url, version)
  machines.push(made)
  return made
}
async function key(body: object = {}) {
  return (
    await admin.call<{ preAuthKey: { key: string; id: string } }>('POST', '/preauthkey', {
      user: 'alice',
      reusable: true,
      ...body,
    })
  ).preAuthKey
}
async function joined(name: string, authKey: string) {
  const made = machine()
  const answer = await made.register({ Auth: { AuthKey: authKey }, Hostinfo: { Hostname: name, OS: 'linux' } })
  expect(answer).toMatchObject({ MachineAuthorized: true, Error: '', AuthURL: '' })
  return made
}
const isFull = (message: MapResponse) => message.Node !== undefined
const peerOf = (message: MapResponse, name: string): Node | undefined =>
  [...(message.Peers ?? []), ...(message.PeersChanged ?? [])].find((peer) => peer.Name.startsWith(`${name}.`))

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-server-'))
  await start()
  await admin.call('POST', '/user', { name: 'alice' })
})
afterEach(async () => {
  for (const made of machines.splice(0)) await made.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

test('[SRV-3.1] join by key, full map, then deltas to every viewer within a second', async () => {
  const { key: text } = await key()
  const a = await joined('nas', text)
  const streamA = await a.stream()
  const first = await streamA.next(isFull)
  expect(first).toMatchObject({
    Node: {
      ID: 1,
      StableID: 'n1',
      Name: 'nas.pintail.internal.',
      Addresses: ['100.64.0.1/32', 'fd7a:115c:a1e0::1/128'],
      MachineAuthorized: true,
      Key: a.nodeKey,
      Machine: a.machineKey,
    },
    Domain: 'pintail.internal',
    UserProfiles: [{ ID: 1, LoginName: 'alice', DisplayName: 'alice' }],
    DERPMap: {
      Regions: {
        999: {
          Nodes: [
            { HostName: '127.0.0.1', IPv4: '127.0.0.1', IPv6: 'none', CertName: expect.stringMatching(/^sha256-raw:/) },
          ],
        },
      },
    },
    DNSConfig: { Proxied: true, Domains: ['pintail.internal'] },
    PacketFilters: { base: [{ SrcIPs: ['*'] }] },
    SSHPolicy: { rules: [] },
    Peers: [],
  })
  expect(Object.keys(first.DNSConfig!.Routes!)).toContain('64.100.in-addr.arpa')
  expect(Object.keys(first.DNSConfig!.Routes!)).toHaveLength(65)

  const b = await joined('nas', text)
  expect(peerOf(await streamA.next((m) => peerOf(m, 'nas-1') !== undefined, 1000), 'nas-1')).toMatchObject({
    ID: 2,
    Online: false,
    Cap: 131,
  })
  const streamB = await b.stream({
    Endpoints: ['192.0.2.7:41641'],
    Hostinfo: { Hostname: 'nas', OS: 'linux', NetInfo: { PreferredDERP: 999 } },
  })
  expect(peerOf(await streamB.next(isFull), 'nas')).toMatchObject({ ID: 1, Online: true, DiscoKey: a.discoKey })
  await streamA.next(
    (m) =>
      m.PeersChangedPatch?.some(
        (p) =>
          p.NodeID === 2 &&
          p.Online === true &&
          p.DERPRegion === 999 &&
          p.Endpoints?.[0] === '192.0.2.7:41641' &&
          p.DiscoKey === b.discoKey,
      ) ?? false,
    1000,
  )
  await b.update({ Endpoints: ['192.0.2.8:41641', 'garbage', '192.0.2.8:41641'] })
  await streamA.next(
    (m) => m.PeersChangedPatch?.some((p) => p.NodeID === 2 && p.Endpoints?.join() === '192.0.2.8:41641') ?? false,
    1000,
  )
  await b.update({ Hostinfo: { Hostname: 'nas', OS: 'linux', Services: [{ Proto: 'peerapi4', Port: 1234 }] } })
  const changed = peerOf(await streamA.next((m) => peerOf(m, 'nas-1') !== undefined, 1000), 'nas-1')
  expect(changed).toMatchObject({
    HomeDERP: 999,
    DERP: '127.3.3.40:999',
    Hostinfo: { Services: [{ Proto: 'peerapi4', Port: 1234 }] },
  })
  streamB.close()
  const gone = await streamA.next(
    (m) => m.PeersChangedPatch?.some((p) => p.NodeID === 2 && p.Online === false) ?? false,
    1500,
  )
  expect(gone.PeersChangedPatch?.[0]?.LastSeen).toMatch(/^20/)
})

test('[SRV-3.2] an update that changes nothing wakes nobody; a short absence is not shown', async () => {
  const { key: text } = await key()
  const a = await joined('a', text)
  const b = await joined('b', text)
  const streamB = await b.stream()
  await streamB.next(isFull)
  const streamA = await a.stream()
  await streamA.next(isFull)
  await new Promise((resolve) => setTimeout(resolve, 150))
  const before = streamA.messages.length
  await b.update({})
  await b.update({ Hostinfo: { Hostname: 'b', OS: 'linux', NetInfo: { DERPLatency: { '999-v4': 0.01 } } } })
  streamB.close()
  await (await b.stream()).next(isFull)
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(streamA.messages.slice(before)).toEqual([])
})

test('[SRV-3.3] plain JSON for whoever does not ask for zstd; one full map without a stream; an empty answer to an update', async () => {
  const a = await joined('a', (await key()).key)
  expect((await (await a.stream({ Compress: '' })).next(isFull)).Node?.Name).toBe('a.pintail.internal.')
  const body = JSON.stringify({ Version: 131, NodeKey: a.nodeKey, Stream: false, OmitPeers: false })
  const once = await a.request('POST', '/machine/map', body)
  expect([once.status, once.bytes.readUInt32LE(0)]).toEqual([200, once.bytes.length - 4])
  const lite = await a.request(
    'POST',
    '/machine/map',
    JSON.stringify({ Version: 131, NodeKey: a.nodeKey, OmitPeers: true }),
  )
  expect([lite.status, lite.bytes.length]).toEqual([200, 0])
})

test('[SRV-3.4] the newest stream of a node wins', async () => {
  const a = await joined('a', (await key()).key)
  const old = await a.stream()
  await old.next(isFull)
  const young = await a.stream()
  await young.next(isFull)
  await old.ended
  await a.update({ Hostinfo: { Hostname: 'renamed' } })
  expect((await young.next((m) => m.Node?.Name === 'renamed.pintail.internal.')).Node).toMatchObject({ ID: 1 })
})

test('[SRV-4.1] auth keys: wrong, expired, used up, tags; a restart with a spent key', async () => {
  const once = await key({ reusable: false })
  const a = await joined('a', once.key)
  expect(await a.register({ Auth: { AuthKey: once.key } })).toMatchObject({ MachineAuthorized: true, Error: '' })
  expect(await machine().register({ Auth: { AuthKey: once.key } })).toMatchObject({
    Error: 'authkey already used',
    MachineAuthorized: false,
  })
  expect(await machine().register({ Auth: { AuthKey: 'tskey-nonsense' } })).toMatchObject({
    Error: 'invalid pre auth key',
  })
  const many = await key()
  await admin.call('POST', '/preauthkey/expire', { id: many.id })
  expect(await machine().register({ Auth: { AuthKey: many.key } })).toMatchObject({ Error: 'authkey expired' })
  const tagged = await key({ user: undefined, aclTags: ['tag:web'] })
  const t = machine()
  expect(await t.register({ Auth: { AuthKey: tagged.key } })).toMatchObject({
    User: { ID: 2147455555 },
    Login: { LoginName: 'tagged-devices' },
  })
  const full = await (await t.stream()).next(isFull)
  expect(full.Node).toMatchObject({ Tags: ['tag:web'], User: 2147455555 })
  expect(full.UserProfiles).toContainEqual({
    ID: 2147455555,
    LoginName: 'tagged-devices',
    DisplayName: 'Tagged Devices',
  })
  expect(await machine().register({ Auth: { AuthKey: many.key }, Hostinfo: { RequestTags: ['tag:x'] } })).toMatchObject(
    { Error: expect.any(String) },
  )
})

test('[SRV-4.2] [U2] interactive login: link, page, approval, answer at once', async () => {
  const a = machine()
  const asked = await a.register({ Hostinfo: { Hostname: '<img src=x onerror=alert(1)>', OS: 'linux"&' } })
  expect(asked.AuthURL).toMatch(/^http:\/\/127\.0\.0\.1:1\/register\/[0-9a-f]{24}$/)
  expect((await a.register()).AuthURL).toBe(asked.AuthURL)
  const id = asked.AuthURL!.split('/').at(-1)!
  const page = await fetch(`${url}/register/${id}`)
  const html = await page.text()
  expect(html).toContain(`pintail-control nodes register --id ${id} --user`)
  expect(html).not.toContain('<img')
  expect(html).toContain('&#60;img src=x')
  expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'/)
  const waiting = a.register({ Followup: asked.AuthURL })
  await expect(admin.call('POST', '/auth/register', { authId: id, user: 'nobody' })).rejects.toThrow(
    'there is no user "nobody"',
  )
  const startedAt = performance.now()
  const made = await admin.call<{ node: { givenName: string } }>('POST', '/auth/register', {
    authId: id,
    user: 'alice',
  })
  expect(made.node.givenName).toBe('img-srcx-onerroralert1')
  expect(await waiting).toMatchObject({ MachineAuthorized: true, AuthURL: '', Login: { LoginName: 'alice' } })
  expect(performance.now() - startedAt).toBeLessThan(1000)
  expect(await (await fetch(`${url}/register/${id}`)).text()).toContain('now part of the network')
  expect((await fetch(`${url}/register/${'0'.repeat(24)}`)).status).toBe(404)
  expect((await a.register({ NodeKey: newNodeKey(), Followup: asked.AuthURL })).AuthURL).toMatch(/register/)
})

test('[SRV-4.3] re-login with a new key keeps the node; peers hear of it; the old stream ends', async () => {
  const { key: text } = await key()
  const a = await joined('a', text)
  const b = await joined('b', text)
  const streamB = await b.stream()
  await streamB.next(isFull)
  const old = await a.stream()
  await old.next(isFull)
  a.nodeKey = newNodeKey()
  expect(await a.register({ Auth: { AuthKey: text }, Hostinfo: { Hostname: 'a' } })).toMatchObject({
    MachineAuthorized: true,
  })
  await old.ended
  expect(peerOf(await streamB.next((m) => peerOf(m, 'a')?.Key === a.nodeKey), 'a')).toMatchObject({ ID: 1 })
})

test('[SRV-4.4] logout ends the login; the same key is told to change; an ephemeral node is gone', async () => {
  const { key: text } = await key()
  const a = await joined('a', text)
  const b = await joined('b', text)
  const streamB = await b.stream()
  await streamB.next(isFull)
  const logout = { Expiry: '1970-01-01T01:02:03+01:00' }
  expect(await a.register(logout)).toMatchObject({ NodeKeyExpired: true })
  expect(peerOf(await streamB.next((m) => peerOf(m, 'a')?.Expired === true), 'a')).toBeDefined()
  expect(await a.register()).toMatchObject({ NodeKeyExpired: true, MachineAuthorized: false })
  expect(await a.register({ Auth: { AuthKey: text } })).toMatchObject({ NodeKeyExpired: true })
  a.nodeKey = newNodeKey()
  expect(await a.register({ Auth: { AuthKey: text } })).toMatchObject({ MachineAuthorized: true })
  const e = await joined('e', (await key({ ephemeral: true })).key)
  await e.register(logout)
  await streamB.next((m) => m.PeersRemoved?.includes(3) ?? false)
})

test('[SRV-4.5] a login may be shortened by its client, never extended; an end in time is announced to both sides', async () => {
  const { key: text } = await key()
  const a = await joined('a', text)
  const b = await joined('b', text)
  const streamA = await a.stream()
  const streamB = await b.stream()
  const at = (ms: number) => new Date(Date.now() + ms).toISOString()
  expect(await a.register({ Expiry: at(1200) })).toMatchObject({ MachineAuthorized: true })
  expect(await a.register({ Expiry: at(9_000_000) })).toMatchObject({ Error: 'extending key is not allowed' })
  expect((await streamA.next((m) => m.Node?.KeyExpiry !== undefined)).Node?.Expired).toBeUndefined()
  expect((await streamA.next((m) => m.Node?.Expired === true, 4000)).Peers).toBeUndefined()
  expect(peerOf(await streamB.next((m) => peerOf(m, 'a')?.Expired === true), 'a')?.ID).toBe(1)
  const again = await (await a.stream()).next(isFull)
  expect([again.Node?.Expired, again.Peers]).toEqual([true, undefined])
})

test('[SRV-4.6] machine key and node key must belong together, everywhere', async () => {
  const a = await joined('a', (await key()).key)
  const thief = machine()
  thief.nodeKey = a.nodeKey
  expect(await thief.register()).toMatchObject({ Error: 'node exists with a different machine key' })
  expect(await thief.register({ Expiry: '1970-01-01T00:02:03Z' })).toMatchObject({
    Error: 'node exists with a different machine key',
  })
  expect(await thief.register({ Auth: { AuthKey: (await key()).key } })).toMatchObject({
    Error: 'node exists with a different machine key',
  })
  expect(await thief.update({ Endpoints: ['192.0.2.66:1'] })).toBe(404)
  expect(await (await thief.stream()).status).toBe(404)
  expect(server.registry.nodes.get(1)).toMatchObject({ endpoints: [], expiresAt: null })
})

test('[SRV-4.7] a deleted node is told so while connected and when it comes back; others lose it', async () => {
  const { key: text } = await key()
  const a = await joined('a', text)
  const b = await joined('b', text)
  const streamA = await a.stream()
  const streamB = await b.stream()
  await streamB.next(isFull)
  await admin.call('DELETE', '/node/a')
  expect((await streamA.next((m) => m.Node?.Expired === true)).Node?.ID).toBe(1)
  await streamA.ended
  await streamB.next((m) => m.PeersRemoved?.includes(1) ?? false)
  expect((await (await a.stream()).next(isFull)).Node).toMatchObject({ Expired: true })
  expect((await a.register()).AuthURL).toMatch(/register/)
})

test('[SRV-4.8] ephemeral nodes leave after being away; others stay', async () => {
  const e = await joined('e', (await key({ ephemeral: true })).key)
  await joined('a', (await key()).key)
  const stream = await e.stream()
  await stream.next(isFull)
  await new Promise((resolve) => setTimeout(resolve, 1300))
  expect(server.registry.nodes.size).toBe(2)
  stream.close()
  const deadline = Date.now() + 5000
  while (server.registry.nodes.size > 1 && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50))
  expect([...server.registry.nodes.values()].map((node) => node.givenName)).toEqual(['a'])
})

test('[SRV-4.9] everything survives a restart, also who was connected', async () => {
  const { key: text } = await key()
  const a = await joined('a', text)
  const b = await joined('b', text)
  await (await a.stream()).next(isFull)
  await a.update({ Endpoints: ['192.0.2.1:1'] })
  await server.close()
  await start()
  const again = new TestMachine(url)
  Object.assign(again, { machinePrivate: b.machinePrivate, machineKey: b.machineKey, nodeKey: b.nodeKey })
  machines.push(again)
  expect(await again.register()).toMatchObject({ MachineAuthorized: true })
  expect(peerOf(await (await again.stream()).next(isFull), 'a')).toMatchObject({
    Online: true,
    Endpoints: ['192.0.2.1:1'],
    DiscoKey: a.discoKey,
  })
})

test('[SRV-5.1] hostile requests get an answer and change nothing', async () => {
  const a = await joined('a', (await key()).key)
  const post = async (path: string, body: string | Uint8Array) => (await a.request('POST', path, body)).status
  for (const path of ['/machine/map', '/machine/register']) {
    expect(await post(path, '')).toBe(400)
    expect(await post(path, '[]')).toBe(400)
    expect(await post(path, '{"Version":131,"NodeKey":""}')).toBe(400)
    expect(await post(path, `{"Version":131,"NodeKey":"nodekey:${'0'.repeat(64)}"}`)).toBe(400)
    expect(await post(path, `{"Version":"131","NodeKey":"${a.nodeKey}"}`)).toBe(400)
    expect(await post(path, `{"Version":131,"NodeKey":"${a.nodeKey}","Hostinfo":"x"}`)).toBe(400)
    expect(
      await post(
        path,
        `{"Version":131,"NodeKey":"${a.nodeKey}","Hostinfo":{"A":${'['.repeat(5000)}${']'.repeat(5000)}}}`,
      ),
    ).toBe(400)
    expect(await post(path, `{"Version":131,"NodeKey":"${a.nodeKey}","Hostinfo":{"A":"${'x'.repeat(70_000)}"}}`)).toBe(
      400,
    )
    expect(await post(path, `{"Version":100,"NodeKey":"${a.nodeKey}"}`)).toBe(400)
    expect(await post(path, Uint8Array.of(0xff, 0xfe, 0x7b))).toBe(400)
    expect(await post(path, '['.repeat(900_000))).toBe(400)
  }
  expect(await post('/machine/set-dns', '{}')).toBe(501)
  expect(await post('/elsewhere', '{}')).toBe(404)
  expect((await a.request('GET', '/machine/map', '')).status).toBe(405)
  expect(server.registry.nodes.get(1)?.hostinfo).toEqual({ Hostname: 'a', OS: 'linux' })
})

test('[SRV-5.2] one node cannot spoil the map of another', async () => {
  const { key: text } = await key()
  const a = await joined('a', text)
  const b = await joined('b', text)
  const streamB = await b.stream()
  await streamB.next(isFull)
  await a.update({
    Endpoints: ['x', 5, null, '1.2.3.4:99999', '192.0.2.1:7'],
    Hostinfo: {
      Hostname: 'a',
      OS: 7,
      Services: [{ Proto: 'peerapi4', Port: -1 }, 'x', { Proto: 5 }, null],
      RoutableIPs: ['garbage', '10.0.0.1/8', 7],
      Location: 'here',
      sshHostKeys: [{}],
      NetInfo: { PreferredDERP: 1e9 },
    },
  })
  const seen = peerOf(await streamB.next((m) => peerOf(m, 'a')?.Hostinfo?.RoutableIPs !== undefined), 'a')
  expect(seen).toMatchObject({ Endpoints: ['192.0.2.1:7'], Hostinfo: { Hostname: 'a', RoutableIPs: ['10.0.0.0/8'] } })
  expect(seen?.HomeDERP).toBeUndefined()
})

test('[SRV-5.3] the outer paths', async () => {
  const status = async (path: string, init?: RequestInit) => (await fetch(url + path, init)).status
  expect(await status('/key')).toBe(400)
  expect(await (await fetch(`${url}/key?v=131`)).json()).toEqual({
    legacyPublicKey: `mkey:${'0'.repeat(64)}`,
    publicKey: expect.stringMatching(/^mkey:[0-9a-f]{64}$/),
  })
  expect(await (await fetch(`${url}/key?v=20`)).text()).toBe('')
  expect(await status('/health')).toBe(200)
  expect(await status('/nope')).toBe(404)
  expect(await status('/ts2021', { method: 'POST' })).toBe(400)
  expect(await status('/register/../../etc/passwd')).toBe(404)
  const a = await joined('a', (await key()).key)
  const verify = async (NodePublic: string) =>
    (await fetch(`${url}/verify`, { method: 'POST', body: JSON.stringify({ NodePublic, Source: '192.0.2.1' }) })).json()
  expect(await verify(a.nodeKey)).toEqual({ Allow: true })
  expect(await verify(newNodeKey())).toEqual({ Allow: false })
  expect(await status('/verify', { method: 'POST', body: 'x'.repeat(9000) })).toBe(400)
})

test('[SRV-5.4] an old client is told so', async () => {
  await expect(machine(100).register()).rejects.toThrow('unsupported client version: 100')
})

test('[SRV-5.5] a second server on the same socket does not start', async () => {
  const first = server
  await expect(start()).rejects.toThrow(/another pintail-control already serves/)
  server = first
})

test('[SRV-5.6] garbage on every port: nothing falls over, nothing stays', async () => {
  const a = await joined('a', (await key()).key)
  const stream = await a.stream()
  await stream.next(isFull)
  const throwAt = (port: number, bytes: Uint8Array) =>
    new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.on('data', () => undefined)
      socket.once('close', () => resolve())
      socket.end(bytes)
    })
  const upgrade = (header: string, rest = '') =>
    Buffer.from(
      `POST /ts2021 HTTP/1.1\r\nHost: x\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\nX-Tailscale-Handshake: ${header}\r\n\r\n${rest}`,
    )
  for (let n = 0; n < 40; n++) {
    await throwAt(server.controlPort, randomBytes(1 + n * 37))
    await throwAt(server.relayPort!, randomBytes(1 + n * 37))
    await throwAt(server.controlPort, upgrade(randomBytes(101).toString('base64'), 'x'.repeat(n)))
  }
  for (const header of ['', '!', 'AAAA', 'A'.repeat(4000)]) await throwAt(server.controlPort, upgrade(header))
  await throwAt(
    server.controlPort,
    Buffer.from(
      'GET /ts2021 HTTP/1.1\r\nHost: x\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\n\r\n',
    ),
  )
  // a proven machine that talks nonsense inside its channel
  for (let n = 0; n < 5; n++) await machine().babble(randomBytes(5000))
  const udp = createSocket('udp4')
  for (let n = 0; n < 2000; n++) udp.send(randomBytes(n % 200), server.stunPort!, '127.0.0.1')
  await new Promise((resolve) => setTimeout(resolve, 50))
  udp.close()
  await a.update({ Hostinfo: { Hostname: 'still-here' } })
  await stream.next((m) => m.Node?.Name === 'still-here.pintail.internal.')
  const health = () => admin.call<{ connections: number }>('GET', '/health')
  await expect.poll(async () => (await health()).connections).toBe(1)
})

test('[SRV-5.7] strangers have little room: many connections, large requests, connections that do not close', async () => {
  const { key: text } = await key()
  const node = await joined('nas', text)
  const stranger = machine()
  const body = JSON.stringify({ Version: 131, NodeKey: newNodeKey(), Padding: 'x'.repeat(200_000) })
  expect((await stranger.request('POST', '/machine/register', body)).status).toBe(413)
  expect((await node.request('POST', '/machine/register', body)).status).toBe(200)

  const many = Array.from({ length: MAX_STRANGERS + 20 }, () => machine())
  for (const one of many) expect((await one.register()).AuthURL).toMatch(/^http/)
  await expect
    .poll(async () => (await admin.call<{ connections: number }>('GET', '/health')).connections)
    .toBeLessThanOrEqual(MAX_STRANGERS + 1)
  expect(await node.update({})).toBe(200)
  await expect(many[0]!.register()).rejects.toThrow() // the oldest had to go; a real client dials again
}, 20_000)

test('[SRV-5.7] a refused connection ends although the other side keeps it open', async () => {
  const talk = [
    'no HTTP at all\r\n\r\n',
    'POST /ts2021 HTTP/1.1\r\nHost: a\r\nUpgrade: nonsense\r\nConnection: upgrade\r\n\r\n',
  ]
  const gone = talk.map(async (words) => {
    const socket = connect({ port: server.controlPort, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => undefined)
    socket.resume()
    socket.write(words)
    const poke = setInterval(() => socket.writable && socket.write('x'), 50)
    await new Promise((resolve) => socket.once('close', resolve))
    clearInterval(poke)
  })
  await Promise.all(gone)
})
