/**
 * The `status` document from what the daemon knows. Pure; field by field what a stock daemon writes.
 * [docs/rules/localapi.md LA-3]
 */
import type { DerpMap, Node, UserProfile } from '../../src-contract/control/map.ts'
import { type IpPort, type IpText, idText, type NodeKeyText, ZERO_TIME } from '../../src-contract/ids.ts'
import type { Prefs } from '../../src-contract/localapi/prefs.ts'
import type { IpnStateName } from '../../src-contract/localapi/state.ts'
import { EMPTY_PEER_STATUS, type PeerStatus, type Status } from '../../src-contract/localapi/status.ts'
import type { Netmap } from '../../src-protocol/machines/netmap.ts'
import { ZERO_NODE_KEY } from '../../src-protocol/wire/keys.ts'
import { homeRegion, hostPrefixText, magicDnsSuffix, nodeAddresses, peerApiUrls, timeText } from './node-text.ts'
import { isActive, noRuntime, type PeerRuntime } from './peer-runtime.ts'
import { peerStatusInOrder, sortedByKey } from './stock-order.ts'
import { whyNot } from './taildrop/taildrop.ts'

export interface StatusInputs {
  readonly version: string
  readonly hasTun: boolean
  readonly state: IpnStateName
  readonly haveNodeKey: boolean
  readonly nodeKey: NodeKeyText | undefined
  readonly authUrl: string
  readonly netmap: Netmap | undefined
  readonly prefs: Prefs
  readonly hostName: string
  readonly ownEndpoints: readonly IpPort[]
  readonly homeRegion: number
  readonly health: readonly string[]
  readonly wallMs: number
  readonly runtimeOf: (node: Node) => PeerRuntime
  readonly withPeers: boolean
}

export function buildStatus(inputs: StatusInputs): Status {
  const { netmap, prefs } = inputs
  const addresses = netmap === undefined ? [] : nodeAddresses(netmap.self)
  const suffix = netmap === undefined ? '' : magicDnsSuffix(netmap.self.Name)
  const health = [...inputs.health, ...routeHint(inputs)]
  const peers = inputs.withPeers && netmap !== undefined ? buildPeers(inputs, netmap) : null
  const exitNode = netmap === undefined ? undefined : buildExitNode(prefs, netmap)
  return {
    Version: inputs.version,
    TUN: inputs.hasTun,
    BackendState: inputs.state,
    ...(inputs.haveNodeKey ? { HaveNodeKey: true } : {}),
    AuthURL: inputs.authUrl,
    TailscaleIPs: addresses.length === 0 ? null : addresses,
    Self: buildSelf(inputs, addresses),
    ...(exitNode === undefined ? {} : { ExitNodeStatus: exitNode }),
    Health: health,
    MagicDNSSuffix: suffix,
    CurrentTailnet:
      netmap === undefined
        ? null
        : { Name: netmap.domain, MagicDNSSuffix: suffix, MagicDNSEnabled: netmap.dns?.Proxied ?? false },
    CertDomains: netmap?.dns?.CertDomains ?? null,
    ...(netmap?.dns?.ExtraRecords ? { ExtraRecords: netmap.dns.ExtraRecords } : {}),
    Peer: peers,
    User: netmap === undefined ? null : buildUsers(netmap, inputs.withPeers),
    ClientVersion: null,
  }
}

/** Where a stock daemon lists the own capabilities for readers of old, this comes first. */
const DEPRECATED_CAPABILITIES =
  'HTTPS://TAILSCALE.COM/s/DEPRECATED-NODE-CAPS#see-https://github.com/tailscale/tailscale/issues/11508'

/** The CLI looks for the first half of this sentence. */
function routeHint({ netmap, prefs }: StatusInputs): string[] {
  if (netmap === undefined || prefs.RouteAll) return []
  for (const peer of netmap.peers.values()) {
    if ((peer.PrimaryRoutes ?? []).some((route) => route !== '0.0.0.0/0' && route !== '::/0')) {
      return ['Some peers are advertising routes but --accept-routes is false']
    }
  }
  return []
}

function buildSelf(inputs: StatusInputs, addresses: readonly IpText[]): PeerStatus {
  const { netmap } = inputs
  const base = netmap === undefined ? emptyPeer(inputs.nodeKey) : fromNode(netmap.self, netmap.derpMap)
  const capabilities = Object.keys(base.CapMap ?? {})
  return peerStatusInOrder({
    ...base,
    ...(capabilities.length === 0 ? {} : { Capabilities: [DEPRECATED_CAPABILITIES, ...capabilities] }),
    HostName: inputs.hostName,
    OS: 'linux',
    TailscaleIPs: addresses.length === 0 ? null : [...addresses],
    Addrs: inputs.ownEndpoints.length === 0 ? null : [...inputs.ownEndpoints],
    Relay: regionCode(netmap?.derpMap, inputs.homeRegion),
    Online: inputs.state === 'Running',
    LastSeen: ZERO_TIME,
    InNetworkMap: netmap !== undefined,
  })
}

