import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { TransferRecord } from '../../../src-contract/localapi/files.ts'
import { silentLog } from '../../io/log/log.ts'
import { Journal } from '../../io/taildrop/journal.ts'
import { History } from './history.ts'

const DAY = 24 * 3_600_000
let root: string
let path: string
let nowMs: number
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pintail-history-'))
  path = join(root, 'transfers.jsonl')
  nowMs = Date.parse('2026-03-01T12:00:00Z')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function open(owner = 'ada'): History {
  const history = new History(new Journal(path, silentLog), () => nowMs)
  history.follow(owner)
  return history
}
const record = (Name: string, change: Partial<TransferRecord> = {}): TransferRecord => ({
  ...{ Direction: 'in', PeerID: 'n2', PeerName: 'air', Name, Size: 3, Result: 'done' },
  ...{ Started: new Date(nowMs - 1000).toISOString(), Finished: new Date(nowMs).toISOString(), ...change },
})
const names = async (history: History) => (await history.list()).map(({ Name }) => Name)

test('[TD-10] newest first, also after a restart; for its person only', async () => {
  const history = open()
  await history.note(record('a'))
  await history.note(record('b', { Direction: 'out', Result: 'no answer in time' }))
  expect(await names(history)).toEqual(['b', 'a'])
  const again = open()
  expect(await again.list()).toEqual([record('b', { Direction: 'out', Result: 'no answer in time' }), record('a')])
  expect(await names(open('bob'))).toEqual([])
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('[TD-10] for ninety days, and no more than a thousand', async () => {
  const history = open()
  await history.note(record('old'))
  nowMs += 90 * DAY + 1
  await history.note(record('new'))
  expect(await names(history)).toEqual(['new'])
  expect(await names(open())).toEqual(['new'])
  expect(readFileSync(path, 'utf8').trim().split('\n').length).toBe(1)
  for (let i = 0; i < 2_100; i++) await history.note(record(`${i}`))
  expect((await names(history)).length).toBe(1_000)
  expect(readFileSync(path, 'utf8').trim().split('\n').length).toBeLessThanOrEqual(2_000)
})

test('[TD-10] cleared for one person, kept for the other', async () => {
  const history = open()
  await history.note(record('a'))
  history.follow('bob')
  await history.note(record('b'))
  await history.clear()
  expect(await names(history)).toEqual([])
  expect(await names(open())).toEqual(['a'])
})

test('[TD-10] a file with damage: what can be read is there', async () => {
  await open().note(record('a'))
  const line = readFileSync(path, 'utf8')
  writeFileSync(path, `nonsense\n${line}{"owner":"ada","record":{"Name":7}}\nnull\n{"owner":"ada","rec`)
  expect(await names(open())).toEqual(['a'])
})
