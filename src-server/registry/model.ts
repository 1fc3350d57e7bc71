/** What the server knows: users, pre-auth keys and nodes, as values. Times are Unix milliseconds. */

import type { Hostinfo } from '../../src-contract/control/map.ts'
import type { DiscoKeyText, IpPort, IpText, MachineKeyText, NodeKeyText, PrefixText } from '../../src-contract/ids.ts'

export interface User {
  readonly id: number
  readonly name: string
  readonly displayName: string
  readonly email: string
  readonly createdAt: number
}

export interface PreAuthKey {
  readonly id: number
  /** The public part of the key's text; the secret part is kept as a hash only. */
  readonly publicId: string
  readonly secretHash: string
  /** Null: the key makes tagged nodes, which belong to nobody. */
  readonly userId: number | null
  readonly tags: readonly string[]
  readonly reusable: boolean
  readonly ephemeral: boolean
  readonly used: boolean
  readonly createdAt: number
  /** Null: never. */
  readonly expiresAt: number | null
}

export type RegisterMethod = 'auth-key' | 'cli'

export interface NodeRecord {
  readonly id: number
  readonly machineKey: MachineKeyText
  readonly nodeKey: NodeKeyText
  readonly discoKey: DiscoKeyText | null
  /** Null when the node is tagged. */
  readonly userId: number | null
  readonly tags: readonly string[]
  readonly authKeyId: number | null
  readonly registerMethod: RegisterMethod
  readonly ephemeral: boolean
  /** The unique first label of the node's name. */
  readonly givenName: string
  /** An administrator chose the name: the host name no longer changes it. */
  readonly isRenamed: boolean
  readonly ipv4: IpText
  readonly ipv6: IpText
  readonly hostinfo: Hostinfo
  /** By an administrator, for this node; what it does not offer (any more) has no effect. */
  readonly approvedRoutes: readonly PrefixText[]
  /** Subnets that it had when that last changed: it goes on having them after a restart of the server. */
  readonly primaryRoutes: readonly PrefixText[]
  readonly endpoints: readonly IpPort[]
  /** 0: none yet. */
  readonly homeDerp: number
  readonly capVersion: number
  readonly createdAt: number
  /** Null: never. */
  readonly expiresAt: number | null
  /** When it went offline; null: connected (also when the server stopped meanwhile), or never was. */
  readonly lastSeen: number | null
}

/** A node that was deleted while its computer was away: told so when it comes back. */
export interface Tombstone {
  readonly nodeKey: NodeKeyText
  readonly machineKey: MachineKeyText
  readonly node: NodeRecord
  readonly deletedAt: number
}

/** The owner that all tagged nodes show; the number is the one stock clients know. */
export const TAGGED_DEVICES: User = {
  id: 2147455555,
  name: 'tagged-devices',
  displayName: 'Tagged Devices',
  email: '',
  createdAt: 0,
}

export function isTagged(node: NodeRecord): boolean {
  return node.tags.length > 0
}

export function isExpired(node: NodeRecord, nowMs: number): boolean {
  return node.expiresAt !== null && node.expiresAt <= nowMs
}

/** What a stock client stores as the login; it must never be empty. */
export function loginName(user: User): string {
  return user.email !== '' ? user.email : user.name
}
