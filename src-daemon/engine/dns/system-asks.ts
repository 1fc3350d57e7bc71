/**
 * The shell of `machines/resolver/system-check.ts`: looks names up as programs of this system do, hears which questions
 * arrive, arms one timer.
 */

import type { DnsPlan } from '../../../src-protocol/machines/resolver/plan.ts'
import { checkDomain, SystemCheck, type SystemVerdict } from '../../../src-protocol/machines/resolver/system-check.ts'
import { toHex } from '../../../src-protocol/wire/bytes.ts'
import { decodeDnsQuery } from '../../../src-protocol/wire/dns.ts'

export interface SystemAsksOptions {
  /** Looks a name up the way programs do; resolves when that has ended, however. */
  readonly lookUp: (name: string) => Promise<void>
  readonly randomBytes: (count: number) => Uint8Array
  readonly now: () => number
  readonly onVerdict: () => void
}

export class SystemAsks {
  readonly #o: SystemAsksOptions
  readonly #check: SystemCheck
  #applied = ''
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: SystemAsksOptions) {
    this.#o = options
    this.#check = new SystemCheck({ randomLabel: () => toHex(options.randomBytes(8)) })
  }

  get verdict(): SystemVerdict {
    return this.#check.verdict
  }

  get domain(): string | undefined {
    return this.#check.domain
  }

  /** Whether {@link hear} is of use now. */
  get isWaiting(): boolean {
    return this.#check.isWaiting
  }

  /** What the system was told; undefined: nothing of ours. */
  follow(plan: DnsPlan, applied: unknown): void {
    const domain = applied === undefined ? undefined : checkDomain(plan)
    const text = JSON.stringify([domain, applied])
    if (text === this.#applied) return
    this.#applied = text
    this.#feed(() => this.#check.follow(domain, this.#o.now()))
  }

  again(): void {
    this.#feed(() => this.#check.again(this.#o.now()))
  }

  /** A question that a program of this machine asked us. */
  hear(bytes: Uint8Array): void {
    const query = decodeDnsQuery(bytes)
    if (query.ok) this.#feed(() => this.#check.handleQuestion(query.value.question.name, this.#o.now()))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #feed(event: () => void): void {
    const before = this.#check.verdict
    event()
    this.#arm()
    if (this.#check.verdict !== before) this.#o.onVerdict()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const next = this.#check.nextWake()
    if (next === undefined || this.#closed) return
    this.#timer = setTimeout(() => this.#feed(() => this.#wake()), Math.max(0, Math.ceil(next - this.#o.now()))).unref()
  }

  #wake(): void {
    const lookUp = this.#check.wake(this.#o.now())
    if (lookUp === undefined) return
    void this.#o.lookUp(lookUp.name).then(() => {
      if (!this.#closed) this.#feed(() => this.#check.handleEnd(lookUp, this.#o.now()))
    })
  }
}
