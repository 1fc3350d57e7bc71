/** What a peer's path was, and why it changed: one line a transition, the newest of them. The "why relayed?" of the screens. */
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import type { PathKind, PathReason } from '../../../src-contract/localapi/pintail.ts'
import { HISTORY_LENGTH } from './constants.ts'

export interface Transition {
  readonly atMs: Ms
  readonly from: PathKind
  readonly to: PathKind
  readonly endpoint: IpPort | ''
  readonly derpRegion: number
  readonly reason: PathReason
}

/** The path as it is now. */
export interface PathView {
  readonly kind: PathKind
  /** Of a direct path. */
  readonly endpoint: IpPort | ''
  readonly relayRegion: number
  /** The best address loses full packets / is trusted, whether packets take it or not. */
  readonly isNarrow: boolean
  readonly isTrusted: boolean
}

export class PathHistory {
  readonly #transitions: Transition[] = []
  #kind: PathKind = 'none'
  #endpoint: IpPort | '' = ''
  #isNarrow = false

  get transitions(): readonly Transition[] {
    return this.#transitions
  }

  /** Writes down what changed, if something did; `reason` counts where the view itself does not name a better one. */
  note(now: Ms, { kind, endpoint, relayRegion, isNarrow, isTrusted }: PathView, reason: PathReason): void {
    const becameNarrow = isNarrow && !this.#isNarrow
    this.#isNarrow = isNarrow
    if (kind === this.#kind && endpoint === this.#endpoint && !becameNarrow) return
    const isInDoubt = kind === 'relay' && isTrusted
    const ours = becameNarrow || (isInDoubt && isNarrow) ? 'mtu-too-small' : isInDoubt ? 'mtu-in-doubt' : reason
    const why = kind === 'idle' ? 'idle' : kind === 'none' ? 'no-home-relay' : ours
    const derpRegion = kind === 'relay' ? relayRegion : 0
    this.#transitions.push({ atMs: now, from: this.#kind, to: kind, endpoint, derpRegion, reason: why })
    if (this.#transitions.length > HISTORY_LENGTH) this.#transitions.shift()
    this.#kind = kind
    this.#endpoint = endpoint
  }
}
