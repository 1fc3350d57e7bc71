/**
 * Serving to the network: typed at our command line and at the stock one, asked for by a stock machine and by ours, held in
 * the foreground and kept over a crash. [docs/rules/serve.md]
 */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { Internet } from './internet.ts'

const pintail = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))
const stockCli = stockProgram('tailscale')
const program = `require('node:http').createServer((q, r) => r.end(JSON.stringify({ url: q.url, headers: q.headers }))).listen(3000, '127.0.0.1', () => console.log('ready'))`
const asking = `const [url, host] = process.argv.slice(1)
require('node:http').get(url, { headers: { host } }, (r) => { let t = ''; r.on('data', (d) => { t += d }); r.on('end', () => console.log(JSON.stringify([r.statusCode, t]))) }).on('error', (e) => console.log(JSON.stringify([0, e.code])))`

const folder = mkdtempSync(join(tmpdir(), 'pt-'))
let internet: Internet
let control: ControlServer
let nas: Daemon
let air: Daemon
let address: string
let name: string

beforeAll(async () => {
  internet = await Internet.create()
  control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
    folder: join(folder, 'c'),
  })
  const key = await control.createKey()
  const start = async (word: string, kind: 'ours' | 'stock') => {
    const daemon = await Daemon.start((await internet.publicHost(word)).host, { kind, folder: join(folder, word) })
    await daemon.join(control.url, key, { Hostname: word })
    return daemon
  }
  nas = await start('nas', 'ours')
  air = await start('air', stockCli === undefined ? 'ours' : 'stock')
  address = await nas.address()
  name = (await nas.client.status()).Self!.DNSName.replace(/\.$/, '')
  const web = nas.host.start(process.execPath, ['-e', program])
  await new Promise((resolve) => web.stdout?.once('data', resolve))
}, 60_000)
afterAll(async () => {
  await Promise.all([nas?.stop(), air?.stop()])
  await control?.stop()
  await internet?.close()
  discard(folder)
})

async function cli(line: string) {
  const words = [pintail, `--socket=${nas.socketPath}`, ...line.split(' ')]
  const { code, stdout, stderr } = await nas.host.run(process.execPath, words, { timeoutMs: 20_000 })
  return { code, out: stdout, err: stderr }
}

/** Asked by the other machine, through the tunnel. */
async function ask(path: string, port = 80, from: Daemon = air): Promise<[status: number, text: string]> {
  const host = port === 80 ? name : `${name}:${port}`
  return JSON.parse(await from.host.must(process.execPath, ['-e', asking, `http://${address}:${port}${path}`, host]))
}

test('[SVE-11.1] kept: a program, a folder with my rights, a text; who asks is told; a crash changes nothing', async () => {
  const docs = join(folder, 'docs')
  mkdirSync(docs)
  writeFileSync(join(docs, 'a.txt'), 'a file')
  expect(await cli('serve --bg --http=80 3000')).toEqual({
    code: 0,
    err: '',
    out:
      `Available within your tailnet:\n\nhttp://${name}/\n|-- proxy http://127.0.0.1:3000\n\n` +
      'Serve started and running in the background.\nTo disable the proxy, run: pintail serve --http=80 off\n',
  })
  expect((await cli(`serve --bg --http=80 --set-path=/docs ${docs}`)).code).toBe(0)
  expect((await cli('serve --bg --http=80 --set-path /hi text:hello')).code).toBe(0)
  const [status, text] = await ask('/x?y=1')
  expect([status, JSON.parse(text)]).toMatchObject([
    200,
    { url: '/x?y=1', headers: { host: name, 'tailscale-user-login': 'demo', 'x-forwarded-for': await air.address() } },
  ])
  expect(await ask('/docs/a.txt')).toEqual([200, 'a file'])
  expect((await ask('/docs/..%2f..%2fetc/passwd'))[0]).toBe(400)
  await nas.kill()
  await nas.start()
  await eventually('it serves again', async () => ((await ask('/hi'))[1] === 'hello' ? true : undefined), {
    withinMs: 20_000,
  })
  expect((await cli('serve status')).out).toBe(
    `\nhttp://nas (tailnet only)\nhttp://${name} (tailnet only)\n` +
      `|-- /      proxy http://127.0.0.1:3000\n|-- /hi    text  "hello"\n|-- /docs/ path  ${docs}\n\n`,
  )
})

