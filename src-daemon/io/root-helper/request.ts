/**
 * What crosses the socket to the helper: one line of JSON there, one line back. Strict, because a stranger may have taken
 * over the sender: known verbs with exactly their members, literal addresses, names that are names. Pure.
 */
import { bad, type Decoded, ok } from '../../../src-protocol/wire/decoded.ts'
import { canonicalDnsName } from '../../../src-protocol/wire/dns-name.ts'
import { ipText, parseIp } from '../../../src-protocol/wire/ip.ts'
import { isJsonObject, parseJson } from '../../../src-protocol/wire/json.ts'
import type { ResolverSettings, RootCommand, RootResult } from './port.ts'

export const MAX_REQUEST_BYTES = 16 << 10
export const MAX_NAMESERVERS = 16
export const MAX_SEARCH_DOMAINS = 64
const MAX_MESSAGE = 1_000

const PLAIN = ['restore-resolv-conf', 'delete-resolvconf-record'] as const
const WITH_SETTINGS = ['write-resolv-conf', 'add-resolvconf-record'] as const

export function encodeRootRequest(command: RootCommand): string {
  return `${JSON.stringify(command)}\n`
}

/** `line` without its end. */
export function decodeRootRequest(line: string): Decoded<RootCommand> {
  if (line.length > MAX_REQUEST_BYTES) return bad('too-long')
  const parsed = parseJson(line)
  if (!parsed.ok) return bad('not-json')
  if (!isJsonObject(parsed.value)) return bad('not-an-object')
  const { verb, ...members } = parsed.value
  const names = Object.keys(members).sort().join()
  const plain = PLAIN.find((known) => known === verb)
  if (plain !== undefined) return names === '' ? ok({ verb: plain }) : bad('unknown-member')
  const known = WITH_SETTINGS.find((name) => name === verb)
  if (known === undefined) return bad('unknown-verb')
  if (names !== 'nameservers,searchDomains') return bad('unknown-member')
  const settings = decodeSettings(members)
  return settings.ok ? ok({ verb: known, ...settings.value }) : settings
}

function decodeSettings(members: { readonly [name: string]: unknown }): Decoded<ResolverSettings> {
  const nameservers = textList(members.nameservers, MAX_NAMESERVERS)
  if (nameservers === undefined) return bad('nameservers')
  // The same bytes as parsed, written anew: no zone, no port, no leading zeros.
  for (const text of nameservers) {
    const ip = parseIp(text)
    if (!ip.ok || ipText(ip.value) !== text) return bad('nameserver')
  }
  const searchDomains = textList(members.searchDomains, MAX_SEARCH_DOMAINS)
  if (searchDomains === undefined) return bad('search-domains')
  for (const name of searchDomains) {
    if (!/^[0-9a-z_.-]+$/.test(name) || canonicalDnsName(name) !== name) return bad('search-domain')
  }
  return ok({ nameservers: nameservers as ResolverSettings['nameservers'], searchDomains })
}

function textList(value: unknown, most: number): string[] | undefined {
  if (!Array.isArray(value) || value.length > most) return undefined
  return value.every((text) => typeof text === 'string') ? (value as string[]) : undefined
}

export function encodeRootReply(result: RootResult): string {
  const { kind } = result
  return `${JSON.stringify(kind === 'done' ? { kind } : { kind, message: result.message.slice(0, MAX_MESSAGE) })}\n`
}

/** The helper is more powerful than we are, and still only a program: what it says is parsed. */
export function decodeRootReply(line: string): Decoded<RootResult> {
  const parsed = parseJson(line)
  if (!parsed.ok || !isJsonObject(parsed.value)) return bad('not-json')
  const { kind, message } = parsed.value
  if (kind === 'done') return ok({ kind })
  if ((kind !== 'refused' && kind !== 'failed') || typeof message !== 'string') return bad('unknown-kind')
  return ok({ kind, message: message.slice(0, MAX_MESSAGE) })
}

/** What of a network's wish a helper would accept; the rest is nothing that resolv.conf could hold. */
export function resolverSettings(wish: ResolverSettings): ResolverSettings {
  const one = ({ nameservers = [], searchDomains = [] }: Partial<ResolverSettings>): boolean =>
    decodeSettings({ nameservers, searchDomains }).ok
  return {
    nameservers: wish.nameservers.filter((address) => one({ nameservers: [address] })).slice(0, MAX_NAMESERVERS),
    searchDomains: wish.searchDomains.filter((name) => one({ searchDomains: [name] })).slice(0, MAX_SEARCH_DOMAINS),
  }
}
