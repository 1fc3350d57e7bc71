/** Exit nodes as the picker lists them: devices by name, servers by country and city; and what a search leaves. Pure. */
import type { ExitNode, ExitState } from '../../../src-contract/app/exit.ts'

export interface ExitCity {
  readonly key: string
  readonly name: string
  /** The best first. */
  readonly servers: readonly ExitNode[]
  readonly distanceKm: number | null
}

export interface ExitCountry {
  readonly key: string
  readonly code: string
  readonly name: string
  readonly cities: readonly ExitCity[]
  readonly distanceKm: number | null
}

export interface ExitGroups {
  readonly own: readonly ExitNode[]
  /** So many more are not shown. */
  readonly ownHidden: number
  readonly countries: readonly ExitCountry[]
}

export interface GroupWords {
  readonly compare: (a: string, b: string) => number
  /** In the reader's language; "" for what is no country. */
  readonly countryName: (code: string) => string
}

/** Enough to choose from; more is a matter for the search. */
export const MAX_OWN = 50

export function groupExits(nodes: readonly ExitNode[], query: string, words: GroupWords): ExitGroups {
  const tests = query.toLowerCase().split(/\s+/).filter(Boolean)
  const found = nodes.filter((node) => {
    const text = searchText(node, words)
    return tests.every((test) => text.includes(test))
  })
  const own = found
    .filter(({ place }) => place === null)
    .sort(
      (a, b) =>
        Number(b.state === 'online') - Number(a.state === 'online') ||
        words.compare(a.name, b.name) ||
        (a.id < b.id ? -1 : 1),
    )
  return {
    own: own.slice(0, MAX_OWN),
    ownHidden: Math.max(0, own.length - MAX_OWN),
    countries: countriesOf(found, words),
  }
}

/** A server of a place is called by its city. */
export function exitTitle({ name, place }: ExitNode): string {
  return place?.city || name
}

/** The one to offer when the chosen one is gone: suggested, used lately, or just there. */
export function otherExit(
  { now, suggestedId, recentIds }: ExitState,
  nodes: readonly ExitNode[],
): ExitNode | undefined {
  const inUse = now.kind === 'off' ? undefined : now.id
  const usable = nodes.filter(({ id, state }) => state === 'online' && id !== inUse)
  for (const wanted of [suggestedId, ...recentIds]) {
    const node = usable.find(({ id }) => id === wanted)
    if (node !== undefined) return node
  }
  return usable.find(({ place }) => place === null) ?? usable[0]
}

function searchText({ name, place }: ExitNode, words: GroupWords): string {
  const parts = place === null ? [name] : [name, place.city, place.country, countryOf(place, words)]
  return parts.join(' ').toLowerCase()
}

function countryOf(place: NonNullable<ExitNode['place']>, words: GroupWords): string {
  return words.countryName(place.countryCode) || place.country || place.countryCode || '?'
}

function countriesOf(nodes: readonly ExitNode[], words: GroupWords): ExitCountry[] {
  const placed = nodes.flatMap((node) => (node.place === null ? [] : [{ node, place: node.place }]))
  const byCountry = Map.groupBy(placed, ({ place }) => countryOf(place, words))
  return [...byCountry]
    .map(([name, members]) => {
      const cities = [...Map.groupBy(members, ({ place }) => place.city || name)]
        .map(([city, servers]): ExitCity => {
          const sorted = servers.map(({ node }) => node).sort(betterServer(words))
          return { key: `${name}/${city}`, name: city, servers: sorted, distanceKm: nearest(sorted) }
        })
        .sort((a, b) => words.compare(a.name, b.name))
      return { key: name, code: members[0]?.place.countryCode ?? '', name, cities, distanceKm: nearest(cities) }
    })
    .sort((a, b) => words.compare(a.name, b.name))
}

function betterServer({ compare }: GroupWords) {
  return (a: ExitNode, b: ExitNode): number =>
    Number(b.state === 'online') - Number(a.state === 'online') || b.priority - a.priority || compare(a.name, b.name)
}

function nearest(places: readonly { distanceKm: number | null }[]): number | null {
  const known = places.flatMap(({ distanceKm }) => (distanceKm === null ? [] : [distanceKm]))
  return known.length === 0 ? null : Math.min(...known)
}
