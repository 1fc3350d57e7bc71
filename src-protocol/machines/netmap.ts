/**
 * The network map as this node knows it, and the fold of one message after another into it. Pure and immutable: each
 * fold answers a new map that shares what did not change, and a delta that says what did, so that consumers work in
 * proportion to the change. Not the stream (`src-daemon/engine/control.ts`), not reading JSON (`netmap-parse.ts`).
 * [control.md §4.3-4.7; docs/rules/control.md CTL-4]
 */
import type {
  ClientVersion,
  DerpMap,
  DisplayMessage,
  DnsConfig,
  FilterRule,
  MapResponse,
  Node,
  PeerChange,
  UserProfile,
} from '../../src-contract/control/map.ts'
import { idText } from '../../src-contract/ids.ts'
import { bad, type Decoded, ok } from '../wire/decoded.ts'
import { foldDerpMap } from './netmap-derp.ts'
import { foldFilters } from './netmap-filter.ts'
import { foldPeers, type PeerFold, type Peers, presentPeers } from './netmap-peers.ts'
import { parseTime } from './wire-time.ts'

export interface Netmap {
  readonly self: Node
  /** By `idText(ID)`, as peers are to be used: expired ones without key, endpoints and relay. */
  readonly peers: ReadonlyMap<string, Node>
  /** What the server said about those peers that {@link peers} shows differently. */
  readonly originals: ReadonlyMap<string, Node>
  readonly derpMap: DerpMap | undefined
  readonly dns: DnsConfig | undefined
  readonly domain: string
  /** Undefined until the server sent a filter; nothing may come in then. */
  readonly filterChunks: ReadonlyMap<string, readonly FilterRule[]> | undefined
  /** The effective filter: all chunks in ascending key order. */
  readonly filterRules: readonly FilterRule[]
  /** By `idText(ID)`. */
  readonly userProfiles: ReadonlyMap<string, UserProfile>
  readonly sshPolicy: MapResponse['SSHPolicy'] | undefined
  readonly collectServices: boolean
  readonly health: readonly string[]
  readonly displayMessages: ReadonlyMap<string, DisplayMessage>
  readonly clientVersion: ClientVersion | undefined
  /** A head that is set and not disabled: the network is locked, which we do not verify yet. */
  readonly tailnetLock: { readonly head: string; readonly disabled: boolean } | undefined
  /** Added to our clock gives the server's; 0 while they agree within a minute. */
  readonly clockSkewMs: number
}

/** Ids are `idText`. A peer is in at most one of the four lists. */
export interface NetmapDelta {
  /** First map of a stream: whatever is not listed is equal to before, but nothing was incremental. */
  readonly full: boolean
  readonly selfChanged: boolean
  readonly derpMapChanged: boolean
  readonly dnsChanged: boolean
  readonly domainChanged: boolean
  readonly filterChanged: boolean
  readonly profilesChanged: boolean
  readonly sshPolicyChanged: boolean
  /** `health`, `displayMessages`, `clientVersion` or `tailnetLock`. */
  readonly messagesChanged: boolean
  readonly peersAdded: readonly string[]
  /** Replaced by another description, or expired. */
  readonly peersChanged: readonly string[]
  readonly peersRemoved: readonly string[]
  /** Only members that a patch can carry changed; the patches are in {@link patches}. */
  readonly peersPatched: readonly string[]
  readonly patches: readonly PeerChange[]
}

/** Whether the message changed nothing that anybody shows or uses. */
export function isEmptyDelta(delta: NetmapDelta): boolean {
  return Object.values(delta).every((part) => part === false || (Array.isArray(part) && part.length === 0))
}

export interface FoldContext {
  readonly wallMs: number
  /** The message opens a stream: nothing of the previous map holds any more. */
  readonly isNewStream: boolean
}

