/**
 * A host without a program that manages DNS: /etc/resolv.conf is ours to write while we run. The file that was there is
 * kept beside it (a hard link, a symbolic link or, where renaming is impossible, a copy), takes its old place again in
 * one step, and is left alone when somebody else has written a new one meanwhile. Whoever is killed at any step leaves
 * what the next start or `--cleanup` can undo. [docs/rules/dns.md DNS-12]
 */
import { type FSWatcher, watch } from 'node:fs'
import { link, lstat, open, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { OsDnsConfig } from '../../../src-protocol/machines/resolver/os-plan.ts'
import {
  formatResolvConf,
  isStumpOfOurs,
  parseResolvConf,
  resolvConfOwner,
} from '../../../src-protocol/wire/resolv-conf.ts'
import { errorText } from '../log/log.ts'
import { noOsDns, type OsDns, type OsDnsResult, type OsDnsTrouble } from './port.ts'

const BACKUP_NAME = 'resolv.pre-pintail-backup.conf'
/** Marks that there was no file: then ours is removed. */
const NOTHING = '# There was no resolv.conf before Pintail.\n'
const QUIET_MS = 500
/** So many times within a minute we give others the last word but one; then it is a fight. */
const MAX_REPAIRS = 3
const FIGHT_WINDOW_MS = 60_000
const MAX_FILE_BYTES = 64 << 10

export interface DirectOptions {
  /** /etc */
  readonly folder: string
  readonly why: string
  readonly now?: () => number
}

export class DirectOsDns implements OsDns {
  readonly mode = 'direct'
  readonly why: string
  readonly canSplit = false
  readonly #path: string
  readonly #backup: string
  readonly #now: () => number
  #desired: OsDnsConfig | undefined
  #written: string | undefined
  #watcher: FSWatcher | undefined
  #quiet: NodeJS.Timeout | undefined
  #peace: NodeJS.Timeout | undefined
  #repairs: number[] = []
  #events: Parameters<OsDns['listen']>[0] | undefined
  #trouble: OsDnsTrouble | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: DirectOptions) {
    this.#path = join(options.folder, 'resolv.conf')
    this.#backup = join(options.folder, BACKUP_NAME)
    this.why = options.why
    this.#now = options.now ?? (() => performance.now())
  }

  listen(events: Parameters<OsDns['listen']>[0]): void {
    this.#events = events
  }

  apply(desired: OsDnsConfig | undefined): Promise<OsDnsResult> {
    return this.#serial(async () => {
      const isSame = JSON.stringify(desired) === JSON.stringify(this.#desired)
      if (isSame && this.#trouble?.kind === 'fight') return { kind: 'applied' } // until something else is wanted
      if (!isSame) {
        this.#repairs = []
        this.#setTrouble(undefined)
      }
      this.#desired = desired
      try {
        if (desired === undefined) await this.#restore()
        else await this.#write(desired)
        return { kind: 'applied' }
      } catch (error) {
        return { kind: 'failed', message: `${this.#path}: ${errorText(error)}` }
      }
    })
  }

  base(): Promise<OsDnsConfig> {
    return this.#serial(async () => {
      const text = await readText(this.#path)
      const isOurs = text !== undefined && resolvConfOwner(text) === 'ours'
      const before = isOurs ? await readText(this.#backup) : text
      return before === undefined ? noOsDns : { ...parseResolvConf(before), matchDomains: [] }
    })
  }

  async close(): Promise<void> {
    clearTimeout(this.#peace)
    await this.apply(undefined)
    this.#events = undefined
  }

  async #write(desired: OsDnsConfig): Promise<void> {
    const text = formatResolvConf(desired, this.#backup)
    const present = await readText(this.#path)
    if (present === text) {
      this.#written = text
      this.#watch()
      return
    }
    if (present === undefined || resolvConfOwner(present) !== 'ours') await this.#keepBackup()
    this.#written = text
    await replaceFile(this.#path, text)
    this.#watch()
  }

  /** Afterwards the backup is what is at the path now, and the path is untouched. */
  async #keepBackup(): Promise<void> {
    const info = await lstat(this.#path).catch(missing)
    if (info === undefined) return replaceFile(this.#backup, NOTHING)
    const fresh = `${this.#backup}.pintail.new`
    await rm(fresh, { force: true })
    if (info.isSymbolicLink()) await symlink(await readlink(this.#path), fresh)
    else {
      // a hard link is the very same file, with its owner, labels and times; a file mounted from elsewhere is copied
      await link(this.#path, fresh).catch(async () => writeNew(fresh, (await readText(this.#path)) ?? ''))
    }
    await rm(this.#backup, { force: true }) // renaming one of two names of a file to the other does nothing
    await rename(fresh, this.#backup)
    await syncFolder(dirname(this.#backup))
  }

  async #restore(): Promise<void> {
    this.#unwatch()
    this.#written = undefined
    const backup = await lstat(this.#backup).catch(missing)
    for (const path of [this.#path, this.#backup]) await rm(`${path}.pintail.new`, { force: true })
    const present = await readText(this.#path)
    const isStump = present !== undefined && backup !== undefined && isStumpOfOurs(present)
    if (present !== undefined && resolvConfOwner(present) !== 'ours' && !isStump) {
      await rm(this.#backup, { force: true }) // it is somebody else's again, or still
      return
    }
    if (backup === undefined) {
      if (present !== undefined) await rm(this.#path, { force: true })
      return
    }
    if (!backup.isSymbolicLink() && (await readText(this.#backup)) === NOTHING) {
      await rm(this.#path, { force: true })
      await rm(this.#backup, { force: true })
      return
    }
    try {
      await rename(this.#backup, this.#path)
    } catch (error) {
      if (!isCode(error, 'EBUSY', 'EXDEV')) throw error
      await writeInPlace(this.#path, (await readText(this.#backup)) ?? '')
      await rm(this.#backup, { force: true })
    }
    await syncFolder(dirname(this.#path))
  }

  #watch(): void {
    if (this.#watcher !== undefined) return
    // the folder: others replace the file by renaming
    this.#watcher = watch(dirname(this.#path), (_event, name) => {
      if (name !== null && name !== basename(this.#path)) return
      clearTimeout(this.#quiet)
      this.#quiet = setTimeout(() => void this.#serial(() => this.#look()), QUIET_MS)
    })
    this.#watcher.unref()
    this.#watcher.on('error', () => this.#unwatch())
  }

  #unwatch(): void {
    clearTimeout(this.#quiet)
    this.#watcher?.close()
    this.#watcher = undefined
  }

  /** Somebody wrote: a DHCP client's news become the new original; one who insists gets his way, and a person hears of it. */
  async #look(): Promise<void> {
    if (this.#written === undefined || this.#desired === undefined) return
    const present = await readText(this.#path).catch(() => undefined)
    if (present === this.#written) return
    const now = this.#now()
    this.#repairs = this.#repairs.filter((at) => now - at < FIGHT_WINDOW_MS)
    const who = present === undefined ? 'it was removed' : (resolvConfOwner(present) ?? firstComment(present))
    if (this.#repairs.length >= MAX_REPAIRS) {
      clearTimeout(this.#peace)
      this.#setTrouble({ kind: 'fight', detail: who })
      return
    }
    this.#repairs.push(now)
    this.#setTrouble({ kind: 'overwritten', detail: who })
    try {
      await this.#write(this.#desired)
      clearTimeout(this.#peace)
      this.#peace = setTimeout(() => this.#setTrouble(undefined), FIGHT_WINDOW_MS).unref()
      this.#events?.onBaseChange()
    } catch (error) {
      this.#setTrouble({ kind: 'fight', detail: errorText(error) })
    }
  }

  #setTrouble(trouble: OsDnsTrouble | undefined): void {
    if (JSON.stringify(trouble) === JSON.stringify(this.#trouble)) return
    this.#trouble = trouble
    this.#events?.onTrouble(trouble)
  }

  #serial<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => {})
    return done
  }
}

function firstComment(text: string): string {
  const line = text.split('\n').find((candidate) => /^\s*[#;]/.test(candidate))
  return line === undefined ? 'another program' : line.replace(/^[\s#;]+/, '').slice(0, 100)
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
