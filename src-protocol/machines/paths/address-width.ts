/**
 * Whether one address of a peer takes packets of full size. A path may answer every small ping and lose each large packet
 * without a word (a tunnel on the way, ICMP filtered): everything looks fine, and nothing loads. This decides from padded
 * and small pings what `peer-path.ts` then does about it.                                     [docs/rules/disco.md PATH-9…13]
 */
import type { Ms } from '../../../src-contract/ids.ts'
import {
  DOUBT_TRIES,
  MAX_NARROW_RETRY_MS,
  NARROW_RETRIES,
  NARROW_RETRY_MS,
  SMALL_ANSWERS,
  WIDTH_TRIES,
  WIDTH_TRY_MS,
} from './constants.ts'

/** Padded pings in a row without an answer. */
interface Trial {
  readonly startedMs: Ms
  tries: number
  lastMs: Ms
  /** Small pings sent since the start that were answered. */
  smallAnswers: number
}

export class AddressWidth {
  #isProven = false
  #narrow: { retryMs: Ms; retryAtMs: Ms; retries: number } | undefined
  #trial: Trial | undefined

  /** The last padded ping that was judged came back. */
  get isProven(): boolean {
    return this.#isProven
  }

  get isNarrow(): boolean {
    return this.#narrow !== undefined
  }

  get isOnTrial(): boolean {
    return this.#trial !== undefined
  }

  /** May a trial start? Narrow addresses are only asked now and then (`wantsRetry`). */
  get wantsTrial(): boolean {
    return this.#trial === undefined && this.#narrow === undefined
  }

  wantsRetry(now: Ms): boolean {
    return this.#narrow !== undefined && now >= this.#narrow.retryAtMs
  }

  /** A padded ping to a narrow address goes out. After a few the next ones come later. */
  handleRetry(now: Ms): void {
    if (this.#narrow === undefined || ++this.#narrow.retries < NARROW_RETRIES) return
    const retryMs = Math.min(2 * this.#narrow.retryMs, MAX_NARROW_RETRY_MS)
    this.#narrow = { retryMs, retryAtMs: now + retryMs, retries: 0 }
  }

  /** A padded ping goes out. */
  handleTry(now: Ms): void {
    this.#trial ??= { startedMs: now, tries: 0, lastMs: now, smallAnswers: 0 }
    this.#trial.tries++
    this.#trial.lastMs = now
  }

  handleSmallPong(sentMs: Ms): void {
    if (this.#trial !== undefined && sentMs >= this.#trial.startedMs) this.#trial.smallAnswers++
  }

  handleFullPong(): void {
    this.#isProven = true
    this.#narrow = undefined
    this.#trial = undefined
  }

  /** Enough lost for not relying on it alone, too few for a verdict. */
  isInDoubt(now: Ms, patienceMs: Ms): boolean {
    if (this.#trial === undefined || this.#trial.smallAnswers < SMALL_ANSWERS.doubt) return false
    const overdueMs = now - patienceMs - this.#trial.startedMs
    const lost = Math.min(this.#trial.tries, Math.floor(overdueMs / WIDTH_TRY_MS) + 1)
    return lost >= (this.#isProven ? DOUBT_TRIES.proven : DOUBT_TRIES.unproven)
  }

  /** When to look at it next: another try, or the verdict. */
  nextWake(patienceMs: Ms): Ms | undefined {
    if (this.#trial === undefined) return undefined
    return this.#trial.lastMs + (this.#trial.tries < WIDTH_TRIES ? WIDTH_TRY_MS : patienceMs)
  }

  /** `try`: send a padded and a small ping. `narrow`: the verdict has just fallen. */
  wake(now: Ms, patienceMs: Ms): 'try' | 'narrow' | undefined {
    const trial = this.#trial
    const at = this.nextWake(patienceMs)
    if (trial === undefined || at === undefined || now < at) return undefined
    if (trial.tries < WIDTH_TRIES) return 'try'
    this.#trial = undefined
    // Hardly anything came back at all: that is a dead path or a full one, which trust in pongs takes care of.
    if (trial.smallAnswers < SMALL_ANSWERS.verdict) return undefined
    this.handleTooLarge(now)
    return 'narrow'
  }

  /** The verdict, or the system's word that a full packet cannot be sent there. */
  handleTooLarge(now: Ms): void {
    this.#narrow = { retryMs: NARROW_RETRY_MS, retryAtMs: now + NARROW_RETRY_MS, retries: 0 }
    this.#isProven = false
    this.#trial = undefined
  }

  /** It is no longer the path; an unfinished trial says nothing. */
  endTrial(): void {
    this.#trial = undefined
  }

  /** Another network: whatever was measured is void. */
  forget(): void {
    this.#isProven = false
    this.#narrow = undefined
    this.#trial = undefined
  }
}
