/**
 * Wrong keys, wrong servers, full disks, a second daemon, a caller without rights, and noise on every socket: each gets a
 * clear message, and nothing is lost.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { must } from './host.ts'
import { Internet, type PublicHost } from './internet.ts'

const pintail = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))
const daemonProgram = fileURLToPath(new URL('../src-daemon/main.ts', import.meta.url))

let internet: Internet
let server: PublicHost
let control: ControlServer
let machine: PublicHost
let daemon: Daemon
let peer: Daemon
let key: string
const folder = mkdtempSync(join(tmpdir(), 'pt-'))
const state = join(folder, 'd', 'state')

beforeAll(async () => {
  internet = await Internet.create()
  server = await internet.publicHost('control', ['203.0.113.10'])
  control = await ControlServer.start(server, { folder: join(folder, 'c') })
  key = await control.createKey()
  machine = await internet.publicHost('one')
  mkdirSync(state, { recursive: true })
  // A small disk of its own, so that it can be full.
  await must('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', state])
  daemon = await Daemon.start(machine.host, { kind: 'ours', folder: join(folder, 'd') })
  peer = await Daemon.start((await internet.publicHost('two')).host, { kind: 'ours', folder: join(folder, 'p') })
  await peer.join(control.url, key, { Hostname: 'two' })
})
afterAll(async () => {
  await Promise.all([daemon?.stop(), peer?.stop()])
  await control?.stop()
  await internet?.close()
  await must('umount', [state])
  discard(folder)
})

const cli = (...words: string[]) =>
  machine.host.run(process.execPath, [pintail, `--socket=${daemon.socketPath}`, ...words], { timeoutMs: 40_000 })
const up = (url: string, authKey: string) =>
  cli('up', '--reset', `--login-server=${url}`, `--auth-key=${authKey}`, '--accept-dns=false', '--timeout=8s')

test('a wrong key: the server’s words, exit 1, and a right key works afterwards', async () => {
  const wrong = await up(control.url, 'not-a-key-of-this-server')
  expect(wrong.code).toBe(1)
  expect(wrong.stderr).toMatch(/key/i)
  expect(wrong.stderr + daemon.log).not.toContain('not-a-key-of-this-server')
})

test('an expired key is named as expired', async () => {
  const made = JSON.parse(
    await control.admin('preauthkeys', 'create', '--user', 'demo', '--expiration', '1s', '--json'),
  )
  await new Promise((resolve) => setTimeout(resolve, 1_200)) // the key's own lifetime
  const expired = await up(control.url, made.key)
  expect(expired.code).toBe(1)
  expect(expired.stderr).toMatch(/expired/i)
})

test('a URL where nothing listens is named as unreachable', async () => {
  const result = await up('http://203.0.113.99:8080', key)
  expect(result.code).toBe(1)
  expect(result.stderr).toMatch(/203\.0\.113\.99/)
  expect(result.stderr).toMatch(/reach|connect|refused|timed? ?out/i)
})

test('an ordinary web page is named as no coordination server', async () => {
  const page = server.host.start(process.execPath, [
    '-e',
    `require('node:http').createServer((q, r) => r.end('<html>hello</html>')).listen(8081, () => console.log('up'))`,
  ])
  await new Promise((resolve) => page.stdout?.once('data', resolve))
  const result = await up('http://203.0.113.10:8081', key)
  page.kill('SIGKILL')
  expect(result.code).toBe(1)
  expect(result.stderr).toMatch(/not a coordination server/i)
})

test('after all these the daemon joins with the right key and address', async () => {
  const right = await up(control.url, key)
  expect(right.code, right.stderr).toBe(0)
  expect((await daemon.icmp(await peer.address(), { count: 5, waitSeconds: 5 })).length).toBeGreaterThan(0)
})

test('a full disk: the change is refused in words, the old state stays whole, and space heals it', async () => {
  const filler = join(state, 'filler')
  const files = () =>
    readdirSync(state, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== 'filler')
      .map(({ parentPath, name }) => [parentPath, name, readFileSync(join(parentPath, name)).toString('base64')])
  const before = files()
  for (let size = 1 << 20; size >= 1; size >>= 1) {
    try {
      for (;;) writeFileSync(filler, Buffer.alloc(size), { flag: 'a' })
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC')
    }
  }
  const refused = await cli('set', '--hostname=no-room')
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/space|disk|full/i)
  expect(files()).toEqual(before)
  rmSync(filler)
  expect((await cli('set', '--hostname=room-again')).code).toBe(0)
  expect((await daemon.client.prefs()).Hostname).toBe('room-again')
})

test('a second daemon on the same state folder refuses and says who holds it; the first goes on', async () => {
  const second = await machine.host.run(
    process.execPath,
    [daemonProgram, `--statedir=${state}`, `--socket=${join(folder, 'second.sock')}`, '--tun=pintail1', '--port=0'],
    { timeoutMs: 10_000 },
  )
  expect(second.code).toBe(1)
  expect(second.stderr).toMatch(/already|in use|another/i)
  expect(second.stderr).toContain(state)
  expect((await daemon.status()).BackendState).toBe('Running')
})

/**
 * Asks as `nobody`. The rights are dropped inside the process, because a checkout in somebody's home may not be readable for
 * nobody. Prints the status, or "one-user" where a user namespace knows one user only.
 */
