/**
 * What window and tray show: one value, made by the main process from the daemon's mirror, sent to the renderer as a
 * whole and then as changes. Not the daemon's own words: those are `localapi/`.
 */
import type { PathKind } from '../localapi/pintail.ts'
import type { ExitNode, ExitState } from './exit.ts'
import type { PendingChange } from './network.ts'

/** First match wins, from the top: the order in which things are wrong. */
export const appPhases = [
  'not-installed',
  'unreachable',
  'in-use-by-other',
  'signed-out',
  'needs-approval',
  'off',
  'starting',
  'blocked',
  'captive-portal',
  'attention',
  'on-exit-node',
  'on',
] as const
export type AppPhase = (typeof appPhases)[number]

/** Phases in which packets flow between the devices, or are meant to. */
export function isConnected(phase: AppPhase): boolean {
  return (
    phase === 'on' ||
    phase === 'on-exit-node' ||
    phase === 'blocked' ||
    phase === 'attention' ||
    phase === 'captive-portal'
  )
}

/** What the on/off switch does now; undefined while it can do nothing. */
export function switchAction(phase: AppPhase, wantRunning: boolean): { on: boolean } | undefined {
  if (phase === 'off') return { on: true }
  return isConnected(phase) || (phase === 'starting' && wantRunning) ? { on: false } : undefined
}

export type DevicePathKind = Exclude<PathKind, 'none'> | 'offline'

export interface DevicePath {
  readonly kind: DevicePathKind
  /** `ip:port` in use, or "". */
  readonly endpoint: string
  /** Relay region code, or "". */
  readonly relay: string
  readonly latencyMs: number | null
}

export interface Device {
  readonly id: string
  /** Short name, cleaned of control and direction characters. */
  readonly name: string
  /** FQDN without the trailing dot. */
  readonly dnsName: string
  readonly addresses: readonly string[]
  readonly os: string
  readonly owner: string
  readonly isMine: boolean
  readonly tags: readonly string[]
  readonly online: boolean
  /** RFC 3339 or null when it is online or was never seen. */
  readonly lastSeen: string | null
  readonly path: DevicePath
  readonly offersExitNode: boolean
  readonly routes: readonly string[]
  readonly keyExpiry: string | null
  readonly keyExpired: boolean
  readonly created: string | null
  readonly version: string
  readonly publicKey: string
}

export interface SelfDevice {
  readonly name: string
  readonly dnsName: string
  readonly addresses: readonly string[]
  readonly os: string
  readonly keyExpiry: string | null
  readonly publicKey: string
  readonly relay: string
  readonly endpoints: readonly string[]
  readonly tags: readonly string[]
}

export interface Notice {
  readonly code: string
  readonly severity: 'high' | 'medium' | 'low'
  readonly title: string
  readonly text: string
}

export interface AppProblem {
  /** Closed list for what the app words itself; `daemon` and `server` carry the message as it came. */
  readonly code:
    | 'daemon-unreachable'
    | 'access-denied'
    | 'bad-reply'
    | 'timeout'
    | 'not-found'
    | 'bad-request'
    | 'daemon'
    | 'server'
    | 'cancelled'
    | 'not-allowed'
    | 'failed'
  readonly message: string
}

export interface DaemonFacts {
  readonly socketPath: string
  readonly version: string
  /** Names from `pintail/features`; null for a stock daemon or before it answered. */
  readonly features: readonly string[] | null
  readonly link: 'connecting' | 'connected' | 'lost'
  /** Wall clock of the last loss, ms; 0 while connected. */
  readonly lostAt: number
}

export interface AppState {
  readonly phase: AppPhase
  readonly daemon: DaemonFacts
  readonly problem: AppProblem | null
  /** Network name as people know it. */
  readonly network: string
  readonly account: string
  readonly controlUrl: string
  readonly wantRunning: boolean
  /** Sign-in page to open, or "". */
  readonly signInUrl: string
  readonly self: SelfDevice | null
  readonly notices: readonly Notice[]
  readonly exit: ExitState
  /** All that are offered, in no order. */
  readonly exitNodes: readonly ExitNode[]
  /** Made with a deadline, not confirmed yet. */
  readonly pendingChange: PendingChange | null
  /** Subnets that others offer are used. */
  readonly acceptsRoutes: boolean
  readonly settings: AppSettings
  readonly hasTray: boolean
  /** Wall clock at which `devices` was last true, ms; 0 before the first list. */
  readonly devicesAsOf: number
}

export const languages = ['en', 'zh-TW'] as const
export type Language = (typeof languages)[number]
export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]
export const trayStyles = ['colour', 'light', 'dark'] as const
export type TrayStyle = (typeof trayStyles)[number]

export interface AppSettings {
  readonly language: Language | 'system'
  /** What `system` means here and now. */
  readonly systemLanguage: Language
  readonly theme: Theme
  readonly trayStyle: TrayStyle
  /** Only asked where there is no tray. */
  readonly whenClosed: 'ask' | 'keep' | 'quit'
}

export function effectiveLanguage(settings: AppSettings): Language {
  return settings.language === 'system' ? settings.systemLanguage : settings.language
}
