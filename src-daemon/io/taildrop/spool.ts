/**
 * Files that wait on disk until their device appears: the bytes in `ID.data`, what they are in `ID.json`, which comes
 * last and makes it count. Not when they are sent (`engine/taildrop/queue.ts`). [docs/rules/taildrop.md TD-9]
 */
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { parseFileName } from '../../../src-protocol/machines/taildrop/file-name.ts'
import { bad, type Decoded, ok } from '../../../src-protocol/wire/decoded.ts'
import { errorCode, errorText, type Log } from '../log/log.ts'
import { fill, hasRoom } from './fill.ts'

const MAX_META_BYTES = 16 << 10
const READ_BYTES = 512 << 10

export interface SpooledFile {
  readonly id: string
  /** Whose network it is of. */
  readonly owner: string
  /** Stable id of the device. */
  readonly peer: string
  readonly name: string
  readonly size: number
  readonly createdMs: number
}

export type SpoolResult =
  | { readonly kind: 'stored'; readonly file: SpooledFile }
  | { readonly kind: 'no-space' }
  | { readonly kind: 'broke-off' }

export class Spool {
  readonly #path: string
  readonly #log: Log

  constructor(path: string, log: Log) {
    this.#path = path
    this.#log = log
  }

  /** Oldest first; what cannot be read is said and left out, halves are deleted. */
  async load(): Promise<SpooledFile[]> {
    const names = await readdir(this.#path).catch((error) => {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    })
    const found: SpooledFile[] = []
    for (const name of names.filter((one) => /^[0-9a-f]{30}\.json$/.test(one))) {
      const file = await this.#read(name.slice(0, 30))
      if (file.ok) found.push(file.value)
      else this.#log.warn('queued-file-unreadable', { name, reason: file.reason })
    }
    const kept = new Set(found.map(({ id }) => id))
    for (const name of names) {
      const isHalf = name.endsWith('.tmp') || (name.endsWith('.data') && !kept.has(name.slice(0, 30)))
      if (isHalf) await rm(join(this.#path, name), { force: true })
    }
    return found.sort((a, b) => a.createdMs - b.createdMs)
  }

  async add(
    file: Omit<SpooledFile, 'size'>,
    { body, length }: { readonly body: Readable; readonly length: number | undefined },
  ): Promise<SpoolResult> {
    await mkdir(this.#path, { recursive: true, mode: 0o700 })
    if (!(await hasRoom(this.#path, length ?? 0))) return { kind: 'no-space' }
    const data = this.#data(file.id)
    let isStored = false
    try {
      const handle = await open(data, 'wx', 0o600)
      let size = 0
      try {
        const filled = await fill(handle, { body, offset: 0, onProgress: () => {} }, () => hasRoom(this.#path, 0))
        if (filled === undefined) return { kind: 'no-space' }
        if (filled.brokeOff || (length !== undefined && filled.bytes !== length)) return { kind: 'broke-off' }
        size = filled.bytes
        await handle.datasync()
      } finally {
        await handle.close()
      }
      const stored = { ...file, size }
      const meta = join(this.#path, `${file.id}.json`)
      await writeFile(`${meta}.tmp`, JSON.stringify(stored), { mode: 0o600, flush: true })
      await rename(`${meta}.tmp`, meta)
      isStored = true
      return { kind: 'stored', file: stored }
    } catch (error) {
      if (errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT') return { kind: 'no-space' }
      throw error
    } finally {
      if (!isStored) await rm(data, { force: true })
    }
  }

  read({ id, size }: SpooledFile): Readable {
    return createReadStream(this.#data(id), { highWaterMark: READ_BYTES, ...(size > 0 ? { end: size - 1 } : {}) })
  }

  async remove(id: string): Promise<void> {
    await rm(join(this.#path, `${id}.json`), { force: true })
    await rm(this.#data(id), { force: true })
  }

  #data(id: string): string {
    return join(this.#path, `${id}.data`)
  }

  async #read(id: string): Promise<Decoded<SpooledFile>> {
    try {
      const text = await readFile(join(this.#path, `${id}.json`), 'utf8')
      return text.length > MAX_META_BYTES ? bad('too long') : parseMeta(id, JSON.parse(text))
    } catch (error) {
      return bad(errorText(error))
    }
  }
}

function parseMeta(id: string, value: unknown): Decoded<SpooledFile> {
  if (typeof value !== 'object' || value === null) return bad('not an object')
  const { owner, peer, name, size, createdMs } = value as { readonly [name: string]: unknown }
  if (typeof owner !== 'string' || typeof peer !== 'string' || typeof name !== 'string') return bad('words are missing')
  if (!parseFileName(name).ok) return bad('bad name')
  if (!isCount(size) || !isCount(createdMs)) return bad('numbers are missing')
  return ok({ id, owner, peer, name, size, createdMs })
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
