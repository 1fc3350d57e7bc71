/**
 * Compiles the FilterRules of the coordination server into the rules of the door. [tsmp-filter.md §1]
 *
 * Not here: the verdict (`packet-filter.ts`), which of several named filters apply (the netmap fold), and capability
 * grants, which say nothing about packets (`src-protocol/machines/grants.ts`).
 */
import type { FilterRule } from '../src-contract/control/map.ts'
import type { IpText, PrefixText } from '../src-contract/ids.ts'
import { isWithdrawnSyntax, parseRuleAddress } from '../src-protocol/wire/rule-address.ts'
import type { CompiledRule } from './door.ts'

export interface CompiledFilter {
  readonly rules: readonly CompiledRule[]
  /** The first thing in the rules that could not be understood; the rest applies. */
  readonly problem: string | undefined
}

/** Addresses of the nodes that hold a capability at present: `cap:` sources. */
export type CapabilityHolders = (capability: string) => readonly IpText[]

const DEFAULT_PROTOCOLS = [6, 17, 1, 58]
const CAPABILITY_SOURCE = 'cap:'
const MAX_PORT = 65_535

export function compileFilter(
  rules: readonly FilterRule[],
  capabilityHolders: CapabilityHolders = () => [],
): CompiledFilter {
  if (rules.some(isWithdrawnSyntax)) {
    return { rules: [], problem: 'filter uses the withdrawn SrcBits or Bits members' }
  }
  let problem: string | undefined
  const complain = (text: string): void => {
    problem ??= text
  }
  return { rules: rules.flatMap((rule) => compileRule(rule, capabilityHolders, complain)), problem }
}

function compileRule(
  rule: FilterRule,
  capabilityHolders: CapabilityHolders,
  complain: (text: string) => void,
): CompiledRule[] {
  const sources: PrefixText[] = []
  const capabilitySources: PrefixText[] = []
  for (const text of rule.SrcIPs ?? []) {
    if (text.startsWith(CAPABILITY_SOURCE)) {
      capabilitySources.push(...capabilityHolders(text.slice(CAPABILITY_SOURCE.length)).map(singleAddress))
    } else {
      sources.push(...addresses(text, complain))
    }
  }
  const destinations = (rule.DstPorts ?? []).flatMap(({ IP, Ports }) => {
    if (!isPort(Ports.First) || !isPort(Ports.Last)) {
      complain(`bad ports ${Ports.First}-${Ports.Last}`)
      return []
    }
    return addresses(IP, complain).map((prefix) => ({ prefix, firstPort: Ports.First, lastPort: Ports.Last }))
  })
  const listed = rule.IPProto ?? []
  const protocols =
    listed.length === 0 ? DEFAULT_PROTOCOLS : listed.filter((p) => Number.isInteger(p) && p >= 0 && p <= 255)
  return [4, 6].flatMap((family) => {
    const own = (prefix: PrefixText): boolean => prefix.includes(':') === (family === 6)
    const ruleOfFamily = {
      sources: sources.filter(own),
      capabilitySources: capabilitySources.filter(own),
      destinations: destinations.filter((d) => own(d.prefix)),
      protocols,
    }
    const isEmpty =
      ruleOfFamily.destinations.length === 0 ||
      (ruleOfFamily.sources.length === 0 && ruleOfFamily.capabilitySources.length === 0)
    return isEmpty ? [] : [ruleOfFamily]
  })
}

function addresses(text: string, complain: (text: string) => void): readonly PrefixText[] {
  const parsed = parseRuleAddress(text)
  if (!parsed.ok) complain(`bad address ${JSON.stringify(text.slice(0, 100))}`)
  return parsed.ok ? parsed.value : []
}

function singleAddress(text: IpText): PrefixText {
  return `${text}/${text.includes(':') ? 128 : 32}`
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= MAX_PORT
}
