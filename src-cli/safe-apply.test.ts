/** [docs/rules/cli.md CLI-7] against a daemon made of the contract; with the real one: `lab/safe-apply.lab.test.ts`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AppliedChange, ChangePreview, ChangesReport } from '../src-contract/localapi/changes.ts'
import { runCli } from './cli.ts'
import { FakeDaemon, runningStatus } from './fake-daemon.lab.ts'
import type { Terminal } from './verb.ts'
import { pintail } from './verbs.ts'

let folder: string
let daemon: FakeDaemon
let preview: ChangePreview
let report: ChangesReport

const unchanged = { Added: [], Removed: [] }
const firewall = { Mode: 'on', ShieldsUp: false, Snat: true, Stateful: false } as const
const exit = (ID: string, Name: string) => ({ ID, Name, Blocked: false })

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-cli-'))
  daemon = new FakeDaemon(join(folder, 'd.sock'))
  daemon.status = runningStatus()
  preview = {
    Diff: {
      Settings: [{ Name: 'ExitNodeID', Before: '', After: 'n2' }],
      Bypass: { Added: ['*.corp.example'], Removed: [] },
      RoutesOff: unchanged,
      Connected: { Before: true, After: true },
      Addresses: unchanged,
      Routes: { Added: [{ Prefix: '0.0.0.0/0', Way: 'exit-node', Via: 'n2', ViaName: 'nas' }], Removed: [] },
      Rules: unchanged,
      Dns: {
        Servers: unchanged,
        Search: unchanged,
        Split: { Added: [], Removed: [{ Suffix: 'corp.example', Servers: ['10.0.0.53'] }] },
      },
      ExitNode: { Before: exit('', ''), After: exit('n2', 'nas') },
      Firewall: { Before: firewall, After: { ...firewall, ShieldsUp: true } },
      Forwarded: unchanged,
    },
    Warnings: [{ Code: 'session-cut', Text: 'This session would be cut.', Fix: [] }],
    SessionWay: 'tunnel',
  }
  report = { Pending: null, Last: null }
  const finish = (Outcome: 'confirmed' | 'reverted') => (): [number, unknown] => {
    report = { Pending: null, Last: { Id: 'a1', Outcome, At: '2026-03-01T12:00:05Z', Left: [], Reason: '' } }
    return [200, report]
  }
  daemon.answers.set('GET pintail/features', () => [
    200,
    { version: 'x', extension: 6, features: ['changes', 'bypass'] },
  ])
  daemon.answers.set('POST pintail/changes/preview', () => [200, preview])
  daemon.answers.set('POST pintail/changes', () => {
    const Deadline = '2026-03-01T12:01:00Z'
    report = { Pending: { Id: 'a1', Deadline, SecondsLeft: 60, What: ['exit node'] }, Last: null }
    return [200, { ...preview, Id: 'a1', Deadline } satisfies AppliedChange]
  })
  daemon.answers.set('GET pintail/changes', () => [200, report])
  daemon.answers.set('POST pintail/changes/confirm', finish('confirmed'))
  daemon.answers.set('POST pintail/changes/revert', finish('reverted'))
  await daemon.listen()
})
afterEach(async () => {
  daemon.close()
  await rm(folder, { recursive: true, force: true })
})

async function pintailCli(line: string, more: Partial<Terminal> = {}) {
  const seen = { out: '', err: '' }
  const hear = (stream: 'out' | 'err') => (text: string) => {
    seen[stream] += text
  }
  const terminal: Terminal = {
    ...{ out: hear('out'), err: hear('err'), draw: hear('err') },
    ...{ env: {}, uid: 0, platform: 'linux', interrupted: new AbortController().signal },
    ...{ now: () => 0, sleep: () => new Promise((resolve) => setImmediate(resolve)), graceMs: 0 },
    ...{ isInteractive: false, confirm: async () => false },
    readFile: async (path) => {
      throw new Error(`no ${path}`)
    },
    ...{ readInput: async () => '', localAddresses: () => [], resolveHost: async () => [] },
    ...more,
  }
  const code = await runCli([`--socket=${daemon.socketPath}`, ...line.split(' ')], terminal, pintail)
  return { code, ...seen }
}

const SSH = { env: { SSH_CONNECTION: '100.64.0.7 51514 100.64.0.1 22' } }
const changed = (): unknown => daemon.bodies.get('POST pintail/changes')
const orders = (): string[] =>
  daemon.asked.filter((what) => /^(POST|PATCH|PUT)/.test(what) && !what.endsWith('check-prefs'))

test('[CLI-7] the same exit node, and no longer by itself, is a change that is shown', async () => {
  const Settings = [{ Name: 'AutoExitNode' as const, Before: 'any', After: '' }]
  const same = { Before: exit('n2', 'nas'), After: exit('n2', 'nas') }
  const Diff = { ...preview.Diff, Settings, ExitNode: same, Firewall: { Before: firewall, After: firewall } }
  preview = {
    ...preview,
    Diff: { ...Diff, Bypass: unchanged, Routes: unchanged, Dns: { ...Diff.Dns, Split: unchanged } },
  }
  preview = { ...preview, Warnings: [] }
  expect((await pintailCli('set --exit-node=nas --dry-run')).out).toBe('exit node: nas (auto:any) → nas\n')
})

describe('[CLI-7] the deadline', () => {
  test('over SSH through the network it is the default, and says what to type', async () => {
    const { code, err } = await pintailCli('set --shields-up', SSH)
    expect([code, err]).toEqual([0, expect.stringContaining('it is taken back in 60 s')])
    expect(err).toContain('pintail changes confirm')
    expect(changed()).toEqual({
      Prefs: { ShieldsUp: true, ShieldsUpSet: true },
      Session: { Client: '100.64.0.7:51514', Server: '100.64.0.1:22' },
      ConfirmWithinSeconds: 60,
    })
    expect(daemon.prefs.ShieldsUp).toBe(false) // it is the daemon's to do
  })

  test.each([
    ['over SSH that goes past the network and is not touched', 'set --shields-up', SSH],
    ['without SSH', 'set --shields-up', {}],
    ['with --yes', 'set --shields-up --yes', SSH],
    ['with the risk accepted', 'set --shields-up --accept-risk=lose-ssh', SSH],
    ['for what is no change of the network', 'set --hostname=x', SSH],
  ])('%s there is none', async (name, line, more) => {
    if (name.includes('past')) preview = { ...preview, SessionWay: 'outside', Warnings: [] }
    expect(await pintailCli(line, more)).toEqual({ code: 0, out: '', err: '' })
    expect([orders().at(-1), changed()]).toEqual(['PATCH prefs', undefined])
  })

  test('SSH past the network that would be cut has it', async () => {
    preview = { ...preview, SessionWay: 'outside' }
    await pintailCli('set --shields-up', { env: { SSH_CONNECTION: '2001:db8::9 1024 2001:db8::1 22' } })
    expect(changed()).toMatchObject({ Session: { Client: '[2001:db8::9]:1024', Server: '[2001:db8::1]:22' } })
  })

  test('behind sudo the shells above know of SSH', async () => {
    const files: Record<string, string> = {
      '/proc/self/stat': '90 (node) S 80 90 80',
      '/proc/80/environ': 'A=1\0SUDO_UID=1000\0',
      '/proc/80/stat': '80 (sudo) (S 1) S 70 80 80',
      '/proc/70/environ': 'B=2\0SSH_CONNECTION=100.64.0.7 51514 100.64.0.1 22\0',
    }
    await pintailCli('set --shields-up', { readFile: async (path) => files[path] ?? Promise.reject(new Error(path)) })
    expect(changed()).toMatchObject({ Session: { Client: '100.64.0.7:51514' } })
  })

  test.each([
    '',
    'x y z w',
    '100.64.0.7 0 100.64.0.1 22',
    '100.64.0.7 99999 100.64.0.1 22',
    'fe80::1%eth0 1 fe80::2%eth0 22',
  ])('a variable of "%s" is no session', async (SSH_CONNECTION) => {
    await pintailCli('set --shields-up', { env: { SSH_CONNECTION } })
    expect(changed()).toBeUndefined()
  })

  test('a daemon that has no such thing gets the plain change', async () => {
    daemon.answers.delete('GET pintail/features')
    expect((await pintailCli('set --shields-up', SSH)).code).toBe(0)
    expect(daemon.prefs.ShieldsUp).toBe(true)
    const { code, err } = await pintailCli('set --shields-up --confirm-within=5s')
    expect([code, err]).toEqual([1, 'this daemon cannot show or take back changes; pintaild can\n'])
  })

  test.each(['0s', '999ms', '61m', '-5s'])('of %s is refused', async (time) => {
    expect((await pintailCli(`set --shields-up --confirm-within=${time}`)).err).toContain('between 1s and 1h')
    expect(orders()).toEqual([])
  })

  test('down: asked first as ever; with a deadline or the risk accepted, not', async () => {
    expect((await pintailCli('down', SSH)).err).toBe('aborted, no changes made\n')
    expect(daemon.asked).toEqual([])
    await pintailCli('down', { ...SSH, confirm: async () => true })
    expect(changed()).toMatchObject({ Prefs: { WantRunning: false }, ConfirmWithinSeconds: 60 })
    daemon.bodies.clear()
    await pintailCli('down --confirm-within=2s', SSH)
    expect(changed()).toMatchObject({ ConfirmWithinSeconds: 2 })
    daemon.bodies.clear()
    expect((await pintailCli('down --accept-risk=lose-ssh', SSH)).code).toBe(0)
    expect([changed(), daemon.prefs.WantRunning]).toEqual([undefined, false])
  })

  test('bypass and preferences go as one change; up has it, too', async () => {
    await pintailCli('set --exit-node-bypass=10.0.0.0/16 --accept-routes --confirm-within=5s')
    expect(changed()).toMatchObject({ Prefs: { RouteAll: true }, Bypass: { Prefixes: ['10.0.0.0/16'] } })
    daemon.prefs = { ...daemon.prefs, Config: { UserProfile: { LoginName: 'ann@' } } as never }
    await pintailCli('up --confirm-within=5s')
    expect(changed()).toMatchObject({ Prefs: { WantRunning: true, WantRunningSet: true }, ConfirmWithinSeconds: 5 })
  })

  test('while another change waits: words', async () => {
    daemon.answers.set('POST pintail/changes', () => [409, 'another change waits for its confirmation until noon\n'])
    const { code, err } = await pintailCli('set --shields-up --confirm-within=5s')
    expect([code, err]).toEqual([1, expect.stringContaining('pintail changes confirm')])
  })
})

describe('[CLI-7] a person at the terminal', () => {
  const atTerminal = (confirm: Terminal['confirm']): Partial<Terminal> => ({ isInteractive: true, confirm })

  test('is asked: yes keeps, no takes back', async () => {
    const yes = await pintailCli(
      'set --shields-up --confirm-within=5s',
      atTerminal(async () => true),
    )
    expect([yes.code, yes.err]).toEqual([0, expect.stringMatching(/Kept\.\n$/)])
    const no = await pintailCli(
      'set --shields-up --confirm-within=5s',
      atTerminal(async () => false),
    )
    expect([no.code, no.err]).toEqual([1, expect.stringMatching(/Taken back\.\n$/)])
    expect(orders().filter((what) => /confirm|revert/.test(what))).toEqual([
      'POST pintail/changes/confirm',
      'POST pintail/changes/revert',
    ])
  })

  test('says nothing in time: nothing is sent, and what became of it is told', async () => {
    const silent: Terminal['confirm'] = (_question, signal) =>
      new Promise((resolve) =>
        signal?.addEventListener('abort', () => {
          report = { Pending: null, Last: { Id: 'a1', Outcome: 'expired', At: '', Left: ['DNS'], Reason: '' } }
          resolve(false)
        }),
      )
    const { code, err } = await pintailCli('set --shields-up --confirm-within=1s', atTerminal(silent))
    expect([code, err]).toEqual([1, expect.stringMatching(/taken back\. Changed by somebody else since.*DNS\.\n$/)])
    expect(orders()).toEqual(['POST pintail/changes'])
  })

  test('answers too late: what became of it is told', async () => {
    daemon.answers.set('POST pintail/changes/confirm', () => {
      report = { Pending: null, Last: { Id: 'a1', Outcome: 'expired', At: '', Left: [], Reason: '' } }
      return [409, 'it is too late\n']
    })
    const { code, err } = await pintailCli(
      'set --shields-up --confirm-within=5s',
      atTerminal(async () => true),
    )
    expect([code, err]).toEqual([1, expect.stringMatching(/Nobody confirmed it in time: taken back\.\n$/)])
  })
})

describe('[CLI-7] looking', () => {
  test('--dry-run shows it and does nothing', async () => {
    expect(await pintailCli('set --exit-node= --dry-run')).toEqual({
      code: 0,
      err: '',
      out: `exit node: none → nas
incoming connections: allowed → blocked
+ bypass *.corp.example
+ route 0.0.0.0/0 through nas
- names below corp.example asked at 10.0.0.53
Warning: This session would be cut.
`,
    })
    expect(orders()).toEqual(['POST pintail/changes/preview'])
    const { out } = await pintailCli('down --dry-run --json')
    expect(JSON.parse(out)).toEqual(preview)
  })

  test('pintail changes, confirm, revert', async () => {
    expect(await pintailCli('changes')).toMatchObject({ code: 0, out: 'No change waits for its confirmation.\n' })
    expect(await pintailCli('changes confirm')).toMatchObject({
      code: 1,
      err: 'no change waits for its confirmation\n',
    })
    await pintailCli('set --shields-up --confirm-within=5s')
    expect((await pintailCli('changes status')).out).toMatch(/^Waits for confirmation: exit node. Taken back in 60 s/)
    expect(JSON.parse((await pintailCli('changes --json')).out)).toEqual(report)
    expect(await pintailCli('changes revert')).toEqual({ code: 0, out: 'Taken back.\n', err: '' })
    await pintailCli('set --shields-up --confirm-within=5s')
    expect(await pintailCli('changes confirm')).toEqual({ code: 0, out: 'Kept.\n', err: '' })
    expect(daemon.bodies.get('POST pintail/changes/confirm')).toEqual({ Id: 'a1' })
  })
})
