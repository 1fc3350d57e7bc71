/**
 * What `ip -N -json` prints, read into what we need; tolerant of members that differ by version, strict on those that we
 * use. Pure. Not what we want instead: `network-state.ts`.
 */
import { isTailscaleIp, parseIp, parsePrefix, prefixText } from '../../../src-protocol/wire/ip.ts'
import { OUR_PROTOCOL, TUNNEL_TABLE } from './marks.ts'
import type { Family, RouteKind } from './network-state.ts'

const CLOSED = 'unreachable'
const TABLE_NAMES = new Map([
  ['254', 'main'],
  ['253', 'default'],
])
/** `ip -N` prints some as numbers. */
const ROUTE_TYPES = new Map([
  ['1', 'unicast'],
  ['7', CLOSED],
  ['9', 'throw'],
])
/** Of the rules that mwan3 makes. */
const MWAN3_MASK = '0x3f00'

export interface Interface {
  readonly name: string
  /** `tun`, `veth`, …; '' = a device. */
  readonly kind: string
  readonly up: boolean
  readonly mtuBytes: number
  /** Those that are valid beyond the link. */
  readonly addresses: readonly string[]
}

export interface TableRoutes {
  readonly ours: ReadonlyMap<string, RouteKind>
  readonly isClosed: boolean
  /** Where routes lead that are not ours; of interfaces only. */
  readonly foreignDevices: readonly string[]
  /** Where ours lead. */
  readonly ownDevices: readonly string[]
}

export interface Rules {
  /** As in `NetworkState.rules`. */
  readonly ours: readonly string[]
  /** Somebody else leads all traffic into our table. */
  readonly foreignPriority: number | undefined
  readonly hasMwan3: boolean
}

type Entry = Readonly<Record<string, unknown>>

/** Throws on what is no list. */
function entriesOf(text: string): Entry[] {
  const list: unknown = text.trim() === '' ? [] : JSON.parse(text)
  if (!Array.isArray(list)) throw new Error('ip printed something that is no list')
  return list.filter((entry): entry is Entry => typeof entry === 'object' && entry !== null && !Array.isArray(entry))
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const numberOf = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined
}

export function parseInterfaces(text: string): Interface[] {
  return entriesOf(text).flatMap((entry) => {
    const name = textOf(entry.ifname)
    if (name === undefined) return []
    const flags = Array.isArray(entry.flags) ? entry.flags : []
    const infos = Array.isArray(entry.addr_info) ? (entry.addr_info as unknown[]) : []
    const addresses = infos.flatMap((info) => {
      if (typeof info !== 'object' || info === null) return []
      const { local, scope } = info as Entry
      return typeof local === 'string' &&
        parseIp(local).ok &&
        (scope === 'global' || scope === '0' || scope === undefined)
        ? [local]
        : []
    })
    const link = typeof entry.linkinfo === 'object' && entry.linkinfo !== null ? (entry.linkinfo as Entry) : {}
    return [
      {
        name,
        kind: textOf(link.info_kind) ?? '',
        up: flags.includes('UP'),
        mtuBytes: numberOf(entry.mtu) ?? 0,
        addresses,
      },
    ]
  })
}

export function parseRoutes(text: string, family: Family): TableRoutes {
  const ours = new Map<string, RouteKind>()
  const foreignDevices = new Set<string>()
  const ownDevices = new Set<string>()
  let isClosed = false
  for (const entry of entriesOf(text)) {
    const type = routeType(entry.type)
    const device = textOf(entry.dev)
    if (numberOf(entry.protocol) !== OUR_PROTOCOL) {
      if (type === 'unicast' && device !== undefined) foreignDevices.add(device)
      continue
    }
    const prefix = prefixOf(entry.dst, undefined, family)
    if (type === CLOSED) isClosed = true
    else if (prefix === undefined) continue
    else if (type === 'throw') ours.set(prefix, 'throw')
    else if (device !== undefined) {
      ours.set(prefix, 'tunnel')
      ownDevices.add(device)
    }
  }
  return { ours, isClosed, foreignDevices: [...foreignDevices], ownDevices: [...ownDevices] }
}

function routeType(type: unknown): string {
  const name = textOf(type) ?? 'unicast'
  return ROUTE_TYPES.get(name) ?? name
}

export function parseRules(text: string, family: Family): Rules {
  const ours: string[] = []
  let foreignPriority: number | undefined
  let hasMwan3 = false
  for (const entry of entriesOf(text)) {
    const priority = numberOf(entry.priority)
    if (priority === undefined) continue
    if (textOf(entry.fwmask) === MWAN3_MASK) hasMwan3 = true
    const table = tableOf(entry.table)
    if (numberOf(entry.protocol) === OUR_PROTOCOL) ours.push(`${family} ${ruleWords(entry, priority, table, family)}`)
    else if (table === String(TUNNEL_TABLE) && isForAll(entry)) foreignPriority = priority
  }
  return { ours, foreignPriority, hasMwan3 }
}

function isForAll({ src, dst, fwmark, uid_start, iif, oif }: Entry): boolean {
  return src === 'all' && [dst, fwmark, uid_start, iif, oif].every((selector) => selector === undefined)
}

/** The words that made it; of what we never make only the priority, which is enough to delete it. */
function ruleWords(entry: Entry, priority: number, table: string | undefined, family: Family): string {
  const words = [`pref ${priority}`]
  const to = entry.dst === undefined ? undefined : prefixOf(entry.dst, numberOf(entry.dstlen), family)
  if (to !== undefined) words.push(`to ${to}`)
  const [first, last] = [numberOf(entry.uid_start), numberOf(entry.uid_end)]
  if (first !== undefined && last !== undefined) words.push(`uidrange ${first}-${last}`)
  const mark = hexOf(entry.fwmark)
  if (mark !== undefined) words.push(`fwmark ${mark}/${hexOf(entry.fwmask) ?? '0xffffffff'}`)
  if (routeType(entry.action) === CLOSED) words.push(CLOSED)
  else if (table !== undefined) words.push(`lookup ${table}`)
  return words.join(' ')
}

function hexOf(value: unknown): string | undefined {
  return typeof value === 'string' && /^0x[0-9a-f]{1,8}$/.test(value) ? value : undefined
}

function tableOf(value: unknown): string | undefined {
  const table = typeof value === 'number' ? String(value) : textOf(value)
  if (table === undefined || !/^[\w.-]{1,32}$/.test(table)) return undefined
  return TABLE_NAMES.get(table) ?? table
}

function prefixOf(address: unknown, bits: number | undefined, family: Family): string | undefined {
  if (typeof address !== 'string') return undefined
  if (address === 'default') return family === 6 ? '::/0' : '0.0.0.0/0'
  const whole = address.includes('/') ? address : `${address}/${bits ?? (family === 6 ? 128 : 32)}`
  const parsed = parsePrefix(whole)
  return parsed.ok ? prefixText(parsed.value) : undefined
}

export function isOverlayAddress(text: string): boolean {
  const parsed = parseIp(text)
  return parsed.ok && isTailscaleIp(parsed.value)
}
