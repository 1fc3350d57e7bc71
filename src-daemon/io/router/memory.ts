/** A router that only remembers: tests, and daemons without an interface. */
import type { Router, RouterConfig, RouterResult } from './port.ts'

export class MemoryRouter implements Router {
  applied: RouterConfig | undefined
  applyCount = 0
  /** Tests: what the next `apply` answers instead. */
  answer: RouterResult | undefined

  async apply(desired: RouterConfig | undefined): Promise<RouterResult> {
    this.applyCount++
    if (this.answer !== undefined && desired !== undefined) return this.answer
    this.applied = desired
    return { kind: 'applied', warnings: [] }
  }

  forget(): void {
    this.applied = undefined
  }

  async close(): Promise<void> {
    this.applied = undefined
  }
}
