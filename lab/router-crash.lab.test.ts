/** A real daemon, killed: what it leaves of the host's network, and who takes it back. [docs/rules/router.md] */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon } from './daemon.ts'
import { eventually } from './eventually.ts'
import { Internet, type PublicHost } from './internet.ts'

const folder = mkdtempSync(join(tmpdir(), 'pt-'))
let internet: Internet
let control: ControlServer
let machine: PublicHost
let daemon: Daemon
let before = ''

async function snapshot(): Promise<string> {
  const commands = [
    'ip -o address',
    'ip -d rule',
    'ip -d -6 rule',
    'ip -d route show table all',
    'nft list ruleset',
    'cat /proc/sys/net/ipv4/conf/all/src_valid_mark',
  ]
  const text = await machine.host.must('sh', ['-c', commands.join('; ')])
  // What the kernel makes of each link by itself comes when it has found nobody else with that address.
  return text.replace(/^.*fe80:.*\n/gm, '')
}
async function cleanUp(): Promise<number> {
  const script = join(import.meta.dirname, '..', 'bin', 'pintaild.mjs')
  const flags = ['--cleanup', `--statedir=${join(daemon.folder, 'state')}`, '--tun=pintail0']
  const { code } = await machine.host.run('unshare', ['-m', process.execPath, script, ...flags])
  return code
}
const isReachable = async (address: string): Promise<boolean> =>
  (await machine.host.run('ip', ['route', 'get', address])).code === 0

beforeAll(async () => {
  internet = await Internet.create()
  control = await ControlServer.start(await internet.publicHost('control'))
  machine = await internet.publicHost('killed')
  before = await snapshot()
  daemon = await Daemon.start(machine.host, { kind: 'ours', folder: join(folder, 'd') })
  await daemon.join(control.url, await control.createKey(), { Hostname: 'killed', CorpDNS: true, NetfilterMode: 2 })
  await installed()
})
afterAll(async () => {
  await daemon?.stop()
  await control?.stop()
  await internet?.close()
  rmSync(folder, { recursive: true, force: true })
})

async function installed(): Promise<void> {
  await eventually(
    'rules and chains are there',
    async () => {
      const text = await snapshot()
      return text.includes('lookup 52') && text.includes('ts-input') ? true : undefined
    },
    { withinMs: 20_000 },
  )
}

test('[RT-8] [U24] ended, everything is as it was found', async () => {
  await daemon.stop()
  expect(await snapshot()).toBe(before)
  await daemon.start()
  await installed()
})

test('[RT-8] [F14] killed, --cleanup takes everything back; while it runs, it refuses', async () => {
  expect(await cleanUp()).toBe(1)
  await installed()
  await daemon.kill()
  expect(await snapshot()).not.toBe(before)
  expect(await cleanUp()).toBe(0)
  expect(await snapshot()).toBe(before)
  await daemon.start()
  await installed()
})

test('[RT-7] killed with an exit node, the host stays closed until somebody says otherwise', async () => {
  await daemon.client.editPrefs({ ExitNodeIP: '100.64.99.99', ExitNodeIPSet: true })
  await eventually(
    'the exit node is in use',
    async () => ((await snapshot()).includes('unreachable default') ? true : undefined),
    { withinMs: 10_000 },
  )
  await daemon.kill()
  await control.stop()
  expect(await isReachable('198.51.100.1')).toBe(false)
  await daemon.start() // it cannot learn what the network wants
  expect(await isReachable('198.51.100.1')).toBe(false)
  await daemon.client.editPrefs({ WantRunning: false, WantRunningSet: true })
  await eventually('it is open again', async () => ((await isReachable('198.51.100.1')) ? true : undefined), {
    withinMs: 10_000,
  })
  await daemon.stop()
  expect(await snapshot()).toBe(before)
})
