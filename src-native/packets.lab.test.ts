/**
 * Packets changed on their way through two real interfaces: 4via6 with the router's own stack, where a host with IPv4 only is
 * reached by an IPv6 address; MSS; echo to the service addresses.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endProcess, type Host } from '../lab/host.ts'
import { Internet, type Lan, type PublicHost } from '../lab/internet.ts'

const program = fileURLToPath(new URL('static-tunnel.lab.ts', import.meta.url))
/** The first LAN of a laboratory is 10.1.0.0/24, its first host 10.1.0.2. */
const SITE = 'fd7a:115c:a1e0:b1a:0:7'
const PREFIX = `${SITE}:a01:0/120`
const PRINTER = `${SITE}:a01:2`
const PORT = 8080
const BYTES = 3_000_000

/** Answers with who asked, and with as many bytes as the path says; takes uploads; sends datagrams back. */
const SERVER = `
const pattern = (n) => Buffer.alloc(n, 'pintail-')
require('http').createServer((asked, answer) => {
  let taken = 0
  asked.on('data', (part) => (taken += part.length))
  asked.on('end', () => {
    const size = Number(asked.url.slice(1))
    answer.end(size > 0 ? pattern(size) : JSON.stringify({ from: asked.socket.remoteAddress, taken }))
  })
}).listen(${PORT}, '0.0.0.0', () => console.log('ready'))
const udp = require('dgram').createSocket('udp4')
udp.on('message', (bytes, from) => udp.send(bytes, from.port, from.address))
udp.bind(${PORT})
`
const ASK_BY_UDP = `
const [address, sizes] = [process.argv[1], process.argv.slice(2).map(Number)]
const udp = require('dgram').createSocket('udp6')
const got = []
udp.on('message', (bytes) => {
  got.push(bytes.length)
  if (got.length === sizes.length) console.log(JSON.stringify(got.sort((a, b) => a - b))), udp.close()
})
for (const size of sizes) udp.send(Buffer.alloc(size, 7), ${PORT}, address)
setTimeout(() => process.exit(1), 5000).unref()
`

async function firstLine(child: ChildProcess): Promise<() => string[]> {
  const lines = createInterface({ input: child.stdout! })
  const seen: string[] = []
  lines.on('line', (line) => seen.push(line))
  await once(lines, 'line')
  return () => seen
}

let internet: Internet
let client: PublicHost
let lan: Lan

beforeAll(async () => {
  internet = await Internet.create()
  client = await internet.publicHost('via-client')
  lan = await internet.lan(['via-printer'], 'apdf')
  // The router of the site: everything from the tunnel leaves into the LAN under the router's own address.
  await lan.router.rules(`table ip nat {
    chain outgoing { type nat hook postrouting priority srcnat; oifname "lan" ip saddr 100.64.0.0/10 masquerade; }
  }
  ${guard('ip', 1220)}`)
  await client.host.rules(guard('ip6', 1220))
  await firstLine(start(lan.hosts[0]!.host, ['-e', SERVER]))
})
afterAll(() => internet?.close())

/** Nobody connects who asks for longer segments. */
function guard(family: 'ip' | 'ip6', mssBytes: number): string {
  return `table ${family} guard {
    chain incoming {
      type filter hook prerouting priority raw;
      iifname "static-*" tcp option maxseg size > ${mssBytes} drop
    }
  }`
}

function start(host: Host, words: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return host.start(process.execPath, words, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
}

describe.each(['native', 'twin'])('%s', (PINTAIL_DATAPATH) => {
  let tunnels: ChildProcess[] = []
  let routerLines: () => string[]

  beforeAll(async () => {
    const open = (host: Host, side: string, remote: string) =>
      start(host, [program, side, remote, '1280', '0', PREFIX], { PINTAIL_DATAPATH })
    tunnels = [open(client.host, 'a', lan.wanAddress), open(lan.router, 'b', client.address)]
    const [, ofRouter] = await Promise.all(tunnels.map(firstLine))
    routerLines = ofRouter!
  })
  afterAll(async () => {
    await Promise.all(tunnels.map((tunnel) => endProcess(tunnel)))
  })

  const url = (path: string) => `http://[${PRINTER}]:${PORT}/${path}`

  test('[PKT-5.1] [PKT-5.2] ping', async () => {
    for (const size of [0, 56, 1200]) {
      const words = ['-6', '-n', '-c', '3', '-i', '0.05', '-W', '2', '-s', String(size), PRINTER]
      expect(await client.host.must('ping', words)).toContain(' 0% packet loss')
    }
  })

  test('[PKT-5.1] [PKT-5.4] a connection, which the host sees coming from its router', async () => {
    const said = await client.host.must('curl', ['-gsS', '--max-time', '5', url('')])
    expect(JSON.parse(said)).toEqual({ from: '10.1.0.1', taken: 0 })
  })

  test('[PKT-5.7] [PKT-5.8] many bytes, both ways', async () => {
    const down = ['-gsS', '--max-time', '20', '-o', '-', url(String(BYTES))]
    const sum = await client.host.must('sh', ['-c', 'curl "$@" | sha256sum', 'sh', ...down])
    const wanted = await client.host.must('sh', ['-c', `yes pintail- | tr -d '\\n' | head -c ${BYTES} | sha256sum`])
    expect(sum).toBe(wanted)
    const upload = `head -c ${BYTES} /dev/zero | curl -gsS --max-time 20 --data-binary @- '${url('')}'`
    expect(JSON.parse(await client.host.must('sh', ['-c', upload]))).toMatchObject({ taken: BYTES })
  })

  test('[PKT-5.2] datagrams of all sizes that need no fragments', async () => {
    const sizes = [0, 1, 2, 1000, 1231, 1232]
    const said = await client.host.must(process.execPath, ['-e', ASK_BY_UDP, PRINTER, ...sizes.map(String)])
    expect(JSON.parse(said)).toEqual(sizes)
  })

  test('[PKT-3.1] the service addresses answer their own host', async () => {
    const services = ['100.100.100.100', 'fd7a:115c:a1e0::53']
    for (const service of services) {
      await client.host.must('ip', ['route', 'add', service, 'dev', 'static-a'])
      const said = await client.host.must('ping', ['-n', '-c', '3', '-i', '0.05', '-W', '2', '-s', '1200', service])
      expect(said).toContain(' 0% packet loss')
    }
  })

  test('[PKT-4.1] [PKT-5.7] a host that believes in longer packets is told better', async () => {
    await client.host.must('ip', ['link', 'set', 'static-a', 'mtu', '1500'])
    const said = await client.host.must('curl', ['-gsS', '--max-time', '5', '-o', '-', url('100000')])
    expect(said).toHaveLength(100_000)
  })

  test('[PKT-5.1] an address outside of the prefix is not reached; nothing else was dropped', async () => {
    const outside = await client.host.run('ping', ['-6', '-n', '-c', '1', '-W', '1', `${SITE}:a01:102`])
    expect(outside.code).not.toBe(0)
    await Promise.all(tunnels.map((tunnel) => endProcess(tunnel)))
    expect(JSON.parse(routerLines().at(-1)!)).toMatchObject({ backend: PINTAIL_DATAPATH, drops: {}, events: [] })
  })
})
