/**
 * Exit nodes as window and tray show them: which is in use, what could be, what happened when one was tried. Made by the
 * main process (`src-main/link/exit-view.ts`). How each is reached right now is in the devices; it changes all the time.
 */

/** Of a server that is offered by its place. */
export interface ExitPlace {
  readonly country: string
  /** ISO 3166, two letters, or "". */
  readonly countryCode: string
  readonly city: string
}

export interface ExitNode {
  readonly id: string
  readonly name: string
  readonly state: 'online' | 'offline' | 'expired'
  /** null: a device of the network, listed among the devices too. */
  readonly place: ExitPlace | null
  /** The higher the better, among the servers of one place. */
  readonly priority: number
  /** From our home relay; null when one of the two places is unknown. Servers that take no pings have only this. */
  readonly distanceKm: number | null
}

export type ExitNow =
  | { readonly kind: 'off' }
  | { readonly kind: 'on'; readonly id: string; readonly name: string }
  /** Chosen, and nobody can serve at present: nothing leaves. `name` is "" when nobody in particular was chosen. */
  | { readonly kind: 'blocked'; readonly id: string; readonly name: string; readonly why: ExitBlock }

export const exitBlocks = ['offline', 'gone', 'not-offering', 'none-found'] as const
export type ExitBlock = (typeof exitBlocks)[number]

/** What "use the last one" would use. */
export type LastExit =
  | { readonly kind: 'none' }
  | { readonly kind: 'auto' }
  | { readonly kind: 'node'; readonly id: string; readonly name: string }

export interface ExitState {
  readonly now: ExitNow
  /** Another one takes over when the one in use fails; otherwise nothing leaves. */
  readonly takesOver: boolean
  readonly allowLan: boolean
  /** Id, or "". */
  readonly suggestedId: string
  readonly last: LastExit
  /** Ids, the latest first; only those that are still offered. */
  readonly recentIds: readonly string[]
}

export type ExitChoice =
  | { readonly kind: 'off' }
  | { readonly kind: 'auto' }
  | { readonly kind: 'last' }
  | { readonly kind: 'node'; readonly id: string }

/** What is really known after a switch; nobody outside of the network is asked. */
export interface ExitCheck {
  readonly node:
    | { readonly kind: 'answered'; readonly latencyMs: number }
    | { readonly kind: 'silent'; readonly message: string }
    /** It takes no pings, or there is none in use. */
    | { readonly kind: 'not-asked' }
  readonly names:
    | { readonly kind: 'answered' }
    | { readonly kind: 'silent'; readonly message: string }
    /** Names are not the daemon's matter, or this user may not ask. */
    | { readonly kind: 'not-asked' }
  /** What the daemon itself says is wrong; titles. */
  readonly health: readonly string[]
}

export const noExit: ExitState = {
  now: { kind: 'off' },
  takesOver: false,
  allowLan: false,
  suggestedId: '',
  last: { kind: 'none' },
  recentIds: [],
}
