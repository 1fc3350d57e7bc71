/**
 * The state document as a file, for every OS with POSIX renames.
 *
 * Save: write `state.json.new` beside it, fsync, rename over, fsync the folder. A power cut at any point leaves the old
 * or the new document, whole. The folder is 0700, the file 0600. One daemon per folder: an exclusive flock(2) on
 * `lock`, taken by `flock` on a descriptor that we keep; the kernel drops it with the process, however that ends.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../log/log.ts'
import { StateInUseError, type StateStore, StateUnreadableError } from './port.ts'

const STATE_NAME = 'state.json'
const LOCK_NAME = 'lock'
/** A state document is some kilobytes; whatever is larger is not ours. */
const MAX_STATE_BYTES = 16 << 20
const FLOCK_PATHS = ['/usr/bin/flock', '/bin/flock']

export async function openFileStore(folder: string): Promise<StateStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const lock = await open(join(folder, LOCK_NAME), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  try {
    await lockExclusively(lock, folder)
    await rm(join(folder, `${STATE_NAME}.new`), { force: true })
  } catch (error) {
    await lock.close()
    throw error
  }
  return new FileStore(folder, lock)
}

class FileStore implements StateStore {
  readonly #folder: string
  readonly #lock: FileHandle
  #last: Promise<void> = Promise.resolve()

  constructor(folder: string, lock: FileHandle) {
    this.#folder = folder
    this.#lock = lock
  }

  async load(): Promise<string | undefined> {
    const path = join(this.#folder, STATE_NAME)
    try {
      const found = await lstat(path)
      if (!found.isFile()) throw new StateUnreadableError(`${path} is not a regular file`)
      if (found.size > MAX_STATE_BYTES) throw new StateUnreadableError(`${path} is too large to be a state file`)
      if (found.size === 0) throw new StateUnreadableError(`${path} is empty`)
      return await readFile(path, 'utf8')
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      if (error instanceof StateUnreadableError) throw error
      throw new StateUnreadableError(`${path} cannot be read`, { cause: error })
    }
  }

  save(text: string): Promise<void> {
    const done = this.#last.then(() => replaceFile(this.#folder, STATE_NAME, text))
    this.#last = done.catch(() => {})
    return done
  }

  async close(): Promise<void> {
    await this.#last
    await this.#lock.close()
  }
}

async function replaceFile(folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name)
  const fresh = `${path}.new`
  try {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW
    const file = await open(fresh, flags, 0o600)
    try {
      await file.writeFile(text, 'utf8')
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(fresh, path)
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => {})
    throw error
  }
  const directory = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** flock(2) belongs to the open file description, which the short-lived `flock` shares with us as its descriptor 3. */
async function lockExclusively(lock: FileHandle, folder: string): Promise<void> {
  for (const program of FLOCK_PATHS) {
    const status = await run(program, ['--nonblock', '--exclusive', '--conflict-exit-code', '75', '3'], lock.fd)
    if (status === 'absent') continue
    if (status === 0) return
    if (status === 75) throw new StateInUseError(`another daemon is using ${folder}`)
    throw new Error(`cannot lock ${folder}: flock ended with status ${status}`)
  }
  throw new Error(`cannot lock ${folder}: the program flock (util-linux) is missing`)
}

function run(program: string, args: string[], descriptor: number): Promise<number | 'absent'> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore', descriptor], env: {}, cwd: '/' })
    child.once('error', (error) => (errorCode(error) === 'ENOENT' ? resolve('absent') : reject(error)))
    child.once('exit', (code) => resolve(code ?? -1))
  })
}
