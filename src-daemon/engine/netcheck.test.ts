/** Netchecks against our own relay and STUN server, over real sockets on loopback. */
import { createSocket, type Socket } from 'node:dgram'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { DerpMap, DerpNode } from '../../src-contract/control/map.ts'
import { nodeCrypto as crypto } from '../../src-protocol/crypto/node-crypto.ts'
import { ipPort, splitIpPort } from '../../src-protocol/wire/ip.ts'
import { parseConfig } from '../../src-server/config/load.ts'
import { createLog } from '../../src-server/log.ts'
import { keepCertificate, pinOf } from '../../src-server/relay/certificate.ts'
import { type RunningServer, startServer } from '../../src-server/server.ts'
import { silentLog } from '../io/log/log.ts'
import { Netcheck } from './netcheck.ts'

let folder: string
let server: RunningServer
let socket: Socket
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-netcheck-'))
  const config = parseConfig(`
server_url: http://127.0.0.1:1
listen_addr: 127.0.0.1:0
state_dir: ${folder}
unix_socket: ${folder}/c.sock
derp: {server: {listen: 127.0.0.1:0, stun_listen: 127.0.0.1:0, hostname: 127.0.0.1}}`)
  server = await startServer({ config, log: createLog({ level: 'error', format: 'text' }) })
  socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  socket.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

const derpMap = (stunPort: number, change: Partial<DerpNode> = {}): DerpMap => ({
  Regions: {
    9: {
      RegionID: 9,
      RegionCode: 'own',
      RegionName: 'Own',
      Nodes: [
        {
          Name: '9a',
          RegionID: 9,
          HostName: '127.0.0.1',
          IPv4: '127.0.0.1',
          CertName: pinOf(keepCertificate(folder, '127.0.0.1', Date.now()).cert),
          DERPPort: server.relayPort!,
          STUNPort: stunPort,
          ...change,
        },
      ],
    },
  },
})
function netcheck(): Netcheck {
  const check = new Netcheck(
    {
      crypto,
      fwmark: 0,
      now: () => performance.now(),
      wallMs: Date.now,
      log: silentLog,
      ownInterface: undefined,
      heardMs: () => undefined,
    },
    (to, bytes) => {
      const { address, port } = splitIpPort(to)
      socket.send(bytes, port, address)
    },
  )
  socket.on('message', (bytes, from) => check.handleStun(ipPort(from.address, from.port), bytes))
  return check
}

test('[NC-2.4] over UDP: address, latency and home, as soon as the answer is there', async () => {
  const started = performance.now()
  const report = await netcheck().run(derpMap(server.stunPort!), AbortSignal.timeout(5_000))
  expect(performance.now() - started).toBeLessThan(2_500) // far from the three seconds of silence
  expect(report).toMatchObject({
    UDP: true,
    IPv4: true,
    PreferredDERP: 9,
    GlobalV4: `127.0.0.1:${socket.address().port}`,
  })
  expect(report.RegionLatency['9']).toBeGreaterThan(0)
  expect(report.GlobalV4Counters).toEqual({ [`127.0.0.1:${socket.address().port}`]: 1 })
})

test('[NC-2.5] without UDP: the relay’s distance over TLS, and it is home', async () => {
  const silent = createSocket('udp4')
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve))
  const report = await netcheck().run(derpMap(silent.address().port), AbortSignal.timeout(10_000))
  silent.close()
  expect(report).toMatchObject({ UDP: false, IPv4: true, PreferredDERP: 9, GlobalV4: '', GlobalV4Counters: null })
  expect(report.RegionLatency['9']).toBeGreaterThan(0)
})

test('[NC-2.5] a relay that has no STUN is measured at once', async () => {
  const started = performance.now()
  const report = await netcheck().run(derpMap(-1), AbortSignal.timeout(5_000))
  expect(performance.now() - started).toBeLessThan(2_000)
  expect(report).toMatchObject({ UDP: false, PreferredDERP: 9 })
})

test('[NC-2.5] the first node is dead: the next one’s distance counts', async () => {
  const map = derpMap(-1)
  map.Regions!['9']!.Nodes!.unshift({ ...map.Regions!['9']!.Nodes![0]!, Name: '9x', DERPPort: 1 })
  expect(await netcheck().run(map, AbortSignal.timeout(5_000))).toMatchObject({ PreferredDERP: 9 })
})

test('[NC-2.4] a node whose name leads nowhere is not waited for', async () => {
  const started = performance.now()
  const map = derpMap(server.stunPort!)
  map.Regions!['9']!.Nodes!.push({ Name: '9b', RegionID: 9, HostName: 'relay.invalid' })
  expect(await netcheck().run(map, AbortSignal.timeout(5_000))).toMatchObject({ UDP: true })
  expect(performance.now() - started).toBeLessThan(2_500)
})

test('a run that begins while the one before is being aborted hears its answers', async () => {
  const check = netcheck()
  const stop = new AbortController()
  const first = check.run(derpMap(1), stop.signal)
  stop.abort(new Error('enough'))
  const second = check.run(derpMap(server.stunPort!), AbortSignal.timeout(5_000))
  await expect(first).rejects.toThrow('enough')
  expect(await second).toMatchObject({ UDP: true, PreferredDERP: 9 })
})

test('an abort ends a run', async () => {
  const signal = AbortSignal.timeout(50)
  await expect(netcheck().run(derpMap(1), signal)).rejects.toThrow()
})
