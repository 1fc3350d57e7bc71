/** What a data path needs of its UDP sockets, one per family. Two kinds: `udp-addon.ts` and `udp-dgram.ts`. */
import type { IpPort } from '../src-contract/ids.ts'
import type { DatagramSource, SocketAddress } from './slots.ts'

export interface UdpPorts {
  readonly v4: number
  readonly v6: number | undefined
}

export interface UdpHandlers {
  /** `bytes` and `from` are lent for the duration of the call. */
  readonly onDatagram: (bytes: Uint8Array, from: DatagramSource) => void
  readonly onBatchEnd: () => void
  readonly onSendFailed: (to: IpPort, code: string) => void
}

export interface UdpTransport {
  readonly kind: 'addon' | 'dgram'
  readonly ports: UdpPorts
  /** Room for one datagram in the outgoing batch; undefined when it does not fit or the family has no socket. */
  reserve(to: SocketAddress, length: number): Uint8Array | undefined
  flush(): void
  /** Incoming datagrams lost because they were longer than anything we speak. */
  truncated(): number
  close(): Promise<void>
}

export interface UdpOptions {
  readonly port: number
  readonly mark: number
  readonly slotBytes: number
}

/** Opens the port on v4, which must succeed, and the same one on v6 if that can be had. */
export async function openBothFamilies<T>(
  port: number,
  open: (family: 4 | 6, port: number) => Promise<{ readonly port: number; readonly socket: T }>,
): Promise<{ readonly v4: T; readonly v6: T | undefined; readonly ports: UdpPorts }> {
  const v4 = await open(4, port)
  for (const candidate of [v4.port, 0]) {
    try {
      const v6 = await open(6, candidate)
      return { v4: v4.socket, v6: v6.socket, ports: { v4: v4.port, v6: v6.port } }
    } catch (error) {
      // Taken: any other port will do. Everything else means this host has no IPv6.
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') break
    }
  }
  return { v4: v4.socket, v6: undefined, ports: { v4: v4.port, v6: undefined } }
}
