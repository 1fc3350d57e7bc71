/** Which region is home: the nearest over the last minutes, and sticky, because each move costs every peer. [§2.8] */
import type { DerpMap } from '../../../src-contract/control/map.ts'
import type { Ms } from '../../../src-contract/ids.ts'

export const HISTORY_MS: Ms = 5 * 60_000 + 5_000
/** A gain smaller than this is none. */
const MIN_GAIN_MS: Ms = 10

export interface MeasuredRound {
  readonly atMs: Ms
  readonly latencyMs: ReadonlyMap<number, Ms>
}

export interface HomeInput {
  readonly derpMap: DerpMap
  readonly previous: number
  readonly current: MeasuredRound
  /** Rounds of the last five minutes, the current one included. */
  readonly rounds: readonly MeasuredRound[]
  /** When a frame of the previous home's relay last arrived; undefined = never. */
  readonly heardPreviousMs: Ms | undefined
}

export function chooseHome({ derpMap, previous, current, rounds, heardPreviousMs }: HomeInput): number {
  const score = (region: number) => {
    const factor = derpMap.HomeParams?.RegionScore?.[String(region)]
    return factor !== undefined && factor > 0 ? factor : 1
  }
  const best = new Map<number, Ms>()
  for (const { latencyMs } of rounds)
    for (const [region, ms] of latencyMs)
      best.set(region, Math.min(best.get(region) ?? Number.POSITIVE_INFINITY, ms * score(region)))
  // To be avoided is better than no home at all.
  const isAvoided = (region: number) =>
    region !== previous && derpMap.Regions?.[String(region)]?.Avoid === true ? 1 : 0
  const nearest = [...current.latencyMs.keys()].sort(
    (a, b) => isAvoided(a) - isAvoided(b) || best.get(a)! - best.get(b)! || a - b,
  )[0]
  const heardAgoMs = heardPreviousMs === undefined ? Number.POSITIVE_INFINITY : current.atMs - heardPreviousMs
  if (nearest === undefined) return previous !== 0 && heardAgoMs <= 120_000 ? previous : 0
  if (previous === 0 || nearest === previous) return nearest
  const isKnown = derpMap.Regions?.[String(previous)] != null
  const previousMs = current.latencyMs.get(previous)
  if (!isKnown || (previousMs === undefined && heardAgoMs > 8_000)) return nearest
  const oldMs = (previousMs ?? 0) * score(previous)
  const newMs = best.get(nearest)!
  return oldMs - newMs < MIN_GAIN_MS || newMs > (oldMs / 3) * 2 ? previous : nearest
}
