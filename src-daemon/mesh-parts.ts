/** Stand-ins until the path machine, the relays and the netcheck land: the first endpoint of a peer, no relay. */
import type { NetcheckReport } from '../src-contract/localapi/netcheck.ts'
import type { PathReport } from '../src-contract/localapi/pintail.ts'
import type { OpenNetcheck, OpenRelays, PathEffect, PathMachine } from './engine/mesh/needs.ts'

const none = {
  kind: 'idle',
  endpoint: '',
  derpRegion: 0,
  derpRegionCode: '',
  latencyMs: 0,
  candidates: [],
  history: [],
} as unknown as PathReport
class StubPaths implements PathMachine {
  setHome() {}
  setPeer(peer: number, facts: Parameters<PathMachine['setPeer']>[1]): PathEffect[] {
    const udp = facts.endpoints[0]
    return udp === undefined
      ? []
      : [{ kind: 'setDestination', peer, destination: { udp, relay: false }, relayRegion: facts.derpRegion }]
  }
  removePeer() {
    return []
  }
  handleDatagram() {
    return []
  }
  handleExternalSend() {
    return []
  }
  handleReceived() {
    return []
  }
  handleRelayGone() {
    return []
  }
  handleSendFailed() {
    return []
  }
  handleOwnEndpoints() {
    return []
  }
  handleNetworkChange() {
    return []
  }
  ping() {
    return { id: 1, effects: [] }
  }
  wake() {
    return []
  }
  nextWake() {
    return undefined
  }
  report() {
    return none
  }
}

export function meshParts(_o: unknown): {
  openPaths: () => PathMachine
  openRelays: OpenRelays
  openNetcheck: OpenNetcheck
} {
  return {
    openPaths: () => new StubPaths(),
    openRelays: () => ({ setMap() {}, setHome() {}, send() {}, networkChanged() {}, liveCount: 1, close() {} }),
    openNetcheck: () => ({
      run: async () =>
        ({
          Now: new Date().toISOString(),
          UDP: true,
          IPv6: false,
          IPv4: true,
          IPv6CanSend: false,
          IPv4CanSend: true,
          OSHasIPv6: true,
          ICMPv4: false,
          MappingVariesByDestIP: null,
          UPnP: null,
          PMP: null,
          PCP: null,
          PreferredDERP: 1,
          RegionLatency: {},
          RegionV4Latency: {},
          RegionV6Latency: {},
          GlobalV4Counters: null,
          GlobalV6Counters: null,
          GlobalV4: '',
          GlobalV6: '',
          CaptivePortal: null,
        }) as NetcheckReport,
      handleStun() {},
    }),
  }
}
