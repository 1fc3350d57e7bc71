/**
 * Files that wait for their device: which of them is tried when, and how long. Pure; what is stored and sent is in
 * `src-daemon/engine/taildrop/queue.ts`. [docs/rules/taildrop.md TD-9]
 */
import type { Ms, StableNodeId } from '../../../src-contract/ids.ts'

/** As people expect of a parcel: a week. */
export const QUEUE_EXPIRY_MS = 7 * 24 * 3_600_000
const PARALLEL_PER_PEER = 2
const FIRST_RETRY_MS = 15_000
const MAX_RETRY_MS = 600_000

export interface QueuedFile {
  readonly id: string
  readonly peer: StableNodeId
  /** By the clock on the wall: it survives restarts. */
  readonly createdMs: Ms
  readonly attempts: number
  readonly triedMs: Ms
  readonly isSending: boolean
}

export interface QueueView {
  readonly nowMs: Ms
  /** false: the server says it is offline; undefined: no such device is known (any more). */
  readonly isOnline: (peer: StableNodeId) => boolean | undefined
}

export interface QueueStep {
  readonly start: readonly string[]
  readonly expired: readonly string[]
  /** When to look again although nothing happens; undefined = only then. */
  readonly wakeAtMs: Ms | undefined
}

/** In the order in which they came. */
export function stepQueue(files: readonly QueuedFile[], { nowMs, isOnline }: QueueView): QueueStep {
  const start: string[] = []
  const expired: string[] = []
  const busy = new Map<StableNodeId, number>()
  for (const { peer, isSending } of files) if (isSending) busy.set(peer, (busy.get(peer) ?? 0) + 1)
  let wakeAtMs: Ms | undefined
  const wake = (atMs: Ms): void => {
    wakeAtMs = Math.min(wakeAtMs ?? atMs, atMs)
  }
  for (const file of files) {
    if (file.isSending) continue
    const endMs = file.createdMs + QUEUE_EXPIRY_MS
    // a clock that was set back must not make a file wait for ever
    if (nowMs >= endMs || file.createdMs > nowMs + QUEUE_EXPIRY_MS) {
      expired.push(file.id)
      continue
    }
    wake(endMs)
    if (isOnline(file.peer) !== true) continue
    const dueMs = file.attempts === 0 ? nowMs : Math.min(file.triedMs, nowMs) + retryAfterMs(file.attempts)
    const sending = busy.get(file.peer) ?? 0
    if (dueMs > nowMs) wake(dueMs)
    else if (sending < PARALLEL_PER_PEER) {
      busy.set(file.peer, sending + 1)
      start.push(file.id)
    }
  }
  return { start, expired, wakeAtMs }
}

export function retryAfterMs(attempts: number): Ms {
  return Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempts - 1, 10))
}

/** Whether trying again may help. The peer's words: 400 a name it will never take, 403 and 404 not for us. */
export function isFinal(status: number): boolean {
  return status === 200 || status === 400 || status === 403 || status === 404
}
