/** What `firewall.ts` asks of nftables and of iptables alike. */
import type { FirewallWish } from './firewall-rules.ts'

export interface FirewallLook {
  /** Whose chains are there: the interface in our mark. */
  readonly owner: string | undefined
  /** Chains with our names are there without our mark: somebody else's. The interface that they are about. */
  readonly foreign: string | undefined
  /** Everything of ours; equal text = nobody has touched it. Counters are left out. */
  readonly fingerprint: string
  readonly firewalld: boolean
  readonly ufw: boolean
}

export interface FirewallBackend {
  readonly kind: 'nftables' | 'iptables'
  look(): Promise<FirewallLook>
  /** undefined = nothing of ours. Throws with what the program said. */
  write(wish: FirewallWish | undefined): Promise<void>
  /** Whether it can masquerade IPv6. */
  natIpv6(): Promise<boolean>
}
