import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LocalClient } from '../src-client/local-client.ts'
import { noExit } from '../src-contract/app/exit.ts'
import type { Node } from '../src-contract/control/map.ts'
import { emptyMirror, type Mirror } from '../src-contract/localapi/mirror.ts'
import { defaultPrefs } from '../src-contract/localapi/prefs.ts'
import { callInputs } from './bridge-inputs.ts'
import { checkExit, chooseExit, chooseNode, setTakesOver } from './exit-commands.ts'

let folder: string
let server: Server
let client: LocalClient
/** What each path answers; requests are noted. */
let answers: Record<string, { status?: number; body: unknown } | 'silence'>
let asked: string[]

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pt-exit-'))
  answers = { prefs: { body: defaultPrefs() } }
  asked = []
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x')
    const name = url.pathname.replace('/localapi/v0/', '')
    let body = ''
    request.on('data', (part) => {
      body += String(part)
    })
    request.on('end', () => {
      asked.push(`${request.method} ${name}${url.search} ${body}`.trim())
      const answer = answers[name]
      if (answer === 'silence') return
      response.writeHead(answer?.status ?? (answer === undefined ? 404 : 200), { 'Content-Type': 'application/json' })
      response.end(answer === undefined ? 'no' : JSON.stringify(answer.body))
    })
  })
  const socketPath = join(folder, 's')
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  client = new LocalClient({ socketPath })
})

afterEach(async () => {
  client.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true, force: true })
})

const on = { ...noExit, now: { kind: 'on', id: 'n2', name: 'nas' } } as const

describe('choosing', () => {
  test('a node: its id, no address left from before, and no automatic', async () => {
    await chooseExit(client, { kind: 'node', id: 'n2' }, { state: noExit, isOurs: true })
    expect(asked).toEqual([
      'PATCH prefs {"ExitNodeID":"n2","ExitNodeIDSet":true,"ExitNodeIP":"","ExitNodeIPSet":true,"AutoExitNode":"","AutoExitNodeSet":true}',
    ])
  })

  test('the wish that another takes over stays, where the daemon leaves a chosen one alone', async () => {
    const state = { ...on, takesOver: true }
    await chooseExit(client, { kind: 'node', id: 'n3' }, { state, isOurs: true })
    await chooseExit(client, { kind: 'node', id: 'n3' }, { state, isOurs: false })
    expect(asked.map((text) => /"AutoExitNode":"(\w*)"/.exec(text)?.[1])).toEqual(['any', ''])
  })

  test('off is remembered by the daemon; last is what it was; nothing before is an error', async () => {
    answers['set-use-exit-node-enabled'] = { body: defaultPrefs() }
    await chooseExit(client, { kind: 'off' }, { state: on, isOurs: true })
    expect(asked).toEqual(['POST set-use-exit-node-enabled?enabled=false'])
    await chooseExit(client, { kind: 'last' }, { state: { ...noExit, last: { kind: 'auto' } }, isOurs: true })
    expect(asked[1]).toContain('"ExitNodeID":"auto:any"')
    await expect(chooseExit(client, { kind: 'last' }, { state: noExit, isOurs: true })).rejects.toMatchObject({
      problem: { code: 'not-found' },
    })
    expect(chooseNode('auto:any', false).AutoExitNode).toBe('any')
  })

  test('the automatic is not taken from a choice that has nobody else: everything would leave uncovered', async () => {
    const nobody = {
      ...noExit,
      takesOver: true,
      now: { kind: 'blocked', id: '', name: '', why: 'none-found' },
    } as const
    await expect(setTakesOver(client, false, nobody)).rejects.toMatchObject({ problem: { code: 'not-allowed' } })
    expect(asked).toEqual([])
  })
})

describe('what is known afterwards', () => {
  const peer = {
    ID: 2,
    StableID: 'n2',
    Name: 'nas.net.',
    Addresses: ['100.64.0.2/32'],
    Online: true,
  } as unknown as Node
  beforeEach(() => {
    answers.prefs = { body: { ...defaultPrefs(), ExitNodeID: 'n2' } }
  })
  /** The bus has not told of the choice yet. */
  const mirror = (part: Partial<Node> = {}): Mirror => ({
    ...emptyMirror(),
    prefs: defaultPrefs(),
    peers: new Map([['2', { ...peer, AllowedIPs: ['0.0.0.0/0', '::/0'], ...part }]]),
  })
  const names = (rcode: number) => ({
    body: { Bytes: Buffer.from([0, 0, 0x81, 0x80 | rcode, 0, 1, 0, 0, 0, 0, 0, 0]).toString('base64'), Resolvers: [] },
  })

  test('the node and the names answer', async () => {
    answers.ping = { body: { LatencySeconds: 0.012 } }
    answers['dns-query'] = names(0)
    expect(await checkExit(client, () => mirror())).toEqual({
      node: { kind: 'answered', latencyMs: 12 },
      names: { kind: 'answered' },
      health: [],
    })
    expect(asked).toContain('GET dns-query?name=.&type=NS')
  })

  test('the node says no three times, the name servers fail, the daemon knows why', async () => {
    answers.ping = { body: { Err: 'no way there\u202e' } }
    answers['dns-query'] = names(2)
    const row = {
      WarnableCode: 'exit-node-unavailable',
      Severity: 'medium',
      Title: 'Exit node cannot be used',
      Text: '',
    }
    const health = new Map([['exit-node-unavailable', row]]) as unknown as Mirror['health']
    expect(await checkExit(client, () => ({ ...mirror(), health }))).toEqual({
      node: { kind: 'silent', message: 'no way there' },
      names: { kind: 'silent', message: '' },
      health: ['Exit node cannot be used'],
    })
    expect(asked.filter((text) => text.includes('ping'))).toHaveLength(3)
  })

  test('who takes no pings is not asked; who may not ask for names does not know; nonsense is no answer', async () => {
    answers['dns-query'] = { status: 403, body: 'access denied' }
    expect(await checkExit(client, () => mirror({ IsWireGuardOnly: true }))).toMatchObject({
      node: { kind: 'not-asked' },
      names: { kind: 'not-asked' },
    })
    answers['dns-query'] = { body: { Bytes: 7 } }
    answers.ping = { body: { LatencySeconds: 0.001 } }
    expect((await checkExit(client, () => mirror())).names).toEqual({ kind: 'silent', message: '' })
  })
})

test.each([
  [{ choice: { kind: 'node' } }],
  [{ choice: { kind: 'node', id: '' } }],
  [{ choice: { kind: 'node', id: 'x'.repeat(200) } }],
  [{ choice: { kind: 'off', id: 'n2' } }],
  [{ choice: { kind: 'everything' } }],
  [{ choice: { kind: 'auto' }, more: 1 }],
  [null],
])('the bridge refuses %j', (input) => {
  expect(callInputs['exit.use'].safeParse(input).success).toBe(false)
})
