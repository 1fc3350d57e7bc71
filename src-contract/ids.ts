/**
 * Identifiers and keys as they appear in JSON, on both boundaries (control protocol and LocalAPI).
 *
 * Keys are text with a prefix and lower-case hex. The bytes live in `src-protocol/wire/keys.ts`.
 */

declare const brand: unique symbol
type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** `nodekey:` + 64 hex: the WireGuard identity of a login. */
export type NodeKeyText = Branded<string, 'nodekey'>
/** `mkey:` + 64 hex: one per installation; also the coordination server's own key. */
export type MachineKeyText = Branded<string, 'mkey'>
/** `discokey:` + 64 hex: new at every daemon start. */
export type DiscoKeyText = Branded<string, 'discokey'>

/** Opaque stable node id, e.g. `nXXXXCNTRL`, or a decimal number from Headscale. */
export type StableNodeId = string

/**
 * A signed 64-bit number. Hosted control planes issue ids beyond 2^53, so a reader yields `bigint` for those
 * (`src-protocol/wire/json.ts`); compare through {@link idText}, never with `===`.
 */
export type Int64 = number | bigint
export type NodeId = Int64
export type UserId = Int64

/** The one comparable form of an id; also the form of JSON map keys. */
export function idText(id: Int64): string {
  return String(id)
}

/** `203.0.113.5:41641` or `[2001:db8::1]:41641`; canonical text, so equal endpoints are equal strings. */
export type IpPort = Branded<string, 'ip:port'>
/** Canonical IP text without zone. */
export type IpText = string
/** CIDR text, host bits zero. */
export type PrefixText = string
/** RFC 3339; `0001-01-01T00:00:00Z` is "no time" where a member cannot be left out. */
export type TimeText = string

export const ZERO_TIME: TimeText = '0001-01-01T00:00:00Z'

/** Milliseconds on a monotonic clock; machines only compare and add. */
export type Ms = number
