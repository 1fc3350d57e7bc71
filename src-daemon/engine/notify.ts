/**
 * From one event of the daemon to what one watcher hears of it. Pure; the mask decides. [docs/rules/localapi.md LA-6]
 * Not the stream (`localapi/handlers/watch.ts`) and not its pace (`notify-pace.ts`).
 */
import type { Node, PeerChange, UserProfile } from '../../src-contract/control/map.ts'
import type { NodeId } from '../../src-contract/ids.ts'
import { type HealthWarning, type LegacyNetMap, type Notify, watchMask } from '../../src-contract/localapi/notify.ts'

export interface NetmapEvent {
  readonly kind: 'netmap'
  /** Built once, and only if some watcher still wants the old form. */
  readonly full: () => LegacyNetMap
  readonly self: Node | undefined
  readonly peersChanged: readonly Node[]
  readonly peersRemoved: readonly NodeId[]
  readonly patches: readonly PeerChange[]
  /** The patched nodes as they are now. */
  readonly peersPatched: readonly Node[]
  readonly users: { readonly [id: string]: UserProfile }
}

export type BusEvent =
  | { readonly kind: 'plain'; readonly fields: Partial<Notify> }
  | { readonly kind: 'peerState'; readonly peerState: NonNullable<Notify['PeerState']> }
  | { readonly kind: 'health'; readonly warnings: { readonly [code: string]: HealthWarning } | null }
  | NetmapEvent

const DELTA_BITS = watchMask.peerChanges | watchMask.peerPatches
const NO_LEGACY_BITS = watchMask.noNetMap | watchMask.initialStatus | DELTA_BITS

/** The four modes that a rate-limited watch cannot have. */
export const INCREMENTAL_BITS = NO_LEGACY_BITS

export function emptyNotify(version: string): Notify {
  return {
    Version: version,
    ErrMessage: null,
    LoginFinished: null,
    State: null,
    Prefs: null,
    NetMap: null,
    Engine: null,
    BrowseToURL: null,
    DriveShares: null,
  }
}

export function notifyFor(version: string, mask: number, event: BusEvent): Notify | undefined {
  switch (event.kind) {
    case 'plain':
      return { ...emptyNotify(version), ...event.fields }
    case 'peerState':
      if ((mask & watchMask.peerWireGuardState) === 0) return undefined
      return { ...emptyNotify(version), PeerState: event.peerState }
    case 'health':
      return { ...emptyNotify(version), Health: { Warnings: warningsFor(mask, event.warnings) } }
    case 'netmap':
      return netmapNotify(version, mask, event)
  }
}

/** The stock daemon sends NetMap at runtime on Windows only; desktop clients that know nothing else go stale there. */
export function wantsLegacyNetMap(mask: number): boolean {
  return (mask & watchMask.initialNetMap) !== 0 && (mask & NO_LEGACY_BITS) === 0
}

function netmapNotify(version: string, mask: number, event: NetmapEvent): Notify | undefined {
  const notify = emptyNotify(version)
  if (wantsLegacyNetMap(mask)) notify.NetMap = event.full()
  if (event.self !== undefined) notify.SelfChange = event.self
  if ((mask & DELTA_BITS) !== 0) {
    const promote = (mask & watchMask.peerPatches) === 0
    const changed = promote ? [...event.peersChanged, ...event.peersPatched] : event.peersChanged
    if (changed.length > 0) notify.PeersChanged = [...changed]
    if (event.peersRemoved.length > 0) notify.PeersRemoved = [...event.peersRemoved]
    if (!promote && event.patches.length > 0) notify.PeerChangedPatch = [...event.patches]
    if (Object.keys(event.users).length > 0) notify.UserProfiles = { ...event.users }
  }
  return isEmptyNotify(notify) ? undefined : notify
}

export function warningsFor(
  mask: number,
  warnings: { readonly [code: string]: HealthWarning } | null,
): { [code: string]: HealthWarning } | null {
  if (warnings === null) return null
  if ((mask & watchMask.healthActions) !== 0) return { ...warnings }
  const plain: { [code: string]: HealthWarning } = {}
  for (const [code, warning] of Object.entries(warnings)) {
    const { PrimaryAction: action, ...rest } = warning
    plain[code] = action === undefined ? rest : { ...rest, Text: `${rest.Text} ${action.Label}: ${action.URL}` }
  }
  return plain
}

function isEmptyNotify(notify: Notify): boolean {
  return Object.entries(notify).every(([name, value]) => name === 'Version' || value === null || value === undefined)
}

/** Messages that a rate-limited watcher may get late: nothing new in them but NetMap and Engine. */
export function isBoring(notify: Notify): boolean {
  const { NetMap, Engine, FilesWaiting, ...rest } = notify
  if (NetMap === null && Engine === null && FilesWaiting !== undefined) return false
  return isEmptyNotify({ ...rest, NetMap: null, Engine: null })
}
