/**
 * From what the daemon says to what people see. Pure: the same inputs give an equal view; devices that did not change
 * keep their object, so that ten thousand of them compare cheaply.
 */
import type {
  AppPhase,
  AppProblem,
  AppSettings,
  AppState,
  DaemonFacts,
  Device,
  DevicePath,
  Notice,
  SelfDevice,
} from '../../src-contract/app/app-state.ts'
import { type AppView, isSame } from '../../src-contract/app/mirror.ts'
import type { PingAnswer } from '../../src-contract/bridge.ts'
import type { Node } from '../../src-contract/control/map.ts'
import { idText } from '../../src-contract/ids.ts'
import type { Mirror } from '../../src-contract/localapi/mirror.ts'
import type { PathReport, PathReports } from '../../src-contract/localapi/pintail.ts'
import type { PeerStatus, Status } from '../../src-contract/localapi/status.ts'
import { exitNodes, exitNow, exitState, isPlacedServer, offersExit } from './exit-view.ts'
import { afterFirstDot, cleanText, realTime, shortName, withoutDot } from './names.ts'

export interface MeasuredPing extends PingAnswer {
  readonly atMs: number
}

export interface ViewInputs {
  readonly daemon: DaemonFacts
  readonly linkProblem: AppProblem | null
  readonly mirror: Mirror
  readonly status: Status | null
  readonly paths: PathReports | null
  readonly pings: ReadonlyMap<string, MeasuredPing>
  readonly settings: AppSettings
  readonly hasTray: boolean
  /** Exit nodes that were in use, the latest first. */
  readonly recentExits: readonly string[]
  readonly nowMs: number
  /** The last list that was true; shown greyed while there is none. */
  readonly before: AppView | undefined
}

/** A ping older than this says nothing about the latency any more. */
const PING_MEMORY_MS = 5 * 60_000
/** A ping is no traffic to a stock daemon: it calls the path idle, but for this long we know better. */
const PING_PATH_MS = 60_000
const OWN_ADDRESS = /^(100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|fd7a:115c:a1e0:)/

export function appView(inputs: ViewInputs): AppView {
  const { daemon, mirror, status, settings, hasTray, before } = inputs
  const phase = phaseOf(inputs)
  const isKnown = daemon.link === 'connected' && (mirror.self !== null || mirror.peers.size > 0)
  const isOtherNetwork = phase === 'signed-out' || phase === 'needs-approval'
  const devices = isKnown
    ? devicesOf(inputs)
    : isOtherNetwork
      ? new Map<string, Device>()
      : (before?.devices ?? new Map())
  const state: AppState = {
    phase,
    daemon,
    problem: problemOf(inputs),
    network: networkName(mirror, status),
    account: accountName(mirror),
    controlUrl: mirror.prefs?.ControlURL ?? '',
    wantRunning: mirror.prefs?.WantRunning ?? false,
    signInUrl: mirror.browseToUrl || status?.AuthURL || '',
    self: daemon.link === 'connected' ? selfOf(mirror, status) : (before?.state.self ?? null),
    notices: noticesOf(mirror),
    exit: exitState(mirror, inputs.recentExits),
    exitNodes: isKnown ? exitNodes(mirror, inputs.nowMs) : isOtherNetwork ? [] : (before?.state.exitNodes ?? []),
    pendingChange: pendingOf(mirror),
    acceptsRoutes: mirror.prefs?.RouteAll ?? false,
    settings,
    hasTray,
    devicesAsOf: isKnown && phase !== 'off' ? 0 : before?.state.devicesAsOf || inputs.nowMs,
  }
  return { state, devices }
}

export function phaseOf({ daemon, mirror }: Pick<ViewInputs, 'daemon' | 'mirror'>): AppPhase {
  if (daemon.link === 'lost') return 'unreachable'
  if (daemon.link === 'connecting') return 'starting'
  switch (mirror.state) {
    case 'InUseOtherUser':
      return 'in-use-by-other'
    case 'NeedsLogin':
      return 'signed-out'
    case 'NeedsMachineAuth':
      return 'needs-approval'
    case 'Stopped':
      return 'off'
    case 'Running':
      return runningPhase(mirror)
    default:
      return 'starting'
  }
}

