/**
 * Files that wait for their device: keeps them on disk, sends them when it appears, gives up after a week. When what is
 * tried: `src-protocol/machines/taildrop/queue.ts`. [docs/rules/taildrop.md TD-9]
 */
import type { Readable } from 'node:stream'
import type { QueuedTransfer } from '../../../src-contract/localapi/files.ts'
import { isFinal, QUEUE_EXPIRY_MS, stepQueue } from '../../../src-protocol/machines/taildrop/queue.ts'
import { errorText, type Log } from '../../io/log/log.ts'
import type { PeerSendResult } from '../../io/taildrop/peer-client.ts'
import type { Spool, SpooledFile } from '../../io/taildrop/spool.ts'
import { timeText } from '../node-text.ts'
import type { Outgoing } from './outbox.ts'

const MAX_FILES = 1_000
/** A look now and then, whatever was missed. */
const LOOK_EVERY_MS = 60_000

export interface QueueTarget {
  /** undefined: no such target; the sending needs `target`. */
  readonly isOnline: boolean
  readonly target: Outgoing['target']
}

export interface SendQueueOptions {
  readonly spool: Spool
  readonly findTarget: (peer: string) => QueueTarget | undefined
  readonly send: (outgoing: Outgoing) => Promise<PeerSendResult>
  readonly newId: () => string
  readonly wallMs: () => number
  readonly log: Log
}

interface Entry {
  readonly file: SpooledFile
  attempts: number
  triedMs: number
  lastError: string
  sending: AbortController | undefined
}

export type AddResult =
  | { readonly kind: 'queued'; readonly id: string }
  | { readonly kind: 'no-space' | 'broke-off' | 'too-many' | 'not-ready' }

export class SendQueue {
  /** Something was added, sent, given up or failed. */
  onChange: () => void = () => {}
  readonly #o: SendQueueOptions
  #entries = new Map<string, Entry>()
  #owner: string | undefined
  #loaded: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: SendQueueOptions) {
    this.#o = options
  }

  /** Of this network's person. */
  get list(): QueuedTransfer[] {
    return this.#own.map(({ file, attempts, lastError, sending }) => ({
      ID: file.id,
      PeerID: file.peer,
      Name: file.name,
      Size: file.size,
      Created: timeText(file.createdMs),
      Expires: timeText(file.createdMs + QUEUE_EXPIRY_MS),
      State: sending === undefined ? 'waiting' : 'sending',
      Attempts: attempts,
      ...(lastError === '' ? {} : { LastError: lastError }),
    }))
  }

  /** The network is another, or there is news of it. */
  follow(owner: string | undefined): void {
    if (owner !== this.#owner) for (const { sending } of this.#entries.values()) sending?.abort()
    this.#owner = owner
    if (owner === undefined) return
    this.#loaded ??= this.#load()
    if (this.#entries.size > 0) this.#look()
  }

  async add(file: {
    readonly peer: string
    readonly name: string
    readonly body: Readable
    readonly length: number | undefined
  }): Promise<AddResult> {
    const owner = this.#owner
    if (owner === undefined) return { kind: 'not-ready' }
    await this.#loaded
    if (this.#entries.size >= MAX_FILES) return { kind: 'too-many' }
    const { newId, wallMs, spool } = this.#o
    const { peer, name, ...bytes } = file
    const result = await spool.add({ id: newId(), owner, peer, name, createdMs: wallMs() }, bytes)
    if (result.kind !== 'stored') return result
    this.#keep(result.file)
    this.onChange()
    this.#look()
    return { kind: 'queued', id: result.file.id }
  }

  /** Whether it was there. */
  async cancel(id: string): Promise<boolean> {
    const entry = this.#own.find(({ file }) => file.id === id)
    if (entry === undefined) return false
    await this.#forget(entry)
    entry.sending?.abort()
    return true
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    for (const { sending } of this.#entries.values()) sending?.abort()
  }

  get #own(): Entry[] {
    return [...this.#entries.values()].filter(({ file }) => file.owner === this.#owner)
  }

  async #load(): Promise<void> {
    try {
      for (const file of await this.#o.spool.load()) this.#keep(file)
    } catch (error) {
      this.#o.log.error('queue-unreadable', { reason: errorText(error) })
    }
    this.#look()
  }

  #keep(file: SpooledFile): void {
    this.#entries.set(file.id, { file, attempts: 0, triedMs: 0, lastError: '', sending: undefined })
  }

  #look(): void {
    clearTimeout(this.#timer)
    if (this.#isClosed || this.#owner === undefined) return
    const own = this.#own
    const nowMs = this.#o.wallMs()
    const { start, expired, wakeAtMs } = stepQueue(
      own.map(({ file, attempts, triedMs, sending }) => ({
        ...{ id: file.id, peer: file.peer, createdMs: file.createdMs },
        ...{ attempts, triedMs, isSending: sending !== undefined },
      })),
      { nowMs, isOnline: (peer) => this.#o.findTarget(peer)?.isOnline },
    )
    for (const entry of own) {
      if (start.includes(entry.file.id)) void this.#send(entry)
      if (!expired.includes(entry.file.id)) continue
      this.#o.log.warn('queued-file-expired', { name: entry.file.name, to: entry.file.peer })
      void this.#forget(entry)
    }
    if (wakeAtMs === undefined) return
    this.#timer = setTimeout(() => this.#look(), Math.min(LOOK_EVERY_MS, Math.max(0, wakeAtMs - nowMs)))
    this.#timer.unref()
  }

  async #send(entry: Entry): Promise<void> {
    const { file } = entry
    const found = this.#o.findTarget(file.peer)
    if (found === undefined) return
    const stop = new AbortController()
    entry.sending = stop
    entry.attempts++
    entry.triedMs = this.#o.wallMs()
    this.onChange()
    const body = this.#o.spool.read(file)
    body.on('error', () => {}) // the sending hears of it as well
    const { target } = found
    try {
      const { name, size: length, id } = file
      const result = await this.#o.send({ target, id, name, length, body, signal: stop.signal })
      entry.lastError = result.kind === 'answered' ? (result.status === 200 ? '' : result.text.trim()) : result.reason
      if (result.kind === 'answered' && isFinal(result.status)) await this.#forget(entry)
    } catch (error) {
      entry.lastError = errorText(error)
    } finally {
      body.destroy()
      entry.sending = undefined
    }
    this.onChange()
    this.#look()
  }

  async #forget({ file }: Entry): Promise<void> {
    this.#entries.delete(file.id)
    try {
      await this.#o.spool.remove(file.id)
    } catch (error) {
      this.#o.log.warn('queued-file-stays', { id: file.id, reason: errorText(error) })
    }
    this.onChange()
  }
}
