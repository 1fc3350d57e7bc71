/** Commands as mutations: they are over when main took them; what they changed arrives through the mirror. */
import { useMutation } from '@tanstack/react-query'
import type { CallInput, CallName, CallOutput } from '../../src-contract/bridge.ts'
import { call } from './bridge.ts'

export function useCommand<K extends CallName>(name: K) {
  return useMutation<CallOutput<K>, Error, CallInput<K>>({ mutationFn: (input) => call(name, input) })
}
