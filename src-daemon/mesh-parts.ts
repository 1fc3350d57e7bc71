/** Stand-ins until the relays and the netcheck land: no relay, nothing measured. */
import type { NetcheckReport } from '../src-contract/localapi/netcheck.ts'
import { Paths } from '../src-protocol/machines/paths/paths.ts'
import type { Crypto } from '../src-protocol/wire/crypto.ts'
import type { OpenNetcheck, OpenRelays, PathMachine } from './engine/mesh/needs.ts'

export function meshParts({
  crypto,
  wallMs,
}: {
  readonly crypto: Crypto
  readonly wallMs: () => number
  readonly [other: string]: unknown
}): {
  openPaths: (keys: { readonly discoPrivate: Uint8Array; readonly nodePublic: Uint8Array }) => PathMachine
  openRelays: OpenRelays
  openNetcheck: OpenNetcheck
} {
  return {
    openPaths: (keys) => new Paths({ crypto, ...keys, wallClockMs: wallMs }),
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
