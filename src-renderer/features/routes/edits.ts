/**
 * Changes of routes and bypass: previewed first. What may cut something off is asked about, then made with a deadline;
 * the rest is made at once.
 */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { create } from 'zustand'
import type { AppProblem } from '../../../src-contract/app/app-state.ts'
import type { ChangeView, NetworkEdit, NetworkView } from '../../../src-contract/app/network.ts'
import { call, problemOf } from '../../daemon/bridge.ts'

/** What other programs change (another VPN comes up) is seen after this. */
const LOOK_AGAIN_MS = 3000
const NETWORK = ['network.read']

interface EditStore {
  readonly isRunning: boolean
  readonly problem: AppProblem | undefined
  /** Waits for the person's word. */
  readonly asking: { readonly edit: NetworkEdit; readonly view: ChangeView } | undefined
}

export const useEdits = create<EditStore>()(() => ({ isRunning: false, problem: undefined, asking: undefined }))

export function useNetwork(): { network: NetworkView | undefined; error: unknown } {
  const { data, error } = useQuery({
    queryKey: NETWORK,
    queryFn: () => call('network.read', undefined),
    refetchInterval: LOOK_AGAIN_MS,
  })
  return { network: data, error }
}

export function useEdit() {
  const queries = useQueryClient()
  const run = async (work: () => Promise<void>): Promise<boolean> => {
    useEdits.setState({ isRunning: true, problem: undefined, asking: undefined })
    try {
      await work()
      return true
    } catch (error) {
      useEdits.setState({ problem: problemOf(error) })
      return false
    } finally {
      useEdits.setState({ isRunning: false })
      await queries.invalidateQueries({ queryKey: NETWORK })
    }
  }
  return {
    /** Answers whether it was made, or is being asked about. */
    submit: (edit: NetworkEdit) =>
      run(async () => {
        const view = await call('network.preview', { edit })
        if (view?.mayCut === true) useEdits.setState({ asking: { edit, view } })
        else await call('network.apply', { edit, safely: false })
      }),
    applySafely: (edit: NetworkEdit) => run(() => call('network.apply', { edit, safely: true })),
    cancel: () => useEdits.setState({ asking: undefined }),
    answer: (id: string, keep: boolean) => run(() => call('network.answer', { id, keep })),
  }
}
