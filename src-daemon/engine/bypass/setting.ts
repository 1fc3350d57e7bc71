/** A bypass as somebody sent it, or as it was kept. Pure. [docs/rules/bypass.md BYP-1] */
import { type BypassSetting, emptyBypass } from '../../../src-contract/localapi/bypass.ts'
import { bad, type Decoded, ok } from '../../../src-protocol/wire/decoded.ts'
import { canonicalDnsName } from '../../../src-protocol/wire/dns-name.ts'
import { parsePrefix, prefixText } from '../../../src-protocol/wire/ip.ts'
import { isJsonObject } from '../../../src-protocol/wire/json.ts'
import { holdsOverlay } from './may-pass.ts'

const MAX_ENTRIES = 200

type Kind = keyof BypassSetting

const kinds: { readonly [kind in Kind]: { readonly what: string; read(text: string): string | undefined } } = {
  Prefixes: {
    what: 'a network such as 10.0.0.0/16 (100.64.0.0/10 and fd7a:115c:a1e0::/48 are reached through the tunnel alone)',
    read: (text) => {
      const prefix = parsePrefix(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`)
      return prefix.ok && prefix.value.bits > 0 && !holdsOverlay(prefix.value) ? prefixText(prefix.value) : undefined
    },
  },
  Suffixes: {
    what: 'a domain such as corp.example',
    read: (text) => {
      const name = canonicalDnsName(text.replace(/^\*?\./, ''))
      return name === undefined || name === '' || name === '.' ? undefined : name.replace(/\.$/, '')
    },
  },
  Interfaces: { what: 'the name of an interface', read: (text) => matching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/, text) },
  Users: { what: 'the name of a user', read: (text) => matching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?$/, text) },
  Cgroups: {
    what: 'a control group such as user.slice/work.slice',
    read: (text) => {
      const path = text.replace(/^\/+|\/+$/g, '')
      const isPath =
        /^[A-Za-z0-9_.@:\\/-]{1,255}$/.test(path) && !path.split('/').some((part) => /^\.{0,2}$/.test(part))
      return isPath ? path : undefined
    },
  },
}

function matching(pattern: RegExp, text: string): string | undefined {
  return pattern.test(text) ? text : undefined
}

/** The reason is a sentence for whoever sent it. */
export function parseBypass(value: unknown): Decoded<BypassSetting> {
  if (!isJsonObject(value)) return bad('a bypass is an object')
  const setting = structuredClone(emptyBypass)
  for (const kind of Object.keys(kinds) as Kind[]) {
    const list = value[kind] ?? []
    if (!Array.isArray(list)) return bad(`${kind} is no list`)
    if (list.length > MAX_ENTRIES) return bad(`${kind} has more than ${MAX_ENTRIES} entries`)
    const found = new Set<string>()
    for (const entry of list) {
      const read = typeof entry === 'string' ? kinds[kind].read(entry) : undefined
      if (read === undefined) return bad(`${JSON.stringify(entry)?.slice(0, 80)} is not ${kinds[kind].what}`)
      found.add(read)
    }
    setting[kind] = [...found].sort()
  }
  return ok(setting)
}
