/**
 * Does this system ask us? A name that nobody else has asked for, below a domain of ours, is looked up the way programs
 * do; the question must arrive at our resolver. Whatever stands between – another VPN, `nsswitch.conf`, a rule of the
 * firewall, a resolver that goes its own way – shows by that alone. A machine: it does not look up, and it does not hear.
 * Not a browser that never asks the system at all: nobody can see that from here. [docs/rules/dns.md DNS-15]
 */
import type { Ms } from '../../../src-contract/ids.ts'
import type { DnsPlan } from './plan.ts'

export type SystemVerdict = 'unknown' | 'asks us' | 'asks others'

export interface LookUp {
  readonly domain: string
  /** Fully qualified, with its final dot: no search domain is tried, so that nobody outside hears more than he would. */
  readonly name: string
}

/** Settings have a moment to take effect. */
export const FIRST_AFTER_MS = 1_000
/** A second chance before anybody is told. */
const AGAIN_AFTER_MS = 3_000
const SHORTEST_RETRY_MS = 10_000
const LONGEST_RETRY_MS = 120_000
export const CHECK_EVERY_MS = 5 * 60_000
/** A look-up takes that long at most until its question is here. */
export const PATIENCE_MS = 8_000
const TOLD_AFTER = 2

export class SystemCheck {
  readonly #randomLabel: () => string
  #domain: string | undefined
  #dueAt: Ms | undefined
  /** Lower case, without final dot. */
  #waitsFor: string | undefined
  #lookUps = 0
  #failures = 0
  #verdict: SystemVerdict = 'unknown'

  constructor(options: { readonly randomLabel: () => string }) {
    this.#randomLabel = options.randomLabel
  }

  get verdict(): SystemVerdict {
    return this.#verdict
  }

  get domain(): string | undefined {
    return this.#domain
  }

  get isWaiting(): boolean {
    return this.#waitsFor !== undefined
  }

  /** Settings were applied; undefined: there is nothing to ask for. */
  follow(domain: string | undefined, now: Ms): void {
    if (domain !== this.#domain) this.#verdict = 'unknown'
    this.#domain = domain
    this.again(now)
  }

  /** Something changed: what we know is old, but still what we know. */
  again(now: Ms): void {
    this.#waitsFor = undefined
    this.#failures = 0
    this.#dueAt = this.#domain === undefined ? undefined : now + FIRST_AFTER_MS
  }

  /** A question of a program on this machine, in lower case. */
  handleQuestion(name: string, now: Ms): void {
    if (name !== this.#waitsFor) return
    this.#waitsFor = undefined
    this.#failures = 0
    this.#verdict = 'asks us'
    this.#dueAt = now + CHECK_EVERY_MS
  }

  /** The look-up of that name has ended, however. */
  handleEnd(lookUp: LookUp, now: Ms): void {
    this.#lookUps--
    if (lookUp.name === `${this.#waitsFor}.`) this.#fail(now)
  }

  wake(now: Ms): LookUp | undefined {
    if (this.#dueAt === undefined || now < this.#dueAt) return undefined
    if (this.#waitsFor !== undefined) {
      this.#fail(now)
      return undefined
    }
    const domain = this.#domain!
    if (this.#lookUps > 0) {
      this.#dueAt = now + AGAIN_AFTER_MS // one at a time: those that hang must not pile up
      return undefined
    }
    this.#lookUps++
    this.#waitsFor = `check-${this.#randomLabel()}.${domain}`
    this.#dueAt = now + PATIENCE_MS
    return { domain, name: `${this.#waitsFor}.` }
  }

  nextWake(): Ms | undefined {
    return this.#dueAt
  }

  #fail(now: Ms): void {
    this.#waitsFor = undefined
    this.#failures++
    if (this.#failures < TOLD_AFTER) {
      this.#dueAt = now + AGAIN_AFTER_MS
      return
    }
    this.#verdict = 'asks others'
    this.#dueAt = now + Math.min(LONGEST_RETRY_MS, SHORTEST_RETRY_MS * 2 ** (this.#failures - TOLD_AFTER))
  }
}

/** Where to ask: the domain that short names get, else any of ours. Reverse zones are looked up in another way. */
export function checkDomain(plan: DnsPlan): string | undefined {
  const own = [...plan.localDomains].filter((name) => !name.endsWith('.arpa'))
  return plan.searchDomains.find((name) => own.includes(name)) ?? own.sort()[0]
}
