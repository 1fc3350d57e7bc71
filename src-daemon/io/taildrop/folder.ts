/**
 * A drop folder on disk. Files are opened beneath a handle of the folder and never through links, so that somebody who
 * may write there cannot lead us elsewhere; a whole file takes its name by a hard link, which never replaces anything.
 * [docs/rules/taildrop.md TD-3 … TD-6; features.md §2]
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { BLOCK_BYTES, type Block } from '../../../src-protocol/machines/taildrop/block-hashes.ts'
import {
  isPartial,
  nameOfPartial,
  numberedName,
  parseFileName,
  partialName,
} from '../../../src-protocol/machines/taildrop/file-name.ts'
import { errorCode, errorText } from '../log/log.ts'
import { fill, hasRoom } from './fill.ts'
import type { Drop, DropFolder, DropResult, WaitingFile } from './port.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const MAX_LISTED = 10_000
const MAX_NUMBER = 10
const READ_BYTES = 512 << 10

export interface DropFolderOptions {
  readonly path: string
  /** A folder of somebody's: what comes belongs to its owner and may be read as there. Else it is ours alone. */
  readonly isDirect: boolean
}

export function openDropFolder(options: DropFolderOptions): DropFolder {
  return new DiskFolder(options)
}

class DiskFolder implements DropFolder {
  readonly #o: DropFolderOptions

  constructor(options: DropFolderOptions) {
    this.#o = options
  }

