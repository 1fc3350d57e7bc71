/**
 * A watch that survives the daemon: folds what it hears into a mirror and, when the daemon goes away, says so and
 * tries again. For whoever lives longer than one connection (app, tray, lab); one-shot commands use `watch` itself.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { applyNotify, emptyMirror, MIRROR_WATCH_MASK, type Mirror } from '../src-contract/localapi/mirror.ts'
import type { Notify } from '../src-contract/localapi/notify.ts'
import { LocalApiError } from './local-api-error.ts'
import type { LocalClient } from './local-client.ts'

export type FollowEvent =
  | { kind: 'connected' }
  | { kind: 'change'; mirror: Mirror; notify: Notify }
  | { kind: 'lost'; error: LocalApiError | undefined }

export interface FollowOptions {
  mask?: number
  signal: AbortSignal
  /** First and longest pause between attempts; it doubles in between. */
  retryMs?: number
  maxRetryMs?: number
}

/** Ends only with the signal. */
export async function* followDaemon(client: LocalClient, options: FollowOptions): AsyncGenerator<FollowEvent> {
  const { signal, mask = MIRROR_WATCH_MASK, retryMs = 250, maxRetryMs = 3000 } = options
  let pauseMs = retryMs
  while (!signal.aborted) {
    let lost: LocalApiError | undefined
    try {
      const watch = await client.watch({ mask, signal })
      yield { kind: 'connected' }
      let mirror = emptyMirror()
      for await (const notify of watch) {
        pauseMs = retryMs
        mirror = applyNotify(mirror, notify)
        yield { kind: 'change', mirror, notify }
      }
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof LocalApiError)) throw error
      lost = error
    }
    yield { kind: 'lost', error: lost }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined) // only an abort ends the pause early
    pauseMs = Math.min(pauseMs * 2, maxRetryMs)
  }
}
