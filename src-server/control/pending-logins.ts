/**
 * Logins that wait for a person: a machine asked to join, somebody has to say who it belongs to. In memory only; after a
 * restart the client simply gets a new link.                                              [control.md §3.4, §3.5 item 5]
 */
import { randomBytes } from 'node:crypto'
import type { Hostinfo } from '../../src-contract/control/map.ts'
import type { MachineKeyText, NodeKeyText } from '../../src-contract/ids.ts'
import { mostFrequent } from './networks.ts'

export interface PendingLogin {
  readonly id: string
  readonly machineKey: MachineKeyText
  readonly nodeKey: NodeKeyText
  readonly hostinfo: Hostinfo
  readonly capVersion: number
  readonly createdAt: number
  /** Where the request came from, see `networkOf`. */
  readonly network: string
}

const KEEP_MS = 15 * 60_000
const MAX_PENDING = 1024
/** One machine signs in with one key at a time; a few more for clients that lost theirs. */
const MAX_PER_MACHINE = 4

interface Waiting {
  readonly login: PendingLogin
  readonly waiters: Set<() => void>
}

export class PendingLogins {
  readonly #waiting = new Map<string, Waiting>()
  /** Ids that a person let in, for the page that is still open. */
  readonly #approved = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /**
   * The same machine with the same key asks again: the same link. Anybody may ask, so there is no end of requests: when
   * there is no more room, the network that asks most loses its oldest one, and the others keep theirs.
   */
  ask(request: Omit<PendingLogin, 'id' | 'createdAt'>): PendingLogin {
    this.#forgetOld()
    for (const { login } of this.#waiting.values())
      if (login.machineKey === request.machineKey && login.nodeKey === request.nodeKey) return login
    const own = [...this.#waiting.values()].filter(({ login }) => login.machineKey === request.machineKey)
    if (own.length >= MAX_PER_MACHINE) this.#forget(own[0]!.login.id)
    if (this.#waiting.size >= MAX_PENDING) this.#forget(this.#oldestOfLoudest())
    const login: PendingLogin = { ...request, id: randomBytes(12).toString('hex'), createdAt: this.#now() }
    this.#waiting.set(login.id, { login, waiters: new Set() })
    return login
  }

  get(id: string): PendingLogin | undefined {
    this.#forgetOld()
    return this.#waiting.get(id)?.login
  }

  /** Resolves when this login was decided or forgotten, at once when there is none, or when the signal fires. */
  async wait(id: string, signal: AbortSignal): Promise<void> {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const done = (): void => resolve()
    waiting.waiters.add(done)
    signal.addEventListener('abort', done, { once: true })
    await promise
    waiting.waiters.delete(done)
    signal.removeEventListener('abort', done)
  }

  /** Whoever waits looks again at what is registered. */
  settle(id: string): void {
    this.#approved.set(id, this.#now())
    this.#forget(id)
  }

  wasApproved(id: string): boolean {
    this.#forgetOld()
    return this.#approved.has(id)
  }

  close(): void {
    for (const id of [...this.#waiting.keys()]) this.#forget(id)
  }

  #forgetOld(): void {
    const limit = this.#now() - KEEP_MS
    for (const [id, { login }] of this.#waiting) if (login.createdAt < limit) this.#forget(id)
    for (const [id, at] of this.#approved) if (at < limit) this.#approved.delete(id)
  }

  #forget(id: string): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    for (const done of waiting?.waiters ?? []) done()
  }

  #oldestOfLoudest(): string {
    const logins = [...this.#waiting.values()].map(({ login }) => login)
    const loudest = mostFrequent(logins.map(({ network }) => network))
    return logins.find(({ network }) => network === loudest)!.id
  }
}
