/** Real files in a real spool; the test plays devices that come and go. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { FileTarget } from '../../../src-contract/localapi/files.ts'
import { silentLog } from '../../io/log/log.ts'
import type { PeerSendResult } from '../../io/taildrop/peer-client.ts'
import { Spool } from '../../io/taildrop/spool.ts'
import type { Outgoing } from './outbox.ts'
import { SendQueue } from './queue.ts'

const DAY = 24 * 3_600_000
const OK: PeerSendResult = { kind: 'answered', status: 200, text: '{}', resumedAt: 0 }
const NONE: PeerSendResult = { kind: 'unreachable', reason: 'no answer in time' }

let root: string
let nowMs: number
let online: Set<string>
let answers: PeerSendResult[]
let sent: string[]
let queues: SendQueue[]
let ids: number
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pintail-queue-'))
  nowMs = Date.parse('2026-03-01T12:00:00Z')
  online = new Set()
  answers = []
  sent = []
  queues = []
  ids = 0
})
afterEach(() => {
  for (const queue of queues) queue.close()
  rmSync(root, { recursive: true, force: true })
})

async function open(owner = 'ada', send?: (outgoing: Outgoing) => Promise<PeerSendResult>): Promise<SendQueue> {
  const queue = new SendQueue({
    spool: new Spool(join(root, 'outgoing'), silentLog),
    findTarget: (peer) => ({ target: { Node: { StableID: peer } } as FileTarget, isOnline: online.has(peer) }),
    send:
      send ??
      (async ({ target, name, length, body }) => {
        let text = ''
        for await (const chunk of body) text += Buffer.from(chunk).toString()
        sent.push(`${target.Node.StableID} ${name} ${length} ${text}`)
        return answers.shift() ?? OK
      }),
    newId: () => String(++ids).padStart(30, '0'),
    wallMs: () => nowMs,
    log: silentLog,
  })
  queues.push(queue)
  queue.follow(owner)
  return queue
}
async function* bytes(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text)
}
const add = (queue: SendQueue, name: string, peer = 'n2', length: number | undefined = name.length) =>
  queue.add({ peer, name, body: Readable.from(bytes(name)), length })
const onDisk = () => readdirSync(join(root, 'outgoing')).length
const until = (isTrue: () => boolean) => vi.waitUntil(isTrue, { timeout: 10_000, interval: 5 })

test('[TD-9] waits for the device, goes when it appears, and leaves nothing behind', async () => {
  const queue = await open()
  expect(await add(queue, 'slides')).toEqual({ kind: 'queued', id: '1'.padStart(30, '0') })
  expect(queue.list).toEqual([
    {
      ...{ ID: '1'.padStart(30, '0'), PeerID: 'n2', Name: 'slides', Size: 6, State: 'waiting', Attempts: 0 },
      ...{ Created: '2026-03-01T12:00:00.000Z', Expires: '2026-03-08T12:00:00.000Z' },
    },
  ])
  online.add('n2')
  queue.follow('ada')
  await until(() => onDisk() === 0)
  expect([sent, queue.list]).toEqual([['n2 slides 6 slides'], []])
})

test('[TD-9] survives a restart, in order; halves and what cannot be read do not', async () => {
  const before = await open()
  await add(before, 'one')
  nowMs += 1
  await add(before, 'two', 'n2', undefined)
  before.close()
  const folder = join(root, 'outgoing')
  writeFileSync(join(folder, `${'a'.repeat(30)}.data`), 'half')
  writeFileSync(
    join(folder, `${'b'.repeat(30)}.json`),
    '{"owner":"ada","peer":"n2","name":"../x","size":1,"createdMs":1}',
  )
  writeFileSync(join(folder, `${'c'.repeat(30)}.json`), 'nonsense')
  online.add('n2')
  const after = await open()
  await until(() => sent.length === 2 && after.list.length === 0)
  expect(sent.sort()).toEqual(['n2 one 3 one', 'n2 two 3 two'])
  await until(() => readdirSync(folder).every((name) => !name.endsWith('.data')))
})

test('[TD-9] a failure keeps it, with the reason; a refusal ends it', async () => {
  const queue = await open()
  online.add('n2')
  answers = [NONE]
  await add(queue, 'a')
  await until(() => queue.list[0]?.State === 'waiting' && queue.list[0].Attempts === 1)
  expect(queue.list[0]).toMatchObject({ LastError: 'no answer in time' })
  queue.follow('ada')
  expect(sent.length).toBe(1) // not before its time
  nowMs += 15_000
  answers = [{ kind: 'answered', status: 403, text: 'not open to this device\n', resumedAt: 0 }]
  queue.follow('ada')
  await until(() => queue.list.length === 0)
  expect(sent.length).toBe(2)
})

test('[TD-9] given up after a week', async () => {
  const queue = await open()
  await add(queue, 'a')
  nowMs += 7 * DAY
  queue.follow('ada')
  await until(() => onDisk() === 0)
  expect([queue.list, sent]).toEqual([[], []])
})

test('[TD-9] cancelled while it waits, and while it is sent', async () => {
  let signal: AbortSignal | undefined
  const queue = await open('ada', (outgoing) => {
    signal = outgoing.signal
    return new Promise((resolve) => outgoing.signal.addEventListener('abort', () => resolve(NONE)))
  })
  await add(queue, 'a')
  expect(await queue.cancel(queue.list[0]!.ID)).toBe(true)
  expect(await queue.cancel('1'.padStart(30, '0'))).toBe(false)
  online.add('n2')
  await add(queue, 'b')
  await until(() => signal !== undefined)
  expect(queue.list[0]?.State).toBe('sending')
  expect(await queue.cancel(queue.list[0]!.ID)).toBe(true)
  expect(signal?.aborted).toBe(true)
  expect([queue.list, onDisk()]).toEqual([[], 0])
})

test("[TD-9] another person's network: not shown, not sent, not cancelled; kept for later", async () => {
  const queue = await open()
  await add(queue, 'a')
  const [{ ID } = { ID: '' }] = queue.list
  online.add('n2')
  queue.follow('bob')
  expect([queue.list, await queue.cancel(ID), sent]).toEqual([[], false, []])
  queue.follow('ada')
  await until(() => sent.length === 1)
})

test('[TD-9] what breaks off on the way in is not kept', async () => {
  const queue = await open()
  async function* broken(): AsyncIterable<Uint8Array> {
    yield Buffer.from('x')
    throw new Error('gone')
  }
  expect(await queue.add({ peer: 'n2', name: 'a', body: Readable.from(broken()), length: undefined })).toEqual({
    kind: 'broke-off',
  })
  expect(await add(queue, 'short', 'n2', 99)).toEqual({ kind: 'broke-off' })
  expect([onDisk(), queue.list]).toEqual([0, []])
  queue.follow(undefined)
  expect(await add(queue, 'a')).toEqual({ kind: 'not-ready' })
})
