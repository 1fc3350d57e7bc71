/**
 * Networking without an interface and without privilege: ours with ours, and with a stock daemon in either seat. Programs
 * reach the other side through the proxies; servers on the other side's loopback interface are reached.
 * [docs/rules/netstack.md NST-20 … NST-33]
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { Internet } from './internet.ts'

const PROXY = 'localhost:1055'
const WEB_PORT = 8081
const BULK_BYTES = 10_000_000

/** Serves a word, and as many bytes as the path says; counts what is posted; echoes datagrams. */
const web = `
const http = require('node:http')
const chunk = Buffer.alloc(65536, 7)
http.createServer((request, response) => {
  const wanted = Number(/^\\/bytes\\/(\\d+)$/.exec(request.url)?.[1] ?? NaN)
  if (request.method === 'POST') {
    let bytes = 0
    request.on('data', (part) => { bytes += part.length })
    request.on('end', () => response.end(String(bytes)))
  } else if (wanted >= 0) {
    let left = wanted
    response.writeHead(200, { 'content-length': wanted })
    const pump = () => {
      while (left > 0) {
        const part = chunk.subarray(0, Math.min(left, chunk.length))
        left -= part.length
        if (!response.write(part)) return void response.once('drain', pump)
      }
      response.end()
    }
    pump()
  } else response.end('hello from ' + request.headers.host + ' ' + request.socket.remoteAddress)
}).listen(${WEB_PORT}, '127.0.0.1', () => console.log('up'))
const echo = require('node:dgram').createSocket('udp4')
echo.on('message', (bytes, from) => echo.send(bytes, from.port, from.address))
echo.bind(${WEB_PORT}, '127.0.0.1')
`

const hasStock = stockProgram('tailscaled') !== undefined
type Kind = 'ours' | 'stock'

describe('without an interface', () => {
  let internet: Internet
  let control: ControlServer
  const daemons = new Map<string, Daemon>()
  const folder = mkdtempSync(join(tmpdir(), 'pu-'))
  const names: readonly (readonly [string, Kind])[] = [
    ['ours1', 'ours'],
    ['ours2', 'ours'],
    ...(hasStock
      ? ([
          ['stock1', 'stock'],
          ['stock2', 'stock'],
        ] as const)
      : []),
  ]

  beforeAll(async () => {
    internet = await Internet.create()
    control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
    })
    const key = await control.createKey()
    await Promise.all(
      names.map(async ([name, kind]) => {
        const { host } = await internet.publicHost(name)
        const daemon = await Daemon.start(host, {
          kind,
          folder: join(folder, name),
          tun: 'userspace-networking',
          isUnprivileged: true,
          extraArguments: [`--socks5-server=${PROXY}`, `--outbound-http-proxy-listen=${PROXY}`],
        })
        daemons.set(name, daemon)
        await daemon.join(control.url, key, { Hostname: name })
        const server = host.start(process.execPath, ['-e', web])
        let up = false
        server.stdout?.once('data', () => {
          up = true
        })
        await eventually('the web server listens', () => (up ? true : undefined), { withinMs: 10_000 })
      }),
    )
  }, 60_000)
  afterAll(async () => {
    await Promise.all([...daemons.values()].map((daemon) => daemon.stop()))
    await control?.stop()
    await internet?.close()
    discard(folder)
  })

  const daemon = (name: string): Daemon => daemons.get(name)!
  const curl = (name: string, ...words: string[]) =>
    daemon(name).host.run('curl', ['-sS', '--max-time', '25', ...words], { timeoutMs: 30_000 })

  const pairs: readonly (readonly [string, string])[] = [
    ['ours1', 'ours2'],
    ...(hasStock
      ? ([
          ['ours1', 'stock1'],
          ['stock1', 'ours1'],
        ] as const)
      : []),
  ]

  test('[NST-20] status says that there is no interface', async () => {
    const status = await daemon('ours1').status()
    expect([status.BackendState, status.TUN]).toEqual(['Running', false])
  })

  test('[EXP-8] explained: the proxies lead there, no route of this host does', async () => {
    const answer = await daemon('ours1').client.explainRoute({ to: await daemon('ours2').address() })
    const [target] = answer?.Targets ?? []
    expect([answer?.Mode, target?.Verdict, target?.Interface, target?.Peer?.Name]).toEqual([
      'userspace',
      'peer',
      '',
      'ours2',
    ])
  })

  describe.each(pairs)('%s → %s', (from, to) => {
    test('[NST-30] by SOCKS and by HTTP, by address and by name', async () => {
      const address = await daemon(to).address()
      await daemon(from).untilDirect(address, 20_000)
      const expected = `hello from ${address}:${WEB_PORT} 127.0.0.1`
      for (const proxy of [`socks5h://${PROXY}`, `http://${PROXY}`]) {
        const got = await curl(from, '-x', proxy, `http://${address}:${WEB_PORT}/`)
        expect([proxy, got.stdout, got.stderr]).toEqual([proxy, expected, ''])
        const tunnelled = await curl(from, '-p', '-x', proxy, `http://${address}:${WEB_PORT}/`)
        expect(tunnelled.stdout).toBe(expected)
        const byName = await curl(from, '-p', '-x', proxy, `http://${to}:${WEB_PORT}/`)
        expect([byName.stdout, byName.stderr]).toEqual([`hello from ${to}:${WEB_PORT} 127.0.0.1`, ''])
      }
    })

    test('[NST-21] where nobody listens the connection is refused at once', async () => {
      const address = await daemon(to).address()
      const got = await curl(from, '-x', `socks5h://${PROXY}`, `http://${address}:9/`)
      expect(got.code).toBe(97) // the proxy's refusal, not a timeout (28)
    })

    test('[NST-5] bulk down and up', async () => {
      const address = await daemon(to).address()
      const proxy = ['-x', `socks5h://${PROXY}`, '-o', '/dev/null', '-w', '%{size_download} %{speed_download}']
      const down = await curl(from, ...proxy, `http://${address}:${WEB_PORT}/bytes/${BULK_BYTES}`)
      expect([down.stdout.split(' ')[0], down.stderr]).toEqual([String(BULK_BYTES), ''])
      const up = await daemon(from).host.run(
        'sh',
        [
          '-c',
          `head -c ${BULK_BYTES} /dev/zero | curl -sS --max-time 25 -x socks5h://${PROXY} -T - -X POST -H 'Expect:' -w ' %{speed_upload}' http://${address}:${WEB_PORT}/`,
        ],
        { timeoutMs: 30_000 },
      )
      expect(up.stdout.split(' ')[0]).toBe(String(BULK_BYTES))
      const rates = [down, up].map(({ stdout }) => Math.round(Number(stdout.split(' ')[1]) / 1e5) / 10)
      process.stdout.write(`${JSON.stringify({ case: 'userspace', from, to, downMBs: rates[0], upMBs: rates[1] })}\n`)
    })
  })
})
