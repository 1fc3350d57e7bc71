/** The bypass as a person writes it: `10.0.0.0/16,*.corp.example,interface:wt0,user:build,cgroup:work.slice`. */
import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import { type BypassReport, type BypassSetting, emptyBypass } from '../../src-contract/localapi/bypass.ts'
import { parsePrefix, prefixText } from '../../src-protocol/wire/ip.ts'
import { CommandError } from '../verb.ts'

const PREFIXES: { readonly [word: string]: keyof BypassSetting } = {
  interface: 'Interfaces',
  user: 'Users',
  cgroup: 'Cgroups',
}

/** Sorted into kinds, in the form in which the daemon keeps them; it says what is wrong with an entry. */
export function parseBypassText(text: string): BypassSetting {
  const setting = structuredClone(emptyBypass)
  for (const word of text.split(',').map((part) => part.trim())) {
    if (word === '') continue
    const [, prefix, rest] = /^(interface|user|cgroup):(.*)$/.exec(word) ?? []
    if (prefix !== undefined && rest !== undefined) setting[PREFIXES[prefix]!].push(rest)
    else if (word.includes(':') && !/^[\da-f:./]+$/i.test(word))
      throw new CommandError(
        `bypass: ${JSON.stringify(word)} is none of NETWORK, *.DOMAIN, interface:NAME, user:NAME, cgroup:PATH`,
      )
    else if (word.includes('/') || word.includes(':') || /^[\d.]+$/.test(word)) setting.Prefixes.push(plainPrefix(word))
    else setting.Suffixes.push(word.toLowerCase().replace(/^\*?\.|\.$/g, ''))
  }
  return setting
}

function plainPrefix(word: string): string {
  const prefix = parsePrefix(word.includes('/') ? word : `${word}/${word.includes(':') ? 128 : 32}`)
  return prefix.ok ? prefixText(prefix.value) : word
}

export function bypassText(setting: BypassSetting): string {
  return [
    ...setting.Prefixes,
    ...setting.Suffixes.map((suffix) => `*.${suffix}`),
    ...setting.Interfaces.map((name) => `interface:${name}`),
    ...setting.Users.map((name) => `user:${name}`),
    ...setting.Cgroups.map((path) => `cgroup:${path}`),
  ].join(',')
}

export async function readBypass(client: LocalClient): Promise<BypassReport> {
  await mustHave(client)
  return (await client.json('GET', 'pintail/bypass')) as BypassReport
}

export async function writeBypass(client: LocalClient, setting: BypassSetting): Promise<BypassReport> {
  await mustHave(client)
  try {
    return (await client.json('PUT', 'pintail/bypass', { json: setting })) as BypassReport
  } catch (error) {
    if (error instanceof LocalApiError && error.status === 400) throw new CommandError(`bypass: ${error.message}`)
    throw error
  }
}

export async function mustHave(client: LocalClient): Promise<void> {
  const features = await client.pintailFeatures()
  if (features?.features.includes('bypass') !== true)
    throw new CommandError('this daemon has no exit node bypass; pintaild has it')
}
