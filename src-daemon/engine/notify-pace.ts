/**
 * The pace of one watcher: boring messages of a rate-limited watch come at most every three seconds, merged; anything
 * else goes at once, after what was held back. A machine: no timer of its own.
 */
import type { Ms } from '../../src-contract/ids.ts'
import { type Notify, watchMask } from '../../src-contract/localapi/notify.ts'
import { isBoring } from './notify.ts'

const BORING_EVERY_MS = 3_000

export class NotifyPace {
  readonly #limited: boolean
  #held: Notify | undefined
  #boringAllowedAt: Ms = 0

  constructor(mask: number) {
    this.#limited = (mask & watchMask.rateLimit) !== 0
  }

  offer(notify: Notify, now: Ms): Notify[] {
    if (!this.#limited) return [notify]
    if (!isBoring(notify)) {
      const before = this.#release(now)
      return [...before, notify]
    }
    this.#held = this.#held === undefined ? notify : merge(this.#held, notify)
    return now >= this.#boringAllowedAt ? this.#release(now) : []
  }

  wake(now: Ms): Notify[] {
    return now >= this.#boringAllowedAt ? this.#release(now) : []
  }

  nextWake(): Ms | undefined {
    return this.#held === undefined ? undefined : this.#boringAllowedAt
  }

  #release(now: Ms): Notify[] {
    const held = this.#held
    if (held === undefined) return []
    this.#held = undefined
    this.#boringAllowedAt = now + BORING_EVERY_MS
    return [held]
  }
}

function merge(before: Notify, after: Notify): Notify {
  return { ...after, NetMap: after.NetMap ?? before.NetMap, Engine: after.Engine ?? before.Engine }
}
