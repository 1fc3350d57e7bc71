/**
 * The connection to one relay region: dials its nodes in order, logs in, keeps a short queue while it is not open, and
 * comes back after failures. Whether it should be open at all is for `relays.ts` to say.                 [derp.md §5]
 */
import type { TLSSocket } from 'node:tls'
import type { DerpRegion } from '../../src-contract/control/map.ts'
import type { Ms } from '../../src-contract/ids.ts'
import { Backoff } from '../../src-protocol/machines/backoff.ts'
import { DerpClient, type DerpEvent } from '../../src-protocol/machines/derp-client.ts'
import type { Crypto } from '../../src-protocol/wire/crypto.ts'
import { dialDerp } from '../io/derp/dial.ts'
import { errorText, type Log } from '../io/log/log.ts'

const ATTEMPT_MS = 10_000
const QUEUE_PACKETS = 32
/** What may wait in the socket; beyond it packets wait in the queue, where the oldest is lost first. */
const MAX_UNSENT_BYTES = 256 * 1024
const RETRY = { baseMs: 100, capMs: 5_000 }
/** A connection that held this long was a good one: the next failure is a first one again. */
const GOOD_MS: Ms = 5_000

export interface RelayLinkOptions {
  readonly region: DerpRegion
  readonly nodePrivate: Uint8Array
  readonly isHome: boolean
  readonly crypto: Crypto
  readonly fwmark: number
  readonly now: () => Ms
  readonly random01: () => number
  /** This machine's addresses now. */
  readonly ownAddresses: () => readonly string[]
  readonly log: Log
  /** Bytes arrived: this relay lives. */
  readonly onHeard: () => void
  readonly onPacket: (from: Uint8Array, packet: Uint8Array) => void
  readonly onPeerGone: (peer: Uint8Array) => void
  readonly onState: (state: 'connected' | 'closed') => void
}

export class RelayLink {
  readonly region: DerpRegion
  readonly #o: RelayLinkOptions
  readonly #backoff = new Backoff(RETRY)
  readonly #queue: { readonly to: Uint8Array; readonly packet: Uint8Array }[] = []
  readonly #stop = new AbortController()
  #isHome: boolean
  #socket: TLSSocket | undefined
  #client: DerpClient | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #clientTimer: NodeJS.Timeout | undefined
  #isDialling = false
  #wroteMs: Ms
  #readyMs: Ms = 0
  #problem = ''

  constructor(options: RelayLinkOptions) {
    this.#o = options
    this.region = options.region
    this.#isHome = options.isHome
    this.#wroteMs = options.now()
    void this.#open()
  }

  get isReady(): boolean {
    return this.#client?.isReady === true
  }

  /** When something was last sent; an unused connection is closed. */
  get wroteMs(): Ms {
    return this.#wroteMs
  }

