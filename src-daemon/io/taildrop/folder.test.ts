/** Real folders, and what somebody may do to them meanwhile. */
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BLOCK_BYTES } from '../../../src-protocol/machines/taildrop/block-hashes.ts'
import { openDropFolder } from './folder.ts'
import type { Drop, DropFolder } from './port.ts'

let root: string
let path: string
let folder: DropFolder
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pintail-drop-'))
  path = join(root, 'files')
  folder = openDropFolder({ path, isDirect: false })
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const chunks = (bytes: Buffer, breaksOff = false): Readable => Readable.from(parts(bytes, breaksOff))
async function* parts(bytes: Buffer, breaksOff: boolean): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000)
  if (breaksOff) throw new Error('connection reset')
}
const drop = (name: string, bytes: Buffer, change: Partial<Drop> = {}) =>
  folder.drop({
    name,
    sender: 'n1',
    offset: 0,
    length: bytes.length,
    body: chunks(bytes),
    onProgress: () => {},
    ...change,
  })
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
const content = (name: string) => readFileSync(join(path, name))

test.each([0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3_000_001])('[TD-3] %i bytes', async (size) => {
  const bytes = randomBytes(size)
  const seen: number[] = []
  expect(await drop('a.bin', bytes, { onProgress: (count) => seen.push(count) })).toEqual({
    kind: 'done',
    name: 'a.bin',
    bytes: size,
  })
  expect(content('a.bin').equals(bytes)).toBe(true)
  expect(seen.at(-1)).toBe(size)
  expect(await folder.list()).toEqual([{ name: 'a.bin', size }])
  expect(readdirSync(path)).toEqual(['a.bin'])
  expect([statSync(path).mode & 0o777, statSync(join(path, 'a.bin')).mode & 0o777]).toEqual([0o700, 0o600])
  const file = await folder.read('a.bin')
  expect(file?.size).toBe(size)
  expect((await buffer(file!.body)).equals(bytes)).toBe(true)
  expect(await folder.remove('a.bin')).toBe(true)
  expect(await folder.remove('a.bin')).toBe(false)
})

test('[TD-4] what broke off stays, is described by its blocks, and is gone on with', async () => {
  const bytes = randomBytes(5 * BLOCK_BYTES)
  const cut = 3 * BLOCK_BYTES + 777
  expect(await drop('b', bytes, { body: chunks(bytes.subarray(0, cut), true) })).toEqual({ kind: 'short', bytes: cut })
  expect(await folder.list()).toEqual([])
  expect(await folder.begun('n1')).toEqual(['b'])
  expect(await folder.begun('n2')).toEqual([])
  const blocks = await all(folder.blocks('b', 'n1'))
  const sha = (from: number, to: number) => createHash('sha256').update(bytes.subarray(from, to)).digest('hex')
  expect(blocks).toEqual([
    ...[0, 1, 2].map((i) => ({ sha256Hex: sha(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES), size: BLOCK_BYTES })),
    { sha256Hex: sha(3 * BLOCK_BYTES, cut), size: 777 },
  ])
  expect(await all(folder.blocks('b', 'n2'))).toEqual([])
  const rest = bytes.subarray(cut)
  expect(await drop('b', rest, { offset: cut + 1 })).toEqual({ kind: 'beyond-end', bytes: cut })
  expect(await drop('b', rest, { offset: cut })).toMatchObject({ kind: 'done', bytes: bytes.length })
  expect(content('b').equals(bytes)).toBe(true)
})

test('[TD-4] going on before the end cuts off what is behind', async () => {
  await drop('b', Buffer.from('0123456789'), { length: 99 })
  expect(await drop('b', Buffer.from('ab'), { offset: 3 })).toMatchObject({ kind: 'done', bytes: 5 })
  expect(content('b').toString()).toBe('012ab')
})

test('[TD-3] less than was announced is not whole; more is not taken; no length is fine', async () => {
  const bytes = randomBytes(100_000)
  expect(await drop('c', bytes, { length: 100_001 })).toEqual({ kind: 'short', bytes: 100_000 })
  expect(await drop('c', bytes, { length: 99_999 })).toMatchObject({ kind: 'short' })
  expect(await drop('c', bytes, { length: undefined })).toMatchObject({ kind: 'done', bytes: 100_000 })
})