function runningPhase(mirror: Mirror): AppPhase {
  const exit = exitNow(mirror)
  if (exit.kind === 'blocked') return 'blocked'
  if (mirror.health.has('captive-portal-detected')) return 'captive-portal'
  if (needsAttention(mirror)) return 'attention'
  return exit.kind === 'on' ? 'on-exit-node' : 'on'
}

function needsAttention(mirror: Mirror): boolean {
  return [...mirror.health.values()].some(
    ({ Severity, ImpactsConnectivity }) =>
      Severity === 'high' || (Severity === 'medium' && ImpactsConnectivity === true),
  )
}

function problemOf({ linkProblem, mirror }: ViewInputs): AppProblem | null {
  if (linkProblem !== null) return linkProblem
  return mirror.errMessage === '' ? null : { code: 'server', message: cleanText(mirror.errMessage, 2000) }
}

const severityRank = { high: 0, medium: 1, low: 2 }

function noticesOf(mirror: Mirror): Notice[] {
  const warnings = [...mirror.health.values()]
  const broken = new Set(warnings.map((warning) => warning.WarnableCode))
  return warnings
    .filter((warning) => !warning.DependsOn?.some((code) => broken.has(code))) // the cause is listed, not its effects
    .map((warning) => ({
      code: warning.WarnableCode,
      severity: warning.Severity in severityRank ? warning.Severity : 'medium',
      title: cleanText(warning.Title || warning.WarnableCode, 200),
      text: cleanText(warning.Text ?? '', 1000),
    }))
    .sort((a, b) => severityRank[a.severity] - severityRank[b.severity] || a.code.localeCompare(b.code))
}

function pendingOf({ pendingChange }: Mirror): AppState['pendingChange'] {
  const deadlineMs = Date.parse(pendingChange?.Deadline ?? '')
  if (pendingChange === null || Number.isNaN(deadlineMs)) return null
  return { id: pendingChange.Id, what: pendingChange.What.map((word) => cleanText(word, 60)), deadlineMs }
}

function networkName(mirror: Mirror, status: Status | null): string {
  const suffix = status?.CurrentTailnet?.MagicDNSSuffix || afterFirstDot(withoutDot(mirror.self?.Name ?? ''))
  return cleanText(status?.CurrentTailnet?.Name || mirror.domain || suffix, 100)
}

function accountName(mirror: Mirror): string {
  const profile = mirror.prefs?.Config?.UserProfile
  return cleanText(profile?.LoginName || profile?.DisplayName || '', 100)
}

function selfOf(mirror: Mirror, status: Status | null): SelfDevice | null {
  const self = mirror.self
  if (self === null) return null
  return {
    name: shortName(self.Name, self.Hostinfo?.Hostname),
    dnsName: cleanText(withoutDot(self.Name ?? ''), 253),
    addresses: bareAddresses(self.Addresses),
    os: self.Hostinfo?.OS ?? status?.Self?.OS ?? '',
    keyExpiry: realTime(self.KeyExpiry),
    publicKey: self.Key ?? '',
    relay: status?.Self?.Relay ?? '',
    endpoints: status?.Self?.Addrs ?? self.Endpoints ?? [],
    tags: (self.Tags ?? []).map((tag) => cleanText(tag, 100)),
  }
}

function devicesOf(inputs: ViewInputs): ReadonlyMap<string, Device> {
  const { mirror, status, before } = inputs
  const statusById = new Map(Object.values(status?.Peer ?? {}).map((peer) => [peer.ID, peer]))
  const devices = new Map<string, Device>()
  let changed = before === undefined
  for (const node of mirror.peers.values()) {
    if (isHiddenFromLists(node)) continue
    const device = deviceOf(node, statusById.get(node.StableID), inputs)
    const known = before?.devices.get(device.id)
    const same = known !== undefined && isSame(known, device)
    if (!same) changed = true
    devices.set(device.id, same ? known : device)
  }
  return !changed && before?.devices.size === devices.size ? before.devices : devices
}

/** Sharees are nobody to talk to. */
function isHiddenFromLists(node: Node): boolean {
  return node.Hostinfo?.ShareeNode === true || isPlacedServer(node)
}

