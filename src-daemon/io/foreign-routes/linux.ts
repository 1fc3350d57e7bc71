/** Linux: `ip` tells, as JSON. What it prints is read strictly and up to a size; odd entries are left out. */
import type { PrefixText } from '../../../src-contract/ids.ts'
import {
  isLinkLocal,
  isLoopback,
  isMulticast,
  isTailscaleIp,
  parsePrefix,
  prefixText,
} from '../../../src-protocol/wire/ip.ts'
import { isJsonObject, parseJson } from '../../../src-protocol/wire/json.ts'
import { findProgram, runProgram } from '../dns/run-program.ts'
import type { ForeignInterface, ForeignRoutes } from './port.ts'
import { looksLikeTunnel } from './tunnels.ts'

const MAX_OUTPUT_BYTES = 16 << 20
const MAX_PREFIXES = 1_000

export function linuxForeignRoutes(own: string | undefined): ForeignRoutes {
  return {
    read: async () => {
      const program = await findProgram('ip')
      if (program === undefined) return []
      const run = async (...words: string[]): Promise<string> =>
        (await runProgram(program, words, '', MAX_OUTPUT_BYTES)).output
      const links = await run('-j', '-d', 'link', 'show', 'up')
      const routes = await Promise.all(['-4', '-6'].map((family) => run('-j', family, 'route', 'show', 'table', 'all')))
      return parseForeign(links, routes, own)
    },
  }
}

/** Exported for its tests: text of another program is not to be trusted. */
export function parseForeign(links: string, routes: readonly string[], own: string | undefined): ForeignInterface[] {
  const byName = new Map<string, { isTunnel: boolean; prefixes: Set<PrefixText> }>()
  for (const link of entries(links)) {
    const name = link.ifname
    if (typeof name !== 'string' || name === own || name === 'lo') continue
    const kind = isJsonObject(link.linkinfo) ? link.linkinfo.info_kind : undefined
    const isTunnel = looksLikeTunnel(name, typeof kind === 'string' ? kind : '')
    byName.set(name, { isTunnel, prefixes: new Set() })
  }
  for (const text of routes) {
    for (const route of entries(text)) {
      const face = typeof route.dev === 'string' ? byName.get(route.dev) : undefined
      const prefix = routedPrefix(route)
      if (face !== undefined && prefix !== undefined && face.prefixes.size < MAX_PREFIXES) face.prefixes.add(prefix)
    }
  }
  return [...byName].map(([name, { isTunnel, prefixes }]) => ({ name, isTunnel, prefixes: [...prefixes].sort() }))
}

function routedPrefix({ dst, type, table }: { readonly [name: string]: unknown }): PrefixText | undefined {
  if (typeof dst !== 'string' || dst === 'default' || table === 'local') return undefined
  if (type !== undefined && type !== 'unicast') return undefined
  const prefix = parsePrefix(dst.includes('/') ? dst : `${dst}/${dst.includes(':') ? 128 : 32}`)
  if (!prefix.ok || prefix.value.bits === 0) return undefined
  const { ip } = prefix.value
  return isLoopback(ip) || isLinkLocal(ip) || isMulticast(ip) || isTailscaleIp(ip)
    ? undefined
    : prefixText(prefix.value)
}

function entries(text: string): { readonly [name: string]: unknown }[] {
  const parsed = parseJson(text)
  return parsed.ok && Array.isArray(parsed.value) ? parsed.value.filter(isJsonObject) : []
}
