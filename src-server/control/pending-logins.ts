/**
 * Logins that wait for a person: a machine asked to join, somebody has to say who it belongs to. In memory only; after a
 * restart the client simply gets a new link.                                              [control.md §3.4, §3.5 item 5]
 */
import { randomBytes } from 'node:crypto'
import type { Hostinfo } from '../../src-contract/control/map.ts'
import type { MachineKeyText, NodeKeyText } from '../../src-contract/ids.ts'

export interface PendingLogin {
  readonly id: string
  readonly machineKey: MachineKeyText
  readonly nodeKey: NodeKeyText
  readonly hostinfo: Hostinfo
  readonly capVersion: number
  readonly createdAt: number
}

const KEEP_MS = 15 * 60_000
const MAX_PENDING = 1024

interface Waiting {
  readonly login: PendingLogin
  readonly decided: Promise<void>
  readonly decide: () => void
}

export class PendingLogins {
  readonly #waiting = new Map<string, Waiting>()
  /** Ids that a person let in, for the page that is still open. */
  readonly #approved = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /** The same machine with the same key asks again: the same link. */
  ask(request: Omit<PendingLogin, 'id' | 'createdAt'>): PendingLogin {
    this.#forgetOld()
    for (const { login } of this.#waiting.values())
      if (login.machineKey === request.machineKey && login.nodeKey === request.nodeKey) return login
    const oldest = this.#waiting.keys().next().value
    if (this.#waiting.size >= MAX_PENDING && oldest !== undefined) this.#forget(oldest)
    const login: PendingLogin = { ...request, id: randomBytes(12).toString('hex'), createdAt: this.#now() }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.set(login.id, { login, decided: promise, decide: resolve })
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
    signal.addEventListener('abort', () => resolve(), { once: true })
    await Promise.race([waiting.decided, promise])
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
    this.#waiting.get(id)?.decide()
    this.#waiting.delete(id)
  }
}
