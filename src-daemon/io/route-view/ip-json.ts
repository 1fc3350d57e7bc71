/**
 * What `ip -N -d -json` prints about rules, routes and interfaces, and `ip -N -json route get`, read strictly: entries with
 * something that we cannot read are left out and counted. Pure.
 */
import type { IpText } from '../../../src-contract/ids.ts'
import { bad, type Decoded, ok } from '../../../src-protocol/wire/decoded.ts'
import { ipText, type Prefix, parseIp, parsePrefix, prefixText } from '../../../src-protocol/wire/ip.ts'
import { isJsonObject, parseJson } from '../../../src-protocol/wire/json.ts'
import { looksLikeTunnel } from '../foreign-routes/tunnels.ts'
import type { Family, HostLink, HostRoute, HostRule, Range, RouteType, RuleAction, SystemAnswer } from './port.ts'

type Entry = Readonly<Record<string, unknown>>

export interface Read<T> {
  readonly found: readonly T[]
  /** Entries that we could not read. */
  readonly odd: number
}

const TABLES: ReadonlyMap<string, string> = new Map([
  ['255', 'local'],
  ['254', 'main'],
  ['253', 'default'],
])
const TYPES: readonly (RouteType | undefined)[] = [
  undefined,
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
]
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['icmp', 1],
  ['tcp', 6],
  ['udp', 17],
  ['ipv6-icmp', 58],
])
const NAME = /^[!-.0-~]{1,15}$/

export function readRules(text: string, family: Family): Decoded<Read<HostRule>> {
  return readEntries(text, (entry) => ruleOf(entry, family))
}

export function readRoutes(text: string, family: Family): Decoded<Read<HostRoute>> {
  return readEntries(text, (entry) => routeOf(entry, family))
}

export function readLinks(text: string): Decoded<Read<HostLink>> {
  return readEntries(text, linkOf)
}

/** Of one route; errors come as text beside it. */
export function readAnswer(output: string, complaint: string, family: Family): SystemAnswer {
  const list = parseJson(output)
  const [entry] = list.ok && Array.isArray(list.value) ? list.value.filter(isJsonObject) : []
  if (entry === undefined) {
    if (/No route to host|Network is unreachable/.test(complaint)) return { kind: 'refused', why: 'unreachable' }
    if (/Permission denied/.test(complaint)) return { kind: 'refused', why: 'prohibit' }
    if (/Invalid argument/.test(complaint)) return { kind: 'refused', why: 'blackhole' }
    return { kind: 'unknown', reason: complaint.trim().slice(0, 200) || 'no answer' }
  }
  const type = typeOf(entry.type)
  const hop = hopOf(entry, family)
  const table = entry.table === undefined ? 'main' : tableOf(entry.table)
  if (type === undefined || hop === undefined || table === undefined) return { kind: 'unknown', reason: 'odd answer' }
  if (type === 'unreachable' || type === 'prohibit' || type === 'blackhole') return { kind: 'refused', why: type }
  return { kind: 'route', type, ...hop, table, source: addressOf(entry.prefsrc, family) ?? '' }
}

function readEntries<T>(text: string, read: (entry: Entry) => T | 'none' | undefined): Decoded<Read<T>> {
  const list = text.trim() === '' ? ok([]) : parseJson(text)
  if (!list.ok || !Array.isArray(list.value)) return bad('no list')
  const found: T[] = []
  let odd = 0
  for (const entry of list.value) {
    // `ip` prints an empty object for what it left out
    if (isJsonObject(entry) && Object.keys(entry).length === 0) continue
    const value = isJsonObject(entry) ? read(entry) : undefined
    if (value === undefined) odd++
    else if (value !== 'none') found.push(value)
  }
  return ok({ found, odd })
}

const RULE_MEMBERS = new Set(
  'priority not src srclen dst dstlen tos dsfield fwmark fwmask iif oif iif_detached oif_detached uid_start uid_end ipproto sport sport_start sport_end sport_mask dport dport_start dport_end table suppress_prefixlen suppress_ifgroup goto unresolved nop action protocol realm from_realm to_realm'.split(
    ' ',
  ),
)

