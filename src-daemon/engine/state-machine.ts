/**
 * Which state the daemon is in next. Pure; first rule that matches wins. [docs/rules/localapi.md LA-5]
 * Not what follows from a state (`backend.ts`).
 */
import type { IpnStateName } from '../../src-contract/localapi/state.ts'

export interface StateFacts {
  readonly current: IpnStateName
  /** The state document cannot be used. */
  readonly storeBroken: boolean
  readonly wantRunning: boolean
  readonly loggedOut: boolean
  readonly haveNodeKey: boolean
  /** Waiting for a person to sign in; the engine is left alone meanwhile. */
  readonly blocked: boolean
  /** Control cannot go on by itself: no login was asked for, or it waits for a person, or the server refused. */
  readonly authCantContinue: boolean
  /** What the netmap says of this node; undefined without a netmap. */
  readonly self: { readonly keyExpired: boolean; readonly machineAuthorized: boolean } | undefined
  /** Addresses are in place and a relay or a peer can be reached (or there is no relay to wait for). */
  readonly engineReady: boolean
}

export function nextState(facts: StateFacts): IpnStateName {
  if (facts.storeBroken) return 'NoState'
  if (!facts.wantRunning && !facts.loggedOut && !facts.blocked && facts.haveNodeKey) return 'Stopped'
  if (facts.self === undefined) return withoutNetmap(facts)
  if (!facts.wantRunning) return 'Stopped'
  if (facts.self.keyExpired) return 'NeedsLogin'
  if (!facts.self.machineAuthorized) return 'NeedsMachineAuth'
  switch (facts.current) {
    case 'NeedsMachineAuth':
      return 'Starting'
    case 'Starting':
      return facts.engineReady ? 'Running' : 'Starting'
    case 'Running':
      return 'Running'
    default:
      return 'Starting'
  }
}

function withoutNetmap(facts: StateFacts): IpnStateName {
  if (facts.authCantContinue || facts.loggedOut) return 'NeedsLogin'
  return facts.current === 'Stopped' ? 'Starting' : facts.current
}

/** States in which interface, routes and peers are in place. */
export function isConfigured(state: IpnStateName): boolean {
  return state === 'Starting' || state === 'Running'
}
