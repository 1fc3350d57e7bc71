/**
 * Asks the routers of overlapping subnets whether this is their network, and tells what follows. Asks often at first,
 * then seldom; a change of network starts it anew. What counts as an answer: `home.ts`.
 */
import type { PathReport } from '../../../src-contract/localapi/pintail.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import type { HostNetwork } from '../../io/netmon/port.ts'
import { displayName } from '../node-text.ts'
import { findOverlaps, type HomeRoutes, homeRoutes, isProvenHome, notAtHome, type Overlap } from './home.ts'

const FIRST_WAITS_MS = [300, 1_000, 2_000, 4_000]
/** A probe keeps the path to that peer awake for a while. */
const LATER_WAIT_MS = 120_000
/** A hostile server could make thousands of overlaps. */
const MAX_OVERLAPS = 64

export interface HomeWatchParts {
  readonly network: () => HostNetwork
  readonly ownInterface: string | undefined
  readonly pathOf: (overlap: Overlap) => PathReport | undefined
  /** An authenticated probe of each address of the peer. */
  readonly probe: (overlap: Overlap) => void
  readonly onHome: (home: HomeRoutes) => void
  /** Subnets that are used although a network around us has the same addresses; for a person. */
  readonly onConflicts: (texts: readonly string[]) => void
}

export class HomeWatch {
  readonly #parts: HomeWatchParts
  #overlaps: readonly Overlap[] = []
  #home = notAtHome
  #told = ''
  #step = 0
  #timer: NodeJS.Timeout | undefined

  constructor(parts: HomeWatchParts) {
    this.#parts = parts
  }

  /** `netmap` undefined: no subnets are accepted. */
  follow(netmap: Netmap | undefined, routesOff: readonly string[]): void {
    const { network, ownInterface } = this.#parts
    const all = netmap === undefined ? [] : findOverlaps(netmap, network(), ownInterface)
    const overlaps = all.filter(({ subnet }) => !routesOff.includes(subnet)).slice(0, MAX_OVERLAPS)
    const isSame = overlaps.map(nameOf).join() === this.#overlaps.map(nameOf).join()
    this.#overlaps = overlaps
    if (!isSame) this.#step = 0
    if (this.#step === 0 || overlaps.length === 0) this.#look()
  }

  /** Whatever was proven was proven elsewhere. */
  networkChanged(): void {
    this.#step = 0
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#overlaps = []
  }

  #look(): void {
    clearTimeout(this.#timer)
    const proven = this.#overlaps.filter((overlap) => isProvenHome(overlap, this.#parts.pathOf(overlap)))
    const open = this.#overlaps.filter((overlap) => !proven.includes(overlap))
    const home = homeRoutes(proven)
    if (JSON.stringify(home) !== JSON.stringify(this.#home)) {
      this.#home = home
      this.#parts.onHome(home)
    }
    // Not before the routers had time to answer.
    if (this.#step >= FIRST_WAITS_MS.length || open.length === 0) this.#tell(open)
    if (this.#overlaps.length === 0) return
    for (const overlap of open) this.#parts.probe(overlap)
    const waitMs = FIRST_WAITS_MS[this.#step++] ?? LATER_WAIT_MS
    this.#timer = setTimeout(() => this.#look(), waitMs).unref()
  }

  #tell(conflicts: readonly Overlap[]): void {
    const texts = conflicts.map(
      ({ subnet, node, network, interfaceName }) =>
        `${subnet} is reached through ${displayName(node)}, but the network ${network} around ${interfaceName} has the same addresses.`,
    )
    if (texts.join() === this.#told) return
    this.#told = texts.join()
    this.#parts.onConflicts(texts)
  }
}

function nameOf({ subnet, node, network, interfaceName }: Overlap): string {
  return `${subnet} ${node.StableID} ${network} ${interfaceName}`
}
