/** What does not take the exit node although it could: `/localapi/v0/pintail/bypass`. Ours alone. */
import type { PrefixText } from '../ids.ts'

/** Of a profile. */
export interface BypassSetting {
  Prefixes: PrefixText[]
  /** `corp.example`: it and everything below, asked at this machine's own name servers; the addresses found stay outside. */
  Suffixes: string[]
  /** "Everything that belongs to `wt0`": its networks and routes, while it is there. */
  Interfaces: string[]
  /** Names of this machine's users. */
  Users: string[]
  /** Control groups of version 2: `user.slice/work.slice`. */
  Cgroups: string[]
}

/** `GET` and `PUT pintail/bypass`. */
export interface BypassReport {
  Setting: BypassSetting
  /** What goes another way at present, with where that comes from: `interface wt0`, `name git.corp.example`. */
  InEffect: { Prefix: PrefixText; From: string }[]
  /** Parts of the setting that this machine does not have now: `interface wt0`, `user build`. */
  Missing: string[]
}

/** `GET pintail/bypass/suggestions`: another VPN's networks, which an exit node would swallow. */
export interface BypassSuggestion {
  Interface: string
  Prefixes: PrefixText[]
}

export const emptyBypass: BypassSetting = { Prefixes: [], Suffixes: [], Interfaces: [], Users: [], Cgroups: [] }