test('[TD-5] a taken name: the same bytes are the same file, others get a number, at most ten', async () => {
  const one = Buffer.from('one')
  expect(await drop('a.tar.gz', one)).toMatchObject({ name: 'a.tar.gz' })
  expect(await drop('a.tar.gz', one)).toMatchObject({ name: 'a.tar.gz' })
  expect(await drop('a.tar.gz', Buffer.from('two'))).toMatchObject({ name: 'a (1).tar.gz' })
  expect(await drop('a.tar.gz', Buffer.from('two'))).toMatchObject({ name: 'a (1).tar.gz' })
  for (let i = 2; i <= 10; i++) expect(await drop('a.tar.gz', Buffer.from(`${i}`))).toMatchObject({ kind: 'done' })
  expect(await drop('a.tar.gz', Buffer.from('eleven'))).toEqual({ kind: 'no-name-left' })
  expect(content('a.tar.gz').toString()).toBe('one')
})

test('[TD-6] links, devices and folders in the way are never written through, read or deleted', async () => {
  const secret = join(root, 'secret')
  writeFileSync(secret, 'secret')
  mkdirSync(path)
  symlinkSync(secret, join(path, 'link'))
  linkSync(secret, join(path, 'hard.n1.partial'))
  symlinkSync(secret, join(path, 'soft.n1.partial'))
  mkdirSync(join(path, 'folder'))
  expect(await folder.list()).toEqual([])
  expect(await folder.read('link')).toBeUndefined()
  expect(await folder.read('folder')).toBeUndefined()
  expect(await folder.remove('folder')).toBe(false)
  expect(await folder.remove('link')).toBe(false)
  expect(await all(folder.blocks('soft', 'n1'))).toEqual([])
  expect(await drop('hard', Buffer.from('evil'))).toMatchObject({ kind: 'failed' })
  expect(await drop('soft', Buffer.from('evil'))).toMatchObject({ kind: 'failed' })
  expect(await drop('link', Buffer.from('evil'))).toMatchObject({ name: 'link (1)' })
  expect(await drop('folder', Buffer.from('evil'))).toMatchObject({ name: 'folder (1)' })
  expect(readFileSync(secret, 'utf8')).toBe('secret')
})

test('[TD-6] names that are none are not asked of the disk', async () => {
  writeFileSync(join(root, 'secret'), 'secret')
  mkdirSync(path)
  for (const name of ['../secret', '..', '.', '', '/etc/hostname', 'x.partial']) {
    expect(await folder.read(name)).toBeUndefined()
    expect(await folder.remove(name)).toBe(false)
  }
  expect(existsSync(join(root, 'secret'))).toBe(true)
})

test('[TD-6] the folder is replaced by a link while a file comes: it stays in the folder that it began in', async () => {
  const elsewhere = join(root, 'elsewhere')
  mkdirSync(elsewhere)
  mkdirSync(path)
  async function* slow(): AsyncIterable<Uint8Array> {
    yield Buffer.from('one')
    rmSync(path, { recursive: true })
    symlinkSync(elsewhere, path)
    yield Buffer.from('two')
  }
  await drop('a', Buffer.alloc(6), { body: Readable.from(slow()) })
  expect(readdirSync(elsewhere)).toEqual([])
  await expect(folder.list()).resolves.toEqual([])
})

test('[TD-7] abandoned parts go, young ones and whole files stay', async () => {
  await drop('old', Buffer.from('x'), { length: 2 })
  await drop('young', Buffer.from('x'), { length: 2 })
  await drop('whole', Buffer.from('x'))
  for (const name of ['old.n1.partial', 'whole']) utimesSync(join(path, name), 1, 1)
  await folder.sweep(Date.now() - 3_600_000)
  expect(readdirSync(path).sort()).toEqual(['whole', 'young.n1.partial'])
})

test('[TD-3] into a folder of somebody: readable there; one that is gone is not made', async () => {
  const shared = join(root, 'Downloads')
  folder = openDropFolder({ path: shared, isDirect: true })
  expect(await drop('a', Buffer.from('x'))).toMatchObject({ kind: 'failed' })
  expect(existsSync(shared)).toBe(false)
  mkdirSync(shared)
  expect(await drop('a', Buffer.from('x'))).toMatchObject({ kind: 'done' })
  expect(statSync(join(shared, 'a')).mode & 0o777).toBe(0o644)
})

test.skipIf(process.getuid?.() === 0)('[TD-6] a folder that may not be written to: a sentence, no crash', async () => {
  mkdirSync(path)
  chmodSync(path, 0o500)
  expect(await drop('a', Buffer.from('x'))).toMatchObject({ kind: 'failed' })
})
