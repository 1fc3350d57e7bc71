/**
 * Networking without an interface, put together: the netstack where the interface would be, routing that is remembered
 * instead of set, and what others begin connected to this host. [ADR 0008]
 */
import type { Log } from '../../io/log/log.ts'
import { TUNNEL_MTU_BYTES } from '../routing/desired.ts'
import { Inbound } from './inbound.ts'
import { NetstackHost } from './netstack-host.ts'
import { UserspaceRouter } from './userspace-router.ts'

export interface UserspaceOptions {
  readonly random32: () => number
  readonly now: () => number
  readonly log: Log
}

export class Userspace {
  readonly host: NetstackHost
  readonly router = new UserspaceRouter()
  /** Where our own proxies listen: nobody from outside gets there. */
  readonly closedPorts = new Set<number>()
  readonly #inbound: Inbound

  constructor({ random32, now, log }: UserspaceOptions) {
    this.host = new NetstackHost({ mtuBytes: TUNNEL_MTU_BYTES, random32, now })
    this.router.onAddresses = (addresses) => this.host.setAddresses(addresses)
    this.#inbound = new Inbound({
      host: this.host,
      isOwn: (ip) => this.router.isOwn(ip),
      closedPorts: this.closedPorts,
      now,
      log,
    })
    this.host.onDatagram = (flow, payload) => this.#inbound.handleDatagram(flow, payload)
  }

  close(): void {
    this.#inbound.close()
  }
}