function deviceOf(node: Node, peer: PeerStatus | undefined, inputs: ViewInputs): Device {
  const { mirror, paths, pings, nowMs } = inputs
  const id = node.StableID || idText(node.ID)
  const owner = mirror.users.get(idText(node.User))
  const online = node.Online ?? peer?.Online ?? false
  const own = bareAddresses(node.Addresses)
  const routes = (node.AllowedIPs ?? node.Addresses ?? []).filter((prefix) => !(node.Addresses ?? []).includes(prefix))
  const tags = (node.Tags ?? []).map((tag) => cleanText(tag, 100))
  return {
    id,
    name: shortName(node.Name, node.Hostinfo?.Hostname),
    dnsName: cleanText(withoutDot(node.Name ?? ''), 253),
    addresses: own,
    os: cleanText(node.Hostinfo?.OS ?? peer?.OS ?? '', 40),
    owner: cleanText(owner?.LoginName || owner?.DisplayName || '', 100),
    isMine: tags.length === 0 && mirror.self !== null && idText(mirror.self.User) === idText(node.User),
    tags,
    online,
    lastSeen: online ? null : realTime(node.LastSeen ?? peer?.LastSeen),
    path: pathOf(online, peer, paths?.[id], pings.get(id), nowMs),
    offersExitNode: offersExit(node),
    routes: routes.filter((prefix) => prefix !== '0.0.0.0/0' && prefix !== '::/0'),
    keyExpiry: realTime(node.KeyExpiry),
    keyExpired: node.Expired ?? (realTime(node.KeyExpiry) !== null && Date.parse(node.KeyExpiry ?? '') < nowMs),
    created: realTime(node.Created),
    version: cleanText(node.Hostinfo?.IPNVersion ?? '', 60),
    publicKey: node.Key ?? '',
  }
}

export function pathOf(
  online: boolean,
  peer: Pick<PeerStatus, 'CurAddr' | 'PeerRelay' | 'Relay' | 'Active'> | undefined,
  report: Pick<PathReport, 'kind' | 'endpoint' | 'derpRegionCode' | 'latencyMs'> | undefined,
  ping: MeasuredPing | undefined,
  nowMs: number,
): DevicePath {
  const path = report === undefined ? pathFromStatus(peer) : pathFromReport(report)
  if (!online && path.kind === 'idle') return { kind: 'offline', endpoint: '', relay: '', latencyMs: null }
  if (ping === undefined || path.latencyMs !== null) return path
  const ageMs = nowMs - ping.atMs
  const { kind, endpoint, relay } = ping.via
  if (path.kind === 'idle' && kind !== 'here' && kind !== 'unknown' && ageMs <= PING_PATH_MS)
    return { kind, endpoint, relay, latencyMs: ping.latencyMs }
  return kind === path.kind && ageMs <= PING_MEMORY_MS ? { ...path, latencyMs: ping.latencyMs } : path
}

function pathFromReport(report: Pick<PathReport, 'kind' | 'endpoint' | 'derpRegionCode' | 'latencyMs'>): DevicePath {
  const kind = report.kind === 'none' ? 'idle' : report.kind
  if (kind === 'idle') return { kind, endpoint: '', relay: '', latencyMs: null }
  return {
    kind,
    endpoint: kind === 'relay' ? '' : report.endpoint,
    relay: kind === 'relay' ? report.derpRegionCode : '',
    latencyMs: report.latencyMs > 0 ? report.latencyMs : null,
  }
}

/** A stock daemon tells the address in use and, without one, whether packets flow: then they take the relay. */
function pathFromStatus(peer: Pick<PeerStatus, 'CurAddr' | 'PeerRelay' | 'Relay' | 'Active'> | undefined): DevicePath {
  if (peer?.CurAddr) return { kind: 'direct', endpoint: peer.CurAddr, relay: '', latencyMs: null }
  if (peer?.PeerRelay) return { kind: 'peer-relay', endpoint: peer.PeerRelay, relay: '', latencyMs: null }
  if (peer?.Active && peer.Relay) return { kind: 'relay', endpoint: '', relay: peer.Relay, latencyMs: null }
  return { kind: 'idle', endpoint: '', relay: '', latencyMs: null }
}

function bareAddresses(prefixes: readonly string[] | null | undefined): string[] {
  const bare = (prefixes ?? []).map((prefix) => prefix.replace(/\/\d+$/, ''))
  const own = bare.filter((address) => OWN_ADDRESS.test(address))
  return own.length > 0 ? own : bare
}