  async list(): Promise<WaitingFile[]> {
    const found: WaitingFile[] = []
    await this.#within(async (at) => {
      for (const name of (await readdir(at(''))).sort()) {
        if (!parseFileName(name).ok || found.length >= MAX_LISTED) continue
        const stat = await orMissing(lstat(at(name)))
        if (stat?.isFile() === true) found.push({ name, size: stat.size })
      }
    })
    return found
  }

  async read(name: string): Promise<{ size: number; body: Readable } | undefined> {
    if (!parseFileName(name).ok) return undefined
    return this.#within(async (at) => {
      const handle = await openPlain(at(name), O_RDONLY)
      if (handle === undefined) return undefined
      const { size } = await handle.stat()
      if (size > 0) return { size, body: handle.createReadStream({ end: size - 1, highWaterMark: READ_BYTES }) }
      return { size, body: handle.createReadStream() }
    })
  }

  async remove(name: string): Promise<boolean> {
    if (!parseFileName(name).ok) return false
    const removed = await this.#within(async (at) => {
      if ((await orMissing(lstat(at(name))))?.isFile() !== true) return false
      await orMissing(unlink(at(name)))
      return true
    })
    return removed ?? false
  }

  async begun(sender: string): Promise<string[]> {
    const names = await this.#within(async (at) => readdir(at('')))
    return (names ?? []).flatMap((name) => nameOfPartial(name, sender) ?? []).sort()
  }

  async *blocks(name: string, sender: string): AsyncIterable<Block> {
    const handle = await this.#within((at) => openPlain(at(partOf(name, sender)), O_RDONLY))
    if (handle === undefined) return
    try {
      const buffer = Buffer.allocUnsafe(BLOCK_BYTES)
      for (;;) {
        const size = await readFully(handle, buffer)
        if (size === 0) return
        yield { sha256Hex: createHash('sha256').update(buffer.subarray(0, size)).digest('hex'), size }
        if (size < BLOCK_BYTES) return
      }
    } finally {
      await handle.close()
    }
  }

  async drop(drop: Drop): Promise<DropResult> {
    try {
      const result = await this.#within((at) => this.#drop(drop, at))
      return result ?? { kind: 'failed', reason: 'the folder for received files is gone' }
    } catch (error) {
      const code = errorCode(error)
      if (code === 'ENOSPC' || code === 'EDQUOT') return { kind: 'no-space' }
      return { kind: 'failed', reason: errorText(error) }
    }
  }

  async sweep(olderThanMs: number): Promise<void> {
    await this.#within(async (at) => {
      for (const name of await readdir(at(''))) {
        if (!isPartial(name)) continue
        const stat = await orMissing(lstat(at(name)))
        if (stat?.isFile() === true && stat.mtimeMs < olderThanMs) await orMissing(unlink(at(name)))
      }
    })
  }

  async #drop(drop: Drop, at: At): Promise<DropResult> {
    const part = at(partOf(drop.name, drop.sender))
    const handle = await open(part, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, this.#o.isDirect ? 0o644 : 0o600)
    let result: DropResult
    try {
      result = await this.#fill(handle, drop, at)
    } finally {
      await handle.close()
    }
    return result.kind === 'done' ? takeName(at, part, drop.name, result.bytes) : result
  }

  async #fill(handle: FileHandle, drop: Drop, at: At): Promise<DropResult> {
    const before = await handle.stat()
    if (!before.isFile() || before.nlink !== 1) return { kind: 'failed', reason: 'something else is in its place' }
    if (drop.offset > before.size) return { kind: 'beyond-end', bytes: before.size }
    if (before.size > drop.offset) await handle.truncate(drop.offset)
    if (this.#o.isDirect) await this.#giveToOwner(handle, at)
    if (!(await hasRoom(at('.'), drop.length ?? 0))) return { kind: 'no-space' }
    const filled = await fill(handle, drop, () => hasRoom(at('.'), 0))
    if (filled === undefined) return { kind: 'no-space' }
    const { bytes, brokeOff } = filled
    if (brokeOff || (drop.length !== undefined && bytes !== drop.offset + drop.length)) return { kind: 'short', bytes }
    return { kind: 'done', name: drop.name, bytes }
  }

  async #giveToOwner(handle: FileHandle, at: At): Promise<void> {
    const { uid, gid } = await lstat(at('.'))
    if (process.getuid?.() === 0) await handle.chown(uid, gid)
    await handle.chmod(0o644) // whatever our umask is
  }

  /** undefined: there is no folder, and it cannot be made. */
  async #within<T>(work: (at: At) => Promise<T>): Promise<T | undefined> {
    if (!this.#o.isDirect) await mkdir(this.#o.path, { recursive: true, mode: 0o700 })
    const handle = await orMissing(open(this.#o.path, O_RDONLY | O_DIRECTORY | (this.#o.isDirect ? 0 : O_NOFOLLOW)))
    if (handle === undefined) return undefined
    try {
      return await work((name) => `/proc/self/fd/${handle.fd}/${name}`)
    } finally {
      await handle.close()
    }
  }
}

/** A path beneath the folder's handle. */
type At = (name: string) => string

function partOf(name: string, sender: string): string {
  return partialName(name, sender, (text) => createHash('sha256').update(text).digest('hex'))
}

async function takeName(at: At, part: string, name: string, bytes: number): Promise<DropResult> {
  let digest: string | undefined
  for (let number = 0; number <= MAX_NUMBER; number++) {
    const free = numberedName(name, number)
    if (await claim(part, at(free))) return { kind: 'done', name: free, bytes }
    const other = await openPlain(at(free), O_RDONLY)
    if (other === undefined) continue
    try {
      if ((await other.stat()).size !== bytes) continue
      digest ??= await digestAt(part)
      if ((await digestOf(other)) !== digest) continue
    } finally {
      await other.close()
    }
    await unlink(part)
    return { kind: 'done', name: free, bytes }
  }
  return { kind: 'no-name-left' }
}

/** Whether the name was free. Where there are no hard links, an empty file holds the place. */
async function claim(part: string, wanted: string): Promise<boolean> {
  try {
    await link(part, wanted)
    await unlink(part)
    return true
  } catch (error) {
    const code = errorCode(error)
    if (code === 'EEXIST') return false
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error
  }
  try {
    await (await open(wanted, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)).close()
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
  await rename(part, wanted)
  return true
}

async function digestAt(path: string): Promise<string | undefined> {
  const handle = await openPlain(path, O_RDONLY)
  if (handle === undefined) return undefined
  try {
    return await digestOf(handle)
  } finally {
    await handle.close()
  }
}

async function digestOf(handle: FileHandle): Promise<string> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  for (;;) {
    const size = await readFully(handle, buffer)
    if (size === 0) return hash.digest('hex')
    hash.update(buffer.subarray(0, size))
  }
}

/** From where the handle stands; less only at the end. */
async function readFully(handle: FileHandle, buffer: Buffer): Promise<number> {
  let size = 0
  while (size < buffer.length) {
    const { bytesRead } = await handle.read(buffer, size, buffer.length - size, null)
    if (bytesRead === 0) break
    size += bytesRead
  }
  return size
}

/** undefined: there is none, or it is a link, a device or a folder. */
async function openPlain(path: string, flags: number): Promise<FileHandle | undefined> {
  const handle = await orMissing(open(path, flags | O_NOFOLLOW | O_NONBLOCK))
  if (handle === undefined || (await handle.stat()).isFile()) return handle
  await handle.close()
  return undefined
}

async function orMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENXIO' || code === 'ENOTDIR') return undefined
    throw error
  }
}
