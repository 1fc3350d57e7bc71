/**
 * The fold that keeps the renderer's copy of the app state: a whole snapshot, then changes numbered `rev + 1`; small
 * slices replaced whole, devices by id. The main process makes the changes with {@link changesBetween}.
 */
import type { AppState, Device } from './app-state.ts'

export interface AppView {
  readonly state: AppState
  readonly devices: ReadonlyMap<string, Device>
}

export interface AppMirror extends AppView {
  readonly rev: number
}

export type AppPush =
  | { readonly kind: 'snapshot'; readonly rev: number; readonly state: AppState; readonly devices: readonly Device[] }
  | {
      readonly kind: 'change'
      readonly rev: number
      readonly state: Partial<AppState>
      readonly put: readonly Device[]
      readonly removed: readonly string[]
    }

/** undefined: something was missed, ask for a snapshot. */
export function applyPush(mirror: AppMirror | undefined, push: AppPush): AppMirror | undefined {
  if (push.kind === 'snapshot')
    return { rev: push.rev, state: push.state, devices: new Map(push.devices.map((device) => [device.id, device])) }
  if (mirror === undefined || push.rev !== mirror.rev + 1) return undefined
  const sameDevices = push.put.length === 0 && push.removed.length === 0
  return {
    rev: push.rev,
    state: { ...mirror.state, ...push.state },
    devices: sameDevices ? mirror.devices : withChanges(mirror.devices, push.put, push.removed),
  }
}

function withChanges(before: ReadonlyMap<string, Device>, put: readonly Device[], removed: readonly string[]) {
  const devices = new Map(before)
  for (const id of removed) devices.delete(id)
  for (const device of put) devices.set(device.id, device)
  return devices
}

/** undefined: nothing to tell. Unchanged slices and devices are recognised by content. */
export function changesBetween(before: AppView, after: AppView, rev: number): AppPush | undefined {
  const state: Record<string, unknown> = {}
  for (const key of Object.keys(after.state) as (keyof AppState)[])
    if (!isSame(before.state[key], after.state[key])) state[key] = after.state[key]
  const put: Device[] = []
  const removed: string[] = []
  if (before.devices !== after.devices) {
    for (const device of after.devices.values()) if (!isSame(before.devices.get(device.id), device)) put.push(device)
    for (const id of before.devices.keys()) if (!after.devices.has(id)) removed.push(id)
  }
  if (put.length === 0 && removed.length === 0 && Object.keys(state).length === 0) return undefined
  return { kind: 'change', rev, state: state as Partial<AppState>, put, removed }
}

/** Equality of plain JSON values. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every(
    (key) => key in b && isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
  )
}