const asNobody = (socket: string, method: string, path: string, body: string) => `
const http = require('node:http')
try { process.setgroups([]); process.setgid(65534); process.setuid(65534) } catch { console.log('one-user'); process.exit() }
const request = http.request({ socketPath: ${JSON.stringify(socket)}, method: '${method}', path: '/localapi/v0/${path}', headers: { Host: 'local-tailscaled.sock' } }, (r) => { r.resume(); console.log(r.statusCode) })
request.on('error', (error) => console.log(error.code))
request.end(${JSON.stringify(body)})`

test('a caller without rights may look and not touch', async ({ skip }) => {
  await must('chmod', ['755', folder, join(folder, 'd')])
  const ask = async (method: string, path: string, body = '') =>
    (await machine.host.must(process.execPath, ['-e', asNobody(daemon.socketPath, method, path, body)])).trim()
  const look = await ask('GET', 'status')
  if (look === 'one-user') skip('this user namespace has one user only')
  expect(look).toBe('200')
  expect(await ask('PATCH', 'prefs', '{"WantRunning":false,"WantRunningSet":true}')).toBe('403')
  expect(await ask('POST', 'logout')).toBe('403')
  expect((await daemon.status()).BackendState).toBe('Running')
})

/** Sends random datagrams of random sizes, some dressed up as the protocols that are spoken there. */
const noise = (address: string, port: number, count: number) => `
const dgram = require('node:dgram'), crypto = require('node:crypto')
const heads = ['', '01000000', '02000000', '03000000', '04000000', '5453f09f92ac', '00010014211 2a442'.replace(' ', ''), '01010014' + '2112a442', '00007a12', '00807a11'].map((h) => Buffer.from(h, 'hex'))
const pool = crypto.randomBytes(1 << 20), s = dgram.createSocket('udp4')
let sent = 0
const some = () => {
  for (let i = 0; i < 500 && sent < ${count}; i++, sent++) {
    const size = sent % 1400, at = (sent * 7919) % (pool.length - 1500)
    const head = heads[sent % heads.length]
    s.send([head, pool.subarray(at, at + size)], ${port}, '${address}', () => {})
  }
  if (sent < ${count}) setImmediate(some); else setTimeout(() => { console.log(sent); process.exit() }, 500)
}
some()`

const residentKiB = (pid: number) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

test('a million random datagrams: no crash, no growth, peers still answer', async () => {
  const { host } = await internet.publicHost('noise')
  const flood = (port: number, address: string, count: number) =>
    host.must(process.execPath, ['-e', noise(address, port, count)], { timeoutMs: 120_000 })
  await flood(41641, machine.address, 50_000) // warm: caches and buffers have their size now
  const before = residentKiB(daemon.pid)
  await flood(41641, machine.address, 700_000)
  await flood(3478, server.address, 300_000)
  await eventually('the daemon answers', () => daemon.status(), { withinMs: 10_000 })
  expect(residentKiB(daemon.pid) - before).toBeLessThan(64 * 1024)
  expect((await daemon.icmp(await peer.address(), { count: 3, waitSeconds: 5 })).length).toBeGreaterThan(0)
  expect(JSON.parse(await control.admin('health', '--json'))).toBeTruthy()
})

/** Opens connections and writes noise, some of it after a plausible first line. */
const streamNoise = (target: string, count: number) => `
const net = require('node:net'), crypto = require('node:crypto')
const heads = ['', 'GET / HTTP/1.1\\r\\n', 'POST /ts2021 HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: tailscale-control-protocol\\r\\nConnection: upgrade\\r\\nX-Tailscale-Handshake: AAAA\\r\\n\\r\\n', 'GET /localapi/v0/status HTTP/1.1\\r\\nHost: evil\\r\\n\\r\\n', '\\x16\\x03\\x01\\x02\\x00\\x01']
let left = ${count}, open = 0
const next = () => {
  const n = left--
  if (n <= 0) return
  open++
  const s = net.connect(${target})
  s.on('connect', () => { s.write(heads[n % heads.length]); s.write(crypto.randomBytes(1 + (n * 131) % 5000)); setTimeout(() => s.destroy(), 20) })
  s.on('error', () => {})
  s.on('close', () => { open--; next(); if (left <= 0 && open === 0) { console.log('done'); process.exit() } })
}
for (let i = 0; i < 20; i++) next()`

test('noise on every stream socket: control, relay, LocalAPI, administration', async () => {
  const targets = [
    { host: machine.host, target: `8080, '${server.address}'` },
    { host: machine.host, target: `8443, '${server.address}'` },
    { host: machine.host, target: JSON.stringify(daemon.socketPath) },
    { host: server.host, target: JSON.stringify(join(folder, 'c', 'control.sock')) },
  ]
  for (const { host, target } of targets)
    await host.must(process.execPath, ['-e', streamNoise(target, 400)], { timeoutMs: 60_000 })
  expect((await daemon.status()).BackendState).toBe('Running')
  expect(JSON.parse(await control.admin('health', '--json'))).toBeTruthy()
  expect((await daemon.icmp(await peer.address(), { count: 3, waitSeconds: 5 })).length).toBeGreaterThan(0)
})
