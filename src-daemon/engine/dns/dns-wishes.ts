/** What a profile's settings ask of names: from network map and settings to what the plan is made of. Pure. */
import type { BypassSetting } from '../../../src-contract/localapi/bypass.ts'
import type { Prefs } from '../../../src-contract/localapi/prefs.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import type { DnsWishes } from '../../../src-protocol/machines/resolver/plan.ts'
import { chooseExit } from '../routing/exit-choice.ts'

export function dnsWishesOf(netmap: Netmap, prefs: Prefs, bypass: BypassSetting, wallMs: number): DnsWishes {
  const choice = chooseExit(netmap, prefs)
  const exitNode = choice.kind === 'chosen' ? choice.node : undefined
  const ownSuffixes = choice.kind === 'none' ? [] : bypass.Suffixes
  return { netmap, isAccepted: prefs.CorpDNS, exitNode, ownSuffixes, wallMs }
}
