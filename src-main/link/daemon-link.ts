/**
 * The app's line to the daemon: follows the bus and folds it, reconnects by itself, and asks for what the bus does not
 * carry (how peers are reached) only while somebody looks. Knows no window and no tray.
 */
import { type FollowEvent, followDaemon } from '../../src-client/follow.ts'
import { isLocalApiError, type LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import type { AppProblem, DaemonFacts } from '../../src-contract/app/app-state.ts'
import { emptyMirror, type Mirror } from '../../src-contract/localapi/mirror.ts'
import type { PathReports } from '../../src-contract/localapi/pintail.ts'
import type { Status } from '../../src-contract/localapi/status.ts'

export interface LinkState {
  readonly link: DaemonFacts['link']
  readonly lostAt: number
  readonly problem: AppProblem | null
  readonly mirror: Mirror
  readonly status: Status | null
  readonly paths: PathReports | null
  readonly features: readonly string[] | null
}

const POLL_MS = 2000
/** The longest a poll may take of the time: a status of ten thousand peers is some megabytes. */
const POLL_SHARE = 0.1

export class DaemonLink {
  readonly client: LocalClient
  readonly #onChange: () => void
  #state: LinkState = {
    link: 'connecting',
    lostAt: 0,
    problem: null,
    mirror: emptyMirror(),
    status: null,
    paths: null,
    features: null,
  }
  #isWatched = false
  #poll: ReturnType<typeof setTimeout> | undefined
  #isPolling = false
  #isStale = false
  #connection = new AbortController()
  #isClosed = false

  constructor(client: LocalClient, onChange: () => void) {
    this.client = client
    this.#onChange = onChange
  }

  get state(): LinkState {
    return this.#state
  }

  start(): void {
    void this.#follow(this.#connection.signal)
  }

  /** Do not wait out the pause between attempts. */
  retry(): void {
    if (this.#state.link === 'connected' || this.#isClosed) return
    this.#connection.abort()
    this.#connection = new AbortController()
    this.start()
  }

  /** While somebody looks, paths and counters are asked for. */
  setWatched(isWatched: boolean): void {
    this.#isWatched = isWatched
    if (isWatched) this.refresh()
    else clearTimeout(this.#poll)
  }

  refresh(): void {
    clearTimeout(this.#poll)
    this.#isStale = true
    void this.#ask()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#poll)
    this.#connection.abort()
    this.client.close()
  }

  #set(part: Partial<LinkState>): void {
    this.#state = { ...this.#state, ...part }
    this.#onChange()
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for await (const event of followDaemon(this.client, { signal })) {
      if (signal.aborted) return
      this.#handle(event)
    }
  }

  #handle(event: FollowEvent): void {
    switch (event.kind) {
      case 'connected':
        this.#set({ link: 'connected', lostAt: 0, problem: null, mirror: emptyMirror(), status: null, paths: null })
        void this.#probe()
        return
      case 'change': {
        const stateBefore = this.#state.mirror.state
        this.#set({ mirror: event.mirror })
        if (event.mirror.state !== stateBefore) this.refresh()
        return
      }
      case 'lost':
        clearTimeout(this.#poll)
        this.#set({
          link: 'lost',
          lostAt: this.#state.lostAt || Date.now(),
          problem: event.error === undefined ? null : problemOf(event.error),
        })
    }
  }

  async #probe(): Promise<void> {
    try {
      const features = await this.client.pintailFeatures()
      this.#set({ features: features?.features ?? null })
    } catch (error) {
      if (!isLocalApiError(error)) throw error // what the daemon refuses now it tells again on the next connection
    }
    this.refresh()
  }

  async #ask(): Promise<void> {
    if (this.#isPolling || this.#state.link !== 'connected' || this.#isClosed) return
    this.#isPolling = true
    this.#isStale = false
    const startedMs = performance.now()
    try {
      const hasPaths = this.#state.features !== null
      const [status, paths] = await Promise.all([
        this.client.status(),
        hasPaths ? this.client.pintailPaths() : undefined,
      ])
      if (this.#state.link === 'connected') this.#set({ status, paths: paths ?? null })
    } catch (error) {
      if (!isLocalApiError(error)) throw error // the watch notices a daemon that went away
    } finally {
      this.#isPolling = false
      const tookMs = performance.now() - startedMs
      clearTimeout(this.#poll)
      if (this.#isStale) void this.#ask()
      else if (this.#isWatched && !this.#isClosed)
        this.#poll = setTimeout(() => void this.#ask(), Math.max(POLL_MS, tookMs / POLL_SHARE))
    }
  }
}

export function problemOf(error: LocalApiError): AppProblem {
  const code = error.code === 'precondition-failed' || error.code === 'failed' ? 'daemon' : error.code
  return { code, message: error.message }
}
