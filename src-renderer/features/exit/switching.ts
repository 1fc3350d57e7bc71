/**
 * Switching the exit node: the wish, its progress, what is known afterwards, and the way back. One at a time; it goes on
 * while another screen is looked at.
 */
import { create } from 'zustand'
import type { AppProblem } from '../../../src-contract/app/app-state.ts'
import type { ExitCheck, ExitChoice, ExitNow, ExitState } from '../../../src-contract/app/exit.ts'
import { call, problemOf } from '../../daemon/bridge.ts'

export interface Switching {
  /** "" for off. */
  readonly name: string
  readonly back: { readonly choice: ExitChoice; readonly name: string }
  readonly step: 'switching' | 'checking' | 'done' | 'failed'
  readonly check?: ExitCheck
  readonly problem?: AppProblem
}

interface SwitchStore {
  readonly switching: Switching | undefined
}

export const useSwitching = create<SwitchStore>()(() => ({ switching: undefined }))

let latest = 0

/** `before`: what is in use now, for the way back. */
export async function switchExit(choice: ExitChoice, name: string, before: ExitNow): Promise<void> {
  const mine = ++latest
  const back = { choice: choiceOf(before), name: before.kind === 'off' ? '' : before.name }
  const set = (part: Omit<Switching, 'name' | 'back'>) => {
    if (mine === latest) useSwitching.setState({ switching: { name, back, ...part } })
  }
  set({ step: 'switching' })
  try {
    await call('exit.use', { choice })
    set({ step: 'checking' })
    set({ step: 'done', check: await call('exit.check', undefined) })
  } catch (error) {
    set({ step: 'failed', problem: problemOf(error) })
  }
}

/** The shortcut: off, or the last one again. */
export function toggleExit({ now, last }: ExitState, automaticName: string): void {
  if (now.kind !== 'off') void switchExit({ kind: 'off' }, '', now)
  else if (last.kind !== 'none')
    void switchExit({ kind: 'last' }, last.kind === 'auto' ? automaticName : last.name, now)
}

export function forgetSwitch(): void {
  latest++
  useSwitching.setState({ switching: undefined })
}

function choiceOf(now: ExitNow): ExitChoice {
  if (now.kind === 'off') return { kind: 'off' }
  return now.id === '' ? { kind: 'auto' } : { kind: 'node', id: now.id }
}
