/** The relay map across messages: what is left out stays, `null` regions go.                   [control.md §4.7, CTL-4.8] */
import type { DerpMap, DerpRegion } from '../../src-contract/control/map.ts'

export function foldDerpMap(known: DerpMap | undefined, news: DerpMap | undefined): DerpMap | undefined {
  if (news === undefined) return known
  const regions = news.Regions ? withoutNull(news.Regions) : (known?.Regions ?? {})
  const score = news.HomeParams?.RegionScore ?? known?.HomeParams?.RegionScore
  return {
    ...news,
    Regions: regions,
    ...(score ? { HomeParams: { RegionScore: score } } : {}),
  }
}

function withoutNull(regions: { [id: string]: DerpRegion | null }): { [id: string]: DerpRegion } {
  const kept: [string, DerpRegion][] = []
  for (const [id, region] of Object.entries(regions)) if (region !== null) kept.push([id, region])
  return Object.fromEntries(kept)
}
