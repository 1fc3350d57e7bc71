/**
 * What peers send us: which folder it goes to, one transfer at a time for each sender and name, what is under way and
 * what waits. Not HTTP (`put-route.ts`), not the disk (`io/taildrop`). [docs/rules/taildrop.md TD-3 … TD-7]
 */
import type { Readable } from 'node:stream'
import type { IncomingFile } from '../../../src-contract/localapi/files.ts'
import type { Block } from '../../../src-protocol/machines/taildrop/block-hashes.ts'
import { errorText, type Log } from '../../io/log/log.ts'
import type { DropFolder, DropResult, WaitingFile } from '../../io/taildrop/port.ts'
import { timeText } from '../node-text.ts'

/** A connection that was cut looks alive for long; whoever comes again for the same file after so much silence goes on. */
const SUPERSEDE_AFTER_MS = 3_000
const TELL_EVERY_MS = 1_000
const SWEEP_EVERY_MS = 3_600_000
const ABANDONED_AFTER_MS = 24 * 3_600_000

export interface InboxFile {
  readonly name: string
  readonly sender: string
  readonly offset: number
  readonly length: number | undefined
  readonly body: Readable
  /** Ends the sender's connection. */
  readonly cut: () => void
}

export type InboxResult = DropResult | { readonly kind: 'busy' } | { readonly kind: 'off' }

export interface InboxOptions {
  /** Into a folder of somebody's, and nothing waits. */
  readonly direct: DropFolder | undefined
  /** The staging folder of one person. */
  readonly openStaging: (owner: string) => DropFolder
  readonly nowMs: () => number
  readonly wallMs: () => number
  readonly log: Log
}

interface Arrival {
  readonly file: InboxFile
  readonly startedWallMs: number
  received: number
  heardMs: number
  readonly ended: Promise<unknown>
}

export class Inbox {
  /** What is under way; the last call for a file says that it is done. */
  onIncoming: (files: readonly IncomingFile[]) => void = () => {}
  /** One is over, well or not. */
  onOver: (file: InboxFile, result: DropResult, startedWallMs: number) => void = () => {}
  /** Files came, or none is left. */
  onWaiting: (isWaiting: boolean) => void = () => {}
  readonly #o: InboxOptions
  readonly #arrivals = new Map<string, Arrival>()
  readonly #waiters = new Set<() => void>()
  #owner: string | undefined
  #folder: DropFolder | undefined
  #isWaiting = false
  #told = 0
  #sweeping: NodeJS.Timeout | undefined

  constructor(options: InboxOptions) {
    this.#o = options
  }

  get isDirect(): boolean {
    return this.#o.direct !== undefined
  }

  get isWaiting(): boolean {
    return this.#isWaiting
  }

