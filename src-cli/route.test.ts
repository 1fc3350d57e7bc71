/** `pintail route` against a daemon made of the contract. [docs/rules/cli.md CLI-8] */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RouteExplanation } from '../src-contract/localapi/route-explain.ts'
import type { SubnetRoutes } from '../src-contract/localapi/subnet-routes.ts'
import { runCli } from './cli.ts'
import { FakeDaemon, runningStatus } from './fake-daemon.lab.ts'
import type { Terminal } from './verb.ts'
import { pintail } from './verbs.ts'

let folder: string
let daemon: FakeDaemon
let asked: string[]

const explanation: RouteExplanation = {
  Asked: { To: 'git.corp.example', Kind: 'name', From: '', Uid: 1000, Proto: 'tcp', Port: 22 },
  Names: {
    Name: 'git.corp.example',
    Suffix: 'corp.example',
    Servers: ['10.0.0.53'],
    Why: 'corp.example is in your bypass list: it is not asked through the exit node',
    Losers: [{ Suffix: '', Servers: ['9.9.9.9'], Why: 'They are asked for everything else.' }],
    Addresses: ['10.0.1.100'],
    Problem: '',
  },
  Targets: [
    {
      Address: '10.0.1.100',
      Parts: [],
      MoreParts: 0,
      Verdict: 'other-vpn',
      Sentence: '10.0.1.100 → wt0, because you bypass 10.0.0.0/16.',
      Interface: 'wt0',
      Gateway: '',
      Source: '10.0.77.7',
      Steps: [
        {
          Priority: 0,
          Rule: 'from all lookup local',
          Name: "this machine's own addresses",
          IsOurs: false,
          Table: 'local',
          Prefix: '',
          Kind: '',
          Interface: '',
          Gateway: '',
          Metric: 0,
          Won: false,
          Why: 'Nothing in the local table has it.',
        },
        {
          Priority: 5000,
          Rule: 'from all to 10.0.0.0/16 lookup main',
          Name: 'your bypass list',
          IsOurs: true,
          Table: 'main',
          Prefix: '10.0.0.0/16',
          Kind: 'unicast',
          Interface: 'wt0',
          Gateway: '',
          Metric: 0,
          Won: true,
          Why: '10.0.0.0/16 is the smallest network in the main table that has it.',
        },
      ],
      RulesPassedOver: 3,
      Losers: [
        {
          Kind: 'exit-node',
          Name: 'tahoe\n\u001b[2J',
          Prefix: '0.0.0.0/0',
          Interface: 'pintail0',
          Table: '52',
          Node: 'n5',
          Reason: 'bypassed',
          Why: 'Your bypass list comes first.',
        },
      ],
      Filter: [],
      Conflicts: [],
      Notes: [],
      KernelAgrees: true,
      Kernel: 'dev wt0 table main',
    },
  ],
  Mode: 'kernel',
  IsRunning: true,
  Problems: [],
}

const routes: SubnetRoutes = {
  Routes: [
    { Prefix: '10.9.0.0/16', Via: 'n3', ViaName: 'office', Online: true, InUse: true, Reason: '' },
    { Prefix: '192.168.1.0/24', Via: 'n4', ViaName: 'nas', Online: false, InUse: false, Reason: 'off' },
  ],
  Off: ['192.168.1.0/24', '172.20.0.0/16'],
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-cli-'))
  daemon = new FakeDaemon(join(folder, 'd.sock'))
  daemon.status = runningStatus()
  asked = []
  daemon.answers.set('GET pintail/features', () => [200, { version: 'x', extension: 7, features: ['routes'] }])
  daemon.answers.set('GET pintail/route-explain', (_body, url) => {
    asked.push(url.search)
    return [200, explanation]
  })
  daemon.answers.set('GET pintail/routes', () => [200, routes])
  daemon.answers.set('PATCH pintail/routes', () => [200, routes])
  await daemon.listen()
})
afterEach(async () => {
  daemon.close()
  await rm(folder, { recursive: true, force: true })
})