test('[SVE-11.2] in the foreground: served while the command runs, not longer, however it ends', async () => {
  const words = [pintail, `--socket=${nas.socketPath}`, 'serve', '--http=8080', 'text:here']
  const command = nas.host.start(process.execPath, words)
  await new Promise((resolve) => command.stdout?.once('data', resolve))
  expect(await ask('/', 8080)).toEqual([200, 'here'])
  expect((await cli('serve --bg --http=8080 3000')).err).toMatch(/held by a command in the foreground/)
  command.kill('SIGKILL')
  await eventually('it is gone', async () => ((await ask('/', 8080))[0] === 0 ? true : undefined), { withinMs: 10_000 })
})

test('[SVE-11.3] a TCP port; what cannot be is refused in words; off, and all off', async () => {
  expect((await cli('serve --bg --tcp=2222 3000')).code).toBe(0)
  expect((await ask('/', 2222))[0]).toBe(200)
  expect((await cli('serve --bg --http=2222 3000')).err).toMatch(/port 2222 serves tcp at present/)
  expect((await cli('serve --bg --http=80 example.com:80')).err).toMatch(/no port, no address/)
  expect((await cli('serve --bg --http=80 /no/such/file')).err).toMatch(/there is no file or folder/)
  expect((await cli('serve --tcp=2222 off')).code).toBe(0)
  expect((await ask('/', 2222))[0]).toBe(0)
  expect((await cli('serve reset')).code).toBe(0)
  expect((await ask('/'))[0]).toBe(0)
  expect((await cli('serve status')).out).toBe('No serve config\n')
})

test('[CRT-3.1] HTTPS with a certificate of the network: trusted by whoever trusts its root, kept, and only for our name', async () => {
  expect((await cli('serve --bg 3000')).out).toContain(`https://${name}/\n`)
  const root = join(folder, 'root.crt')
  writeFileSync(root, (await cli('trust show --pem')).out)
  const curl = async (...words: string[]) => {
    const place = ['--connect-to', `::${address}:443`, '--cacert', root]
    const { code, stdout } = await air.host.run('curl', ['-sS', '-m', '10', ...place, ...words])
    return [code, stdout] as const
  }
  const [code, text] = await curl(`https://${name}/x`)
  expect([code, JSON.parse(text).headers['x-forwarded-proto']]).toEqual([0, 'https'])
  expect((await curl('https://other.demo.internal/'))[0]).toBe(35) // no such name: the handshake ends
  expect(
    (await curl('-H', 'Host: other.demo.internal', '-o', '/dev/null', '-w', '%{http_code}', `https://${name}/`))[1],
  ).toBe('421')
  const files = join(folder, 'nas')
  const line = `cert --cert-file=${files}.crt --key-file=${files}.key`
  expect((await cli(line)).out).toBe(`Wrote public cert to ${files}.crt\nWrote private key to ${files}.key\n`)
  expect((await cli(line)).out).toBe(`Public cert unchanged at ${files}.crt\nPrivate key unchanged at ${files}.key\n`)
  expect((await cli('cert bank.example')).err).toMatch(/invalid domain "bank.example"; must be one of/)
  expect((await cli('serve reset')).code).toBe(0)
})

test.skipIf(stockCli === undefined)('[SVE-10.1] the stock command line serves with our daemon', async () => {
  const stock = (...words: string[]) => nas.host.run(stockCli!, [`--socket=${nas.socketPath}`, 'serve', ...words])
  const { code, stdout, stderr } = await stock('--bg', '--http=80', '3000')
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toContain('Serve started and running in the background.')
  expect((await ask('/x'))[0]).toBe(200)
  expect((await stock('status')).stdout).toContain('proxy http://127.0.0.1:3000')
  expect((await cli('serve status')).out).toContain('proxy http://127.0.0.1:3000')
  expect((await stock('--http=80', 'off')).code).toBe(0)
  expect((await ask('/x'))[0]).toBe(0)
})