/** Fails only with `no-self`: a stream must begin with the own node. */
export function foldMapResponse(
  previous: Netmap | undefined,
  message: MapResponse,
  context: FoldContext,
): Decoded<{ readonly netmap: Netmap; readonly delta: NetmapDelta }> {
  const base = context.isNewStream ? undefined : previous
  const self = message.Node ?? base?.self
  if (self === undefined) return bad('no-self')

  const clockSkewMs = foldClock(base?.clockSkewMs ?? 0, message.ControlTime, context.wallMs)
  const peers = foldPeers(base ?? NO_PEERS, message, { wallMs: context.wallMs, clockSkewMs })
  const filters = foldFilters(base, message)
  const userProfiles = foldProfiles(base?.userProfiles ?? new Map(), message.UserProfiles ?? [])
  const netmap: Netmap = {
    self,
    peers: peers.peers,
    originals: peers.originals,
    derpMap: foldDerpMap(base?.derpMap, message.DERPMap ?? undefined),
    dns: message.DNSConfig ?? base?.dns,
    domain: message.Domain || (base?.domain ?? ''),
    filterChunks: filters.chunks,
    filterRules: filters.rules,
    userProfiles,
    sshPolicy: message.SSHPolicy ?? base?.sshPolicy,
    collectServices: message.CollectServices ?? base?.collectServices ?? false,
    health: message.Health ?? base?.health ?? [],
    displayMessages: foldMessages(base?.displayMessages ?? new Map(), message.DisplayMessages ?? {}),
    clientVersion: message.ClientVersion ?? base?.clientVersion,
    tailnetLock: foldLock(base?.tailnetLock, message.TKAInfo),
    clockSkewMs,
  }
  if (previous === undefined) return ok({ netmap, delta: fromNothing(netmap) })
  if (base === undefined) return ok(reconcile(previous, netmap))
  return ok({ netmap, delta: difference(base, netmap, peers, false) })
}

const NO_PEERS: Peers = { peers: new Map(), originals: new Map() }

function foldProfiles(
  known: ReadonlyMap<string, UserProfile>,
  news: readonly UserProfile[],
): ReadonlyMap<string, UserProfile> {
  if (news.length === 0) return known
  const profiles = new Map(known)
  for (const profile of news) profiles.set(idText(profile.ID), profile)
  return profiles
}

function foldMessages(
  known: ReadonlyMap<string, DisplayMessage>,
  news: { readonly [id: string]: DisplayMessage | null },
): ReadonlyMap<string, DisplayMessage> {
  const entries = Object.entries(news)
  if (entries.length === 0) return known
  const messages = new Map(news['*'] === null ? [] : known)
  for (const [id, message] of entries) {
    if (message === null) messages.delete(id)
    else messages.set(id, message)
  }
  return messages
}

function foldLock(known: Netmap['tailnetLock'], news: MapResponse['TKAInfo']): Netmap['tailnetLock'] {
  if (news === undefined || news === null) return known
  return { head: news.Head ?? known?.head ?? '', disabled: news.Disabled ?? false }
}

const MIN_SKEW_MS = 60_000

function foldClock(known: number, controlTime: MapResponse['ControlTime'], wallMs: number): number {
  const serverMs = parseTime(controlTime ?? undefined)
  if (serverMs === undefined) return known
  const skew = serverMs - wallMs
  return Math.abs(skew) > MIN_SKEW_MS ? skew : 0
}

/** By our own clock: the server's may be wrong, and this decision ends a login. */
export function isSelfExpired(netmap: Netmap, wallMs: number): boolean {
  const expiryMs = parseTime(netmap.self.KeyExpiry)
  return netmap.self.Expired === true || (expiryMs !== undefined && expiryMs <= wallMs)
}

/** Peers expire while no message comes: the map as it stands at this time, undefined when nothing changes. */
export function expirePeers(
  netmap: Netmap,
  wallMs: number,
): { readonly netmap: Netmap; readonly delta: NetmapDelta } | undefined {
  const fold = presentPeers(netmap, { wallMs, clockSkewMs: netmap.clockSkewMs })
  if (fold === undefined) return undefined
  const next = { ...netmap, peers: fold.peers, originals: fold.originals }
  return { netmap: next, delta: difference(netmap, next, fold, false) }
}

