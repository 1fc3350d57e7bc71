/**
 * The few things on this host that only root may do, as values. Closed: no path, no program, no free text is in any of
 * them; names and addresses are checked again by whoever does it. Done here when we are root (`direct.ts`), else by a
 * helper that is (`client.ts`, `server.ts`). [docs/decisions/0009-privilege.md]
 */
import type { IpText } from '../../../src-contract/ids.ts'

/** What name servers the host is to use; what the file then looks like is for whoever writes it. */
export interface ResolverSettings {
  readonly nameservers: readonly IpText[]
  readonly searchDomains: readonly string[]
}

export type RootCommand =
  /** Keeps what is there beside it, and writes ours. */
  | ({ readonly verb: 'write-resolv-conf' } & ResolverSettings)
  /** As it was without us; nothing when it is not ours. */
  | { readonly verb: 'restore-resolv-conf' }
  | ({ readonly verb: 'add-resolvconf-record' } & ResolverSettings)
  | { readonly verb: 'delete-resolvconf-record' }

export type RootResult =
  | { readonly kind: 'done' }
  /** `refused`: will never be done. `failed`: tried. `unreachable`: nobody is there to do it. */
  | { readonly kind: 'refused' | 'failed' | 'unreachable'; readonly message: string }

export interface RootHelper {
  run(command: RootCommand): Promise<RootResult>
}
