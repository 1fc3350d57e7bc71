/** Rules in the words of `ip rule`, and in words. Pure. */
import { type Prefix, prefixText } from '../../../src-protocol/wire/ip.ts'
import type { HostRule, Range } from '../../io/route-view/port.ts'
import { GROUP_MARK, hex, MARK_MASK, OUR_PROTOCOL, TUNNEL_TABLE } from '../../io/router/marks.ts'

export function isOurs({ origin }: { readonly origin: number }): boolean {
  return origin === OUR_PROTOCOL
}

/** Made by us to go past the exit node: it leads to the main table, and is not for our own sockets. */
export function isBypass(rule: HostRule): boolean {
  if (!isOurs(rule) || rule.action.kind !== 'lookup' || rule.action.table !== 'main') return false
  return rule.mark === undefined || (rule.mark.value & MARK_MASK) === GROUP_MARK
}

export function ruleText(rule: HostRule): string {
  const words = [rule.isInverted ? 'not from' : 'from', rule.from === undefined ? 'all' : plain(rule.from)]
  if (rule.to !== undefined) words.push('to', plain(rule.to))
  if (rule.tos !== 0) words.push('tos', hex(Math.max(rule.tos, 0)))
  if (rule.mark !== undefined) words.push('fwmark', markText(rule.mark))
  if (rule.inInterface !== undefined) words.push('iif', rule.inInterface)
  if (rule.outInterface !== undefined) words.push('oif', rule.outInterface)
  if (rule.uids !== undefined) words.push('uidrange', `${rule.uids.first}-${rule.uids.last}`)
  if (rule.protocol !== undefined) words.push('ipproto', String(rule.protocol))
  if (rule.sourcePorts !== undefined) words.push('sport', rangeText(rule.sourcePorts))
  if (rule.ports !== undefined) words.push('dport', rangeText(rule.ports))
  words.push(...actionWords(rule))
  if (rule.suppressBits !== undefined) words.push('suppress_prefixlength', String(rule.suppressBits))
  if (rule.suppressGroup !== undefined) words.push('suppress_ifgroup', String(rule.suppressGroup))
  return words.join(' ')
}

export function ruleName(rule: HostRule): string {
  if (isBypass(rule)) return 'your bypass list'
  if (rule.action.kind !== 'lookup') return isOurs(rule) ? 'our rule' : 'a rule of somebody else'
  if (rule.action.table === String(TUNNEL_TABLE)) return `our table ${TUNNEL_TABLE}`
  if (rule.action.table === 'local') return "this machine's own addresses"
  return tableName(rule.action.table)
}

export function tableName(table: string): string {
  return /^\d+$/.test(table) ? `table ${table}` : `the ${table} table`
}

function actionWords({ action }: HostRule): string[] {
  if (action.kind === 'lookup') return ['lookup', action.table]
  return action.kind === 'goto' ? ['goto', String(action.priority)] : [action.kind]
}

function plain(prefix: Prefix): string {
  return prefixText(prefix).replace(prefix.ip.length === 4 ? /\/32$/ : /\/128$/, '')
}

function markText({ value, mask }: { readonly value: number; readonly mask: number }): string {
  return mask === 0xffffffff ? hex(value) : `${hex(value)}/${hex(mask)}`
}

function rangeText({ first, last }: Range): string {
  return first === last ? String(first) : `${first}-${last}`
}
