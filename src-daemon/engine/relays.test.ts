/** Our relay connections and our relay server, in one process, over real TLS on loopback. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { DerpMap, DerpNode } from '../../src-contract/control/map.ts'
import { nodeCrypto as crypto } from '../../src-protocol/crypto/node-crypto.ts'
import { toHex } from '../../src-protocol/wire/bytes.ts'
import { parseConfig } from '../../src-server/config/load.ts'
import { createLog } from '../../src-server/log.ts'
import { keepCertificate, pinOf } from '../../src-server/relay/certificate.ts'
import { type RunningServer, startServer } from '../../src-server/server.ts'
import { dialDerp } from '../io/derp/dial.ts'
import { httpsLatencyMs } from '../io/derp/latency.ts'
import { pinProblem, trustOf } from '../io/derp/verify.ts'
import { silentLog } from '../io/log/log.ts'
import { Relays } from './relays.ts'

const REGION = 9
let folder: string
let server: RunningServer
let pin: string
const closers: (() => void)[] = []

async function start(port = 0): Promise<void> {
  const config = parseConfig(`
server_url: http://127.0.0.1:1
listen_addr: 127.0.0.1:0
state_dir: ${folder}
unix_socket: ${folder}/c.sock
derp: {server: {listen: "127.0.0.1:${port}", stun_listen: 127.0.0.1:0, hostname: 127.0.0.1, verify_clients: false}}`)
  server = await startServer({ config, log: createLog({ level: 'error', format: 'text' }) })
}
beforeEach(async () => {
  own = ['127.0.0.1']
  regionsHeard.clear()
  skippedMs = 0
  folder = mkdtempSync(join(tmpdir(), 'pintail-relays-'))
  await start()
  pin = pinOf(keepCertificate(folder, '127.0.0.1', Date.now()).cert)
})
afterEach(async () => {
  for (const close of closers.splice(0)) close()
  await server.close()
  rmSync(folder, { recursive: true })
})

const node = (change: Partial<DerpNode> = {}): DerpNode => ({
  Name: '9a',
  RegionID: REGION,
  HostName: '127.0.0.1',
  CertName: pin,
  DERPPort: server.relayPort!,
  ...change,
})
const map = (...nodes: DerpNode[]): DerpMap => ({
  Regions: { [REGION]: { RegionID: REGION, RegionCode: 'own', RegionName: 'Own', Nodes: nodes } },
})
const until = (check: () => void) => vi.waitFor(check, { timeout: 8_000, interval: 5 })

let own = ['127.0.0.1']
let skippedMs = 0
const regionsHeard = new Set<number>()
function machine() {
  const nodePrivate = crypto.newPrivateKey()
  const heard: string[] = []
  const states: string[] = []
  const gone: string[] = []
  const relays = new Relays(
    {
      crypto,
      fwmark: 0,
      now: () => performance.now() + skippedMs,
      random01: () => 0.5,
      ownAddresses: () => own,
      log: silentLog,
      onHeard: (region) => regionsHeard.add(region),
    },
    nodePrivate,
    {
      onPacket: (region, from, bytes) => heard.push(`${region} ${toHex(from).slice(0, 8)} ${toHex(bytes)}`),
      onPeerGone: (_region, peer) => gone.push(toHex(peer)),
      onState: (region, state) => states.push(`${region} ${state}`),
    },
  )
  closers.push(() => relays.close())
  return { relays, key: crypto.x25519PublicKey(nodePrivate), heard, states, gone }
}

test('[RELAY-1] two nodes exchange packets over their home; sending opens the way', async () => {
  const [a, b] = [machine(), machine()]
  for (const { relays } of [a, b]) relays.setMap(map(node()))
  b.relays.setHome(REGION)
  await until(() => expect(b.relays.liveCount).toBe(1))
  a.relays.send(REGION, b.key, Uint8Array.of(1)) // no connection yet: queued, dialled, delivered
  await until(() => expect(b.heard).toEqual([`${REGION} ${toHex(a.key).slice(0, 8)} 01`]))
  b.relays.send(REGION, a.key, Uint8Array.of(2))
  await until(() => expect(a.heard).toHaveLength(1))
  expect(a.states).toEqual([`${REGION} connected`])
})

test('[RELAY-1] a peer that was heard elsewhere is answered there, while its own region is not connected', async () => {
  const OTHER = 10
  const both: DerpMap = {
    Regions: {
      ...map(node()).Regions,
      [OTHER]: {
        RegionID: OTHER,
        RegionCode: 'other',
        RegionName: 'Other',
        Nodes: [node({ Name: '10a', RegionID: OTHER })],
      },
    },
  }
  const [a, b] = [machine(), machine()]
  for (const { relays } of [a, b]) {
    relays.setMap(both)
    relays.setHome(REGION)
  }
  await until(() => expect(a.relays.liveCount + b.relays.liveCount).toBe(2))
  b.relays.send(REGION, a.key, Uint8Array.of(1))
  await until(() => expect(a.heard).toHaveLength(1))
  a.relays.send(OTHER, b.key, Uint8Array.of(2))
  await until(() => expect(b.heard).toEqual([`${REGION} ${toHex(a.key).slice(0, 8)} 02`]))
  expect(a.states).toEqual([`${REGION} connected`])
  b.relays.close()
  await until(() => expect(a.gone).toEqual([toHex(b.key)]))
  a.relays.send(OTHER, b.key, Uint8Array.of(3)) // not heard anywhere any more: its own region is opened
  await until(() => expect(a.states).toEqual([`${REGION} connected`, `${OTHER} connected`]))
})

test('[RELAY-1] a region that nothing was sent to for a minute is closed, the home is not', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  try {
    const pause = () => new Promise((resolve) => setTimeout(resolve, 5))
    const [a, b] = [machine(), machine()]
    for (const { relays } of [a, b]) relays.setMap(map(node()))
    a.relays.setHome(REGION)
    b.relays.send(REGION, a.key, Uint8Array.of(1))
    while (a.heard.length === 0) await pause()
    skippedMs = 59_000
    vi.advanceTimersByTime(15_000)
    expect(b.relays.liveCount).toBe(1)
    skippedMs = 61_000
    vi.advanceTimersByTime(15_000)
    expect([a.relays.liveCount, b.relays.liveCount]).toEqual([1, 0])
    expect(b.states).toEqual([`${REGION} connected`, `${REGION} closed`])
  } finally {
    vi.useRealTimers()
  }
})

test('[RELAY-2] a home that goes away is dialled again until it is back', async () => {
  const a = machine()
  a.relays.setMap(map(node()))
  a.relays.setHome(REGION)
  await until(() => expect(a.relays.liveCount).toBe(1))
  const port = server.relayPort!
  await server.close()
  await until(() => expect(a.states).toEqual([`${REGION} connected`, `${REGION} closed`]))
  await start(port)
  await until(() => expect(a.relays.liveCount).toBe(1))
})

test('[RELAY-1] what was sent before there was a connection: the newest 32', async () => {
  const [a, b] = [machine(), machine()]
  for (const { relays } of [a, b]) relays.setMap(map(node()))
  b.relays.setHome(REGION)
  await until(() => expect(b.relays.liveCount).toBe(1))
  for (let n = 0; n < 40; n++) a.relays.send(REGION, b.key, Uint8Array.of(n))
  await until(() => expect(b.heard.at(-1)).toMatch(/27$/))
  expect(b.heard.map((line) => Number.parseInt(line.slice(-2), 16))).toEqual(
    Array.from({ length: 32 }, (_, n) => n + 8),
  )
  expect(regionsHeard).toEqual(new Set([REGION]))
})

test('[RELAY-1] more than the line takes is not lost while it fits the socket', async () => {
  const [a, b] = [machine(), machine()]
  for (const { relays } of [a, b]) {
    relays.setMap(map(node()))
    relays.setHome(REGION)
  }
  await until(() => expect(a.relays.liveCount + b.relays.liveCount).toBe(2))
  // 256 KiB go into the socket, 32 packets wait, the oldest of the waiting ones are lost.
  for (let n = 0; n < 64; n++) a.relays.send(REGION, b.key, new Uint8Array(20_000).fill(n))
  await until(() => expect(b.heard.at(-1)).toMatch(/3f$/))
  const got = b.heard.map((line) => Number.parseInt(line.slice(-2), 16))
  expect(got).toEqual([...got].sort((x, y) => x - y))
  expect(got.slice(-32)).toEqual(Array.from({ length: 32 }, (_, n) => n + 32))
})

test('[RELAY-2] a region that was given up is opened when it becomes the home', async () => {
  const a = machine()
  a.relays.setMap(map(node()))
  a.relays.send(REGION, a.key, Uint8Array.of(1))
  await until(() => expect(a.relays.liveCount).toBe(1))
  const port = server.relayPort!
  await server.close()
  await until(() => expect(a.states).toEqual([`${REGION} connected`, `${REGION} closed`]))
  await start(port)
  a.relays.setHome(REGION)
  await until(() => expect(a.relays.liveCount).toBe(1))
})

test('[RELAY-2] a relay that ends every login at once is asked ever less often', async () => {
  const a = machine()
  a.relays.setMap(map(node()))
  a.relays.setHome(REGION)
  const lives: number[] = []
  for (let life = 0; life < 4; life++) {
    await until(() => expect(a.relays.liveCount).toBe(1))
    lives.push(performance.now())
    const port = server.relayPort!
    await server.close()
    await until(() => expect(a.relays.liveCount).toBe(0))
    await start(port)
  }
  expect(lives[3]! - lives[2]!).toBeGreaterThan(350) // 100, 200, 400 ms
})

test('[RELAY-3] the first node of a region is dead: the second is used', async () => {
  const a = machine()
  a.relays.setMap(map(node({ Name: '9x', DERPPort: 1 }), node()))
  a.relays.setHome(REGION)
  await until(() => expect(a.relays.liveCount).toBe(1))
})

test('[RELAY-4] a peer that leaves the relay is told of', async () => {
  const [a, b] = [machine(), machine()]
  for (const { relays } of [a, b]) {
    relays.setMap(map(node()))
    relays.setHome(REGION)
  }
  await until(() => expect(a.relays.liveCount + b.relays.liveCount).toBe(2))
  a.relays.send(REGION, b.key, Uint8Array.of(1))
  await until(() => expect(b.heard).toHaveLength(1))
  a.relays.close()
  await until(() => expect(b.gone).toEqual([toHex(a.key)]))
})

test('[RELAY-5] a region that is described differently is left, one that vanished too', async () => {
  const a = machine()
  a.relays.setMap(map(node()))
  a.relays.setHome(REGION)
  await until(() => expect(a.relays.liveCount).toBe(1))
  a.relays.setMap(map(node({ Name: '9b' })))
  await until(() => expect(a.states).toEqual([`${REGION} connected`, `${REGION} closed`, `${REGION} connected`]))
  a.relays.setMap({ Regions: {} })
  expect(a.relays.liveCount).toBe(0)
})

test('[RELAY-6] a changed network: a live connection proves itself and stays', async () => {
  const a = machine()
  a.relays.setMap(map(node()))
  a.relays.setHome(REGION)
  await until(() => expect(a.relays.liveCount).toBe(1))
  a.relays.networkChanged()
  const b = machine()
  b.relays.setMap(map(node()))
  b.relays.send(REGION, a.key, Uint8Array.of(7))
  await until(() => expect(a.heard).toHaveLength(1))
  expect(a.states).toEqual([`${REGION} connected`])
})

test('[RELAY-6] a changed network: a connection from an address that is gone is replaced at once', async () => {
  const a = machine()
  a.relays.setMap(map(node()))
  a.relays.setHome(REGION)
  await until(() => expect(a.relays.liveCount).toBe(1))
  own = ['192.0.2.1']
  a.relays.networkChanged()
  expect(a.relays.liveCount).toBe(0)
  await until(() => expect(a.states).toEqual([`${REGION} connected`, `${REGION} closed`, `${REGION} connected`]))
})

describe('[RELAY-7] whom a relay must be', () => {
  const dial = (change: Partial<DerpNode>) =>
    dialDerp(node(change), undefined, { fwmark: 0, signal: AbortSignal.timeout(5_000) })
  test('a pin that does not fit is refused, an unpinned self-made certificate too', async () => {
    await expect(dial({ CertName: `sha256-raw:${'0'.repeat(64)}` })).rejects.toThrow(/pinned/)
    await expect(dial({ CertName: '' })).rejects.toThrow(/certificate/)
    await expect(dial({ CertName: `sha256-raw:${'0'.repeat(64)}`, InsecureForTests: true })).rejects.toThrow(/pinned/)
  })
  test('the pin, or the map’s word for tests, opens it', async () => {
    for (const change of [{}, { CertName: '', InsecureForTests: true }]) {
      const { socket } = await dial(change)
      socket.destroy()
    }
  })
  test('the pinned certificate must be valid now and name the host', () => {
    const { cert } = keepCertificate(folder, '127.0.0.1', Date.now())
    const raw = Buffer.from(cert.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    const sha256 = pin.slice('sha256-raw:'.length)
    expect(pinProblem(raw, sha256, '127.0.0.1', Date.now())).toBeUndefined()
    expect(pinProblem(raw, sha256, '127.0.0.2', Date.now())).toMatch(/does not name/)
    expect(pinProblem(raw, sha256, '127.0.0.1', 0)).toMatch(/not valid yet/)
    expect(pinProblem(raw, sha256, '127.0.0.1', Date.now() + 1e13)).toMatch(/expired/)
  })
  test('the map’s words are understood', () => {
    const of = (change: Partial<DerpNode>) => trustOf({ ...node(), CertName: '', HostName: 'derp.example', ...change })
    expect(of({})).toEqual({ kind: 'roots', name: 'derp.example' })
    expect(of({ CertName: 'front.example' })).toEqual({ kind: 'roots', name: 'front.example' })
    expect(of({ InsecureForTests: true })).toEqual({ kind: 'none' })
    expect(of({ CertName: 'sha256-raw:short' })).toEqual({ kind: 'roots', name: 'sha256-raw:short' })
  })
})

describe('[RELAY-8] what is no relay', () => {
  test('a web server, a closed port, an endless header: a sentence each', async () => {
    await expect(
      dialDerp(node({ DERPPort: 1 }), undefined, { fwmark: 0, signal: AbortSignal.timeout(5_000) }),
    ).rejects.toThrow(/ECONNREFUSED/)
    const web = createServer((_, response) => response.end('hello'))
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
    const { port } = web.address() as AddressInfo
    await expect(
      dialDerp(node({ DERPPort: port }), undefined, { fwmark: 0, signal: AbortSignal.timeout(5_000) }),
    ).rejects.toThrow()
    web.close()
  })
  test('an abort ends the attempt', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(dialDerp(node(), undefined, { fwmark: 0, signal })).rejects.toThrow('enough')
  })
})

test('[NC-2.5] the way to a relay over TLS is measured', async () => {
  const { latencyMs, family } = await httpsLatencyMs(node(), { fwmark: 0, signal: AbortSignal.timeout(5_000) })
  expect(family).toBe(4)
  expect(latencyMs).toBeGreaterThan(0)
})