function buildPeers(inputs: StatusInputs, netmap: Netmap): { [nodeKey: string]: PeerStatus } | null {
  const peers: { [nodeKey: string]: PeerStatus } = {}
  // Go writes map keys sorted, and the CLI keeps that order.
  const nodes = [...netmap.peers.values()].sort((a, b) => (a.Key < b.Key ? -1 : 1))
  for (const node of nodes) peers[node.Key] = buildPeer(inputs, netmap, node)
  return nodes.length === 0 ? null : peers
}

function buildPeer(inputs: StatusInputs, netmap: Netmap, node: Node): PeerStatus {
  const runtime = inputs.runtimeOf(node)
  const isUsed = runtime !== noRuntime
  const allowed = node.AllowedIPs ?? node.Addresses ?? []
  return peerStatusInOrder({
    ...fromNode(node, netmap.derpMap),
    TailscaleIPs: nodeAddresses(node),
    CurAddr: runtime.directEndpoint,
    Relay: regionCode(netmap.derpMap, runtime.relayRegion || homeRegion(node)),
    RxBytes: runtime.rxBytes,
    TxBytes: runtime.txBytes,
    LastWrite: timeText(runtime.lastWriteMs),
    LastHandshake: timeText(runtime.lastHandshakeMs),
    Online: node.Online ?? false,
    ExitNode: inputs.prefs.ExitNodeID !== '' && inputs.prefs.ExitNodeID === node.StableID,
    ExitNodeOption: allowed.includes('0.0.0.0/0') && allowed.includes('::/0'),
    Active: isActive(runtime, inputs.wallMs),
    TaildropTarget: whyNot({ netmap, isRunning: inputs.state === 'Running' }, node),
    InNetworkMap: true,
    InMagicSock: isUsed,
    InEngine: isUsed && runtime.session !== 'none',
  })
}

/** The part that is the netmap's alone. */
function fromNode(node: Node, derpMap: DerpMap | undefined): PeerStatus {
  const api = peerApiUrls(node)
  return {
    ...emptyPeer(node.Key),
    ID: node.StableID,
    NodeID: node.ID,
    HostName: node.Hostinfo?.Hostname ?? '',
    DNSName: node.Name,
    OS: node.Hostinfo?.OS ?? '',
    UserID: node.User,
    ...(node.Sharer === undefined ? {} : { AltSharerUserID: node.Sharer }),
    AllowedIPs: [...(node.AllowedIPs ?? node.Addresses ?? [])],
    ...(node.Tags ? { Tags: [...node.Tags] } : {}),
    ...(node.PrimaryRoutes ? { PrimaryRoutes: [...node.PrimaryRoutes] } : {}),
    Addrs: node.Endpoints ? [...node.Endpoints] : null,
    Relay: regionCode(derpMap, homeRegion(node)),
    Created: node.Created ?? ZERO_TIME,
    LastSeen: node.LastSeen ?? ZERO_TIME,
    PeerAPIURL: api.length === 0 ? null : api,
    ...(node.Capabilities ? { Capabilities: [...node.Capabilities].sort() } : {}),
    ...(node.CapMap ? { CapMap: sortedByKey(node.CapMap) } : {}),
    ...(node.Hostinfo?.sshHostKeys ? { sshHostKeys: node.Hostinfo.sshHostKeys } : {}),
    ...(node.Hostinfo?.ShareeNode === true ? { ShareeNode: true } : {}),
    ...(node.Expired === true ? { Expired: true } : {}),
    ...(node.KeyExpiry === undefined || node.KeyExpiry === ZERO_TIME ? {} : { KeyExpiry: node.KeyExpiry }),
    ...(node.Hostinfo?.Location ? { Location: node.Hostinfo.Location } : {}),
  }
}

function emptyPeer(key: NodeKeyText | undefined): PeerStatus {
  return { ...EMPTY_PEER_STATUS, PublicKey: key ?? ZERO_NODE_KEY }
}

export function regionCode(derpMap: DerpMap | undefined, region: number): string {
  return region === 0 ? '' : (derpMap?.Regions?.[region]?.RegionCode ?? '')
}

function buildExitNode(prefs: Prefs, netmap: Netmap): Status['ExitNodeStatus'] {
  if (prefs.ExitNodeID === '') return undefined
  for (const node of netmap.peers.values()) {
    if (node.StableID !== prefs.ExitNodeID) continue
    return { ID: node.StableID, Online: node.Online ?? false, TailscaleIPs: nodeAddresses(node).map(hostPrefixText) }
  }
  return undefined
}

function buildUsers(netmap: Netmap, withPeers: boolean): { [id: string]: UserProfile } {
  const users: { [id: string]: UserProfile } = {}
  const add = (node: Node): void => {
    for (const id of [node.User, node.Sharer]) {
      const profile = id === undefined ? undefined : netmap.userProfiles.get(idText(id))
      if (profile !== undefined) users[idText(profile.ID)] = profile
    }
  }
  add(netmap.self)
  if (withPeers) for (const node of netmap.peers.values()) add(node)
  return users
}