function ruleOf(entry: Entry, family: Family): HostRule | undefined {
  const priority = entry.priority === undefined ? 0 : numberOf(entry.priority)
  const action = actionOf(entry)
  const from = selectorPrefix(entry.src, entry.srclen, family)
  const to = selectorPrefix(entry.dst, entry.dstlen, family)
  const inInterface = nameOf(entry.iif)
  const outInterface = nameOf(entry.oif)
  const mark = markOf(entry)
  const uids = rangeOf(undefined, entry.uid_start, entry.uid_end)
  const protocol = protocolOf(entry.ipproto)
  const sourcePorts = rangeOf(entry.sport, entry.sport_start, entry.sport_end)
  const ports = rangeOf(entry.dport, entry.dport_start, entry.dport_end)
  const suppressBits = optionalNumber(entry.suppress_prefixlen)
  const suppressGroup = optionalNumber(entry.suppress_ifgroup)
  const parts = [from, to, inInterface, outInterface, mark, uids, protocol, sourcePorts, ports]
  if (priority === undefined || action === undefined || parts.includes('odd')) return undefined
  if (suppressBits === 'odd' || suppressGroup === 'odd') return undefined
  const tos = entry.tos ?? entry.dsfield
  const isDetached = 'iif_detached' in entry || 'oif_detached' in entry
  return {
    priority,
    isInverted: 'not' in entry,
    from: known(from),
    to: known(to),
    inInterface: known(inInterface),
    outInterface: known(outInterface),
    mark: known(mark),
    uids: known(uids),
    protocol: known(protocol),
    sourcePorts: known(sourcePorts),
    ports: known(ports),
    tos: tos === undefined ? 0 : (numberOf(tos) ?? -1),
    isSpecial: isDetached || 'l3mdev' in entry || Object.keys(entry).some((member) => !RULE_MEMBERS.has(member)),
    action,
    suppressBits,
    suppressGroup,
    origin: numberOf(entry.protocol) ?? 0,
  }
}

function actionOf(entry: Entry): RuleAction | undefined {
  if (entry.goto !== undefined) {
    const priority = numberOf(entry.goto)
    return priority === undefined ? undefined : { kind: 'goto', priority }
  }
  if ('nop' in entry) return { kind: 'nop' }
  if (entry.action !== undefined) {
    const type = typeOf(entry.action)
    return type === 'unreachable' || type === 'prohibit' || type === 'blackhole' ? { kind: type } : undefined
  }
  if ('l3mdev' in entry) return { kind: 'nop' } // the table is the device's own
  const table = tableOf(entry.table)
  return table === undefined ? undefined : { kind: 'lookup', table }
}

function routeOf(entry: Entry, family: Family): HostRoute | 'none' | undefined {
  // IPv4 in IPv6's clothes never leaves as IPv6
  if (family === 6 && typeof entry.dst === 'string' && /^::ffff:/i.test(entry.dst)) return 'none'
  const type = typeOf(entry.type)
  const prefix = routePrefix(entry.dst, family)
  const table = entry.table === undefined ? 'main' : tableOf(entry.table)
  const from = entry.from === undefined ? undefined : routePrefix(entry.from, family)
  if (type === undefined || prefix === undefined || table === undefined) return undefined
  if (entry.from !== undefined && from === undefined) return undefined
  const flags = listOf(entry.flags)
  const several = listOf(entry.nexthops).filter(isJsonObject)
  const hops = (several.length > 0 ? several : [entry]).map((hop) => hopOf(hop, family))
  const isForwarded = type === 'unicast' || type === 'multicast' || type === 'anycast'
  if (isForwarded && hops.some((hop) => hop === undefined || hop.interfaceName === '')) return undefined
  return {
    table,
    text: prefixText(prefix),
    prefix,
    type,
    hops: hops.filter((hop) => hop !== undefined && hop.interfaceName !== '') as HostRoute['hops'],
    metric: numberOf(entry.metric) ?? 0,
    tos: entry.tos === undefined ? 0 : (numberOf(entry.tos) ?? -1),
    source: addressOf(entry.prefsrc, family) ?? '',
    from: from?.bits === 0 ? undefined : from,
    isDead: flags.includes('dead'),
    origin: numberOf(entry.protocol) ?? 0,
  }
}

function hopOf(entry: Entry, family: Family): HostRoute['hops'][number] | undefined {
  const name = entry.dev === undefined ? '' : nameOf(entry.dev)
  if (name === undefined || name === 'odd') return undefined
  const via = isJsonObject(entry.via) ? entry.via.host : undefined
  const gateway = addressOf(entry.gateway, family) ?? addressOf(via, 4) ?? addressOf(via, 6) ?? ''
  return { interfaceName: name, gateway }
}

