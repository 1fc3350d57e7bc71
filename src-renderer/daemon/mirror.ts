/** The one copy of the app state in this page, fed by pushes. Components read slices of it; nothing else holds them. */
import { create } from 'zustand'
import type { AppState, Device } from '../../src-contract/app/app-state.ts'
import { type AppMirror, type AppPush, applyPush } from '../../src-contract/app/mirror.ts'
import { call } from './bridge.ts'

interface MirrorStore {
  readonly mirror: AppMirror | undefined
}

export const useMirror = create<MirrorStore>()(() => ({ mirror: undefined }))

let isAsking = false

async function askAgain(): Promise<void> {
  if (isAsking) return
  isAsking = true
  try {
    receive(await call('state.watch', undefined))
  } finally {
    isAsking = false
  }
}

function receive(push: AppPush): void {
  const before = useMirror.getState().mirror
  if (push.kind === 'change' && before !== undefined && push.rev <= before.rev) return // older than our snapshot
  const mirror = applyPush(before, push)
  if (mirror === undefined) void askAgain()
  else useMirror.setState({ mirror })
}

export async function watchMirror(): Promise<void> {
  window.pintail.on('state', receive)
  await askAgain()
}

/** Only below the root, which waits for the first snapshot. */
function present(store: MirrorStore): AppMirror {
  if (store.mirror === undefined) throw new Error('the mirror is not there yet')
  return store.mirror
}

export function useApp<T>(select: (state: AppState) => T): T {
  return useMirror((store) => select(present(store).state))
}

/** For event handlers; components use {@link useApp}. */
export function readApp(): AppState {
  return present(useMirror.getState()).state
}

export function useDevices(): ReadonlyMap<string, Device> {
  return useMirror((store) => present(store).devices)
}

export function useDevice(id: string | undefined): Device | undefined {
  return useMirror((store) => (id === undefined ? undefined : present(store).devices.get(id)))
}
