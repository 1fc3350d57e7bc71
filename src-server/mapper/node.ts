/** A node as the wire shows it: to itself and to others.                                  [control.md §4.4, §4.11, §7.3] */
import { CERTIFICATE_CAPABILITY, type CertificateAuthority } from '../../src-contract/control/certificates.ts'
import type { Node, PeerChange, RawCapMap, UserProfile } from '../../src-contract/control/map.ts'
import type { PrefixText } from '../../src-contract/ids.ts'
import { SHOWN_TO_PEERS } from '../config/attributes.ts'
import type { Policy } from '../policy/policy.ts'
import { isExpired, isTagged, loginName, type NodeRecord, TAGGED_DEVICES, type User } from '../registry/model.ts'
import type { NodeRoutes } from '../routing/routing.ts'
import { peerHostinfo } from './hostinfo.ts'

/** What the mapper knows beside the registry. */
export interface MapContext {
  readonly baseDomain: string
  readonly taildrop: boolean
  /** What machines are told of the network's own certificate authority. */
  readonly authority: CertificateAuthority | undefined
  readonly policy: Policy
  readonly now: () => number
  readonly isOnline: (id: number) => boolean
  readonly routes: (id: number) => NodeRoutes
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString()
}

export function stableId(node: NodeRecord): string {
  return `n${node.id}`
}

export function fullName(node: NodeRecord, context: MapContext): string {
  return `${node.givenName}.${context.baseDomain}.`
}

export function addressesOf(node: NodeRecord): PrefixText[] {
  return [`${node.ipv4}/32`, `${node.ipv6}/128`]
}

function common(node: NodeRecord, context: MapContext): Node {
  const addresses = addressesOf(node)
  const { exit, primary } = context.routes(node.id)
  return {
    ID: node.id,
    StableID: stableId(node),
    Name: fullName(node, context),
    User: node.userId ?? TAGGED_DEVICES.id,
    Key: node.nodeKey,
    ...(node.expiresAt === null ? {} : { KeyExpiry: timeText(node.expiresAt) }),
    Machine: node.machineKey,
    ...(node.discoKey === null ? {} : { DiscoKey: node.discoKey }),
    Addresses: addresses,
    AllowedIPs: [...addresses, ...exit, ...primary],
    ...(primary.length === 0 ? {} : { PrimaryRoutes: [...primary] }),
    ...(node.endpoints.length === 0 ? {} : { Endpoints: [...node.endpoints] }),
    // clients before capability version 111 read the text form
    ...(node.homeDerp === 0 ? {} : { HomeDERP: node.homeDerp, DERP: `127.3.3.40:${node.homeDerp}` }),
    Hostinfo: peerHostinfo(node.hostinfo),
    Created: timeText(node.createdAt),
    Cap: node.capVersion,
    ...(isTagged(node) ? { Tags: [...node.tags] } : {}),
    MachineAuthorized: true,
    ...(isExpired(node, context.now()) ? { Expired: true } : {}),
  }
}

export function peerNode(node: NodeRecord, context: MapContext): Node {
  const online = context.isOnline(node.id)
  const capabilities = peerCapabilities(node, context)
  return {
    ...common(node, context),
    ...(Object.keys(capabilities).length === 0 ? {} : { CapMap: capabilities }),
    Online: online,
    ...(online || node.lastSeen === null ? {} : { LastSeen: timeText(node.lastSeen) }),
  }
}

function peerCapabilities(node: NodeRecord, context: MapContext): RawCapMap {
  const capabilities: RawCapMap = {}
  if (context.routes(node.id).exit.length > 0) capabilities['suggest-exit-node'] = []
  for (const capability of context.policy.capabilities(node))
    if (SHOWN_TO_PEERS.includes(capability)) capabilities[capability] = null
  return capabilities
}

export function selfNode(node: NodeRecord, context: MapContext): Node {
  const capabilities: RawCapMap = {
    'https://tailscale.com/cap/is-admin': [],
    'https://tailscale.com/cap/ssh': [],
    'default-auto-update': [false],
    'suggest-exit-node-ui': [],
    ...(context.authority === undefined ? {} : { [CERTIFICATE_CAPABILITY]: [{ ...context.authority }] }),
    ...(context.taildrop ? { 'https://tailscale.com/cap/file-sharing': [] } : {}),
  }
  for (const capability of context.policy.capabilities(node)) capabilities[capability] = null
  return { ...common(node, context), Online: true, CapMap: capabilities }
}

/** A node that may no longer take part sees only itself, expired: its client asks for a new login. */
export function outcastNode(node: NodeRecord, context: MapContext, sinceMs: number): Node {
  return { ...selfNode(node, context), KeyExpiry: timeText(sinceMs), Expired: true }
}

export function profileOf(user: User): UserProfile {
  return {
    ID: user.id,
    LoginName: loginName(user),
    DisplayName: user.displayName === '' ? user.name : user.displayName,
  }
}

/**
 * What changed, in the smallest form that says it: nothing that peers see, a patch, or the whole node.
 * Key changes go as whole nodes, so that a client never pairs a new key with old endpoints.
 */
export type VisibleChange = { kind: 'nothing' } | { kind: 'patch'; patch: PeerChange } | { kind: 'whole' }

export function visibleChange(before: NodeRecord, after: NodeRecord): VisibleChange {
  const isWhole =
    before.nodeKey !== after.nodeKey ||
    before.givenName !== after.givenName ||
    before.isRenamed !== after.isRenamed ||
    before.userId !== after.userId ||
    before.expiresAt !== after.expiresAt ||
    before.tags.join() !== after.tags.join() ||
    (before.hostinfo !== after.hostinfo &&
      JSON.stringify(peerHostinfo(before.hostinfo)) !== JSON.stringify(peerHostinfo(after.hostinfo))) ||
    // a patch cannot take the home region away
    (before.homeDerp !== 0 && after.homeDerp === 0)
  if (isWhole) return { kind: 'whole' }
  const patch: PeerChange = { NodeID: after.id }
  if (before.homeDerp !== after.homeDerp) patch.DERPRegion = after.homeDerp
  if (before.endpoints.join() !== after.endpoints.join()) patch.Endpoints = [...after.endpoints]
  if (before.discoKey !== after.discoKey && after.discoKey !== null) patch.DiscoKey = after.discoKey
  if (before.capVersion !== after.capVersion) patch.Cap = after.capVersion
  return Object.keys(patch).length > 1 ? { kind: 'patch', patch } : { kind: 'nothing' }
}
