/** Subnets that other machines offer: `GET`, `PATCH /localapi/v0/pintail/routes`. Ours alone. */
import type { PrefixText, StableNodeId } from '../ids.ts'

export interface SubnetRoute {
  Prefix: PrefixText
  Via: StableNodeId
  /** First label of its name. */
  ViaName: string
  Online: boolean
  /** Packets take it. */
  InUse: boolean
  /** Why not, when it is not: `not-accepted` (`set --accept-routes`), `off`, `at-home` (we are in that network),
   *  `taken` (another machine has it). */
  Reason: '' | 'not-accepted' | 'off' | 'at-home' | 'taken'
}

export interface SubnetRoutes {
  Routes: SubnetRoute[]
  /** Switched off, also those that nobody offers at present. */
  Off: PrefixText[]
}

/** Routes to switch off or on again, in one step. */
export interface SubnetRoutesEdit {
  Off?: PrefixText[]
  On?: PrefixText[]
}
