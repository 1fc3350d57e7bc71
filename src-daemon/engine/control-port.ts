/** What the backend needs from the coordination server's client; `control.ts` provides it, tests play it. */
import type { Hostinfo, UserProfile } from '../../src-contract/control/map.ts'
import type { DiscoKeyText } from '../../src-contract/ids.ts'
import type { Netmap, NetmapDelta } from '../../src-protocol/machines/netmap.ts'
import type { Secret } from '../../src-protocol/wire/keys.ts'
import type { Endpoint } from './own-endpoints.ts'

export interface ControlEvents {
  onNetmap(netmap: Netmap, delta: NetmapDelta): void
  /** A person has to open this page. */
  onAuthUrl(url: string): void
  onAuthenticated(login: { readonly user: UserProfile }): void
  /** Called and awaited before a server hears of a new node key. */
  onNodeKey(nodeKey: Secret, oldNodeKey: Secret | undefined): Promise<void>
  onNeedsLogin(reason: string): void
  onError(error: ControlProblem): void
  onMapPoll(inPoll: boolean): void
}

export interface ControlProblem {
  readonly text: string
  /** `refused`: the server said no (wrong, used or expired key). The others may pass by themselves. */
  readonly kind: 'refused' | 'unreachable' | 'not-a-control-server' | 'tls' | 'unsupported-version' | 'other'
}

export interface NodeFacts {
  readonly hostinfo: Hostinfo
  readonly endpoints: readonly Endpoint[]
  readonly discoKey: DiscoKeyText
}

export interface ControlOptions {
  readonly serverUrl: string
  readonly machineKey: Secret
  readonly nodeKey: Secret | undefined
  readonly oldNodeKey: Secret | undefined
  readonly facts: NodeFacts
  readonly ephemeral: boolean
  readonly events: ControlEvents
}

export interface ControlLink {
  /** Registers, then polls. `interactive`: a page to open is wanted where the server has no other way. */
  login(options: { readonly authKey: string; readonly interactive: boolean }): void
  /** Told again when something changed; the link debounces and leaves out what is the same. */
  update(facts: NodeFacts): void
  /** Dead connections are found and replaced now, not after their time-out. */
  networkChanged(): void
  /** A certificate for this node, from the network's own authority. Throws an Error for people. */
  certificate(request: Uint8Array): Promise<string>
  logout(): Promise<void>
  close(): void
}

export type OpenControl = (options: ControlOptions) => ControlLink
