import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openFileStore } from './file.ts'
import { MemoryStore } from './memory.ts'
import type { StateStore } from './port.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-store-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const kinds: { name: string; open: () => Promise<StateStore> }[] = [
  { name: 'memory', open: async () => new MemoryStore() },
  { name: 'file', open: () => openFileStore(folder) },
]

describe.each(kinds)('$name store', ({ open }) => {
  test('begins empty and gives back the last of many saves', async () => {
    const store = await open()
    expect(await store.load()).toBeUndefined()
    await Promise.all(Array.from({ length: 20 }, (_, i) => store.save(`{"n":${i}}`)))
    expect(await store.load()).toBe('{"n":19}')
    await store.close()
  })
})

test('folder and file are for the owner only, and nothing else is left behind', async () => {
  const inner = join(folder, 'deep', 'state')
  const store = await openFileStore(inner)
  await store.save('{}')
  await store.close()
  expect(statSync(inner).mode & 0o777).toBe(0o700)
  expect(statSync(join(inner, 'state.json')).mode & 0o777).toBe(0o600)
  expect(readdirSync(inner).sort()).toEqual(['lock', 'state.json'])
})

test('an empty, a linked or a foreign document is an error, never "no document"', async () => {
  const path = join(folder, 'state.json')
  const load = async () => {
    const store = await openFileStore(folder)
    try {
      return await store.load()
    } finally {
      await store.close()
    }
  }
  writeFileSync(path, '')
  await expect(load()).rejects.toThrow('is empty')
  rmSync(path)
  symlinkSync('/etc/hostname', path)
  await expect(load()).rejects.toThrow('not a regular file')
  rmSync(path)
  mkdirSync(path)
  await expect(load()).rejects.toThrow('not a regular file')
})

test('a failed save leaves the old document', async () => {
  const store = await openFileStore(folder)
  await store.save('old')
  mkdirSync(join(folder, 'state.json.new')) // the temporary file cannot be made
  await expect(store.save('new')).rejects.toThrow()
  expect(readFileSync(join(folder, 'state.json'), 'utf8')).toBe('old')
  rmSync(join(folder, 'state.json.new'), { recursive: true })
  await store.save('newer')
  expect(await store.load()).toBe('newer')
  await store.close()
})

test('a temporary file of a crash is ignored and removed', async () => {
  writeFileSync(join(folder, 'state.json'), 'whole')
  writeFileSync(join(folder, 'state.json.new'), 'ha')
  const store = await openFileStore(folder)
  expect(await store.load()).toBe('whole')
  expect(readdirSync(folder).sort()).toEqual(['lock', 'state.json'])
  await store.close()
})

test('a second daemon on one folder is refused while the first lives, and welcome after', async () => {
  const first = await openFileStore(folder)
  await expect(openFileStore(folder)).rejects.toMatchObject({ name: 'StateInUseError' })
  await first.close()
  const second = await openFileStore(folder)
  await second.close()
})
