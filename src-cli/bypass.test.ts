/** `pintail bypass`, word by word, against a daemon that keeps what it is told. [docs/rules/bypass.md BYP-1] */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type BypassSetting, emptyBypass } from '../src-contract/localapi/bypass.ts'
import { runCli } from './cli.ts'
import { FakeDaemon, runningStatus } from './fake-daemon.lab.ts'
import { pintail } from './verbs.ts'

let folder: string
let daemon: FakeDaemon
let setting: BypassSetting

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-bypass-'))
  daemon = new FakeDaemon(join(folder, 'd.sock'))
  daemon.status = runningStatus()
  setting = emptyBypass
  const report = (): [number, unknown] => [200, { Setting: setting, InEffect: [], Missing: [] }]
  daemon.answers.set('GET pintail/features', () => [200, { version: 'x', extension: 6, features: ['bypass'] }])
  daemon.answers.set('GET pintail/bypass', report)
  daemon.answers.set('PUT pintail/bypass', (body) => {
    setting = body as BypassSetting
    return report()
  })
  await daemon.listen()
})
afterEach(async () => {
  daemon.close()
  await rm(folder, { recursive: true, force: true })
})

async function bypass(line: string) {
  const seen = { out: '', err: '' }
  const code = await runCli(
    [`--socket=${daemon.socketPath}`, 'bypass', ...line.split(' ')],
    {
      out: (text) => {
        seen.out += text
      },
      err: (text) => {
        seen.err += text
      },
      ...{ draw: () => {}, env: {}, uid: 0, platform: 'linux', interrupted: new AbortController().signal },
      ...{ now: () => 0, sleep: async () => {}, graceMs: 0, isInteractive: false, confirm: async () => false },
      readFile: async (path) => {
        throw new Error(`no ${path}`)
      },
      ...{ readInput: async () => '', localAddresses: () => [], resolveHost: async () => [] },
    },
    pintail,
  )
  return { code, ...seen }
}

test('entries come and go in whichever form they are written', async () => {
  const all = 'Past the exit node: 10.0.0.0/16,192.0.2.1/32,*.corp.example,interface:wt0\n'
  expect(await bypass('add 10.0.7.7/16 192.0.2.1 *.Corp.example. interface:wt0')).toEqual({
    code: 0,
    out: all,
    err: '',
  })
  expect((await bypass('add *.corp.example,user:ann')).out).toContain('*.corp.example')
  expect(setting).toMatchObject({
    Prefixes: ['10.0.0.0/16', '192.0.2.1/32'],
    Suffixes: ['corp.example', 'corp.example'],
  })
  setting = { ...setting, Suffixes: ['corp.example'] } // as the daemon does
  expect((await bypass('remove 192.0.2.1 user:ann')).out).toBe(
    'Past the exit node: 10.0.0.0/16,*.corp.example,interface:wt0\n',
  )
  expect((await bypass('remove 10.0.0.0/16 *.corp.example')).out).toBe('Past the exit node: interface:wt0\n')
  expect((await bypass('remove interface:wt0')).out).toBe('Everything takes the exit node, when there is one.\n')
})

test.each([
  ['add', 'name an entry: pintail bypass add 10.0.0.0/16'],
  ['remove 10.9.0.0/16 wt0', 'not in the bypass: 10.9.0.0/16, *.wt0; "pintail bypass list" shows what is'],
  ['add iface:wt0', 'bypass: "iface:wt0" is none of NETWORK, *.DOMAIN, interface:NAME, user:NAME, cgroup:PATH'],
])('%s says what to do', async (line, words) => {
  expect(await bypass(line)).toEqual({ code: 1, out: '', err: `${words}\n` })
  expect(setting).toBe(emptyBypass)
})
