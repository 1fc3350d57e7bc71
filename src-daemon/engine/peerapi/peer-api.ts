/**
 * The HTTP that peers speak with this daemon: listeners on our addresses while there is a network, who asks, and which
 * route answers. What a route does is its own file's; more of them are given to the constructor. [docs/rules/peerapi.md]
 */
import type { Node } from '../../../src-contract/control/map.ts'
import type { IpText } from '../../../src-contract/ids.ts'
import { errorText, type Log } from '../../io/log/log.ts'
import { plain } from '../../io/peerapi/listener.ts'
import type { OpenPeerApiListener, PeerApiListener, PeerApiReply, PeerApiRequest } from '../../io/peerapi/port.ts'
import { nodeAddresses } from '../node-text.ts'
import { findCaller, type PeerApiView, refusal } from './admission.ts'
import { peerApiPorts } from './port-choice.ts'

const RETRY_MS = 1_000

export interface PeerApiCall {
  readonly peer: Node
  readonly view: PeerApiView
  readonly request: PeerApiRequest
}

export interface PeerApiRoute {
  /** `/dns-query`; with a final slash everything below it as well. */
  readonly path: string
  /** Whether this peer may is the route's to ask. */
  answer(call: PeerApiCall): Promise<PeerApiReply>
}

export interface PeerApiOptions {
  readonly open: OpenPeerApiListener
  readonly routes: readonly PeerApiRoute[]
  readonly log: Log
}

export class PeerApi {
  /** Ports were opened or closed: the packet filter and the server must know. */
  onPorts: () => void = () => {}
  readonly #o: PeerApiOptions
  #view: PeerApiView | undefined
  readonly #listeners = new Map<IpText, PeerApiListener>()
  #age = 0
  #runs = false
  #idle: Promise<void> = Promise.resolve()
  #retry: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: PeerApiOptions) {
    this.#o = options
  }

  get ports(): readonly { readonly address: IpText; readonly port: number }[] {
    return [...this.#listeners].map(([address, { port }]) => ({ address, port }))
  }

  /** As they are announced to peers, through the server. */
  get services(): readonly { readonly Proto: string; readonly Port: number }[] {
    if (this.#listeners.size === 0) return []
    const own = this.ports.map(({ address, port }) => ({
      Proto: address.includes(':') ? 'peerapi6' : 'peerapi4',
      Port: port,
    }))
    return [...own, { Proto: 'peerapi-dns-proxy', Port: 1 }]
  }

  /** undefined = no network, or our addresses are not in place. Cheap while the addresses stay. */
  configure(view: PeerApiView | undefined): void {
    const before = this.#wanted().join()
    this.#view = view
    if (this.#wanted().join() !== before) this.#follow()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.configure(undefined)
    clearTimeout(this.#retry)
    await this.#idle
  }

  #follow(): void {
    clearTimeout(this.#retry)
    this.#age++
    if (!this.#runs) this.#idle = this.#run()
  }

  #wanted(): readonly IpText[] {
    return this.#view === undefined ? [] : nodeAddresses(this.#view.netmap.self)
  }

  /** One change at a time; what was wanted meanwhile is done next. */
  async #run(): Promise<void> {
    this.#runs = true
    for (let age = -1; age !== this.#age; ) {
      age = this.#age
      const before = [...this.#listeners.values()]
      for (const [address, listener] of this.#listeners) {
        if (this.#wanted().includes(address)) continue
        this.#listeners.delete(address)
        await listener.close()
      }
      for (const address of this.#wanted()) {
        if (this.#listeners.has(address)) continue
        const listener = await this.#open(address)
        if (listener !== undefined) this.#listeners.set(address, listener)
      }
      const isNew = before.length !== this.#listeners.size || before.some((one) => !this.#isListening(one))
      if (isNew && !this.#isClosed) this.onPorts()
    }
    this.#runs = false
    const isMissing = this.#wanted().some((address) => !this.#listeners.has(address))
    if (isMissing && !this.#isClosed) this.#retry = setTimeout(() => this.#follow(), RETRY_MS).unref()
  }

  #isListening(listener: PeerApiListener): boolean {
    return [...this.#listeners.values()].includes(listener)
  }

  async #open(address: IpText): Promise<PeerApiListener | undefined> {
    try {
      return await this.#o.open({
        address,
        ports: peerApiPorts(address),
        admits: (remote) => this.#view !== undefined && findCaller(this.#view, remote) !== undefined,
        handle: (request) => this.#handle(request),
      })
    } catch (error) {
      this.#o.log.debug('peerapi-not-listening', { address, reason: errorText(error) })
      return undefined
    }
  }

  async #handle(request: PeerApiRequest): Promise<PeerApiReply> {
    const view = this.#view
    const peer = view && findCaller(view, request.remoteAddress)
    if (view === undefined || peer === undefined) throw new Error('left the network meanwhile')
    const why = refusal(view, request)
    if (why !== undefined) return plain(403, why)
    const { path } = request
    const route = this.#o.routes.find((one) => (one.path.endsWith('/') ? path.startsWith(one.path) : path === one.path))
    if (route === undefined) return path === '/' ? greeting(peer) : plain(404, 'unsupported peerapi path')
    try {
      return await route.answer({ peer, view, request })
    } catch (error) {
      if (!request.signal.aborted) this.#o.log.warn('peerapi', { path: route.path, reason: errorText(error) })
      throw error
    }
  }
}

/** Names are what a server sends: they go out as text, never as HTML. */
function greeting(peer: Node): PeerApiReply {
  return plain(
    200,
    `Hello, ${peer.Name.replace(/\.$/, '').replace(/[^A-Za-z0-9_.-]/g, '?')}. This is Pintail's PeerAPI.`,
  )
}