  setHome(isHome: boolean): void {
    this.#isHome = isHome
    if (this.#client !== undefined) this.#perform(this.#client.setHome(isHome))
    // A region that nobody was using any more may have been given up.
    else if (isHome && this.#retryTimer === undefined) void this.#open()
  }

  send(to: Uint8Array, packet: Uint8Array): void {
    this.#wroteMs = this.#o.now()
    this.#flush()
    if (this.#queue.length === 0 && this.#write(to, packet)) return
    if (this.#queue.length >= QUEUE_PACKETS) this.#queue.shift()
    this.#queue.push({ to, packet })
    if (this.#retryTimer === undefined) void this.#open()
  }

  /** The network is another one: prove that the connection lives, or dial at once. */
  networkChanged(): void {
    this.#backoff.reset()
    if (this.#client !== undefined) {
      if (this.#hasOwnAddress()) this.#perform(this.#client.probe(this.#o.now()))
      else this.#lost('its local address is gone')
      return
    }
    clearTimeout(this.#retryTimer)
    this.#retryTimer = undefined
    void this.#open()
  }

  close(): void {
    this.#stop.abort(new Error('closed'))
    clearTimeout(this.#retryTimer)
    this.#drop()
  }

  async #open(): Promise<void> {
    if (this.#isDialling || this.#client !== undefined || this.#stop.signal.aborted) return
    this.#isDialling = true
    try {
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ATTEMPT_MS)])
      await this.#dial(signal)
    } catch (error) {
      if (this.#stop.signal.aborted) return
      const problem = errorText(error)
      // Told once; that it lasts is no news.
      if (problem !== this.#problem) this.#o.log.info('relay-unreachable', { region: this.region.RegionID, problem })
      this.#problem = problem
      this.#retry()
    } finally {
      this.#isDialling = false
    }
  }

  /** The region's nodes in the map's order; the first that answers. */
  async #dial(signal: AbortSignal): Promise<void> {
    const nodes = (this.region.Nodes ?? []).filter((node) => !node.STUNOnly)
    let last: unknown = new Error(`relay region ${this.region.RegionCode} has no relay`)
    for (const [index, node] of nodes.entries()) {
      try {
        const { socket, head } = await dialDerp(node, index === 0 ? undefined : nodes[0]!.Name, {
          fwmark: this.#o.fwmark,
          signal,
        })
        this.#adopt(socket, head)
        return
      } catch (error) {
        last = error
        if (signal.aborted) break
      }
    }
    throw last
  }

  #adopt(socket: TLSSocket, head: Uint8Array): void {
    if (this.#stop.signal.aborted) {
      socket.destroy()
      return
    }
    const { crypto, nodePrivate, now } = this.#o
    const client = new DerpClient({ crypto, nodePrivate, isHome: this.#isHome }, now())
    this.#socket = socket
    this.#client = client
    const isOurs = () => this.#client === client
    socket.on('data', (bytes) => {
      if (!isOurs()) return
      this.#o.onHeard()
      this.#perform(client.handleBytes(bytes, now()))
    })
    socket.on('drain', () => {
      if (isOurs()) this.#flush()
    })
    socket.on('error', (error) => {
      if (isOurs()) this.#lost(errorText(error))
    })
    socket.on('close', () => {
      if (isOurs()) this.#lost('closed by the relay')
    })
    this.#perform(client.handleBytes(head, now()))
    socket.resume()
  }

  #perform(events: readonly DerpEvent[]): void {
    for (const event of events) {
      switch (event.kind) {
        case 'write':
          this.#socket?.write(event.bytes)
          break
        case 'ready':
          this.#readyMs = this.#o.now()
          this.#problem = ''
          this.#o.log.info('relay-connected', { region: this.region.RegionID, home: this.#isHome })
          this.#o.onState('connected')
          this.#flush()
          break
        case 'packet':
          this.#o.onPacket(event.from, event.packet)
          break
        case 'peerGone':
          this.#o.onPeerGone(event.peer)
          break
        case 'health':
          this.#o.log.warn('relay-health', { region: this.region.RegionID, text: event.text })
          break
        case 'failed':
          this.#lost(event.reason)
          return
      }
    }
    this.#arm()
  }

  /** false: there is no way now, the packet may wait. A packet the relay would not take counts as written. */
  #write(to: Uint8Array, packet: Uint8Array): boolean {
    if (this.#client?.takesPackets !== true || this.#socket === undefined) return false
    if (this.#socket.writableLength >= MAX_UNSENT_BYTES) return false
    const bytes = this.#client.encodePacket(to, packet, this.#o.now())
    if (bytes !== undefined) this.#socket.write(bytes)
    return true
  }

  #flush(): void {
    for (let next = this.#queue[0]; next !== undefined && this.#write(next.to, next.packet); next = this.#queue[0])
      this.#queue.shift()
  }

  /** Does the connection begin at an address that this machine still has? */
  #hasOwnAddress(): boolean {
    const own = this.#socket?.localAddress
    return own !== undefined && this.#o.ownAddresses().includes(own)
  }

  #arm(): void {
    clearTimeout(this.#clientTimer)
    const at = this.#client?.nextWake()
    if (at === undefined) return
    this.#clientTimer = setTimeout(
      () => {
        if (this.#client !== undefined) this.#perform(this.#client.wake(this.#o.now()))
      },
      Math.max(0, at - this.#o.now()),
    )
    this.#clientTimer.unref()
  }

  #lost(reason: string): void {
    const wasReady = this.isReady
    if (wasReady && this.#o.now() - this.#readyMs >= GOOD_MS) this.#backoff.reset()
    this.#drop()
    this.#o.log.info('relay-lost', { region: this.region.RegionID, reason })
    if (wasReady) this.#o.onState('closed')
    this.#retry()
  }

  #drop(): void {
    clearTimeout(this.#clientTimer)
    const socket = this.#socket
    this.#socket = undefined
    this.#client = undefined
    socket?.destroy()
  }

  /** The home must be there; another region only while something waits for it. */
  #retry(): void {
    if (this.#stop.signal.aborted || (!this.#isHome && this.#queue.length === 0)) return
    const waitMs = this.#backoff.next(this.#o.random01())
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      void this.#open()
    }, waitMs)
    this.#retryTimer.unref()
  }
}
