/**
 * The door between JavaScript, which decides, and the packet path, which moves bytes.
 *
 * Behind it stand two implementations of one interface: the native addon (threads, offloads, batches) and `twin.ts`
 * (TypeScript; the oracle in differential tests and the fallback where the addon cannot load). Down go tables: peers,
 * keypairs, destinations, the filter. Up come batches of what the path must not decide: handshakes, disco, STUN, packets
 * without a session, packets for a relay. No packet of an established direct session reaches the JavaScript heap when
 * the native path is in use.
 *
 * Linux is here. What the others will fill, below this door and nowhere else:
 *
 *   macOS    `openTunDevice`: a utun control socket (four bytes of family before each packet, no offloads);
 *            `openUdp`: the same sockets without UDP_SEGMENT and UDP_GRO; no mark, sockets are bound to an interface
 *   Windows  `openTunDevice`: a Wintun adapter with its rings instead of a descriptor; Winsock with USO and URO;
 *            no mark, IP_UNICAST_IF
 *   both     `network-watch`: routing socket; NotifyIpInterfaceChange. Threads, tables, engine and AEAD are portable C++.
 *
 * Ids are chosen by JavaScript: `PeerId` for a WireGuard peer, `localIndex` (u32, random, unique) for a keypair.
 * Every call is synchronous and takes effect for the next packet; calls for unknown ids are ignored (a table change and
 * a departing peer may cross). Nothing throws except `openDataPath`.
 */
import type { IpPort, PrefixText } from '../src-contract/ids.ts'
import type { HostInterface, TunHandlers } from './tun.ts'

export type PeerId = number

/** Where a peer's sealed datagrams go. More than one at once while a direct path is not proven. */
export interface Destination {
  /** Direct address. */
  readonly udp?: IpPort
  /** Peer relay: wrap in Geneve with this VNI and send to `udp`. */
  readonly vni?: number
  /** Hand the sealed datagram up as `toRelay` (as well). */
  readonly relay: boolean
}

export interface Keypair {
  readonly peer: PeerId
  /** Our index: what the peer writes into its datagrams. */
  readonly localIndex: number
  /** The peer's index: what we write. */
  readonly remoteIndex: number
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
  /**
   * `current`: send with it at once (initiator). `next`: receive only, until the first valid datagram under it makes it
   * current (responder); the path does that switch itself and reports `confirmed`.
   */
  readonly slot: 'current' | 'next'
}

/** One allow rule, compiled (`src-native/filter.ts` compiles FilterRules). Family-pure: all v4 or all v6. */
export interface CompiledRule {
  readonly sources: readonly PrefixText[]
  /** Addresses of nodes that hold a capability the rule names as source; weaker than `sources` (no whole protocols). */
  readonly capabilitySources?: readonly PrefixText[]
  readonly destinations: readonly {
    readonly prefix: PrefixText
    readonly firstPort: number
    readonly lastPort: number
  }[]
  readonly protocols: readonly number[]
}

export interface FilterTable {
  readonly rules: readonly CompiledRule[]
  /**
   * Own addresses and advertised routes: destinations that may be reached at all. IPv6 prefixes that name a 4via6 site
   * (`fd7a:115c:a1e0:b1a:0:SITE::/96` and longer) are translated to IPv4 for the host.
   */
  readonly localNets: readonly PrefixText[]
  readonly shieldsUp: boolean
  /** TCP ports of our PeerAPI per own address: their SYN always passes; authorisation happens in HTTP. */
  readonly peerApi: readonly { readonly address: string; readonly port: number }[]
}

/** At most one address of each family. */
export interface AddressPair {
  readonly v4?: string | undefined
  readonly v6?: string | undefined
}

export interface PeerTable {
  readonly peer: PeerId
  /** Sources this peer may use and destinations routed to it. */
  readonly allowedIps: readonly PrefixText[]
  /** Only answers to flows we started come in from this peer. */
  readonly jailed: boolean
  /** By which addresses it knows us, where those are not our own: rewritten both ways. Needs `setOwnAddresses`. */
  readonly masquerade?: AddressPair | undefined
}

/** Traffic since the last report of this keypair, merged; at most one per peer and flush. */
export interface Activity {
  readonly kind: 'activity'
  readonly peer: PeerId
  readonly localIndex: number
  /** A non-empty packet was sealed / anything (also a keepalive) was sealed. */
  readonly sentData: boolean
  readonly sentAny: boolean
  readonly receivedData: boolean
  readonly receivedAny: boolean
  /** Next send counter of that keypair: rekey by count. */
  readonly sendCounter: number
  /** Where the last authenticated datagram came from. */
  readonly from: IpPort | 'relay' | undefined
}