  /** Whose files these are; undefined = nobody's now. */
  setOwner(owner: string | undefined): void {
    if (owner === this.#owner) return
    this.#owner = owner
    this.#folder = owner === undefined ? undefined : (this.#o.direct ?? this.#o.openStaging(owner))
    for (const { file } of this.#arrivals.values()) file.cut()
    clearInterval(this.#sweeping)
    if (this.#folder !== undefined) {
      this.#sweeping = setInterval(() => void this.#sweep(), SWEEP_EVERY_MS).unref()
      void this.#sweep()
    }
    void this.#look()
  }

  close(): void {
    this.setOwner(undefined)
  }

  async receive(file: InboxFile): Promise<InboxResult> {
    const folder = this.#folder
    if (folder === undefined) return { kind: 'off' }
    const key = `${file.sender}/${file.name}`
    if (!(await this.#makeWay(key))) return { kind: 'busy' }
    let end: (value?: unknown) => void = () => {}
    const ended = new Promise((resolve) => {
      end = resolve
    })
    const { nowMs, wallMs } = this.#o
    const arrival: Arrival = { file, startedWallMs: wallMs(), received: file.offset, heardMs: nowMs(), ended }
    this.#arrivals.set(key, arrival)
    this.#tell()
    try {
      const result = await folder.drop({
        ...file,
        onProgress: (bytes) => {
          arrival.heardMs = nowMs()
          arrival.received = bytes
          this.#tellSoon()
        },
      })
      this.#note(file, result)
      this.onOver(file, result, arrival.startedWallMs)
      return result
    } finally {
      this.#arrivals.delete(key)
      end()
      this.#tell(arrival)
      if (!this.isDirect) await this.#look()
    }
  }

  async begun(sender: string): Promise<string[]> {
    return (await this.#folder?.begun(sender)) ?? []
  }

  async *blocks(name: string, sender: string): AsyncIterable<Block> {
    await this.#makeWay(`${sender}/${name}`)
    if (this.#folder !== undefined) yield* this.#folder.blocks(name, sender)
  }

  /** In direct mode nothing waits. */
  async waiting(): Promise<WaitingFile[]> {
    return this.isDirect ? [] : ((await this.#folder?.list()) ?? [])
  }

  /** Until something waits, the time is over or the signal comes. */
  async waitForFiles(withinMs: number, signal: AbortSignal): Promise<WaitingFile[]> {
    const found = await this.waiting()
    if (found.length > 0 || withinMs <= 0) return found
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiters.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, withinMs)
      this.#waiters.add(done)
      signal.addEventListener('abort', done)
    })
    return this.waiting()
  }

  async read(name: string): Promise<Awaited<ReturnType<DropFolder['read']>>> {
    return this.isDirect ? undefined : this.#folder?.read(name)
  }

  async remove(name: string): Promise<boolean> {
    if (this.isDirect || this.#folder === undefined) return false
    const removed = await this.#folder.remove(name)
    await this.#look()
    return removed
  }

  get incoming(): IncomingFile[] {
    return [...this.#arrivals.values()].map((one) => incomingFile(one))
  }

  /** False: somebody is at it. */
  async #makeWay(key: string): Promise<boolean> {
    const other = this.#arrivals.get(key)
    if (other === undefined) return true
    if (this.#o.nowMs() - other.heardMs < SUPERSEDE_AFTER_MS) return false
    other.file.cut()
    await other.ended
    return !this.#arrivals.has(key)
  }

  #note(file: InboxFile, result: DropResult): void {
    const { name, sender, offset } = file
    const bytes = 'bytes' in result ? result.bytes : undefined
    const reason = result.kind === 'failed' ? { reason: result.reason } : {}
    this.#o.log.info('file-received', { name, sender, result: result.kind, bytes, offset, ...reason })
  }

  #tellSoon(): void {
    if (this.#o.nowMs() - this.#told >= TELL_EVERY_MS) this.#tell()
  }

  #tell(done?: Arrival): void {
    this.#told = this.#o.nowMs()
    this.onIncoming([...this.incoming, ...(done === undefined ? [] : [{ ...incomingFile(done), Done: true }])])
    if (done !== undefined) this.onIncoming(this.incoming)
  }

  async #look(): Promise<void> {
    const before = this.#isWaiting
    try {
      this.#isWaiting = (await this.waiting()).length > 0
    } catch (error) {
      this.#o.log.warn('inbox-unreadable', { reason: errorText(error) })
    }
    if (this.#isWaiting || before) this.onWaiting(this.#isWaiting)
    if (this.#isWaiting) for (const wake of [...this.#waiters]) wake()
  }

  async #sweep(): Promise<void> {
    try {
      await this.#folder?.sweep(this.#o.wallMs() - ABANDONED_AFTER_MS)
    } catch (error) {
      this.#o.log.warn('inbox-not-swept', { reason: errorText(error) })
    }
  }
}

function incomingFile({ file, startedWallMs, received }: Arrival): IncomingFile {
  const { name, offset, length } = file
  return {
    Name: name,
    Started: timeText(startedWallMs),
    DeclaredSize: length === undefined ? -1 : offset + length,
    Received: received,
  }
}
