/**
 * Our command line on our daemon in our network: what a person and a script type, from the first start to logging out.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlServer } from '../lab/control-server.ts'
import { Daemon } from '../lab/daemon.ts'
import { discard } from '../lab/demo-network.ts'
import { Internet } from '../lab/internet.ts'

const pintail = fileURLToPath(new URL('./main.ts', import.meta.url))

let internet: Internet
let control: ControlServer
let air: Daemon
let nas: Daemon
const folder = mkdtempSync(join(tmpdir(), 'pt-'))

beforeAll(async () => {
  internet = await Internet.create()
  control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
    folder: join(folder, 'c'),
  })
  air = await Daemon.start((await internet.publicHost('air')).host, { kind: 'ours', folder: join(folder, 'a') })
  nas = await Daemon.start((await internet.publicHost('nas')).host, { kind: 'ours', folder: join(folder, 'n') })
})
afterAll(async () => {
  await Promise.all([air?.stop(), nas?.stop()])
  await control?.stop()
  await internet?.close()
  discard(folder)
})

async function cli(daemon: Daemon, line: string) {
  const words = [pintail, `--socket=${daemon.socketPath}`, ...line.split(' ')]
  const { code, stdout, stderr } = await daemon.host.run(process.execPath, words, { timeoutMs: 40_000 })
  return { code, out: stdout, err: stderr }
}

const DONE = { code: 0, out: '', err: '' }

test('before any login', async () => {
  expect(await cli(air, 'status')).toEqual({ code: 1, out: 'Logged out.\n', err: '' })
  expect((await cli(air, 'ip')).err).toBe('no current Pintail IPs; state: NeedsLogin\n')
})

test('[U2] up with a key from a file; with the printed link', async () => {
  const keyFile = join(folder, 'key')
  writeFileSync(keyFile, `${await control.createKey()}\n`, { mode: 0o600 })
  const common = `--login-server=${control.url} --accept-dns=false`
  expect(await cli(air, `up ${common} --auth-key=file:${keyFile} --hostname=air --timeout=30s`)).toEqual(DONE)
  expect(await cli(air, 'wait --timeout=10s')).toEqual(DONE)

  const words = [pintail, `--socket=${nas.socketPath}`, 'up', ...common.split(' '), '--hostname=nas', '--timeout=30s']
  const up: ChildProcess = spawn(process.execPath, words)
  let said = ''
  const link = new Promise<string>((resolve, reject) => {
    up.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      const found = /visit:\n\n\t(\S+)\n/.exec(said)?.[1]
      if (found !== undefined) resolve(found)
    })
    up.once('close', () => reject(new Error(`up ended: ${said}`)))
  })
  const code = new Promise((resolve) => up.once('close', resolve))
  await control.admin('nodes', 'register', '--id', await link, '--user', 'demo')
  expect([await code, said]).toEqual([0, `\nTo authenticate, visit:\n\n\t${await link}\n\nSuccess.\n`])
})

test('[U8] ping says the way, status shows it, ip and whois know the peer', async () => {
  const ping = await cli(air, 'ping nas')
  expect(ping.out).toMatch(/pong from nas \(100\.\S+\) via 203\.0\.113\.\d+:41641 in \d+ms\n$/)
  expect(ping.code).toBe(0)
  const status = await cli(air, 'status')
  expect(status.code).toBe(0)
  const rows = status.out.split('\n').map((line) => line.trimEnd().split(/ {2,}/))
  expect(rows[0]?.slice(1)).toEqual(['air', 'demo', 'linux', '-'])
  expect(rows[1]?.slice(1, 4)).toEqual(['nas', 'demo', 'linux'])
  expect(rows[1]?.[4]).toMatch(/^active; direct 203\.0\.113\.\d+:41641/)
  const address = (await cli(air, 'ip -4 nas')).out.trim()
  expect(await cli(nas, `ip --assert=${address}`)).toEqual(DONE)
  expect((await cli(air, `whois ${address}`)).out).toMatch(/Name: +nas\.demo\.internal\n/)
  expect((await cli(air, 'debug paths nas')).out).toMatch(/^nas +direct 203\.0\.113\.\d+:41641 /)
})

test('netcheck measures', async () => {
  const { code, out, err } = await cli(air, 'netcheck')
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/^\nReport:\n\t\* Time: .+\n\t\* UDP: true\n\t\* IPv4: yes, 203\.0\.113\.\d+:41641\n/)
  expect(out).toMatch(/\t\* Nearest DERP: Laboratory\n\t\* DERP latency:\n\t\t- lab: \S+ +\(Laboratory\)\n$/)
})

test('set, refusing up, down, up, logout', async () => {
  expect(await cli(air, 'set --hostname=air2 --shields-up')).toEqual(DONE)
  expect((await cli(air, 'get hostname')).out).toBe('air2\n')
  expect((await cli(air, 'up --accept-routes')).err.split('\n').at(-3)).toBe(
    `\tpintail up --accept-routes --accept-dns=false --hostname=air2 --login-server=${control.url} --shields-up`,
  )
  expect(await cli(air, 'down')).toEqual(DONE)
  expect(await cli(air, 'status')).toEqual({ code: 1, out: 'Pintail is stopped.\n', err: '' })
  expect(await cli(air, 'up')).toEqual(DONE)
  expect(await cli(air, 'wait --timeout=10s')).toEqual(DONE)
  expect(await cli(air, 'logout')).toEqual(DONE)
  expect((await cli(air, 'status')).out).toBe('Logged out.\n')
})

test('a wrong key and a wrong server are told', async () => {
  const wrongKey = await cli(
    air,
    `up --reset --login-server=${control.url} --auth-key=pintail-auth-000-111 --timeout=20s`,
  )
  expect([wrongKey.code, wrongKey.err]).toEqual([1, expect.stringMatching(/^backend error: .*key/)])
  expect(wrongKey.err).not.toContain('000-111')
  const wrongServer = await cli(air, 'up --reset --login-server=http://203.0.113.10:1 --timeout=8s')
  expect([wrongServer.code, wrongServer.err]).toEqual([1, expect.stringContaining('timeout waiting')])
})
