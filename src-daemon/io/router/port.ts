/**
 * Addresses and routes of our interface, declared: `apply(desired)` makes it so, may be called twice, and `close`
 * undoes everything. Not the interface itself, which the data path opens.
 */
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'

export interface RouterConfig {
  /** Own addresses; each becomes /32 or /128. */
  readonly addresses: readonly IpText[]
  readonly routes: readonly PrefixText[]
  readonly mtuBytes: number
}

export type RouterResult =
  | { readonly kind: 'applied' }
  /** Somebody else on this host has the address (or is a network of the same kind). Nothing was changed. */
  | { readonly kind: 'conflict'; readonly interfaceName: string; readonly address: IpText }
  | { readonly kind: 'failed'; readonly message: string }

export interface Router {
  /** undefined = interface down, no address, no route. */
  apply(desired: RouterConfig | undefined): Promise<RouterResult>
  /** Somebody took the interface down: nothing of what was applied can be relied on. */
  forget(): void
  close(): Promise<void>
}
