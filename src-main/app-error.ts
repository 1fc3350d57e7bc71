/** What went wrong, in the app's own closed list: thrown inside the main process, a value on the bridge. */
import type { AppProblem } from '../src-contract/app/app-state.ts'

/** An expected failure with words for people. */
export class AppError extends Error {
  readonly problem: AppProblem

  constructor(code: AppProblem['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.problem = { code, message }
  }
}
