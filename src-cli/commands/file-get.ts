/** `pintail file get`: moves what waits in the daemon into a folder; nothing is lost or half written on the way. [docs/rules/cli.md CLI-9] */
import { createWriteStream } from 'node:fs'
import { link, rename, rm, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import type { WaitingFile } from '../../src-contract/localapi/files.ts'
import { quote } from '../text/quote.ts'
import { CommandError, FlagError, type Invocation } from '../verb.ts'

export const conflictRules = ['skip', 'overwrite', 'rename'] as const
type ConflictRule = (typeof conflictRules)[number]

const MAX_ERRORS = 100
const MAX_NUMBER = 10_000
const WAIT_SECONDS = 60
const AFTER_ERRORS_MS = 5_000

export async function getFiles(call: Invocation): Promise<number> {
  const { args, flags, terminal } = call
  const [folder] = args
  if (folder === undefined || args.length > 1) throw new CommandError('usage: pintail file get <target-directory>')
  const rule = conflictRules.find((one) => one === flags.text('conflict'))
  if (rule === undefined) {
    const known = conflictRules.join(', ')
    throw new FlagError(`invalid value ${quote(flags.text('conflict'))} for flag -conflict: must be one of ${known}`)
  }
  const client = await call.connect()
  if (folder === '/dev/null') return wipe(call, client)
  if ((await stat(folder).catch(() => undefined))?.isDirectory() !== true)
    // missing is as bad as no folder
    throw new CommandError(`${quote(folder)} is not a directory`)
  for (;;) {
    const errors = await getBatch(call, client, folder, rule)
    const isLast = !flags.bool('loop')
    for (const error of isLast ? errors.slice(0, -1) : errors) terminal.out(`${error}\n`)
    if (!isLast) {
      if (errors.length > 0) await terminal.sleep(AFTER_ERRORS_MS, terminal.interrupted)
      continue
    }
    const last = errors.at(-1)
    if (last !== undefined) throw new CommandError(last)
    return 0
  }
}

/** Answers what went wrong. */
async function getBatch(call: Invocation, client: LocalClient, folder: string, rule: ConflictRule): Promise<string[]> {
  const { flags, terminal } = call
  const say = (text: string): void => void (flags.bool('verbose') && terminal.out(`${text}\n`))
  const files = await untilFiles(call, client, say)
  const errors: string[] = []
  let moved = 0
  for (const [i, file] of files.entries()) {
    if (errors.length > MAX_ERRORS) {
      errors.push(`too many errors. ${files.length - i} files unexamined`)
      break
    }
    try {
      const { path, size } = await receive(call, client, file, folder, rule)
      say(`wrote ${file.Name} as ${path} (${size} bytes)`)
      if (flags.bool('json')) terminal.out(`${JSON.stringify({ Name: file.Name, Path: path, Size: size })}\n`)
      await client.deleteFile(file.Name)
      moved++
    } catch (error) {
      terminal.interrupted.throwIfAborted()
      if (error instanceof LocalApiError && (error.code === 'access-denied' || error.code === 'daemon-unreachable'))
        throw error
      errors.push(error instanceof Error ? error.message : String(error))
    }
  }
  const sum = `moved ${moved}/${files.length} files`
  if (moved === 0 && files.length > 0) errors.push(sum)
  else say(sum)
  return errors
}

async function untilFiles(
  { flags, terminal }: Invocation,
  client: LocalClient,
  say: (text: string) => void,
): Promise<WaitingFile[]> {
  const signal = terminal.interrupted
  let files = await client.waitingFiles({ signal })
  if (files.length > 0 || !(flags.bool('wait') || flags.bool('loop'))) return files
  say('waiting for file...')
  while (files.length === 0) files = await client.waitingFiles({ waitSeconds: WAIT_SECONDS, signal })
  return files
}

async function receive(
  { terminal }: Invocation,
  client: LocalClient,
  { Name }: WaitingFile,
  folder: string,
  rule: ConflictRule,
): Promise<{ path: string; size: number }> {
  if (basename(Name) !== Name || Name === '.' || Name === '..') throw new Error(`refusing the name ${quote(Name)}`)
  const wanted = join(folder, Name)
  if (rule === 'skip' && (await exists(wanted))) throw new Error(`refusing to overwrite file: ${wanted} exists`)
  const part = join(folder, `.pintail-${process.pid}-${terminal.now()}.part`)
  try {
    const { size, body } = await client.openFile(Name, { signal: terminal.interrupted, timeoutMs: 60_000 })
    const target = createWriteStream(part, { flags: 'wx', mode: 0o644, highWaterMark: 1 << 20 })
    await pipeline(body, target)
    if (target.bytesWritten !== size) throw new Error(`${Name}: ${target.bytesWritten} of ${size} bytes came`)
    return { path: await takeName(part, wanted, rule), size }
  } finally {
    await rm(part, { force: true })
  }
}

/** A whole file gets its name, in one step. */
async function takeName(part: string, wanted: string, rule: ConflictRule): Promise<string> {
  if (rule === 'overwrite') {
    await rename(part, wanted)
    return wanted
  }
  for (let number = 0; number <= MAX_NUMBER; number++) {
    const path = number === 0 ? wanted : numbered(wanted, number)
    try {
      await link(part, path)
      return path
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EEXIST') {
        // a folder without hard links: the name is looked at first
        if (await exists(path)) continue
        await rename(part, path)
        return path
      }
      if (rule === 'skip') throw new Error(`refusing to overwrite file: ${wanted} exists`)
    }
  }
  throw new Error(`${wanted}: too many files with this name`)
}

function numbered(path: string, number: number): string {
  const ending = extname(path)
  return `${path.slice(0, path.length - ending.length)} (${number})${ending}`
}

async function wipe({ flags, terminal }: Invocation, client: LocalClient): Promise<number> {
  const files = await client.waitingFiles()
  for (const { Name } of files) {
    if (flags.bool('verbose')) terminal.out(`deleting ${Name} ...\n`)
    await client.deleteFile(Name)
  }
  if (flags.bool('verbose')) terminal.out(`deleted ${files.length} files\n`)
  return 0
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined // a link that leads nowhere is caught when the name is taken
}
