/**
 * What other machines begin ends here: their TCP connections and datagrams become ordinary ones of this process to the
 * place that `local-target.ts` names. A caller hears that we are there only when that place is. [NST-20 … NST-23]
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import { ipText } from '../../../src-protocol/wire/ip.ts'
import type { Flow } from '../../../src-protocol/wire/packet.ts'
import type { Log } from '../../io/log/log.ts'
import { localTargets, type TargetFacts } from './local-target.ts'
import type { IncomingCall, NetstackHost } from './netstack-host.ts'

const CONNECT_MS = 10_000
/** Nobody said anything in either direction. */
const IDLE_MS = 2 * 60 * 60_000
const UDP_IDLE_MS = 2 * 60_000
const MAX_UDP_FLOWS = 1_024
const MAX_UDP_FLOWS_OF_ONE = 256

interface UdpFlow {
  readonly socket: UdpSocket
  readonly host: string
  readonly remote: string
  heardMs: number
}

export interface InboundOptions extends TargetFacts {
  readonly host: NetstackHost
  readonly now: () => number
  readonly log: Log
}

export class Inbound {
  readonly #o: InboundOptions
  /** In the order of their last use. */
  readonly #flows = new Map<string, UdpFlow>()
  readonly #flowsOf = new Map<string, number>()
  readonly #sweep: NodeJS.Timeout

  constructor(options: InboundOptions) {
    this.#o = options
    options.host.onCall = (call) => this.#handleCall(call)
    this.#sweep = setInterval(() => this.#forgetIdle(), UDP_IDLE_MS / 4).unref()
  }

  close(): void {
    clearInterval(this.#sweep)
    for (const key of [...this.#flows.keys()]) this.#forget(key)
  }

  // TCP

  #handleCall(call: IncomingCall): void {
    const targets = localTargets(call.flow.src, call.flow.srcPort, this.#o)
    this.#connect(call, targets, call.flow.srcPort)
  }

  #connect(call: IncomingCall, [host, ...others]: readonly string[], port: number): void {
    if (host === undefined) {
      call.refuse()
      return
    }
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true })
    const patience = setTimeout(() => socket.destroy(new Error('no answer')), CONNECT_MS)
    call.onGone = () => socket.destroy()
    socket.once('error', (error) => {
      clearTimeout(patience)
      if (!socket.pending) return
      this.#o.log.debug('inbound-refused', { host, port, error })
      this.#connect(call, others, port)
    })
    socket.once('connect', () => {
      clearTimeout(patience)
      call.onGone = () => {}
      join(socket, call)
    })
  }

  // UDP

  handleDatagram(flow: Flow, payload: Uint8Array): void {
    const remote = ipText(flow.dst)
    const key = `${ipText(flow.src)} ${flow.srcPort} ${remote} ${flow.dstPort}`
    const known = this.#flows.get(key) ?? this.#open(key, remote, flow)
    if (known === undefined) return
    known.heardMs = this.#o.now()
    this.#flows.delete(key) // to the end of the order
    this.#flows.set(key, known)
    known.socket.send(payload, flow.srcPort, known.host)
  }

  #open(key: string, remote: string, flow: Flow): UdpFlow | undefined {
    const [host] = localTargets(flow.src, flow.srcPort, this.#o)
    const ofOne = this.#flowsOf.get(remote) ?? 0
    if (host === undefined || ofOne >= MAX_UDP_FLOWS_OF_ONE) return undefined
    if (this.#flows.size >= MAX_UDP_FLOWS) this.#forgetOldest()
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.on('error', () => this.#forget(key))
    socket.on('message', (bytes, from) => {
      if (from.port !== flow.srcPort || from.address !== host) return // not whom we asked
      const own = this.#flows.get(key)
      if (own !== undefined) own.heardMs = this.#o.now()
      this.#o.host.sendDatagram(flow, bytes)
    })
    socket.unref()
    const opened: UdpFlow = { socket, host, remote, heardMs: this.#o.now() }
    this.#flows.set(key, opened)
    this.#flowsOf.set(remote, ofOne + 1)
    return opened
  }

  #forget(key: string): void {
    const flow = this.#flows.get(key)
    if (flow === undefined) return
    this.#flows.delete(key)
    const left = (this.#flowsOf.get(flow.remote) ?? 1) - 1
    if (left > 0) this.#flowsOf.set(flow.remote, left)
    else this.#flowsOf.delete(flow.remote)
    flow.socket.close()
  }

  #forgetOldest(): void {
    for (const oldest of this.#flows.keys()) {
      this.#forget(oldest)
      return
    }
  }

  #forgetIdle(): void {
    const before = this.#o.now() - UDP_IDLE_MS
    for (const [key, { heardMs }] of this.#flows) if (heardMs < before) this.#forget(key)
  }
}

function join(socket: Socket, call: IncomingCall): void {
  const stream = call.accept()
  socket.setTimeout(IDLE_MS, () => socket.destroy())
  const done = (): void => {} // either end tells the other by itself: the stream is destroyed, or ended
  pipeline(socket, stream, done)
  pipeline(stream, socket, done)
}
