/**
 * How filter rules of the coordination server name addresses: `*`, one IP, a prefix without host bits, an inclusive range
 * `a-b`. [tsmp-filter.md §1]
 *
 * Not here: `cap:` sources, which only the netmap can resolve, and what rules mean.
 */
import type { FilterRule } from '../../src-contract/control/map.ts'
import type { PrefixText } from '../../src-contract/ids.ts'
import { bad, type Decoded, ok } from './decoded.ts'
import { parseIp, parsePrefix, prefixText } from './ip.ts'

const EVERYTHING: readonly PrefixText[] = ['0.0.0.0/0', '::/0']
const BAD = bad('rule-address')

/** Bits members belong to a syntax nobody sends any more; guessing what such a rule allows would be worse than nothing. */
export function isWithdrawnSyntax(rule: FilterRule): boolean {
  return rule.SrcBits !== undefined || rule.DstPorts?.some(({ Bits }) => Bits !== undefined) === true
}

export function parseRuleAddress(text: string): Decoded<readonly PrefixText[]> {
  if (text === '*') return ok(EVERYTHING)
  if (text.includes('/')) return prefix(text)
  const dash = text.indexOf('-')
  return dash < 0 ? single(text) : range(text.slice(0, dash), text.slice(dash + 1))
}

function single(text: string): Decoded<readonly PrefixText[]> {
  const ip = parseIp(text)
  return ip.ok ? ok([prefixText({ ip: ip.value, bits: ip.value.length * 8 })]) : BAD
}

function prefix(text: string): Decoded<readonly PrefixText[]> {
  const parsed = parsePrefix(text)
  if (!parsed.ok) return BAD
  const { ip, bits } = parsed.value
  const hostBits = BigInt(ip.length * 8 - bits)
  return (toNumber(ip) & ((1n << hostBits) - 1n)) === 0n ? ok([prefixText(parsed.value)]) : BAD
}

/** The fewest prefixes that cover an inclusive range. */
function range(firstText: string, lastText: string): Decoded<readonly PrefixText[]> {
  const first = parseIp(firstText)
  const last = parseIp(lastText)
  if (!first.ok || !last.ok || first.value.length !== last.value.length) return BAD
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
  return found.length === 0 ? BAD : ok(found)
}

function toNumber(ip: Uint8Array): bigint {
  return ip.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n)
}

function toBytes(number: bigint, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Number((number >> BigInt((size - 1 - i) * 8)) & 0xffn))
}
