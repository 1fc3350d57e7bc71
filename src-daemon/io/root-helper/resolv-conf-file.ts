/**
 * /etc/resolv.conf where no program manages it: ours while we run. The file that was there is kept beside it (a hard
 * link, a symbolic link or, where renaming is impossible, a copy), takes its old place again in one step, and is left
 * alone when somebody else has written a new one meanwhile. Whoever is killed at any step leaves what the next start or
 * `--cleanup` can undo. Not who decides about it (`io/dns/direct.ts`). [docs/rules/dns.md DNS-12]
 */
import { link, lstat, open, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { formatResolvConf, isStumpOfOurs, resolvConfOwner } from '../../../src-protocol/wire/resolv-conf.ts'
import type { ResolverSettings } from './port.ts'

const BACKUP_NAME = 'resolv.pre-pintail-backup.conf'
/** Marks that there was no file: then ours is removed. */
const NOTHING = '# There was no resolv.conf before Pintail.\n'
const MAX_FILE_BYTES = 64 << 10

export class ResolvConfFile {
  readonly path: string
  readonly #backup: string

  constructor(folder: string) {
    this.path = join(folder, 'resolv.conf')
    this.#backup = join(folder, BACKUP_NAME)
  }

  /** Undefined when there is none. Bytes as characters. */
  read(): Promise<string | undefined> {
    return readText(this.path)
  }

  /** What is kept of the time before us. */
  readBackup(): Promise<string | undefined> {
    return readText(this.#backup)
  }

  textOf(settings: ResolverSettings): string {
    return formatResolvConf(settings, this.#backup)
  }

  /** Whether there is anything to restore. */
  async isTouched(): Promise<boolean> {
    for (const path of [this.#backup, `${this.path}.pintail.new`, `${this.#backup}.pintail.new`]) {
      if ((await lstat(path).catch(missing)) !== undefined) return true
    }
    const present = await this.read()
    return present !== undefined && resolvConfOwner(present) === 'ours'
  }

  async write(settings: ResolverSettings): Promise<void> {
    const text = this.textOf(settings)
    const present = await this.read()
    if (present === text) return
    if (present === undefined || resolvConfOwner(present) !== 'ours') await this.#keepBackup()
    await replaceFile(this.path, text)
  }

  async restore(): Promise<void> {
    const backup = await lstat(this.#backup).catch(missing)
    for (const path of [this.path, this.#backup]) await rm(`${path}.pintail.new`, { force: true })
    const present = await readText(this.path)
    const isStump = present !== undefined && backup !== undefined && isStumpOfOurs(present)
    if (present !== undefined && resolvConfOwner(present) !== 'ours' && !isStump) {
      await rm(this.#backup, { force: true }) // it is somebody else's again, or still
      return
    }
    if (backup === undefined) {
      if (present !== undefined) await rm(this.path, { force: true })
      return
    }
    if (!backup.isSymbolicLink() && (await readText(this.#backup)) === NOTHING) {
      await rm(this.path, { force: true })
      await rm(this.#backup, { force: true })
      return
    }
    try {
      await rename(this.#backup, this.path)
    } catch (error) {
      if (!isCode(error, 'EBUSY', 'EXDEV')) throw error
      await writeInPlace(this.path, (await readText(this.#backup)) ?? '')
      await rm(this.#backup, { force: true })
    }
    await syncFolder(dirname(this.path))
  }

  /** Afterwards the backup is what is at the path now, and the path is untouched. */
  async #keepBackup(): Promise<void> {
    const info = await lstat(this.path).catch(missing)
    if (info === undefined) return replaceFile(this.#backup, NOTHING)
    const fresh = `${this.#backup}.pintail.new`
    await rm(fresh, { force: true })
    if (info.isSymbolicLink()) await symlink(await readlink(this.path), fresh)
    else {
      // a hard link is the very same file, with its owner, labels and times; a file mounted from elsewhere is copied
      await link(this.path, fresh).catch(async () => writeNew(fresh, (await readText(this.path)) ?? ''))
    }
    await rm(this.#backup, { force: true }) // renaming one of two names of a file to the other does nothing
    await rename(fresh, this.#backup)
    await syncFolder(dirname(this.#backup))
  }
}

/** Byte for byte, follows a symbolic link; undefined when there is nothing. */
async function readText(path: string): Promise<string | undefined> {
  const info = await stat(path).catch(missing)
  if (info === undefined) return undefined
  if (!info.isFile() || info.size > MAX_FILE_BYTES) throw new Error(`${path} is not a file that we may replace`)
  return readFile(path, 'latin1').catch(missing)
}

/** In one step where the file may be renamed; in place where it is a mount of its own. */
async function replaceFile(path: string, text: string): Promise<void> {
  const fresh = `${path}.pintail.new`
  await rm(fresh, { force: true })
  try {
    await writeNew(fresh, text)
    await rename(fresh, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(fresh, { force: true })
    if (!isCode(error, 'EBUSY', 'EXDEV', 'EACCES', 'EROFS')) throw error
    await writeInPlace(path, text)
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o644)
  try {
    await file.chmod(0o644) // whatever our umask: every program reads it
    await file.writeFile(text, 'latin1')
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Killed before, between or after: what is there begins with one of the two texts or is the beginning of ours
 * (`isStumpOfOurs`), so that the next start knows whose it is.
 */
async function writeInPlace(path: string, text: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const isOursToCome = resolvConfOwner(text) === 'ours'
    if (!isOursToCome) await file.truncate(Math.min(text.length, (await file.stat()).size))
    await file.writeFile(text, 'latin1')
    if (isOursToCome) await file.truncate(text.length)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function missing(error: unknown): undefined {
  if (isCode(error, 'ENOENT')) return undefined
  throw error
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
