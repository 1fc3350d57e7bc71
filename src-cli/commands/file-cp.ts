/** `pintail file cp`: sends files, shows how far they are, and says so when nothing moves. [docs/rules/cli.md CLI-9] */
import { createReadStream, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { Readable } from 'node:stream'
import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import type { FileTarget, OutgoingFile } from '../../src-contract/localapi/files.ts'
import { watchMask } from '../../src-contract/localapi/notify.ts'
import { durationText, roundDuration } from '../text/duration.ts'
import { quote } from '../text/quote.ts'
import { visible } from '../text/visible.ts'
import { CommandError, type Invocation, type Terminal } from '../verb.ts'
import { ERASE_LINE, Progress } from './file-progress.ts'
import { type FileRecipient, findRecipient, splitTargets } from './file-target.ts'
import { openNamedInput } from './named-input.ts'

const READ_BYTES = 1 << 20
const SILENT_AFTER_MS = 3_000
/** A connection that broke is tried again, while something got through each time. */
const TRIES_WITHOUT_PROGRESS = 3
const RETRY_AFTER_MS = 1_000
const SOON_MS = 5_000

export async function copyFiles(call: Invocation): Promise<number> {
  const { args, flags, terminal } = call
  const { files, targets } = splitTargets(args, exists)
  if (files.length > 1 && flags.given('name')) throw new CommandError("can't use --name= with multiple files")
  if ((files.length > 1 || targets.length > 1) && files.includes('-'))
    throw new CommandError("can't use '-' as STDIN with multiple files")
  const client = await call.connect()
  const recipients: FileRecipient[] = []
  for (const target of targets) recipients.push(await findRecipient(client, target, terminal))
  const outgoing = flags.bool('queue') ? undefined : await OutgoingWatch.open(client)
  try {
    for (const to of recipients) {
      for (const path of files) {
        const source = await openSource(path, flags.text('name'), terminal)
        if (outgoing === undefined) await queueOne(call, client, to, source)
        else await sendOne(call, client, { to, source, outgoing })
      }
    }
  } finally {
    outgoing?.close()
  }
  return 0
}

interface Source {
  readonly name: string
  readonly size: number | undefined
  /** From the start; standard input can be opened once. */
  readonly open: () => Readable
  readonly canReopen: boolean
}

async function openSource(path: string, name: string, terminal: Terminal): Promise<Source> {
  if (path === '-') {
    const input = await openNamedInput(terminal.openInput?.() ?? Readable.from([]), name)
    return { ...input, open: () => input.body, canReopen: false }
  }
  const found = await stat(path).catch(() => undefined) // whatever it is, it cannot be read
  if (found === undefined) throw new CommandError(`open ${path}: no such file or directory`)
  if (found.isDirectory()) throw new CommandError('directories not supported: pack them first (tar)')
  const { size } = found
  const open = (): Readable =>
    createReadStream(path, { highWaterMark: READ_BYTES, ...(size > 0 ? { end: size - 1 } : {}) })
  return { name: name || basename(path), size: found.isFile() ? size : undefined, open, canReopen: found.isFile() }
}

interface Sending {
  readonly to: FileRecipient
  readonly source: Source
  readonly outgoing: OutgoingWatch
}

async function sendOne(call: Invocation, client: LocalClient, sending: Sending): Promise<void> {
  const { to, source } = sending
  const { flags, terminal } = call
  const say = (text: string): void => void (flags.bool('verbose') && terminal.err(`${text}\n`))
  say(`sending ${quote(source.name)} to ${to.typed}/${to.id} ...`)
  const startedMs = terminal.now()
  const meter = new Meter(call, sending)
  try {
    for (let failures = 0, best = 0; ; ) {
      const triedMs = terminal.now()
      try {
        const length = source.size === undefined ? {} : { length: source.size }
        await client.putFile(to.id, source.name, source.open(), { ...length, signal: terminal.interrupted })
        break
      } catch (error) {
        // a stock daemon has the same status for a device that does not answer at all, and finds out late
        const isBroken = error instanceof LocalApiError && error.status === 502
        const brokeOff = isBroken && (meter.sent > 0 || terminal.now() - triedMs < SOON_MS)
        failures = meter.sent > best ? 0 : failures + 1
        best = Math.max(best, meter.sent)
        if (!brokeOff || !source.canReopen || failures >= TRIES_WITHOUT_PROGRESS) throw error
        say(`the connection broke (${error.message}); going on`)
        await terminal.sleep(RETRY_AFTER_MS, terminal.interrupted)
      }
    }
    meter.finish()
  } catch (error) {
    terminal.interrupted.throwIfAborted()
    if (error instanceof LocalApiError && error.status > 0 && !/^file-put\/ access denied/.test(error.message))
      throw new CommandError(`${source.name}: ${error.message}`)
    throw error
  } finally {
    meter.close()
  }
  say(`sent ${quote(source.name)}`)
  if (flags.bool('json')) {
    const ElapsedSeconds = (terminal.now() - startedMs) / 1000
    const line = { Name: source.name, To: to.id, Size: source.size ?? meter.sent, ElapsedSeconds }
    terminal.out(`${JSON.stringify(line)}\n`)
  }
}

async function queueOne(call: Invocation, client: LocalClient, to: FileRecipient, source: Source): Promise<void> {
  const { flags, terminal } = call
  try {
    const length = source.size === undefined ? {} : { length: source.size }
    const ID = await client.queueFile(to.id, source.name, source.open(), { ...length, signal: terminal.interrupted })
    if (flags.bool('json')) terminal.out(`${JSON.stringify({ ID, Name: source.name, To: to.id })}\n`)
    else terminal.out(`${source.name} goes to ${to.typed} when it is there (pintail file queue)\n`)
  } catch (error) {
    const isStock = error instanceof LocalApiError && error.message === '404 page not found'
    if (isStock) throw new CommandError('--queue: this daemon cannot keep files; pintaild can')
    throw error
  }
}

/** What the daemon tells of transfers, for as long as we send. */
class OutgoingWatch {
  #files: readonly OutgoingFile[] = []
  readonly #stop = new AbortController()

  static async open(client: LocalClient): Promise<OutgoingWatch> {
    const outgoing = new OutgoingWatch()
    const mask = watchMask.initialOutgoingFiles | watchMask.peerChanges
    const watch = await client.watch({ mask, signal: outgoing.#stop.signal })
    const follow = async (): Promise<void> => {
      for await (const { OutgoingFiles } of watch) if (OutgoingFiles !== undefined) outgoing.#files = OutgoingFiles
    }
    follow().catch(() => {}) // closed by us, or the daemon is gone, which the transfer says
    return outgoing
  }

  sentOf(to: FileRecipient, source: Source): number | undefined {
    return this.#files.find(
      ({ PeerID, Name, Finished }) => PeerID === to.id && !Finished && unescaped(Name) === source.name,
    )?.Sent
  }

  close(): void {
    this.#stop.abort()
  }
}

/** How far one file is, drawn for a person. */
class Meter {
  readonly #terminal: Terminal
  readonly #sending: Sending
  readonly #progress: Progress
  readonly #isShown: boolean
  readonly #timers: NodeJS.Timeout[] = []
  readonly #size: number | undefined
  #sent = 0

  constructor({ terminal, flags }: Invocation, sending: Sending) {
    const { to, source } = sending
    this.#terminal = terminal
    this.#sending = sending
    this.#size = source.size
    this.#progress = new Progress(visible(source.name), source.size)
    const everyMs = flags.ms('update-interval')
    this.#isShown = terminal.isDrawn === true && everyMs > 0 && !flags.bool('json')
    if (this.#isShown) this.#timers.push(setInterval(() => this.#draw(), everyMs))
    const warn = (): void => {
      if (this.sent > 0 || this.#size === 0) return
      const what = to.isOffline ? 'is reportedly offline' : 'is not replying'
      terminal.draw(`${this.#isShown ? ERASE_LINE : ''}# warning: ${visible(to.typed)} ${what}; trying anyway\n`)
    }
    this.#timers.push(setTimeout(warn, SILENT_AFTER_MS))
  }

  /** As far as the daemon has told. */
  get sent(): number {
    this.#sent = this.#sending.outgoing.sentOf(this.#sending.to, this.#sending.source) ?? this.#sent
    return this.#sent
  }

  finish(): void {
    if (this.#isShown) {
      this.#draw(this.#size)
      this.#terminal.draw('\n')
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  #draw(bytes = this.sent): void {
    this.#terminal.draw(ERASE_LINE + this.#progress.line(bytes, this.#terminal.now()))
  }
}

/** Daemons tell names as they stand in the path. */
function unescaped(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

export async function listTargets({ args, connect, flags, terminal }: Invocation): Promise<number> {
  if (args.length > 0) throw new CommandError('invalid arguments with --targets')
  const targets = await (await connect()).fileTargets()
  for (const target of targets) {
    if (flags.bool('json')) terminal.out(`${JSON.stringify(targetJson(target))}\n`)
    else terminal.out(targetLine(target, terminal.now()))
  }
  return 0
}

function targetJson({ Node }: FileTarget): object {
  return { ID: Node.StableID, Name: Node.Name, Addresses: Node.Addresses, Online: Node.Online ?? null }
}

function targetLine({ Node }: FileTarget, nowMs: number): string {
  const [ip = ''] = (Node.Addresses?.[0] ?? '').split('/')
  const state = Node.Online === true ? '' : Node.Online === false ? 'offline' : 'unknown-status'
  const seenMs = Date.parse(Node.LastSeen ?? '')
  const isTold = state !== '' && !Number.isNaN(seenMs)
  const seen = isTold ? `; last seen ${durationText(roundDuration((nowMs - seenMs) * 1e6, 60e9))} ago` : ''
  return `${ip}\t${Node.ComputedName ?? ''}${state === '' ? '' : `\t${state}${seen}`}\n`
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
