/**
 * One change of this machine's network: shown before it is made (`preview`), made with a deadline, and then kept
 * (`confirm`) or taken back. `/localapi/v0/pintail/changes…`; feature word `changes`. Ours alone. [docs/rules/changes.md]
 */
import type { IpPort, IpText, PrefixText, StableNodeId, TimeText } from '../ids.ts'
import type { BypassSetting } from './bypass.ts'
import type { MaskedPrefs, Prefs } from './prefs.ts'
import type { SubnetRoutesEdit } from './subnet-routes.ts'

/** What is left out stays as it is. */
export interface NetworkChange {
  /** As for `PATCH prefs`. Signing in and out are no changes: `LoggedOut` and `ControlURL` are refused. */
  Prefs?: MaskedPrefs
  /** Replaces the whole bypass, as `PUT pintail/bypass` does. */
  Bypass?: BypassSetting
  Routes?: SubnetRoutesEdit
}

/** The connection that a person works over; the warnings say what becomes of it. */
export interface ChangeSession {
  Client: IpPort
  Server: IpPort
}

/** `POST pintail/changes/preview` → {@link ChangePreview}. */
export interface ChangePreviewRequest extends NetworkChange {
  Session?: ChangeSession
}

/** `POST pintail/changes` → {@link AppliedChange}; 409 while another change waits for its confirmation. */
export interface ChangeRequest extends ChangePreviewRequest {
  /** 1 to 3600. */
  ConfirmWithinSeconds: number
}

/** `POST pintail/changes/confirm` and `POST pintail/changes/revert` → {@link ChangesReport}; 409 when that change does not wait. */
export interface ChangeAnswer {
  Id: string
}

export interface Pending {
  Id: string
  /** By this machine's clock; what counts is the time that passes while it is awake. */
  Deadline: TimeText
  SecondsLeft: number
  /** What it changed, for a person: `exit node`, `incoming connections`. */
  What: string[]
}

/** `expired`: taken back at the deadline; `failed`: it could not be taken back, see `Reason`; `forgotten`: its login is gone. */
export type ChangeOutcome = 'confirmed' | 'reverted' | 'expired' | 'failed' | 'forgotten'

export interface FinishedChange {
  Id: string
  Outcome: ChangeOutcome
  At: TimeText
  /** Not taken back, for somebody else has changed them since; words as in {@link Pending.What}. */
  Left: string[]
  Reason: string
}

/** `GET pintail/changes`; also `Notify.PintailChanges`, whenever it is new. */
export interface ChangesReport {
  Pending: Pending | null
  /** The latest since the daemon started. */
  Last: FinishedChange | null
}

export interface AppliedChange extends ChangePreview {
  /** Empty: everything was so already, and nothing waits. */
  Id: string
  Deadline: TimeText
}

export interface ChangePreview {
  Diff: ChangeDiff
  Warnings: ChangeWarning[]
  /** How packets to the session's client go at present; empty without a session. */
  SessionWay: '' | 'tunnel' | 'outside'
}

export interface ChangeWarning {
  /**
   * `session-cut`: the session's packets would go another way or nowhere; `session-not-again`: it goes on, a new one
   * would be refused; `exit-unavailable`: nothing would leave; `forwarding-off`: what is offered would not work.
   */
  Code: 'session-cut' | 'session-not-again' | 'exit-unavailable' | 'forwarding-off'
  Text: string
  /** Commands for root that mend it. */
  Fix: string[]
}

export interface ListDelta<T> {
  Added: T[]
  Removed: T[]
}

export interface FromTo<T> {
  Before: T
  After: T
}

/** A route that goes to another machine than before is removed and added. */
export interface RouteLine {
  Prefix: PrefixText
  /** `outside`: kept out of the tunnel although other routes cover it. */
  Way: 'peer' | 'exit-node' | 'service' | 'blocked' | 'outside'
  /** The peer; empty where there is none. */
  Via: StableNodeId
  ViaName: string
}

export interface ExitNodeView {
  /** Empty: none is wanted. */
  ID: StableNodeId
  Name: string
  /** Wanted, and nobody can serve: nothing leaves. */
  Blocked: boolean
}

export interface FirewallView {
  Mode: 'on' | 'nodivert' | 'off'
  /** Refuses what others begin. */
  ShieldsUp: boolean
  Snat: boolean
  Stateful: boolean
}

export interface ChangeDiff {
  /** Preferences of any kind. */
  Settings: { Name: keyof Prefs; Before: unknown; After: unknown }[]
  /** Entries of the bypass as people write them, in effect or not: `10.0.0.0/16`, `*.corp.example`, `interface:wt0`. */
  Bypass: ListDelta<string>
  /** Subnet routes that are switched off, offered or not. */
  RoutesOff: ListDelta<PrefixText>
  Connected: FromTo<boolean>
  Addresses: ListDelta<IpText>
  Routes: ListDelta<RouteLine>
  /** Ways past the tunnel by rule (priority 5000): `10.0.0.0/16`, `user 1000`, `group work.slice`. */
  Rules: ListDelta<string>
  Dns: {
    Servers: ListDelta<string>
    Search: ListDelta<string>
    /** No servers: answered here; `system`: asked at the host's own. */
    Split: ListDelta<{ Suffix: string; Servers: string[] }>
  }
  ExitNode: FromTo<ExitNodeView>
  Firewall: FromTo<FirewallView>
  /** What this machine forwards for others. */
  Forwarded: ListDelta<PrefixText>
}

/**
 * Preferences that decide about this machine's network, with the words that people know them by. Other preferences may
 * be part of a change; alone they need no deadline.
 */
export const networkPrefs: { readonly [K in keyof Prefs]?: string } = {
  WantRunning: 'connection',
  ExitNodeID: 'exit node',
  ExitNodeIP: 'exit node',
  AutoExitNode: 'exit node',
  ExitNodeAllowLANAccess: 'local network access',
  RouteAll: 'accepted routes',
  CorpDNS: 'DNS',
  AdvertiseRoutes: 'offered routes',
  NoSNAT: 'source NAT',
  NoStatefulFiltering: 'stateful filtering',
  NetfilterMode: 'firewall mode',
  ShieldsUp: 'incoming connections',
  RunSSH: 'SSH server',
}

/** Whether it concerns the network at all. */
export function isNetworkChange(change: NetworkChange): boolean {
  if (change.Bypass !== undefined || change.Routes !== undefined) return true
  const masked = (change.Prefs ?? {}) as Record<string, unknown>
  return Object.keys(networkPrefs).some((name) => masked[`${name}Set`] === true)
}

/** Nothing would be different. */
export function isEmptyDiff(diff: ChangeDiff): boolean {
  const { Settings, Bypass, RoutesOff, Addresses, Routes, Rules, Dns, Forwarded } = diff
  const lists = [Bypass, RoutesOff, Addresses, Routes, Rules, Dns.Servers, Dns.Search, Dns.Split, Forwarded]
  return Settings.length === 0 && lists.every(({ Added, Removed }) => Added.length + Removed.length === 0)
}
