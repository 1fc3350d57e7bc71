/**
 * The relay: hands packets from one node key to another. It sees keys and sizes, never contents. One process, one region,
 * no mesh.                                                                                       [derp.md §6.3-6.6]
 */
import type { Duplex } from 'node:stream'
import type { NodeKeyText } from '../../src-contract/ids.ts'
import { nodeCrypto } from '../../src-protocol/crypto/node-crypto.ts'
import { PEER_GONE } from '../../src-protocol/wire/derp.ts'
import { nodeKeyText, shortNodeKey } from '../../src-protocol/wire/keys.ts'
import { isDiscoPacket, RelayClient, type RelayCore } from './relay-client.ts'

export interface RelayServerOptions {
  readonly privateKey: Uint8Array
  readonly mayUse: (nodeKey: NodeKeyText) => boolean
  readonly log: (event: string, detail: { readonly [name: string]: unknown }) => void
}

/** All connections of one key. The one that spoke last gets the packets. */
interface Party {
  readonly key: Uint8Array
  readonly clients: RelayClient[]
  active: RelayClient
  /** Who got packets from this key and should hear when it is gone. */
  readonly heardBy: Set<Party>
  /** The same relation from the other side, for tidying up. */
  readonly heard: Set<Party>
}

/** Connections that have not logged in; beyond it the oldest must go. A login takes one round trip. */
export const MAX_STRANGERS = 512
/** At most this many "not here" answers at once and per second to one connection. */
const NOT_HERE_BURST = 3

export class RelayServer {
  readonly publicKey: Uint8Array
  readonly stats = { received: 0, sent: 0, unknownDestination: 0 }
  readonly #o: RelayServerOptions
  readonly #core: RelayCore
  readonly #connections = new Set<RelayClient>()
  readonly #strangers = new Set<RelayClient>()
  readonly #parties = new Map<string, Party>()
  readonly #notHere = new WeakMap<RelayClient, { tokens: number; at: number }>()

  constructor(options: RelayServerOptions) {
    this.#o = options
    this.publicKey = nodeCrypto.x25519PublicKey(options.privateKey)
    this.#core = {
      crypto: nodeCrypto,
      privateKey: options.privateKey,
      publicKey: this.publicKey,
      admit: (client, nodeKey) => this.#admit(client, nodeKey),
      route: (client, destination, packet) => this.#route(client, destination, packet),
      active: (client) => this.#setActive(client),
      left: (client) => this.#handleLeft(client),
    }
  }

  /** Keys that are connected. */
  get clientCount(): number {
    return this.#parties.size
  }

  /** The HTTP upgrade is done; `head` is what came behind it. */
  accept(socket: Duplex, head: Uint8Array): void {
    const client = new RelayClient(this.#core, socket, head)
    if (client.isClosed) return
    this.#connections.add(client)
    if (client.nodeKey !== undefined) return // the login came along with the request
    this.#strangers.add(client)
    const oldest = this.#strangers.size > MAX_STRANGERS ? this.#strangers.values().next().value : undefined
    oldest?.close()
  }

  close(): void {
    for (const client of [...this.#connections]) client.close()
  }

  #admit(client: RelayClient, nodeKey: Uint8Array): boolean {
    if (!this.#o.mayUse(nodeKeyText(nodeKey))) {
      this.#o.log('relay-client-refused', { node: shortNodeKey(nodeKey) })
      return false
    }
    this.#strangers.delete(client)
    const name = nameOf(nodeKey)
    const party = this.#parties.get(name)
    if (party === undefined) {
      this.#parties.set(name, {
        key: Uint8Array.from(nodeKey),
        clients: [client],
        active: client,
        heardBy: new Set(),
        heard: new Set(),
      })
    } else {
      party.clients.push(client)
      party.active = client
    }
    return true
  }

  #partyOf(client: RelayClient): Party | undefined {
    return client.nodeKey === undefined ? undefined : this.#parties.get(nameOf(client.nodeKey))
  }

  #setActive(client: RelayClient): void {
    const party = this.#partyOf(client)
    if (party !== undefined) party.active = client
  }

  #route(client: RelayClient, destination: Uint8Array, packet: Uint8Array): void {
    this.stats.received++
    const source = this.#partyOf(client)
    const target = this.#parties.get(nameOf(destination))
    if (source === undefined) return
    if (target === undefined) {
      this.stats.unknownDestination++
      if (isDiscoPacket(packet) && this.#mayTellNotHere(client))
        client.tellGone(Uint8Array.from(destination), PEER_GONE.notHere)
      return
    }
    this.stats.sent++
    if (!source.heardBy.has(target)) {
      source.heardBy.add(target)
      target.heard.add(source)
    }
    target.active.enqueue(source.key, packet)
  }

  #mayTellNotHere(client: RelayClient): boolean {
    const now = performance.now()
    const bucket = this.#notHere.get(client) ?? { tokens: NOT_HERE_BURST, at: now }
    const tokens = Math.min(NOT_HERE_BURST, bucket.tokens + (now - bucket.at) / 1000)
    this.#notHere.set(client, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now })
    return tokens >= 1
  }

  #handleLeft(client: RelayClient): void {
    this.#connections.delete(client)
    this.#strangers.delete(client)
    const party = this.#partyOf(client)
    if (party === undefined) return
    const at = party.clients.indexOf(client)
    if (at >= 0) party.clients.splice(at, 1)
    const last = party.clients.at(-1)
    if (last !== undefined) {
      if (party.active === client) party.active = last
      return
    }
    this.#parties.delete(nameOf(party.key))
    for (const hearer of party.heardBy) {
      hearer.heard.delete(party)
      for (const connection of hearer.clients) connection.tellGone(party.key, PEER_GONE.disconnected)
    }
    for (const source of party.heard) source.heardBy.delete(party)
  }
}

/** A key as a map key; faster than hexadecimal. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
