/**
 * What a client knows of the daemon, folded from the watch: app, tray, CLI and tests share this one fold. Pure; it
 * copies only what a notification changes, so slices can be compared with `===`. On a new connection start again
 * from {@link emptyMirror}. How a peer is reached and its byte counters are not on the bus: ask `status` or
 * `pintail/paths` for those.
 */
import type { ClientVersion, DerpMap, Node, PeerChange, UserProfile } from '../control/map.ts'
import { idText } from '../ids.ts'
import type { Pending } from './changes.ts'
import { type EngineStatus, type HealthWarning, type Notify, watchMask } from './notify.ts'
import type { Prefs } from './prefs.ts'
import { type IpnStateName, ipnStates } from './state.ts'

/** What a screen needs; works on ours and on stock daemons. */
export const MIRROR_WATCH_MASK =
  watchMask.initialState |
  watchMask.initialPrefs |
  watchMask.initialNetMap |
  watchMask.noPrivateKeys |
  watchMask.initialHealthState |
  watchMask.healthActions |
  watchMask.initialSuggestedExitNode |
  watchMask.initialClientVersion |
  watchMask.peerChanges

export interface Mirror {
  readonly version: string
  readonly sessionId: string
  /** `unknown`: nothing heard yet, or a state newer than us. */
  readonly state: IpnStateName | 'unknown'
  readonly prefs: Prefs | null
  readonly self: Node | null
  /** By {@link idText} of `Node.ID`. */
  readonly peers: ReadonlyMap<string, Node>
  /** By user id. */
  readonly users: ReadonlyMap<string, UserProfile>
  readonly domain: string
  readonly derpMap: DerpMap | null
  /** By code. */
  readonly health: ReadonlyMap<string, HealthWarning>
  /** Pending sign-in page, or "". */
  readonly browseToUrl: string
  /** Latest error of the daemon, cleared when it runs again. */
  readonly errMessage: string
  /** Counts sign-ins seen on this watch. */
  readonly loginsFinished: number
  readonly engine: EngineStatus | null
  readonly suggestedExitNode: string
  /** Of the network, waiting for its confirmation. */
  readonly pendingChange: Pending | null
  readonly clientVersion: ClientVersion | null
}

export function emptyMirror(): Mirror {
  return {
    version: '',
    sessionId: '',
    state: 'unknown',
    prefs: null,
    self: null,
    peers: new Map(),
    users: new Map(),
    domain: '',
    derpMap: null,
    health: new Map(),
    browseToUrl: '',
    errMessage: '',
    loginsFinished: 0,
    engine: null,
    suggestedExitNode: '',
    pendingChange: null,
    clientVersion: null,
  }
}

export function applyNotify(before: Mirror, notify: Notify): Mirror {
  let next: Mirror = { ...before }
  const set = (part: Partial<Mirror>) => {
    next = { ...next, ...part }
  }
  if (notify.Version) set({ version: notify.Version })
  if (notify.SessionID !== undefined) set({ sessionId: notify.SessionID })
  if (notify.ErrMessage) set({ errMessage: notify.ErrMessage })
  if (notify.Prefs) set({ ...(isOtherLogin(before.prefs, notify.Prefs) ? noNetwork() : {}), prefs: notify.Prefs })
  if (typeof notify.State === 'number') set(applyState(ipnStates[notify.State] ?? 'unknown'))
  if (notify.BrowseToURL) set({ browseToUrl: notify.BrowseToURL })
  if (notify.LoginFinished) set({ loginsFinished: before.loginsFinished + 1, browseToUrl: '', errMessage: '' })
  if (notify.Engine) set({ engine: notify.Engine })

  const netmap = notify.NetMap
  if (netmap)
    set({
      self: netmap.SelfNode ?? null,
      peers: new Map((netmap.Peers ?? []).map((peer) => [idText(peer.ID), peer])),
      users: usersOf(netmap.UserProfiles),
      domain: netmap.Domain ?? '',
      derpMap: netmap.DERPMap ?? null,
    })
  if (notify.SelfChange) set({ self: notify.SelfChange })
  if (notify.PeersChanged || notify.PeersRemoved || notify.PeerChangedPatch)
    set({ peers: applyPeers(next.peers, notify) })
  if (notify.UserProfiles) set({ users: new Map([...next.users, ...usersOf(notify.UserProfiles)]) })
  if (notify.Health) set({ health: new Map(Object.entries(notify.Health.Warnings ?? {})) })
  if (notify.PintailChanges !== undefined) set({ pendingChange: notify.PintailChanges.Pending })
  if (notify.SuggestedExitNode !== undefined) set({ suggestedExitNode: notify.SuggestedExitNode })
  if (notify.ClientVersion) set({ clientVersion: notify.ClientVersion })
  return next
}

function applyState(state: Mirror['state']): Partial<Mirror> {
  switch (state) {
    case 'Running':
      return { state, browseToUrl: '', errMessage: '' }
    case 'NeedsLogin':
      return { state, ...noNetwork() }
    default:
      return { state }
  }
}

/** Another account, or the same one at another server: its peers are not ours any more. */
function isOtherLogin(before: Prefs | null, after: Prefs): boolean {
  if (before === null) return false
  const login = (prefs: Prefs) => prefs.Config?.NodeID ?? ''
  return login(before) !== '' && login(before) !== login(after)
}

function noNetwork(): Partial<Mirror> {
  return { self: null, peers: new Map(), users: new Map(), domain: '' }
}

function usersOf(profiles: { [id: string]: UserProfile } | null | undefined): Map<string, UserProfile> {
  return new Map(Object.entries(profiles ?? {}))
}

function applyPeers(before: ReadonlyMap<string, Node>, notify: Notify): ReadonlyMap<string, Node> {
  const peers = new Map(before)
  for (const id of notify.PeersRemoved ?? []) peers.delete(idText(id))
  for (const peer of notify.PeersChanged ?? []) peers.set(idText(peer.ID), peer)
  for (const change of notify.PeerChangedPatch ?? []) {
    const peer = peers.get(idText(change.NodeID))
    if (peer !== undefined) peers.set(idText(change.NodeID), patched(peer, change))
  }
  return peers
}

function patched(peer: Node, { NodeID: _, DERPRegion, ...members }: PeerChange): Node {
  const present = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null))
  return { ...peer, ...present, ...(DERPRegion ? { HomeDERP: DERPRegion } : {}) }
}