async function pintailCli(line: string) {
  const seen = { out: '', err: '' }
  const hear = (stream: 'out' | 'err') => (text: string) => {
    seen[stream] += text
  }
  const terminal: Terminal = {
    ...{ out: hear('out'), err: hear('err'), draw: hear('err') },
    env: {},
    uid: 1000,
    platform: 'linux',
    interrupted: new AbortController().signal,
    isInteractive: false,
    now: () => 0,
    sleep: async () => undefined,
    confirm: async () => false,
    readFile: async () => '',
    readInput: async () => '',
    localAddresses: () => [],
    resolveHost: async () => [],
    graceMs: 0,
  }
  const code = await runCli([`--socket=${daemon.socketPath}`, ...line.split(' ')], terminal, pintail)
  return { code, ...seen }
}

test('[CLI-8] explain: the sentence, the way there, who lost, whether the system agrees; foreign names keep to their line', async () => {
  const { code, out } = await pintailCli('route explain --port=22 --user=build git.corp.example')
  expect(code).toBe(0)
  expect(asked).toEqual(['?to=git.corp.example&user=build&port=22'])
  expect(
    out,
  ).toBe(`git.corp.example: asked at 10.0.0.53, because corp.example is in your bypass list: it is not asked through the exit node.
Its addresses: 10.0.1.100
  not by the rule for everything else (9.9.9.9): They are asked for everything else.

10.0.1.100 → wt0, because you bypass 10.0.0.0/16.

  0:     from all lookup local                this machine's own addresses  Nothing in the local table has it.
* 5000:  from all to 10.0.0.0/16 lookup main  your bypass list              10.0.0.0/16 is the smallest network in the main table that has it.

Would have it otherwise:
  exit node tahoe \\u001b[2J (pintail0)  0.0.0.0/0  Your bypass list comes first.

The operating system agrees: dev wt0 table main.
`)
})

test('[CLI-8] explain: a number is a user, too; refusals are the daemon’s words; --json is its object', async () => {
  await pintailCli('route explain --user=1007 --proto=udp --from=10.0.0.2 10.0.0.1')
  expect(asked).toEqual(['?to=10.0.0.1&from=10.0.0.2&uid=1007&proto=udp'])
  expect(JSON.parse((await pintailCli('route explain --json nas')).out)).toEqual(explanation)
  daemon.answers.set('GET pintail/route-explain', () => [400, 'there is no user "x"'])
  expect(await pintailCli('route explain --user=x nas')).toEqual({ code: 1, out: '', err: 'there is no user "x"\n' })
  daemon.answers.set('GET pintail/route-explain', () => [404, 'not found'])
  expect((await pintailCli('route explain nas')).err).toBe('this daemon cannot explain routes; pintaild can\n')
  expect((await pintailCli('route explain nas --json')).err).toContain('flags come before the address')
  expect((await pintailCli('route explain')).err).toContain('pintail route explain 10.0.1.100')
})

test('[CLI-8] list, off and on', async () => {
  expect((await pintailCli('route list')).out).toBe(`NETWORK         ROUTER  IS       STATE
10.9.0.0/16     office  online   used
192.168.1.0/24  nas     offline  off

Off, and offered by nobody at present: 172.20.0.0/16
`)
  expect((await pintailCli('route off 10.9.0.0/16')).code).toBe(0)
  expect(daemon.bodies.get('PATCH pintail/routes')).toEqual({ Off: ['10.9.0.0/16'] })
  await pintailCli('route on 10.9.0.0/16 192.168.1.0/24')
  expect(daemon.bodies.get('PATCH pintail/routes')).toEqual({ On: ['10.9.0.0/16', '192.168.1.0/24'] })
  daemon.answers.set('PATCH pintail/routes', () => [400, '"x" is not a network'])
  expect((await pintailCli('route off x')).err).toBe('"x" is not a network\n')
  expect((await pintailCli('route off')).err).toBe('name a network: pintail route off 192.168.1.0/24\n')
})