function linkOf(entry: Entry): HostLink | undefined {
  const name = nameOf(entry.ifname)
  if (name === undefined || name === 'odd') return undefined
  const kind = isJsonObject(entry.linkinfo) ? entry.linkinfo.info_kind : undefined
  const addresses = listOf(entry.addr_info).flatMap((info) => {
    const local = isJsonObject(info) ? info.local : undefined
    const ip = typeof local === 'string' ? parseIp(local) : bad('')
    return ip.ok ? [ipText(ip.value)] : []
  })
  const isTunnel = looksLikeTunnel(name, typeof kind === 'string' ? kind : '')
  const group = entry.group === 'default' ? 0 : (numberOf(entry.group) ?? 0)
  return { name, isTunnel, group, addresses }
}

function known<T>(value: T | 'odd' | undefined): T | undefined {
  return value === 'odd' ? undefined : value
}

/** Decimal or `0x…`. */
function numberOf(value: unknown): number | undefined {
  const isText = typeof value === 'string' && /^(?:\d{1,10}|0x[0-9a-f]{1,8})$/i.test(value)
  const number = isText ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined
}

function optionalNumber(value: unknown): number | 'odd' | undefined {
  return value === undefined ? undefined : (numberOf(value) ?? 'odd')
}

function nameOf(value: unknown): string | 'odd' | undefined {
  if (value === undefined) return undefined
  return typeof value === 'string' && NAME.test(value) ? value : 'odd'
}

function rangeOf(single: unknown, first: unknown, last: unknown): Range | 'odd' | undefined {
  if (single === undefined && first === undefined) return undefined
  const [from, to] = single === undefined ? [numberOf(first), numberOf(last)] : [numberOf(single), numberOf(single)]
  return from === undefined || to === undefined ? 'odd' : { first: from, last: to }
}

function markOf(entry: Entry): { value: number; mask: number } | 'odd' | undefined {
  if (entry.fwmark === undefined && entry.fwmask === undefined) return undefined
  const value = entry.fwmark === undefined ? 0 : numberOf(entry.fwmark)
  const mask = entry.fwmask === undefined ? 0xffffffff : numberOf(entry.fwmask)
  return value === undefined || mask === undefined ? 'odd' : { value, mask }
}

function protocolOf(value: unknown): number | 'odd' | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string') return numberOf(value) ?? 'odd'
  return PROTOCOLS.get(value) ?? numberOf(value.replace(/^ipproto-/, '')) ?? 'odd'
}

function selectorPrefix(address: unknown, bits: unknown, family: Family): Prefix | 'odd' | undefined {
  if (address === undefined || address === 'all') return undefined
  const length = bits === undefined ? widthOf(family) : numberOf(bits)
  if (typeof address !== 'string' || length === undefined) return 'odd'
  const text = address === '0' ? anyOf(family) : address
  const prefix = parsePrefix(`${text}/${length}`)
  return prefix.ok && prefix.value.ip.length * 8 === widthOf(family) ? prefix.value : 'odd'
}

function routePrefix(value: unknown, family: Family): Prefix | undefined {
  if (typeof value !== 'string') return undefined
  const text = value === 'default' ? `${anyOf(family)}/0` : value.includes('/') ? value : `${value}/${widthOf(family)}`
  const prefix = parsePrefix(text)
  return prefix.ok && prefix.value.ip.length * 8 === widthOf(family) ? prefix.value : undefined
}

function addressOf(value: unknown, family: Family): IpText | undefined {
  const ip = typeof value === 'string' ? parseIp(value) : bad('')
  return ip.ok && ip.value.length * 8 === widthOf(family) ? ipText(ip.value) : undefined
}

function tableOf(value: unknown): string | undefined {
  const table = typeof value === 'number' ? String(value) : value
  if (typeof table !== 'string' || !/^[\w.-]{1,32}$/.test(table)) return undefined
  return TABLES.get(table) ?? table
}

/** By number (`-N`) or by name; none = unicast. */
function typeOf(value: unknown): RouteType | undefined {
  if (value === undefined) return 'unicast'
  return TYPES[numberOf(value) ?? 0] ?? TYPES.find((name) => name === value)
}

const widthOf = (family: Family): number => (family === 4 ? 32 : 128)
const anyOf = (family: Family): string => (family === 4 ? '0.0.0.0' : '::')

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
