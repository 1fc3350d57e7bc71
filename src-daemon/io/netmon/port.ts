/** What the host's network looks like, and when that changes. Not which paths follow from it (`engine/mesh.ts`). */
import type { IpText } from '../../../src-contract/ids.ts'

export interface HostInterface {
  readonly name: string
  readonly addresses: readonly { readonly address: IpText; readonly bits: number; readonly loopback: boolean }[]
}

export interface HostNetwork {
  readonly interfaces: readonly HostInterface[]
  /** Interface of the default route, "" without one. */
  readonly defaultV4: string
  readonly defaultV6: string
}

export interface NetworkChange {
  readonly network: HostNetwork
  /** Sockets and paths must be looked at anew; otherwise only our list of own addresses changed. */
  readonly major: boolean
  readonly reason: 'default-route' | 'addresses' | 'wake-up'
}

export interface NetworkMonitor {
  readonly network: HostNetwork
  /** At most one listener, called once the network has been quiet for a moment. */
  onChange(listener: (change: NetworkChange) => void): void
  close(): void
}
