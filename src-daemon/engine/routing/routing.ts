/**
 * Routing over time, for the current profile: keeps the preferences' exit choice in step with the network, knows the
 * wish that the data plane works by, suggests an exit node, and says what is wrong with the one in use. What each of
 * these means is decided by the pure files beside.
 */
import type { StableNodeId } from '../../../src-contract/ids.ts'
import type { Prefs } from '../../../src-contract/localapi/prefs.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { type RouterWarning, routerWarningCodes } from '../../io/router/port.ts'
import type { Health } from '../health.ts'
import { displayName } from '../node-text.ts'
import type { DataPlane } from '../plane-port.ts'
import { chooseExit, type ExitChoice, resolveExitAddress, UNRESOLVED_AUTO } from './exit-choice.ts'
import { type HomeRoutes, notAtHome } from './home.ts'
import { type Suggestion, suggestExit } from './suggest.ts'
import { type OwnRouting, plainWish, type RoutingWish, wishOf } from './wish.ts'

export interface RoutingParts {
  readonly plane: Pick<DataPlane, 'netInfo' | 'homeRegion'>
  readonly health: Pick<Health, 'set' | 'clear'>
  readonly random01: () => number
}

export class Routing {
  readonly #parts: RoutingParts
  /** Where we are. */
  home: HomeRoutes = notAtHome
  #wish: RoutingWish = plainWish
  #suggested: StableNodeId | undefined

  constructor(parts: RoutingParts) {
    this.#parts = parts
  }

  /** The same object while nothing of it changed. */
  wish(netmap: Netmap, prefs: Prefs, own: OwnRouting): RoutingWish {
    const next = wishOf(netmap, prefs, own, this.home)
    if (JSON.stringify(next) !== JSON.stringify(this.#wish)) this.#wish = next
    return this.#wish
  }

  /**
   * Addresses become ids, and with `auto:any` somebody else takes over when the one in use cannot. The same object while
   * there is nothing to change.
   */
  reconcile(netmap: Netmap, prefs: Prefs): Prefs {
    if ((prefs.AutoExitNode ?? '') === '' && prefs.ExitNodeID !== UNRESOLVED_AUTO)
      return resolveExitAddress(netmap, prefs)
    const choice = chooseExit(netmap, prefs)
    if (choice.kind === 'chosen' && choice.node.Online !== false) return prefs
    const found = this.suggest(netmap, prefs.ExitNodeID)
    const id = found.kind === 'node' ? found.node.StableID : UNRESOLVED_AUTO
    const isSame = prefs.ExitNodeID === id && prefs.ExitNodeIP === ''
    return isSame ? prefs : { ...prefs, ExitNodeID: id, ExitNodeIP: '', AutoExitNode: prefs.AutoExitNode || 'any' }
  }

  suggest(netmap: Netmap, before = this.#suggested): Suggestion {
    const { plane, random01 } = this.#parts
    const suggestion = suggestExit({
      netmap,
      latencyMs: regionLatencies(plane.netInfo?.DERPLatency ?? {}),
      homeRegion: plane.homeRegion,
      before,
      random01,
    })
    if (suggestion.kind === 'node') this.#suggested = suggestion.node.StableID
    return suggestion
  }

  /** To be called with each netmap; what it says goes by itself. */
  tellExit(netmap: Netmap | undefined, prefs: Prefs): void {
    const problem = netmap === undefined ? undefined : exitProblem(chooseExit(netmap, prefs))
    if (problem === undefined) this.#parts.health.clear('exit-node-unavailable')
    else this.#parts.health.set('exit-node-unavailable', problem)
  }

  tellConflicts(texts: readonly string[]): void {
    if (texts.length === 0) this.#parts.health.clear('route-conflict')
    else this.#parts.health.set('route-conflict', texts.join(' '))
  }

  tellWarnings(warnings: readonly RouterWarning[]): void {
    for (const code of routerWarningCodes) {
      const warning = warnings.find((one) => one.code === code)
      if (warning === undefined) this.#parts.health.clear(code)
      else this.#parts.health.set(code, [warning.text, ...warning.fix].join('\n'))
    }
  }
}

/** A sentence's end for a person; undefined = it can be used, or none is wanted. */
export function exitProblem(choice: ExitChoice): string | undefined {
  switch (choice.kind) {
    case 'none':
      return undefined
    case 'chosen':
      return choice.node.Online === false ? `${displayName(choice.node)} is offline` : undefined
    case 'blocked':
      if (choice.why === 'no-candidate') return 'none can be used at the moment'
      return choice.why === 'not-found'
        ? `there is no machine ${choice.name} in this network`
        : `${choice.name} does not offer it, or an administrator has not approved it yet`
  }
}

/** `"3-v4": seconds` → region 3, the faster family. */
function regionLatencies(bySeconds: { readonly [regionAndFamily: string]: number }): Map<number, number> {
  const latencies = new Map<number, number>()
  for (const [key, seconds] of Object.entries(bySeconds)) {
    const region = Number.parseInt(key, 10)
    latencies.set(region, Math.min(latencies.get(region) ?? Number.POSITIVE_INFINITY, seconds * 1000))
  }
  return latencies
}
