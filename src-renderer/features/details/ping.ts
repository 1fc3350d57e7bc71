/** Pings as questions: each device keeps its last answers while the page lives. */
import { useMutation } from '@tanstack/react-query'
import { create } from 'zustand'
import type { AppProblem } from '../../../src-contract/app/app-state.ts'
import type { PingAnswer } from '../../../src-contract/bridge.ts'
import { call, problemOf } from '../../daemon/bridge.ts'

export interface PingEntry {
  readonly atMs: number
  readonly answer?: PingAnswer
  readonly problem?: AppProblem
}

const KEPT = 12

interface PingLog {
  readonly entries: { readonly [deviceId: string]: readonly PingEntry[] }
  readonly running: ReadonlySet<string>
}

const usePingLog = create<PingLog>()(() => ({ entries: {}, running: new Set() }))

function add(id: string, entry: PingEntry): void {
  usePingLog.setState(({ entries }) => ({
    entries: { ...entries, [id]: [...(entries[id] ?? []), entry].slice(-KEPT) },
  }))
}

function setRunning(id: string, isRunning: boolean): void {
  usePingLog.setState(({ running }) => {
    const next = new Set(running)
    if (isRunning) next.add(id)
    else next.delete(id)
    return { running: next }
  })
}

const none: readonly PingEntry[] = []

export function usePings(id: string): { entries: readonly PingEntry[]; isRunning: boolean } {
  const entries = usePingLog((log) => log.entries[id] ?? none)
  const isRunning = usePingLog((log) => log.running.has(id))
  return { entries, isRunning }
}

export function usePing(): { start: (id: string) => void } {
  const { mutate } = useMutation({
    mutationFn: (id: string) => call('device.ping', { id, type: 'disco' }),
    onMutate: (id) => setRunning(id, true),
    onSuccess: (answer, id) => add(id, { atMs: Date.now(), answer }),
    onError: (error, id) => add(id, { atMs: Date.now(), problem: problemOf(error) }),
    onSettled: (_answer, _error, id) => setRunning(id, false),
  })
  return { start: (id) => mutate(id) }
}
