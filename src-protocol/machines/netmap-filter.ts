/**
 * The named chunks of the packet filter across messages. What the rules mean: `filter.ts` and the data path.
 * [control.md §4.3, CTL-4.7]
 */
import type { FilterRule, MapResponse } from '../../src-contract/control/map.ts'

export interface Filters {
  readonly chunks: ReadonlyMap<string, readonly FilterRule[]> | undefined
  readonly rules: readonly FilterRule[]
}

const NO_RULES: readonly FilterRule[] = []
const LEGACY_CHUNK = 'base'

export function foldFilters(
  known: { filterChunks: Filters['chunks']; filterRules: Filters['rules'] } | undefined,
  message: MapResponse,
): Filters {
  const legacy = message.PacketFilter ?? undefined
  const named = Object.entries(message.PacketFilters ?? {})
  if (legacy === undefined && named.length === 0) {
    return { chunks: known?.filterChunks, rules: known?.filterRules ?? NO_RULES }
  }
  const chunks = new Map(known?.filterChunks ?? [])
  if (legacy !== undefined) chunks.set(LEGACY_CHUNK, legacy)
  if (message.PacketFilters?.['*'] === null) chunks.clear()
  for (const [name, rules] of named) {
    if (name === '*') continue
    if (rules === null) chunks.delete(name)
    else chunks.set(name, rules)
  }
  return { chunks, rules: [...chunks].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, rules]) => rules) }
}