/** When the next peer, or this node, expires; undefined when none will. */
export function nextExpiry(netmap: Netmap, wallMs: number): number | undefined {
  let next: number | undefined
  const consider = (expiryMs: number | undefined): void => {
    if (expiryMs !== undefined && expiryMs > wallMs && (next === undefined || expiryMs < next)) next = expiryMs
  }
  consider(parseTime(netmap.self.KeyExpiry))
  for (const peer of netmap.peers.values()) {
    const expiryMs = parseTime(peer.KeyExpiry)
    if (expiryMs !== undefined) consider(expiryMs - netmap.clockSkewMs)
  }
  return next
}

function fromNothing(netmap: Netmap): NetmapDelta {
  return {
    full: true,
    selfChanged: true,
    derpMapChanged: true,
    dnsChanged: true,
    domainChanged: true,
    filterChanged: true,
    profilesChanged: true,
    sshPolicyChanged: true,
    messagesChanged: true,
    peersAdded: [...netmap.peers.keys()],
    peersChanged: [],
    peersRemoved: [],
    peersPatched: [],
    patches: [],
  }
}

type PeerChanges = Pick<PeerFold, 'added' | 'changed' | 'removed' | 'patched' | 'patches'>

/** Between maps of one stream identity tells: whatever a message did not touch is the same object. */
function difference(before: Netmap, after: Netmap, peers: PeerChanges, full: boolean): NetmapDelta {
  return {
    full,
    selfChanged: before.self !== after.self,
    derpMapChanged: before.derpMap !== after.derpMap,
    dnsChanged: before.dns !== after.dns,
    domainChanged: before.domain !== after.domain,
    filterChanged: before.filterRules !== after.filterRules || before.filterChunks !== after.filterChunks,
    profilesChanged: before.userProfiles !== after.userProfiles,
    sshPolicyChanged: before.sshPolicy !== after.sshPolicy,
    messagesChanged:
      before.health !== after.health ||
      before.displayMessages !== after.displayMessages ||
      before.clientVersion !== after.clientVersion ||
      before.tailnetLock !== after.tailnetLock,
    peersAdded: peers.added,
    peersChanged: peers.changed,
    peersRemoved: peers.removed,
    peersPatched: peers.patched,
    patches: peers.patches,
  }
}

/** After a reconnect nearly everything is equal: keep the old objects where it is, so that the delta stays small. */
function reconcile(before: Netmap, fresh: Netmap): { netmap: Netmap; delta: NetmapDelta } {
  const keep = <T>(old: T, now: T): T => (isEqual(old, now) ? old : now)
  const peers = new Map<string, Node>()
  const added: string[] = []
  const changed: string[] = []
  for (const [id, node] of fresh.peers) {
    const old = before.peers.get(id)
    const kept = old === undefined ? node : keep(old, node)
    peers.set(id, kept)
    if (old === undefined) added.push(id)
    else if (kept !== old) changed.push(id)
  }
  const removed = [...before.peers.keys()].filter((id) => !fresh.peers.has(id))
  const isSame = added.length + changed.length + removed.length === 0
  const netmap: Netmap = {
    ...fresh,
    self: keep(before.self, fresh.self),
    peers: isSame ? before.peers : peers,
    derpMap: keep(before.derpMap, fresh.derpMap),
    dns: keep(before.dns, fresh.dns),
    filterChunks: keep(before.filterChunks, fresh.filterChunks),
    filterRules: keep(before.filterRules, fresh.filterRules),
    userProfiles: keep(before.userProfiles, fresh.userProfiles),
    sshPolicy: keep(before.sshPolicy, fresh.sshPolicy),
    health: keep(before.health, fresh.health),
    displayMessages: keep(before.displayMessages, fresh.displayMessages),
    clientVersion: keep(before.clientVersion, fresh.clientVersion),
    tailnetLock: keep(before.tailnetLock, fresh.tailnetLock),
  }
  return { netmap, delta: difference(before, netmap, { added, changed, removed, patched: [], patches: [] }, true) }
}

/** Structural equality of JSON values and of maps of them. */
function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a instanceof Map && b instanceof Map) {
    return a.size === b.size && [...a].every(([key, value]) => b.has(key) && isEqual(value, b.get(key)))
  }
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  const [left, right] = [a as { [key: string]: unknown }, b as { [key: string]: unknown }]
  return keys.every((key) => Object.hasOwn(right, key) && isEqual(left[key], right[key]))
}
