/** UDP through Node's dgram: where the addon cannot load. One system call a datagram, no routing mark. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { ipPort, splitIpPort } from '../src-protocol/wire/ip.ts'
import { DatagramSource, type SocketAddress, socketAddress } from './slots.ts'
import { openBothFamilies, type UdpHandlers, type UdpOptions, type UdpPorts, type UdpTransport } from './udp.ts'

export async function openDgramUdp(options: UdpOptions, handlers: UdpHandlers): Promise<UdpTransport> {
  const opened = await openBothFamilies(options.port, async (family, port) => {
    const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', ipv6Only: family === 6 })
    socket.bind(port)
    await once(socket, 'listening') // rejects on 'error'
    return { port: socket.address().port, socket }
  })
  return new DgramUdp(opened.v4, opened.v6, opened.ports, options.slotBytes, handlers)
}

class DgramUdp implements UdpTransport {
  readonly kind = 'dgram'
  readonly ports: UdpPorts
  readonly #v4: Socket
  readonly #v6: Socket | undefined
  readonly #maxBytes: number
  readonly #handlers: UdpHandlers
  readonly #source = new DatagramSource()
  #queue: { readonly to: SocketAddress; readonly bytes: Uint8Array }[] = []
  #truncated = 0
  #closed = false

  constructor(v4: Socket, v6: Socket | undefined, ports: UdpPorts, maxBytes: number, handlers: UdpHandlers) {
    this.#v4 = v4
    this.#v6 = v6
    this.ports = ports
    this.#maxBytes = maxBytes
    this.#handlers = handlers
    for (const socket of [v4, v6]) {
      socket?.on('message', (bytes, info) => this.#receive(bytes, info))
      socket?.on('error', () => undefined) // each failed send is reported to its own callback
    }
  }

  #receive(bytes: Uint8Array, info: RemoteInfo): void {
    if (this.#closed) return
    if (bytes.length > this.#maxBytes) {
      this.#truncated++
      return
    }
    const address = socketAddress(ipPort(info.address.split('%')[0]!, info.port))
    if (address === undefined) return
    this.#source.words.set(address.words)
    this.#handlers.onDatagram(bytes, this.#source)
    this.#handlers.onBatchEnd()
  }

  reserve(to: SocketAddress, length: number): Uint8Array | undefined {
    const socket = to.family === 4 ? this.#v4 : this.#v6
    if (this.#closed || socket === undefined || length > this.#maxBytes) return undefined
    const bytes = new Uint8Array(length)
    this.#queue.push({ to, bytes })
    return bytes
  }

  flush(): void {
    if (this.#queue.length === 0 || this.#closed) return
    const queue = this.#queue
    this.#queue = []
    for (const { to, bytes } of queue) {
      const socket = (to.family === 4 ? this.#v4 : this.#v6)!
      const { address, port } = splitIpPort(to.text)
      socket.send(bytes, port, address, (error) => {
        if (error === null || this.#closed) return
        this.#handlers.onSendFailed(to.text, (error as NodeJS.ErrnoException).code ?? 'UNKNOWN')
      })
    }
  }

  truncated(): number {
    return this.#truncated
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([this.#v4, this.#v6].map((socket) => socket && new Promise<void>((done) => socket.close(done))))
  }
}
