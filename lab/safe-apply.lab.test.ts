/**
 * Nobody locks himself out: a person works on a machine from afar and types a change that cuts the very connection. After
 * the deadline it works again, also when the daemon was killed meanwhile; confirmed, it stays. [docs/rules/changes.md]
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { ChangePreview } from '../src-contract/localapi/changes.ts'
import { loadAddon } from '../src-native/addon.ts'
import { ControlServer } from './control-server.ts'
import { Daemon } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { Internet, type PublicHost } from './internet.ts'
import { RemoteSession, serveSessions } from './remote-session.ts'

const pintail = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))
const hasAddon = loadAddon().ok
const folder = mkdtempSync(join(tmpdir(), 'pt-'))

let internet: Internet
let control: ControlServer
let desk: Daemon
let server: Daemon
let serverMachine: PublicHost
let deskMachine: PublicHost
let deskIp: string
let serverIp: string
const sessions: RemoteSession[] = []

beforeAll(async () => {
  if (!hasAddon) return
  internet = await Internet.create()
  control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
    folder: join(folder, 'c'),
  })
  deskMachine = await internet.publicHost('desk')
  serverMachine = await internet.publicHost('server')
  const key = await control.createKey()
  ;[desk, server] = (await Promise.all(
    [deskMachine, serverMachine].map(({ host }, i) =>
      Daemon.start(host, { kind: 'ours', folder: join(folder, `${i}`) }),
    ),
  )) as [Daemon, Daemon]
  const AdvertiseRoutes = ['0.0.0.0/0', '::/0']
  await Promise.all([
    desk.join(control.url, key, { Hostname: 'desk', AdvertiseRoutes }),
    server.join(control.url, key, { Hostname: 'server' }),
    serveSessions(serverMachine.host),
  ])
  await control.admin('routes', 'approve', 'desk', '--all')
  ;[deskIp, serverIp] = await Promise.all([desk.address(), server.address()])
  await desk.untilDirect(serverIp, 15_000)
})
afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()))
})
afterAll(async () => {
  await Promise.all([desk?.stop(), server?.stop()])
  await control?.stop()
  await internet?.close()
  discard(folder)
})

/** Typed on the server, over the session. */
async function typed(line: string, session?: RemoteSession) {
  const env = session === undefined ? [] : ['env', `SSH_CONNECTION=${session.sshConnection}`]
  const words = [...env, process.execPath, pintail, `--socket=${server.socketPath}`, ...line.split(' ')]
  const { code, stdout, stderr } = await server.host.run(words[0]!, words.slice(1), { timeoutMs: 20_000 })
  return { code, out: stdout, err: stderr }
}

async function throughTunnel(): Promise<RemoteSession> {
  const session = await RemoteSession.open(deskMachine.host, deskIp, serverIp)
  if (session === undefined) throw new Error('the server does not answer')
  sessions.push(session)
  expect(await session.works(5_000)).toBe(true)
  return session
}

/** IPv4 alone. */
async function tunnelRoutes(): Promise<string[]> {
  const lines = (await serverMachine.host.must('ip', ['-4', 'route', 'show', 'table', '52'])).trim().split('\n')
  const prefixes = lines.filter((line) => line.includes(' dev pintail0')).map((line) => line.split(' ')[0] ?? '')
  return prefixes.map((text) => (text === 'default' ? '0.0.0.0/0' : text.includes('/') ? text : `${text}/32`)).sort()
}

const outcome = (): Promise<string | undefined> =>
  eventually(
    'the change is over',
    async () => {
      const report = await server.client.pendingChanges()
      return report?.Pending === null ? report.Last?.Outcome : undefined
    },
    { withinMs: 15_000, everyMs: 100 },
  )

test.skipIf(!hasAddon)('[CHG-2] down over the tunnel: cut, and after the deadline the same session works', async () => {
  const session = await throughTunnel()
  const { code, err } = await typed('down --confirm-within=4s', session)
  expect([code, err]).toEqual([0, expect.stringContaining(`This session (${deskIp}:`)])
  expect(await session.works(500)).toBe(false)
  expect(await outcome()).toBe('expired')
  expect(await session.works(15_000)).toBe(true)
})

test.skipIf(!hasAddon)('[CHG-3] the daemon is killed while it waits: the next one takes it back', async () => {
  const session = await throughTunnel()
  expect((await typed('down --confirm-within=4s', session)).code).toBe(0)
  expect(await session.works(300)).toBe(false)
  await server.kill()
  await server.start()
  expect(await outcome()).toBe('expired')
  expect(await session.works(15_000)).toBe(true)
})

test.skipIf(!hasAddon)('[CHG-6] an exit node that swallows the answers to a session past the tunnel', async () => {
  const from = deskMachine.address
  const session = await RemoteSession.open(deskMachine.host, from, serverMachine.address)
  sessions.push(session!)
  expect(await session?.works(5_000)).toBe(true)
  const before = await tunnelRoutes()
  const foretold = await typed(`set --exit-node=${deskIp} --dry-run --json`, session)
  expect(await tunnelRoutes()).toEqual(before)
  const { err } = await typed(`set --exit-node=${deskIp}`, session)
  const { Diff } = JSON.parse(foretold.out) as ChangePreview
  const added = (await tunnelRoutes()).filter((route) => !before.includes(route))
  expect(Diff.Routes.Added.map(({ Prefix }) => Prefix).filter((prefix) => prefix.includes('.'))).toEqual(added)
  expect(err).toContain('taken back in 60 s') // by itself, for the session would be cut
  expect(await session?.works(500)).toBe(false)
  expect(await typed('changes revert')).toEqual({ code: 0, out: 'Taken back.\n', err: '' })
  expect(await session?.works(15_000)).toBe(true)
})

test.skipIf(!hasAddon)(
  '[CHG-6] blocked incoming connections: over the tunnel by default with a deadline; taken back, and confirmed',
  async () => {
    const session = await throughTunnel()
    const isLetIn = async (withinMs: number): Promise<boolean> => {
      const next = await RemoteSession.open(deskMachine.host, deskIp, serverIp, withinMs)
      await next?.close()
      return next !== undefined
    }
    expect((await typed('set --shields-up', session)).err).toContain('a new one would be refused')
    expect(await isLetIn(700)).toBe(false)
    expect(await typed('changes revert', session)).toEqual({ code: 0, out: 'Taken back.\n', err: '' })
    expect(await isLetIn(10_000)).toBe(true)

    await typed('set --shields-up', session)
    expect(await session.works(5_000)).toBe(true) // proof that the person may go on, and confirm
    expect(await typed('changes confirm', session)).toEqual({ code: 0, out: 'Kept.\n', err: '' })
    expect(await isLetIn(700)).toBe(false)
    expect(await typed('set --shields-up=false --yes', session)).toEqual({ code: 0, out: '', err: '' })
    expect(await isLetIn(10_000)).toBe(true)
  },
)
