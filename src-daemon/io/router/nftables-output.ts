/** What `nft -j` prints, read into what we need; tolerant of members that differ by version. Pure. */

export type NftFamily = 'ip' | 'ip6'

export interface NftChain {
  readonly family: string
  readonly table: string
  readonly name: string
  /** Of a base chain. */
  readonly hook: string | undefined
  readonly policy: string | undefined
}

export interface NftRule {
  readonly family: string
  readonly table: string
  readonly chain: string
  readonly handle: number
  /** Its only verdict is a jump there. */
  readonly jumpsTo: string | undefined
  /** Interface names that it compares with. */
  readonly interfaces: readonly string[]
  /** What it does, without counters. */
  readonly text: string
}

export interface NftListing {
  readonly tables: readonly { readonly family: string; readonly name: string }[]
  readonly chains: readonly NftChain[]
  readonly rules: readonly NftRule[]
}

type Entry = Readonly<Record<string, unknown>>
const isEntry = (value: unknown): value is Entry => typeof value === 'object' && value !== null && !Array.isArray(value)
const MAX_DEPTH = 30

/** One document per line, as several commands print them. Throws on what is no such document. */
export function parseNftListing(text: string): NftListing {
  const tables: { family: string; name: string }[] = []
  const chains: NftChain[] = []
  const rules: NftRule[] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const document: unknown = JSON.parse(line)
    const items = isEntry(document) && Array.isArray(document.nftables) ? (document.nftables as unknown[]) : undefined
    if (items === undefined) throw new Error('nft printed something unexpected')
    for (const item of items) {
      if (!isEntry(item)) continue
      const table = namesOf(item.table, 'family', 'name')
      if (table !== undefined) tables.push({ family: table[0]!, name: table[1]! })
      const chain = chainOf(item.chain)
      if (chain !== undefined) chains.push(chain)
      const rule = ruleOf(item.rule)
      if (rule !== undefined) rules.push(rule)
    }
  }
  return { tables, chains, rules }
}

function chainOf(value: unknown): NftChain | undefined {
  const names = namesOf(value, 'family', 'table', 'name')
  if (names === undefined || !isEntry(value)) return undefined
  const [family, table, name] = names as [string, string, string]
  return { family, table, name, hook: wordOf(value.hook), policy: wordOf(value.policy) }
}

function ruleOf(value: unknown): NftRule | undefined {
  const names = namesOf(value, 'family', 'table', 'chain')
  if (names === undefined || !isEntry(value) || !Number.isSafeInteger(value.handle)) return undefined
  const [family, table, chain] = names as [string, string, string]
  const parts = (Array.isArray(value.expr) ? (value.expr as unknown[]) : []).filter(
    (part) => !(isEntry(part) && 'counter' in part),
  )
  const interfaces: string[] = []
  collectInterfaces(parts, interfaces, 0)
  const [only] = parts
  const jump = parts.length === 1 && isEntry(only) && isEntry(only.jump) ? wordOf(only.jump.target) : undefined
  return {
    family,
    table,
    chain,
    handle: value.handle as number,
    jumpsTo: jump,
    interfaces,
    text: JSON.stringify(parts),
  }
}

/** `{"match": {"left": {"meta": {"key": "iifname"}}, "right": "pintail0"}}`; some versions of others write `pintail0*`. */
function collectInterfaces(value: unknown, found: string[], depth: number): void {
  if (depth > MAX_DEPTH) return
  if (Array.isArray(value)) for (const part of value) collectInterfaces(part, found, depth + 1)
  if (!isEntry(value)) return
  const { left, right } = value
  const key = isEntry(left) && isEntry(left.meta) ? left.meta.key : undefined
  if ((key === 'iifname' || key === 'oifname') && typeof right === 'string') found.push(right.replace(/\*$/, ''))
  for (const part of Object.values(value)) collectInterfaces(part, found, depth + 1)
}

function namesOf(value: unknown, ...keys: string[]): string[] | undefined {
  if (!isEntry(value)) return undefined
  const names = keys.map((key) => wordOf(value[key]))
  return names.every((name) => name !== undefined) ? (names as string[]) : undefined
}

/** Names go back into scripts of ours: one word or none. */
function wordOf(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w./-]{1,128}$/.test(value) ? value : undefined
}
