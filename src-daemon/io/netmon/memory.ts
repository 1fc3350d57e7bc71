/** A network that changes when a test says so. */
import type { HostNetwork, NetworkChange, NetworkMonitor } from './port.ts'

export class MemoryNetworkMonitor implements NetworkMonitor {
  network: HostNetwork
  #listener: (change: NetworkChange) => void = () => {}

  constructor(network: HostNetwork = { interfaces: [], defaultV4: '', defaultV6: '' }) {
    this.network = network
  }

  onChange(listener: (change: NetworkChange) => void): void {
    this.#listener = listener
  }

  change(change: NetworkChange): void {
    this.network = change.network
    this.#listener(change)
  }

  close(): void {}
}
