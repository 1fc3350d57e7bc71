/** Registration of a node at a coordination server: `POST /machine/register`. */
import type { Int64, NodeKeyText, TimeText, UserId } from '../ids.ts'
import type { Hostinfo } from './map.ts'

export interface RegisterRequest {
  Version: number
  NodeKey: NodeKeyText
  /** Zero key (64 zeros) when none; never the empty string. */
  OldNodeKey: NodeKeyText
  NLKey?: string
  Auth?: { AuthKey?: string } | null
  /** Zero normally; in the past = logout. */
  Expiry: TimeText
  /** The pending AuthURL: the request blocks until it is decided. */
  Followup: string
  Hostinfo?: Hostinfo | null
  Ephemeral?: boolean
  NodeKeySignature?: string | null
  Timestamp?: TimeText
  Tailnet?: string
  [other: string]: unknown
}

export interface RegisterResponse {
  User?: { ID: UserId; DisplayName: string; ProfilePicURL?: string } | null
  Login?: { ID: Int64; Provider: string; LoginName: string; DisplayName: string; ProfilePicURL?: string } | null
  NodeKeyExpired?: boolean
  MachineAuthorized?: boolean
  AuthURL?: string
  NodeKeySignature?: string | null
  /** Human readable refusal; the HTTP status is still 200. */
  Error?: string
}
