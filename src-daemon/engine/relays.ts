/**
 * The relays this node uses: the home region always, others while somebody is reached through them. Implements what the
 * mesh needs (`mesh/needs.ts`).                                                                          [derp.md §5]
 */
import type { DerpMap, DerpRegion } from '../../src-contract/control/map.ts'
import type { Ms } from '../../src-contract/ids.ts'
import { toHex } from '../../src-protocol/wire/bytes.ts'
import type { Crypto } from '../../src-protocol/wire/crypto.ts'
import type { Log } from '../io/log/log.ts'
import type { OpenRelays, RelayEvents, RelayLinks } from './mesh/needs.ts'
import { RelayLink } from './relay-link.ts'

const IDLE_CLOSE_MS: Ms = 60_000
const IDLE_CHECK_MS: Ms = 15_000
/** Peers whose relay we remember from having heard them; more than any network has. */
const MAX_HEARD = 20_000

export interface RelaysOptions {
  readonly crypto: Crypto
  readonly fwmark: number
  readonly now: () => Ms
  readonly random01: () => number
  /** This machine's addresses now: a connection from another one died with it. */
  readonly ownAddresses: () => readonly string[]
  readonly log: Log
  /** Something arrived from this region's relay. */
  readonly onHeard: (region: number) => void
}

export function relayOpener(options: RelaysOptions): OpenRelays {
  return (nodePrivate, events) => new Relays(options, nodePrivate, events)
}

export class Relays implements RelayLinks {
  readonly #o: RelaysOptions
  readonly #nodePrivate: Uint8Array
  readonly #events: RelayEvents
  readonly #links = new Map<number, RelayLink>()
  /** On which live connection a peer was last heard: the way back when its home region is not connected. */
  readonly #heardOn = new Map<string, number>()
  readonly #idleTimer: NodeJS.Timeout
  #regions: ReadonlyMap<number, DerpRegion> = new Map()
  #home = 0
  #isClosed = false

  constructor(options: RelaysOptions, nodePrivate: Uint8Array, events: RelayEvents) {
    this.#o = options
    this.#nodePrivate = nodePrivate
    this.#events = events
    this.#idleTimer = setInterval(() => this.#closeIdle(), IDLE_CHECK_MS)
    this.#idleTimer.unref()
  }

  get liveCount(): number {
    return [...this.#links.values()].filter((link) => link.isReady).length
  }

  /** Connections to regions that are described differently now are closed; the home is dialled anew. */
  setMap(derpMap: DerpMap): void {
    const regions = Object.values(derpMap.Regions ?? {}).filter((region) => region !== null)
    this.#regions = new Map(regions.map((region) => [region.RegionID, region]))
    for (const [id, link] of this.#links)
      if (JSON.stringify(link.region) !== JSON.stringify(this.#regions.get(id))) this.#close(id, link)
    if (this.#home !== 0) this.#link(this.#home)
  }

  setHome(region: number): void {
    if (this.#home === region) return
    this.#home = region
    for (const [id, link] of this.#links) link.setHome(id === region)
    if (region !== 0) this.#link(region)
  }

  send(region: number, nodeKey: Uint8Array, bytes: Uint8Array): void {
    const direct = this.#links.get(region)
    if (direct?.isReady !== true) {
      const heard = this.#heardOn.get(toHex(nodeKey))
      const back = heard === undefined ? undefined : this.#links.get(heard)
      if (back?.isReady === true) {
        back.send(nodeKey, bytes)
        return
      }
    }
    this.#link(region)?.send(nodeKey, bytes)
  }

  networkChanged(): void {
    for (const link of this.#links.values()) link.networkChanged()
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#idleTimer)
    for (const link of this.#links.values()) link.close()
    this.#links.clear()
  }

  #link(region: number): RelayLink | undefined {
    const known = this.#links.get(region)
    const described = this.#regions.get(region)
    if (known !== undefined || described === undefined || this.#isClosed) return known
    const link: RelayLink = new RelayLink({
      ...this.#o,
      region: described,
      nodePrivate: this.#nodePrivate,
      isHome: region === this.#home,
      onHeard: () => this.#o.onHeard(region),
      onPacket: (from, packet) => {
        this.#remember(toHex(from), region)
        this.#events.onPacket(region, from, packet)
      },
      onPeerGone: (peer) => {
        if (this.#heardOn.get(toHex(peer)) === region) this.#heardOn.delete(toHex(peer))
        this.#events.onPeerGone(region, peer)
      },
      onState: (state) => {
        if (state === 'closed') this.#forget(region)
        this.#events.onState(region, state)
      },
    })
    this.#links.set(region, link)
    return link
  }

  #remember(nodeKeyHex: string, region: number): void {
    if (this.#heardOn.size >= MAX_HEARD) this.#heardOn.clear()
    this.#heardOn.set(nodeKeyHex, region)
  }

  #forget(region: number): void {
    for (const [key, heard] of this.#heardOn) if (heard === region) this.#heardOn.delete(key)
  }

  #closeIdle(): void {
    const now = this.#o.now()
    for (const [id, link] of this.#links)
      if (id !== this.#home && now - link.wroteMs > IDLE_CLOSE_MS) this.#close(id, link)
  }

  #close(id: number, link: RelayLink): void {
    const wasReady = link.isReady
    this.#links.delete(id)
    link.close()
    this.#forget(id)
    if (wasReady) this.#events.onState(id, 'closed')
  }
}
