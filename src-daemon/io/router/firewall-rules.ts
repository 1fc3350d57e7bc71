/**
 * Which packet filter rules a configuration asks for, in the order of the stock daemon, in no program's spelling. Pure.
 * `nftables-text.ts` and `iptables-text.ts` spell them. [docs/rules/router.md RT-11]
 */
import { type Family, familyOf } from './network-state.ts'
import { hostPrefix } from './plan.ts'
import type { NetfilterMode, RouterConfig } from './port.ts'

export interface FirewallRule {
  readonly in?: string
  readonly notIn?: string
  readonly out?: string
  readonly source?: string
  readonly udpPort?: number
  /** Carries the mark of what came out of the tunnel. */
  readonly hasForwardMark?: true
  /** Belongs to no connection that is known. */
  readonly isNotEstablished?: true
  readonly verdict: 'accept' | 'drop' | 'return' | 'masquerade' | 'set-forward-mark'
}

export interface FamilyRules {
  readonly input: readonly FirewallRule[]
  readonly forward: readonly FirewallRule[]
  readonly postrouting: readonly FirewallRule[]
}

export interface FirewallWish {
  readonly device: string
  /** `nodivert`: the chains are there for somebody else to jump to. `off`: groups only. */
  readonly mode: NetfilterMode
  readonly v4: FamilyRules
  /** undefined = the host has no IPv6. */
  readonly v6: FamilyRules | undefined
  readonly natIpv6: boolean
  /** Control groups that do not take the exit node. */
  readonly groups: readonly string[]
}

export interface FirewallFacts {
  readonly hostIpv6: boolean
  readonly tunnelIpv6: boolean
  readonly natIpv6: boolean
  /** Those of the groups that exist. */
  readonly groups: readonly string[]
}

const CGNAT = '100.64.0.0/10'
/** Virtual machines of ChromeOS. */
const CHROME_OS = '100.115.92.0/23'
const nothing: FamilyRules = { input: [], forward: [], postrouting: [] }

/** undefined = no rule at all. */
export function firewallWish(device: string, desired: RouterConfig, facts: FirewallFacts): FirewallWish | undefined {
  const mode = desired.netfilterMode
  if (mode === 'off' && facts.groups.length === 0) return undefined
  const of = (family: Family): FamilyRules => (mode === 'off' ? nothing : familyRules(device, desired, family, facts))
  return {
    device,
    mode,
    v4: of(4),
    v6: facts.hostIpv6 ? of(6) : undefined,
    natIpv6: facts.natIpv6,
    groups: facts.groups,
  }
}

function familyRules(device: string, desired: RouterConfig, family: Family, facts: FirewallFacts): FamilyRules {
  const own = desired.addresses.filter((a) => familyOf(a) === family && (family === 4 || facts.tunnelIpv6))
  const input: FirewallRule[] = [
    ...own.map((address): FirewallRule => ({ in: 'lo', source: hostPrefix(address), verdict: 'accept' })),
    { in: device, verdict: 'accept' },
  ]
  if (desired.udpPort !== 0) input.push({ udpPort: desired.udpPort, verdict: 'accept' })
  if (family === 4) input.push(...foreignOverlay(device, desired.dropsForeignOverlay))
  const forward: FirewallRule[] = [
    { in: device, verdict: 'set-forward-mark' },
    { hasForwardMark: true, verdict: 'accept' },
  ]
  if (family === 4) forward.push({ out: device, source: CGNAT, verdict: 'drop' })
  if (desired.statefulFiltering) forward.push({ out: device, isNotEstablished: true, verdict: 'drop' })
  forward.push({ out: device, verdict: 'accept' })
  const canMasquerade = desired.snatSubnetRoutes && (family === 4 || facts.natIpv6)
  return { input, forward, postrouting: canMasquerade ? [{ hasForwardMark: true, verdict: 'masquerade' }] : [] }
}

/** Nobody but the tunnel may speak for its addresses. */
function foreignOverlay(device: string, drops: boolean): FirewallRule[] {
  return drops
    ? [
        { notIn: device, source: CHROME_OS, verdict: 'return' },
        { notIn: device, source: CGNAT, verdict: 'drop' },
      ]
    : [{ notIn: device, source: CGNAT, verdict: 'return' }]
}
