/**
 * Compiles the FilterRules of the coordination server into the rules of the door. [tsmp-filter.md §1]
 *
 * Not here: the verdict (`packet-filter.ts`), which of several named filters apply (the netmap fold), and capability
 * grants, which say nothing about packets.
 */
import type { FilterRule } from '../src-contract/control/map.ts'
import type { IpText, PrefixText } from '../src-contract/ids.ts'
import { parseIp, parsePrefix, prefixText } from '../src-protocol/wire/ip.ts'
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
  // Bits members belong to a syntax nobody sends any more; guessing what such a rule allows would be worse than nothing.
  if (rules.some((rule) => rule.SrcBits !== undefined || rule.DstPorts?.some((d) => d.Bits !== undefined))) {
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

/** `*`, an address, a prefix without host bits, or an inclusive range. */
function addresses(text: string, complain: (text: string) => void): PrefixText[] {
  if (text === '*') return ['0.0.0.0/0', '::/0']
  const dash = text.indexOf('-')
  const found = text.includes('/')
    ? prefix(text)
    : dash >= 0
      ? range(text.slice(0, dash), text.slice(dash + 1))
      : single(text)
  if (found.length === 0) complain(`bad address ${JSON.stringify(text.slice(0, 100))}`)
  return found
}

function single(text: string): PrefixText[] {
  const ip = parseIp(text)
  return ip.ok ? [prefixText({ ip: ip.value, bits: ip.value.length * 8 })] : []
}

function singleAddress(text: IpText): PrefixText {
  return `${text}/${text.includes(':') ? 128 : 32}`
}

function prefix(text: string): PrefixText[] {
  const parsed = parsePrefix(text)
  if (!parsed.ok) return []
  const { ip, bits } = parsed.value
  const hostBits = BigInt(ip.length * 8 - bits)
  return (toNumber(ip) & ((1n << hostBits) - 1n)) === 0n ? [prefixText(parsed.value)] : []
}

/** The fewest prefixes that cover an inclusive range. */
function range(firstText: string, lastText: string): PrefixText[] {
  const first = parseIp(firstText)
  const last = parseIp(lastText)
  if (!first.ok || !last.ok || first.value.length !== last.value.length) return []
  const size = first.value.length
  const end = toNumber(last.value)
  const found: PrefixText[] = []
  for (let next = toNumber(first.value); next <= end; ) {
    let hostBits = 0
    while (hostBits < size * 8) {
      const wider = 1n << BigInt(hostBits + 1)
      if (next % wider !== 0n || next + wider - 1n > end) break
      hostBits++
    }
    found.push(prefixText({ ip: toBytes(next, size), bits: size * 8 - hostBits }))
    next += 1n << BigInt(hostBits)
  }
  return found
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= MAX_PORT
}

function toNumber(ip: Uint8Array): bigint {
  return ip.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n)
}

function toBytes(number: bigint, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Number((number >> BigInt((size - 1 - i) * 8)) & 0xffn))
}
