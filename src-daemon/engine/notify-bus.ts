/** Who watches the daemon, and telling them. Streams and queues belong to the watcher (`localapi/handlers/watch.ts`). */
import type { Notify } from '../../src-contract/localapi/notify.ts'
import { type BusEvent, notifyFor } from './notify.ts'

export interface Watcher {
  readonly mask: number
  deliver(notify: Notify): void
  /** Ends this watch: what it stood for is gone. */
  end?(): void
}

export class NotifyBus {
  readonly #version: string
  readonly #watchers = new Set<Watcher>()
  /** Called when the number of watchers changed: engine polling follows it. */
  onAudience: () => void = () => {}
  /** What every message carries. */
  common: () => Partial<Notify> = () => ({})

  constructor(version: string) {
    this.#version = version
  }

  add(watcher: Watcher): () => void {
    this.#watchers.add(watcher)
    this.onAudience()
    return () => {
      if (this.#watchers.delete(watcher)) this.onAudience()
    }
  }

  hasMask(bit: number): boolean {
    for (const watcher of this.#watchers) if ((watcher.mask & bit) !== 0) return true
    return false
  }

  publish(event: BusEvent): void {
    for (const watcher of [...this.#watchers]) {
      const notify = notifyFor(this.#version, watcher.mask, event)
      if (notify !== undefined) watcher.deliver({ ...notify, ...this.common() })
    }
  }

  tell(fields: Partial<Notify>): void {
    this.publish({ kind: 'plain', fields })
  }
}
