/**
 * Listeners that follow a wish: what is wanted is opened, what is not any more is closed, and what cannot be had is tried
 * again. One change at a time; what was wanted meanwhile is done next.
 */

export interface Listener {
  close(): Promise<void>
}

export interface ListenerSetOptions<T> {
  /** Fails when it cannot be had (yet). */
  readonly open: (key: string, wanted: T) => Promise<Listener>
  /** Called after each round that was not all well, and when all is well again. */
  readonly onTroubles: (troubles: ReadonlyMap<string, unknown>) => void
  readonly retryMs: number
}

export class ListenerSet<T> {
  readonly #o: ListenerSetOptions<T>
  readonly #listeners = new Map<string, Listener>()
  readonly #troubles = new Map<string, unknown>()
  #wanted: ReadonlyMap<string, T> = new Map()
  #age = 0
  #runs = false
  #idle: Promise<void> = Promise.resolve()
  #retry: NodeJS.Timeout | undefined

  constructor(options: ListenerSetOptions<T>) {
    this.#o = options
  }

  /** Keys stand for all that an open listener cannot change any more. */
  follow(wanted: ReadonlyMap<string, T>): Promise<void> {
    this.#wanted = wanted
    clearTimeout(this.#retry)
    this.#age++
    if (!this.#runs) this.#idle = this.#run()
    return this.#idle
  }

  async #run(): Promise<void> {
    this.#runs = true
    const hadTroubles = this.#troubles.size > 0
    for (let age = -1; age !== this.#age; ) {
      age = this.#age
      this.#troubles.clear()
      const gone = [...this.#listeners].filter(([key]) => !this.#wanted.has(key))
      for (const [key] of gone) this.#listeners.delete(key)
      await Promise.all(gone.map(([, listener]) => listener.close()))
      for (const [key, wanted] of this.#wanted) {
        if (this.#listeners.has(key)) continue
        try {
          this.#listeners.set(key, await this.#o.open(key, wanted))
        } catch (error) {
          this.#troubles.set(key, error)
        }
      }
    }
    this.#runs = false
    if (this.#troubles.size > 0) this.#retry = setTimeout(() => void this.follow(this.#wanted), this.#o.retryMs).unref()
    if (hadTroubles || this.#troubles.size > 0) this.#o.onTroubles(new Map(this.#troubles))
  }
}
