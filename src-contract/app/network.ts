/**
 * Routes, bypass and changes with a deadline as the window shows them. Asked for while somebody looks; only a change that
 * waits for its confirmation is part of the state. Made by `src-main/network-commands.ts`; null: not with this daemon.
 */
import type { BypassSetting } from '../localapi/bypass.ts'
import type { RouteVerdict } from '../localapi/route-explain.ts'
import type { SubnetRoute } from '../localapi/subnet-routes.ts'

export interface RouteRow {
  readonly prefix: string
  /** Device. */
  readonly viaId: string
  readonly viaName: string
  readonly online: boolean
  readonly inUse: boolean
  readonly reason: SubnetRoute['Reason'] | 'other'
}

export interface RoutesView {
  readonly routes: readonly RouteRow[]
  /** Switched off, also those that nobody offers now. */
  readonly off: readonly string[]
}

export interface BypassView {
  readonly setting: BypassSetting
  readonly inEffect: readonly { readonly prefix: string; readonly from: string }[]
  /** Entries that this machine does not have now: `interface wt0`. */
  readonly missing: readonly string[]
  /** Networks of other VPNs that an exit node would swallow. */
  readonly suggestions: readonly { readonly interface: string; readonly prefixes: readonly string[] }[]
}

export interface NetworkView {
  readonly routes: RoutesView | null
  readonly bypass: BypassView | null
}

export type NetworkEdit =
  | { readonly kind: 'route'; readonly prefix: string; readonly on: boolean }
  | { readonly kind: 'accept-routes'; readonly on: boolean }
  | { readonly kind: 'bypass'; readonly setting: BypassSetting }

export const changeSubjects = ['setting', 'exit-node', 'route', 'rule', 'dns', 'address', 'forwarded'] as const
export type ChangeSubject = (typeof changeSubjects)[number]

export interface ChangeLine {
  readonly sign: '+' | '-' | '~'
  readonly subject: ChangeSubject
  readonly text: string
}

export interface ChangeView {
  readonly lines: readonly ChangeLine[]
  readonly warnings: readonly string[]
  /** Something that works now may not work afterwards: to be made with a deadline. */
  readonly mayCut: boolean
}

/** Made, and taken back by itself unless somebody says that it works. */
export interface PendingChange {
  readonly id: string
  /** In the daemon's words: `exit node`, `bypass`. */
  readonly what: readonly string[]
  /** Wall clock, ms. */
  readonly deadlineMs: number
}

export interface ExplainedStep {
  readonly priority: number
  readonly rule: string
  readonly name: string
  readonly won: boolean
  readonly why: string
}

export interface ExplainedTarget {
  readonly address: string
  readonly verdict: RouteVerdict | 'other'
  readonly sentence: string
  readonly steps: readonly ExplainedStep[]
  readonly losers: readonly { readonly name: string; readonly prefix: string; readonly why: string }[]
  /** Conflicts, filters and what else there is to know. */
  readonly notes: readonly string[]
}

export interface Explained {
  /** How a name became addresses; "" where none was asked for. */
  readonly names: string
  readonly targets: readonly ExplainedTarget[]
  readonly problems: readonly string[]
}
