/**
 * The host's DNS settings, declared: `apply(desired)` makes it so, may be called twice, `close` undoes it, and what a
 * killed daemon left is undone by the next one. Which settings: `machines/resolver/os-plan.ts`.
 */
import type { OsDnsConfig } from '../../../src-protocol/machines/resolver/os-plan.ts'

export type OsDnsMode = 'systemd-resolved' | 'network-manager' | 'resolvconf' | 'openresolv' | 'direct' | 'memory'

export type OsDnsResult = { readonly kind: 'applied' } | { readonly kind: 'failed'; readonly message: string }

/** What is wrong between us and other programs. */
export interface OsDnsTrouble {
  /** `fight`: somebody else writes the same settings again and again; we have stopped. */
  readonly kind: 'overwritten' | 'fight'
  readonly detail: string
}

export interface OsDns {
  readonly mode: OsDnsMode
  /** Why this mode and no other; for people. */
  readonly why: string
  /** Whether some names can go to some servers only. */
  readonly canSplit: boolean
  /** undefined = as it was without us. */
  apply(desired: OsDnsConfig | undefined): Promise<OsDnsResult>
  /** What the system would use without us. */
  base(): Promise<OsDnsConfig>
  /** At most one listener; undefined = it is well again. `onBaseChange`: {@link base} may answer differently now. */
  listen(events: { onTrouble(trouble: OsDnsTrouble | undefined): void; onBaseChange(): void }): void
  close(): Promise<void>
}

export const noOsDns: OsDnsConfig = { nameservers: [], searchDomains: [], matchDomains: [] }
