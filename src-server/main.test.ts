import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestMachine } from './control/noise-client.lab.ts'

const program = fileURLToPath(new URL('main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'pintail-main-'))
const config = join(folder, 'config.yaml')
let server: ChildProcess
let log = ''

function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) =>
    execFile(process.execPath, [program, ...words], (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    ),
  )
}

beforeAll(async () => {
  writeFileSync(
    config,
    `server_url: http://127.0.0.1:1\nlisten_addr: 127.0.0.1:0\nstate_dir: state\nunix_socket: c.sock\nderp: {server: {listen: "127.0.0.1:0", stun_listen: "127.0.0.1:0"}}\nlog: {format: json}\n`,
  )
  server = spawn(process.execPath, [program, 'serve', '--config', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  await new Promise<void>((resolve, reject) => {
    server.stderr!.on('data', (bytes: Buffer) => {
      log += bytes.toString()
      if (log.includes('"ready"')) resolve()
    })
    server.once('close', () => reject(new Error(log)))
  })
})
afterAll(() => {
  server.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

test('[SRV-8.1] verbs, texts, JSON and exit status', async () => {
  expect(await run('-c', config, 'users', 'create', 'alice', '--display-name', 'Alice')).toEqual({
    code: 0,
    out: 'User alice has id 1.\n',
    err: '',
  })
  expect(await run('users', 'create', 'alice', '-c', config)).toEqual({
    code: 1,
    out: '',
    err: 'pintail-control: the user alice exists already\n',
  })
  expect(JSON.parse((await run('-c', config, 'users', 'list', '--json')).out)).toMatchObject([
    { id: '1', name: 'alice', displayName: 'Alice' },
  ])
  const key = (await run('-c', config, 'preauthkeys', 'create', '--user', 'alice', '--expiration', '30d')).out.trim()
  expect(key).toMatch(/^pintail-auth-[0-9a-f]{12}-[0-9a-f]{64}$/)
  const listed = await run('-c', config, 'preauthkeys', 'list')
  expect(listed.out).toMatch(/ID +KEY +USER +KIND +EXPIRES +TAGS\n1 +pintail-auth-[0-9a-f]{12}-… +alice/)
  expect(listed.out).not.toContain(key)
  expect((await run('-c', config, 'preauthkeys', 'create')).err).toMatch(/needs a user or at least one tag/)
  expect((await run('-c', config, 'preauthkeys', 'create', '--user', 'alice', '--expiration', 'soon')).err).toMatch(
    /neither a time/,
  )
  expect((await run('-c', config, 'nodes', 'delete', 'x')).err).toBe('pintail-control: there is no node "x"\n')
  expect((await run('-c', config, 'health')).out).toMatch(/databaseConnectivity: true/)
})

test('[SRV-8.5] routes: who offers, who said yes; reload by verb and by signal', async () => {
  const auth = (await run('-c', config, 'preauthkeys', 'create', '--user', 'alice')).out.trim()
  const port = /"control":(\d+)/.exec(log)![1]
  const machine = new TestMachine(`http://127.0.0.1:${port}`)
  try {
    const Hostinfo = { Hostname: 'nas', OS: 'linux', RoutableIPs: ['10.0.0.0/8', '0.0.0.0/0', '::/0'] }
    await machine.register({ Auth: { AuthKey: auth }, Hostinfo })
    const rows = async () => (await run('-c', config, 'routes', 'list')).out
    expect(await rows()).toMatch(/nas +10\.0\.0\.0\/8 +no +waits for approval\n/)
    expect((await run('-c', config, 'routes', 'approve', 'nas')).err).toMatch(
      /name the routes, or say --exit-node or --all/,
    )
    expect((await run('-c', config, 'routes', 'approve', 'nas', '10/8')).err).toMatch(/"10\/8" is no route/)
    expect(await run('-c', config, 'routes', 'approve', 'nas', '10.2.3.4/8', '0.0.0.0/0')).toMatchObject({
      code: 0,
      out: 'nas routes 0.0.0.0/0, ::/0, 10.0.0.0/8.\n',
    })
    expect(JSON.parse((await run('-c', config, 'routes', 'list', 'nas', '--json')).out)).toContainEqual({
      node: 'nas',
      route: '10.0.0.0/8',
      approvedBy: 'administrator',
      state: 'in-effect-offline',
    })
    expect((await run('-c', config, 'routes', 'revoke', 'nas', '--exit-node')).out).toBe('nas routes 10.0.0.0/8.\n')

    writeFileSync(config, `${readFileSync(config, 'utf8')}auto_approve: {routes: {10.0.0.0/8: [alice]}}\n`)
    expect((await run('-c', config, 'reload')).out).toBe('In effect: auto_approve.routes.\n')
    expect((await run('-c', config, 'routes', 'revoke', 'nas', '--all')).out).toBe(
      'nas routes 10.0.0.0/8.\n10.0.0.0/8: still approved by auto_approve in the configuration.\n',
    )
    expect(await rows()).toMatch(/nas +10\.0\.0\.0\/8 +configuration +in effect, but its node is offline\n/)
    writeFileSync(config, readFileSync(config, 'utf8').replace('[alice]', '[nobody]'))
    server.kill('SIGHUP')
    await expect.poll(() => log).toMatch(/"reloaded","applied":\["auto_approve.routes"\]/)
    expect(log).toMatch(/the user nobody, who does not exist/)
    expect(await rows()).toMatch(/nas +10\.0\.0\.0\/8 +no +waits for approval\n/)
    writeFileSync(config, readFileSync(config, 'utf8').replace('[nobody]', '[no body]'))
    server.kill('SIGHUP')
    await expect.poll(() => log).toMatch(/"reload-refused"/)
    expect((await run('-c', config, 'reload')).err).toMatch(/config\.yaml:\d+: auto_approve\.routes\..*expected a tag/)
    writeFileSync(config, readFileSync(config, 'utf8').replace(/auto_approve.*\n/, ''))
  } finally {
    await machine.close()
  }
})

test('[SRV-8.2] no server, no config, no verb: a sentence that helps', async () => {
  expect(await run('--socket', '/nonexistent.sock', 'users', 'list')).toMatchObject({
    code: 1,
    err: expect.stringContaining('start it with: pintail-control serve'),
  })
  expect(await run('-c', '/nonexistent.yaml', 'users', 'list')).toMatchObject({
    code: 1,
    err: expect.stringContaining('pintail-control init --config /nonexistent.yaml'),
  })
  expect((await run('nods', 'list')).code).toBe(1)
  const help = await run('preauthkeys', 'create', '--help')
  expect(help.out).toMatch(/Examples:[\s\S]*--ephemeral/)
})

test('[SRV-8.3] init writes what serve and configtest accept, and overwrites nothing', async () => {
  const file = join(folder, 'made', 'config.yaml')
  expect((await run('init', '-c', file, '--server-url', 'http://192.0.2.1:8080')).code).toBe(0)
  expect((await run('configtest', '-c', file)).out).toMatch(/is fine/)
  expect((await run('init', '-c', file)).err).toMatch(/exists already/)
  expect((await run('init', '-c', join(folder, 'n.yaml'), '--server-url', 'nonsense')).err).toMatch(/expected https/)
  expect(existsSync(join(folder, 'n.yaml'))).toBe(false)
})

test('[SRV-8.4] secrets are private, and SIGTERM ends it cleanly', async () => {
  expect(statSync(join(folder, 'state', 'noise.key')).mode & 0o777).toBe(0o600)
  expect(statSync(join(folder, 'state', 'relay.key')).mode & 0o777).toBe(0o600)
  expect(statSync(join(folder, 'c.sock')).mode & 0o777).toBe(0o660)
  const secret = readFileSync(join(folder, 'state', 'noise.key'), 'utf8')
    .trim()
    .slice(-40)
  expect(log).not.toContain(secret)
  const ended = new Promise((resolve) => server.once('close', (code) => resolve(code)))
  server.kill('SIGTERM')
  expect(await ended).toBe(0)
  expect(existsSync(join(folder, 'c.sock'))).toBe(false)
})