export type DoorEvent =
  | Activity
  /** First valid datagram under `next`: it is `current` now and the handshake is complete. */
  | { readonly kind: 'confirmed'; readonly peer: PeerId; readonly localIndex: number }
  /** A datagram that is not transport data: handshake, cookie, disco, STUN, or noise. */
  | { readonly kind: 'datagram'; readonly from: IpPort; readonly bytes: Uint8Array }
  /** A sealed datagram for the relay. */
  | { readonly kind: 'toRelay'; readonly peer: PeerId; readonly bytes: Uint8Array }
  /** An IP packet for a peer that has no usable keypair: stage it, shake hands, `sendPacket` it later. */
  | { readonly kind: 'noSession'; readonly peer: PeerId; readonly packet: Uint8Array }
  /** A TSMP message (IP protocol 99) or an ICMP echo reply to `expectEcho`, already decrypted and source-checked. */
  | { readonly kind: 'tsmp' | 'echoReply'; readonly peer: PeerId; readonly packet: Uint8Array }
  /** An inbound packet for an address registered with `setLocalService`. */
  | { readonly kind: 'local'; readonly peer: PeerId | undefined; readonly packet: Uint8Array }
  /** A send to this address failed; errno name. */
  | { readonly kind: 'sendFailed'; readonly to: IpPort; readonly code: string }
  | { readonly kind: 'tunDown' | 'tunUp' }

export interface PeerCounters {
  readonly rxBytes: number
  readonly txBytes: number
  readonly rxPackets: number
  readonly txPackets: number
}

/** Index: what the addon says an interface can do. */
export const TUN_OFFLOADS = ['none', 'TCP', 'TCP and UDP'] as const

export interface DataPathStats {
  readonly backend: 'native' | 'twin'
  /** Which library seals: `ipsec-mb`, `openssl` or `node:crypto`. */
  readonly aead: string
  /** Why not the fastest AEAD; undefined when it is, or when another was asked for. */
  readonly whyNotFasterAead: string | undefined
  /** What passes the interface in super-packets; undefined without an interface. */
  readonly tunOffload: (typeof TUN_OFFLOADS)[number] | undefined
  /** Drop reason → count; reasons are the labels of `Decoded` and of the filter. */
  readonly drops: { readonly [reason: string]: number }
  /** Trouble below us that was survived → count: a truncated offload header, EIO on a joined send, … */
  readonly faults: { readonly [fault: string]: number }
  readonly peers: ReadonlyMap<PeerId, PeerCounters>
}

export interface DataPathOptions {
  /** Interface to create, or undefined for none (tests, userspace mode). */
  readonly tunName: string | undefined
  /** Who stands in the place of the interface (userspace mode): every packet is JavaScript's then, so the twin is used. */
  readonly openHost?: (handlers: TunHandlers) => HostInterface
  /** Of the tunnel. TCP connections through it are told to keep their segments below. */
  readonly mtuBytes: number
  /** Wanted UDP port for both families; 0 = any. The v4 socket must bind; v6 may fail. */
  readonly udpPort: number
  /** SO_MARK for the UDP sockets, so that their datagrams bypass the tunnel's routes; 0 = none. */
  readonly fwmark: number
  /** Called once per batch, never re-entrantly. Byte arrays in it are the receiver's to keep. */
  readonly onEvents: (events: DoorEvent[]) => void
}

export interface DataPath {
  /** Name the kernel gave the interface; undefined without one. */
  readonly tunName: string | undefined
  /** Bound ports; v6 undefined where the host has none. */
  readonly udpPorts: { readonly v4: number; readonly v6: number | undefined }
  /** Why packets go the slow way through JavaScript; undefined on the native path, or when the slow way was asked for. */
  readonly whyNotNative: string | undefined

  setPeer(table: PeerTable): void
  removePeer(peer: PeerId): void
  /** A new keypair rotates the slots as WireGuard §4 says; older ones keep receiving until dropped. */
  addKeypair(keypair: Keypair): void
  dropKeypair(localIndex: number): void
  setDestination(peer: PeerId, destination: Destination): void
  setFilter(table: FilterTable): void
  /** What the host calls itself inside the tunnel; for peers with `masquerade`. */
  setOwnAddresses(addresses: AddressPair): void
  /** Packets inside the tunnel that carry disco of this public key are dropped. */
  setOwnDisco(key: Uint8Array | undefined): void
  /** Destinations whose packets come up as `local` instead of going to the host (100.100.100.100, user-space services). */
  setLocalService(addresses: readonly string[]): void
  /** Report echo replies with this identifier as `echoReply` for ten seconds. */
  expectEcho(identifier: number): void

  /** Plain datagram: handshakes, disco, STUN. */
  sendDatagram(to: IpPort, bytes: Uint8Array): void
  /** Seal an IP packet (empty = keepalive) for a peer and send it; without a session it comes back as `noSession`. */
  sendPacket(peer: PeerId, packet: Uint8Array): void
  /** A sealed datagram that arrived over the relay from this peer. */
  receiveFromRelay(peer: PeerId, bytes: Uint8Array): void
  /** Write an IP packet to the host as if it came from the tunnel (answers of local services). */
  writeToHost(packet: Uint8Array): void

  /** New sockets, same port preferred (after a network change). Answers the bound ports. */
  rebind(udpPort: number): Promise<{ readonly v4: number; readonly v6: number | undefined }>
  stats(): DataPathStats
  close(): Promise<void>
}
