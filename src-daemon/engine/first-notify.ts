/** The first message of a watch, as its mask asks. Pure. [docs/rules/localapi.md LA-6] */
import type { StableNodeId } from '../../src-contract/ids.ts'
import type { ChangesReport } from '../../src-contract/localapi/changes.ts'
import { type HealthWarning, type Notify, watchMask } from '../../src-contract/localapi/notify.ts'
import type { Prefs } from '../../src-contract/localapi/prefs.ts'
import { type IpnStateName, ipnStateNumber } from '../../src-contract/localapi/state.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import type { Netmap } from '../../src-protocol/machines/netmap.ts'
import { legacyNetMap } from './legacy-netmap.ts'
import { emptyNotify, warningsFor } from './notify.ts'

export interface FirstNotifyInputs {
  readonly state: IpnStateName
  readonly authUrl: string
  readonly prefs: Prefs
  readonly netmap: Netmap | undefined
  readonly health: { readonly [code: string]: HealthWarning } | null
  readonly status: () => Status
  readonly suggestedExitNode: StableNodeId
  readonly changes: ChangesReport
  readonly sessionId: string
}

export function firstNotify(version: string, mask: number, inputs: FirstNotifyInputs): Notify | undefined {
  const notify = emptyNotify(version)
  let isNeeded = false
  const wants = (bit: number): boolean => (mask & bit) !== 0
  if (wants(watchMask.initialState)) {
    isNeeded = true
    notify.SessionID = inputs.sessionId
    notify.State = ipnStateNumber(inputs.state)
    if (inputs.changes.Pending !== null) notify.PintailChanges = inputs.changes
    if (inputs.state === 'NeedsLogin' && inputs.authUrl !== '') notify.BrowseToURL = inputs.authUrl
  }
  if (wants(watchMask.initialPrefs)) {
    isNeeded = true
    notify.Prefs = inputs.prefs
  }
  if (wants(watchMask.initialNetMap)) {
    isNeeded = true
    if (inputs.netmap !== undefined) {
      notify.NetMap = legacyNetMap(inputs.netmap)
      notify.SelfChange = inputs.netmap.self
    }
  }
  if (wants(watchMask.initialStatus)) {
    isNeeded = true
    notify.InitialStatus = inputs.status()
  }
  if (wants(watchMask.initialSuggestedExitNode)) {
    isNeeded = true
    notify.SuggestedExitNode = inputs.suggestedExitNode
  }
  // The stock daemon forgets health when nothing else was asked for; a watcher that asks should get it.
  if (wants(watchMask.initialHealthState)) {
    isNeeded = true
    notify.Health = { Warnings: warningsFor(mask, inputs.health) }
  }
  return isNeeded ? notify : undefined
}
