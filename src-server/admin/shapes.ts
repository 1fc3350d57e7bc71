/** The administration API's JSON: member names as in Headscale's v1 API, ids as text.                  [control.md §8.2] */
import { fullName, type MapContext } from '../mapper/node.ts'
import { isExpired, type NodeRecord, type PreAuthKey, type User } from '../registry/model.ts'
import type { Registry } from '../registry/registry.ts'
import { offeredRoutes } from '../routing/offers.ts'

export interface UserShape {
  id: string
  name: string
  displayName: string
  email: string
  createdAt: string
}

export interface KeyShape {
  id: string
  /** The whole key when it was just made, its public beginning later. */
  key: string
  user: UserShape | null
  reusable: boolean
  ephemeral: boolean
  used: boolean
  expiration: string | null
  createdAt: string
  aclTags: string[]
}

export interface NodeShape {
  id: string
  machineKey: string
  nodeKey: string
  discoKey: string
  ipAddresses: string[]
  /** What the computer calls itself. */
  name: string
  givenName: string
  fqdn: string
  user: UserShape | null
  lastSeen: string | null
  expiry: string | null
  expired: boolean
  createdAt: string
  registerMethod: 'REGISTER_METHOD_AUTH_KEY' | 'REGISTER_METHOD_CLI'
  online: boolean
  ephemeral: boolean
  tags: string[]
  endpoints: string[]
  homeDerp: number
  /** What it offers to route. */
  availableRoutes: string[]
  /** By an administrator. */
  approvedRoutes: string[]
  /** By the configuration. */
  autoApprovedRoutes: string[]
  /** In effect. */
  subnetRoutes: string[]
  capVersion: number
  os: string
  clientVersion: string
}

const timeOrNull = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())

export function userShape(user: User): UserShape {
  return {
    id: String(user.id),
    name: user.name,
    displayName: user.displayName,
    email: user.email,
    createdAt: new Date(user.createdAt).toISOString(),
  }
}

function ownerShape(registry: Registry, userId: number | null): UserShape | null {
  const user = userId === null ? undefined : registry.users.get(userId)
  return user === undefined ? null : userShape(user)
}

export function keyShape(registry: Registry, key: PreAuthKey, text?: string): KeyShape {
  return {
    id: String(key.id),
    key: text ?? `pintail-auth-${key.publicId}-…`,
    user: ownerShape(registry, key.userId),
    reusable: key.reusable,
    ephemeral: key.ephemeral,
    used: key.used,
    expiration: timeOrNull(key.expiresAt),
    createdAt: new Date(key.createdAt).toISOString(),
    aclTags: [...key.tags],
  }
}

export function nodeShape(registry: Registry, context: MapContext, node: NodeRecord): NodeShape {
  const { hostinfo } = node
  const { approved, exit, primary } = context.routes(node.id)
  return {
    id: String(node.id),
    machineKey: node.machineKey,
    nodeKey: node.nodeKey,
    discoKey: node.discoKey ?? '',
    ipAddresses: [node.ipv4, node.ipv6],
    name: hostinfo.Hostname ?? '',
    givenName: node.givenName,
    fqdn: fullName(node, context),
    user: ownerShape(registry, node.userId),
    lastSeen: timeOrNull(node.lastSeen),
    expiry: timeOrNull(node.expiresAt),
    expired: isExpired(node, context.now()),
    createdAt: new Date(node.createdAt).toISOString(),
    registerMethod: node.registerMethod === 'cli' ? 'REGISTER_METHOD_CLI' : 'REGISTER_METHOD_AUTH_KEY',
    online: context.isOnline(node.id),
    ephemeral: node.ephemeral,
    tags: [...node.tags],
    endpoints: [...node.endpoints],
    homeDerp: node.homeDerp,
    availableRoutes: offeredRoutes(node.hostinfo),
    approvedRoutes: [...node.approvedRoutes],
    autoApprovedRoutes: approved.filter((route) => !node.approvedRoutes.includes(route)),
    subnetRoutes: [...exit, ...primary],
    capVersion: node.capVersion,
    os: typeof hostinfo.OS === 'string' ? hostinfo.OS : '',
    clientVersion: typeof hostinfo.IPNVersion === 'string' ? hostinfo.IPNVersion : '',
  }
}
