/** Which networks this host reaches through interfaces other than ours. */
import type { PrefixText } from '../../../src-contract/ids.ts'

export interface ForeignInterface {
  readonly name: string
  /** Made by a program, to carry packets elsewhere. */
  readonly isTunnel: boolean
  /** What is routed there, in whichever table; no default routes, nothing that stays on the link. */
  readonly prefixes: readonly PrefixText[]
}

export interface ForeignRoutes {
  read(): Promise<readonly ForeignInterface[]>
}
