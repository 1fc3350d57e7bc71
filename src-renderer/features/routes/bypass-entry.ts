/**
 * What is typed as an entry of the bypass, judged while it is typed. Pure. The daemon has the last word (BYP-1); this only
 * says early what it would refuse anyway.
 */
import type { PrefixText } from '../../../src-contract/ids.ts'
import type { BypassSetting } from '../../../src-contract/localapi/bypass.ts'

export const bypassKinds = ['Prefixes', 'Suffixes', 'Interfaces', 'Users', 'Cgroups'] as const
export type BypassKind = (typeof bypassKinds)[number]

export type Judged =
  | { readonly kind: 'entry'; readonly value: string }
  | { readonly kind: 'empty' }
  | { readonly kind: 'invalid'; readonly why: BypassKind | 'everything' }

export function judge(kind: BypassKind, typed: string): Judged {
  const text = typed.trim()
  if (text === '') return { kind: 'empty' }
  const invalid: Judged = { kind: 'invalid', why: kind }
  switch (kind) {
    case 'Prefixes':
      return judgePrefix(text)
    case 'Suffixes': {
      const name = text.replace(/^\*?\./, '').replace(/\.$/, '')
      return isDomain(name) ? { kind: 'entry', value: name.toLowerCase() } : invalid
    }
    case 'Interfaces':
      return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(text) ? { kind: 'entry', value: text } : invalid
    case 'Users':
      return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?$/.test(text) ? { kind: 'entry', value: text } : invalid
    case 'Cgroups': {
      const path = text.replace(/^\/+|\/+$/g, '')
      const isPath =
        /^[A-Za-z0-9_.@:\\/-]{1,255}$/.test(path) && !path.split('/').some((part) => /^\.{0,2}$/.test(part))
      return isPath ? { kind: 'entry', value: path } : invalid
    }
  }
}

function judgePrefix(text: string): Judged {
  const invalid: Judged = { kind: 'invalid', why: 'Prefixes' }
  const [address = '', bits, ...more] = text.split('/')
  const version = ipVersion(address)
  if (version === undefined || more.length > 0) return invalid
  if (bits === undefined) return { kind: 'entry', value: text }
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128)) return invalid
  return Number(bits) === 0 ? { kind: 'invalid', why: 'everything' } : { kind: 'entry', value: text }
}

function ipVersion(text: string): 4 | 6 | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text))
    return text.split('.').every((part) => Number(part) < 256 && String(Number(part)) === part) ? 4 : undefined
  return text.includes(':') && /^[0-9a-fA-F:.]+$/.test(text) && URL.canParse(`http://[${text}]/`) ? 6 : undefined
}

function isDomain(name: string): boolean {
  return (
    name.length <= 253 &&
    name.split('.').every((label) => /^[\p{L}\p{N}_]([\p{L}\p{N}_-]{0,61}[\p{L}\p{N}_])?$/u.test(label)) &&
    !/^[\d.]+$/.test(name)
  )
}

/** A network that is typed where a domain is expected, or the other way round, is taken for what it is. */
export function guessKind(kind: BypassKind, typed: string): BypassKind {
  const text = typed.trim()
  if (kind !== 'Prefixes' && kind !== 'Suffixes') return kind
  if (/^[\d.]+(\/\d*)?$/.test(text) || text.includes('::') || /^[0-9a-f]{1,4}:/i.test(text)) return 'Prefixes'
  return /^\*?\.?[\p{L}_][\p{L}\p{N}_-]*\./u.test(text) ? 'Suffixes' : kind
}

export function hasEntry(setting: BypassSetting, kind: BypassKind, value: string): boolean {
  return (setting[kind] as readonly string[]).includes(value)
}

export function withEntry(setting: BypassSetting, kind: BypassKind, value: string): BypassSetting {
  return { ...setting, [kind]: [...setting[kind], value as PrefixText] }
}

export function withoutEntry(setting: BypassSetting, kind: BypassKind, value: string): BypassSetting {
  return { ...setting, [kind]: (setting[kind] as readonly string[]).filter((one) => one !== value) }
}

const missingWords: Partial<Record<BypassKind, string>> = { Interfaces: 'interface', Users: 'user', Cgroups: 'group' }

/** Whether the daemon says that this machine does not have it now. */
export function isMissing(missing: readonly string[], kind: BypassKind, value: string): boolean {
  const word = missingWords[kind]
  return word !== undefined && missing.includes(`${word} ${value}`)
}
