import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { addonMissing } from '../../../src-native/os-calls.ts'
import { createLog } from '../log/log.ts'
import { readSocketCredentials } from '../users/socket-credentials.ts'
import { rootHelperClient } from './client.ts'
import { directRootHelper } from './direct.ts'
import type { RootHelper } from './port.ts'
import { openRootHelperServer, type RootHelperServer } from './server.ts'

const ownUid = process.getuid?.() ?? 0
const original = 'nameserver 192.0.2.53\n'
const settings = { nameservers: ['100.100.100.100'] as never[], searchDomains: ['tail.example'] }

let folder: string
let socketPath: string
let log: string
let server: RootHelperServer | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pt-root-'))
  socketPath = join(folder, 'helper.sock')
  writeFileSync(join(folder, 'resolv.conf'), original)
  log = ''
})
afterEach(async () => {
  await server?.close()
  server = undefined
  rmSync(folder, { recursive: true })
})

async function open(options: { uid?: number; helper?: RootHelper; requestLimitMs?: number } = {}): Promise<RootHelper> {
  const { uid = ownUid, helper = directRootHelper({ folder, programFolders: [folder] }), ...rest } = options
  server = await openRootHelperServer({
    listen: { path: socketPath },
    allowedUid: uid,
    credentialsOf: readSocketCredentials,
    helper,
    log: createLog({ level: 'info', write: (line) => (log += line), wallClockMs: () => 0 }),
    ...rest,
  })
  return rootHelperClient(socketPath)
}

/** Raw bytes there; everything that comes back. */
function say(bytes: string | Buffer, isEnded = false): Promise<string> {
  return new Promise((resolve) => {
    let heard = ''
    const socket = connect(socketPath)
    socket.on('data', (chunk) => (heard += chunk.toString()))
    socket.on('error', () => {}) // hung up on while we still talk: `close` follows
    socket.once('close', () => resolve(heard))
    if (isEnded) socket.end(bytes)
    else socket.write(bytes)
  })
}

const events = (): unknown[] =>
  log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string })

describe.skipIf(addonMissing() !== undefined)('[PV-2] the helper', () => {
  test('writes and restores for its daemon, and tells the log', async () => {
    const root = await open()
    expect(await root.run({ verb: 'write-resolv-conf', ...settings })).toEqual({ kind: 'done' })
    expect(readFileSync(join(folder, 'resolv.conf'), 'utf8')).toContain(
      '\nnameserver 100.100.100.100\nsearch tail.example\n',
    )
    expect(await root.run({ verb: 'restore-resolv-conf' })).toEqual({ kind: 'done' })
    expect(readFileSync(join(folder, 'resolv.conf'), 'utf8')).toBe(original)
    expect(readdirSync(folder).sort()).toEqual(['helper.sock', 'resolv.conf'])
    expect(events()).toMatchObject([
      {
        event: 'command',
        verb: 'write-resolv-conf',
        nameservers: ['100.100.100.100'],
        result: 'done',
        pid: process.pid,
      },
      { event: 'command', verb: 'restore-resolv-conf', result: 'done' },
    ])
  })

  test('another user is hung up on before a word is read', async () => {
    const root = await open({ uid: ownUid + 1 })
    const result = await root.run({ verb: 'write-resolv-conf', ...settings })
    expect(result.kind).toBe('failed')
    expect(readFileSync(join(folder, 'resolv.conf'), 'utf8')).toBe(original)
    expect(events()).toMatchObject([{ event: 'refused-caller', uid: ownUid }])
  })

  test.each([
    ['unknown-verb', '{"verb":"run","program":"/bin/sh"}\n'],
    ['unknown-member', '{"verb":"restore-resolv-conf","folder":"/root"}\n'],
    ['search-domain', '{"verb":"write-resolv-conf","nameservers":[],"searchDomains":["../x"]}\n'],
    ['too-long', `${'x'.repeat(20_000)}\n`],
    ['trailing', '{"verb":"restore-resolv-conf"}\n{"verb":"restore-resolv-conf"}\n'],
    ['not-json', Buffer.from([0xff, 0x00, 0x0a])],
  ])('%s is refused, and nothing is touched', async (reason, bytes) => {
    await open()
    const heard = await say(bytes)
    if (heard !== '') expect(JSON.parse(heard)).toEqual({ kind: 'refused', message: `refused: ${reason}` })
    expect(events()).toMatchObject([{ event: 'refused-request', reason }])
    expect(readdirSync(folder).sort()).toEqual(['helper.sock', 'resolv.conf'])
    expect(readFileSync(join(folder, 'resolv.conf'), 'utf8')).toBe(original)
  })

  test('half a request is not waited for', async () => {
    await open({ requestLimitMs: 50 })
    expect(JSON.parse(await say('{"verb":'))).toEqual({ kind: 'refused', message: 'refused: too-slow' })
    expect(JSON.parse(await say('{"verb":', true))).toEqual({ kind: 'refused', message: 'refused: cut' })
  })

  test('whoever fills the table of connections keeps nobody out for long', async () => {
    const root = await open({ requestLimitMs: 200 })
    const idle = Array.from({ length: 20 }, () => say(''))
    await Promise.all(idle)
    expect(await root.run({ verb: 'restore-resolv-conf' })).toEqual({ kind: 'done' })
    expect(events()).toContainEqual(expect.objectContaining({ event: 'refused-caller', open: 8 }))
  })

  test('one command at a time, in order', async () => {
    let running = 0
    let most = 0
    const order: string[] = []
    const slow: RootHelper = {
      async run({ verb }) {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        order.push(verb)
        running--
        if (order.length === 1) throw new Error('a first one that fails')
        return { kind: 'done' }
      },
    }
    const root = await open({ helper: slow })
    const results = await Promise.all([
      root.run({ verb: 'restore-resolv-conf' }),
      root.run({ verb: 'delete-resolvconf-record' }),
      root.run({ verb: 'restore-resolv-conf' }),
    ])
    expect(results.map(({ kind }) => kind).sort()).toEqual(['done', 'done', 'failed'])
    expect([most, order.length]).toEqual([1, 3])
  })

  test('what cannot be done is said, in a sentence', async () => {
    const root = await open()
    expect(await root.run({ verb: 'add-resolvconf-record', ...settings })).toEqual({
      kind: 'failed',
      message: 'resolvconf is not installed',
    })
  })
})

test('[PV-2] nobody there: the daemon hears so and goes on', async () => {
  const result = await rootHelperClient(socketPath).run({ verb: 'restore-resolv-conf' })
  expect(result).toMatchObject({ kind: 'unreachable', message: expect.stringContaining('needs root') })
})

test('[PV-2] a helper that never answers is not waited for', async () => {
  const silent: RootHelper = { run: () => new Promise(() => {}) }
  await open({ helper: silent })
  const result = await rootHelperClient(socketPath, 100).run({ verb: 'restore-resolv-conf' })
  expect(result).toMatchObject({ kind: 'failed' })
})
