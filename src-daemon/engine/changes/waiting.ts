/**
 * A change that waits for its confirmation: when it is taken back, and what became of it. Pure; the clocks are arguments.
 * Not what taking back means (`undo.ts`) and not the timer (`changes.ts`). [docs/rules/changes.md CHG-2, CHG-3]
 */
import type { Ms } from '../../../src-contract/ids.ts'
import type { Undo } from './undo.ts'

/** As it is kept on disk: a daemon that was killed takes it back all the same. */
export interface PendingChange {
  readonly id: string
  readonly startedWallMs: number
  readonly withinMs: number
  readonly undo: Undo
}

export const MIN_WITHIN_MS = 1_000
export const MAX_WITHIN_MS = 3_600_000

/**
 * What is left after a restart, where only the wall clock goes on. A clock that was set back tells nothing about the time
 * that passed: then the whole time counts again. One that was set forward ends it at once.
 */
export function remainingMs(change: PendingChange, wallMs: number): number {
  const passedMs = wallMs - change.startedWallMs
  return passedMs < 0 ? change.withinMs : Math.max(0, change.withinMs - passedMs)
}

export class Waiting {
  #change: PendingChange | undefined
  #dueAt: Ms = 0

  get change(): PendingChange | undefined {
    return this.#change
  }

  /** `now`: a clock that nobody sets and that stands still while the machine sleeps – nobody can confirm then. */
  begin(change: PendingChange, now: Ms): void {
    this.#change = change
    this.#dueAt = now + change.withinMs
  }

  resume(change: PendingChange, wallMs: number, now: Ms): void {
    this.#change = change
    this.#dueAt = now + remainingMs(change, wallMs)
  }

  /** The same change, less to take back. */
  replace(change: PendingChange): void {
    if (this.#change?.id === change.id) this.#change = change
  }

  leftMs(now: Ms): number {
    return this.#change === undefined ? 0 : Math.max(0, this.#dueAt - now)
  }

  /** Whether it is this one that waits, and still in time. */
  isOpen(id: string, now: Ms): boolean {
    return this.#change?.id === id && now < this.#dueAt
  }

  end(): void {
    this.#change = undefined
  }

  nextWake(): Ms | undefined {
    return this.#change === undefined ? undefined : this.#dueAt
  }

  /** Whether the time is over. */
  wake(now: Ms): boolean {
    return this.#change !== undefined && now >= this.#dueAt
  }
}
