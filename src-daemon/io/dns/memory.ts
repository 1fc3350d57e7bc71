/** No system behind it: for tests, and where the daemon has no interface. */
import type { OsDnsConfig } from '../../../src-protocol/machines/resolver/os-plan.ts'
import { resolverSettings } from '../root-helper/request.ts'
import { noOsDns, type OsDns, type OsDnsResult, type OsDnsTrouble } from './port.ts'

export class MemoryOsDns implements OsDns {
  readonly mode = 'memory'
  readonly why = 'there is no system to tell'
  readonly canSplit: boolean
  applied: OsDnsConfig | undefined
  baseConfig: OsDnsConfig
  events: { onTrouble(trouble: OsDnsTrouble | undefined): void; onBaseChange(): void } | undefined

  constructor(options: { readonly canSplit?: boolean; readonly base?: OsDnsConfig } = {}) {
    this.canSplit = options.canSplit ?? false
    this.baseConfig = options.base ?? noOsDns
  }

  async apply(desired: OsDnsConfig | undefined): Promise<OsDnsResult> {
    this.applied = desired && { ...desired, ...resolverSettings(desired) }
    return { kind: 'applied' }
  }

  async base(): Promise<OsDnsConfig> {
    return this.baseConfig
  }

  listen(events: NonNullable<MemoryOsDns['events']>): void {
    this.events = events
  }

  async close(): Promise<void> {
    await this.apply(undefined)
  }
}
