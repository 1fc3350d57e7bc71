/** The page's end of the bridge: calls that throw what went wrong, for react-query and event handlers. */
import type { AppProblem } from '../../src-contract/app/app-state.ts'
import type { Bridge, CallInput, CallName, CallOutput } from '../../src-contract/bridge.ts'

declare global {
  interface Window {
    readonly pintail: Bridge
  }
}

export class CallFailed extends Error {
  readonly problem: AppProblem

  constructor(problem: AppProblem) {
    super(problem.message || problem.code)
    this.problem = problem
  }
}

export async function call<K extends CallName>(name: K, input: CallInput<K>): Promise<CallOutput<K>> {
  const result = await window.pintail.call(name, input)
  if (result.ok) return result.value
  throw new CallFailed(result.error)
}

export function problemOf(error: unknown): AppProblem {
  if (error instanceof CallFailed) return error.problem
  return { code: 'failed', message: error instanceof Error ? error.message : String(error) }
}
