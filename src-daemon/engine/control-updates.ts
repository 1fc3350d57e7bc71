/**
 * Tells the server what changed about this node: debounced, one request at a time, the newest state wins, nothing is
 * sent that the server has accepted already.                                      [control.md §4.1; CTL-4.1, 6.3]
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Retry } from '../../src-protocol/machines/login.ts'

export const UPDATE_DEBOUNCE_MS = 200

export interface ControlUpdatesOptions {
  /** Sends one request body; false = not accepted, to be tried again. */
  send(body: string, signal: AbortSignal): Promise<boolean>
  readonly retry: Retry
  readonly random01: () => number
  readonly debounceMs?: number
}

export class ControlUpdates {
  readonly #o: ControlUpdatesOptions
  #wanted: (() => string) | undefined
  #accepted: string | undefined
  #session: AbortController | undefined
  #isRunning = false

  constructor(o: ControlUpdatesOptions) {
    this.#o = o
  }

  /** `body` is asked for as late as possible. */
  offer(body: () => string): void {
    this.#wanted = body
    void this.#run()
  }

  /** Updates flow between start and stop; what was offered before goes out first. */
  start(): void {
    this.#session ??= new AbortController()
    void this.#run()
  }

  stop(): void {
    this.#session?.abort()
    this.#session = undefined
  }

  /** The server may have forgotten: the next offer counts as new. */
  forget(): void {
    this.#accepted = undefined
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    while (this.#session !== undefined && this.#wanted !== undefined) {
      const { signal } = this.#session
      await pause(this.#o.debounceMs ?? UPDATE_DEBOUNCE_MS, signal)
      if (signal.aborted) continue
      const body = this.#wanted()
      this.#wanted = undefined
      if (body === this.#accepted) continue
      const isAccepted = await this.#o.send(body, signal)
      if (isAccepted) {
        this.#accepted = body
        this.#o.retry.reset()
      } else {
        this.#wanted ??= () => body
        await pause(this.#o.retry.next(this.#o.random01()), signal)
      }
    }
    this.#isRunning = false
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined) // cancelled is over, too
}
