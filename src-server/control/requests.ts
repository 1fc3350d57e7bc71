/** What clients send, parsed: strict on what the server acts on, everything else passes or is dropped. */
import type { Hostinfo, MapRequest } from '../../src-contract/control/map.ts'
import type { RegisterRequest } from '../../src-contract/control/register.ts'
import type { DiscoKeyText, NodeKeyText } from '../../src-contract/ids.ts'
import { bad, type Decoded, ok } from '../../src-protocol/wire/decoded.ts'
import { isJsonObject, type JsonObject, parseJson } from '../../src-protocol/wire/json.ts'
import { isZeroKey, parseDiscoKey, parseNodeKey } from '../../src-protocol/wire/keys.ts'
import { parseUtf8 } from '../../src-protocol/wire/text.ts'
import { cleanEndpoints } from '../mapper/hostinfo.ts'

const MAX_HOSTINFO_BYTES = 64 << 10
const MAX_DEPTH = 16
const MAX_TAGS = 64

function parseObject(body: Uint8Array): Decoded<JsonObject> {
  const text = parseUtf8(body)
  if (!text.ok) return text
  const json = parseJson(text.value)
  if (!json.ok) return json
  return isJsonObject(json.value) ? ok(json.value) : bad('not-an-object')
}

function nodeKeyOf(value: unknown): NodeKeyText | undefined {
  if (typeof value !== 'string' || !parseNodeKey(value).ok || isZeroKey(value)) return undefined
  return value.toLowerCase() as NodeKeyText
}

function discoKeyOf(value: unknown): DiscoKeyText | undefined {
  if (typeof value !== 'string' || !parseDiscoKey(value).ok || isZeroKey(value)) return undefined
  return value.toLowerCase() as DiscoKeyText
}

function isWithinDepth(value: unknown, depth: number): boolean {
  if (typeof value === 'bigint') return false
  if (typeof value !== 'object' || value === null) return true
  return depth > 0 && Object.values(value).every((part) => isWithinDepth(part, depth - 1))
}

/** The members that this server itself reads get the type they must have; the rest stays as it came. */
function hostinfoOf(value: unknown): Decoded<Hostinfo | undefined> {
  if (value === undefined || value === null) return ok(undefined)
  if (!isJsonObject(value) || !isWithinDepth(value, MAX_DEPTH)) return bad('hostinfo')
  if (JSON.stringify(value).length > MAX_HOSTINFO_BYTES) return bad('hostinfo-size')
  const { Hostname, RequestTags, NetInfo, ...rest } = value
  const tags = Array.isArray(RequestTags) ? RequestTags.filter((tag) => typeof tag === 'string').slice(0, MAX_TAGS) : []
  return ok({
    ...rest,
    ...(typeof Hostname === 'string' ? { Hostname } : {}),
    ...(tags.length > 0 ? { RequestTags: tags } : {}),
    ...(isJsonObject(NetInfo) ? { NetInfo } : {}),
  } as Hostinfo)
}

export type CleanRegister = Pick<RegisterRequest, 'Version' | 'NodeKey' | 'Followup'> & {
  readonly authKey: string | undefined
  /** Unix milliseconds; undefined: none asked for. */
  readonly expiry: number | undefined
  readonly hostinfo: Hostinfo
}

export function parseRegister(body: Uint8Array): Decoded<CleanRegister> {
  const object = parseObject(body)
  if (!object.ok) return object
  const { Version, NodeKey, Auth, Expiry, Followup } = object.value
  if (!Number.isSafeInteger(Version)) return bad('version')
  const nodeKey = nodeKeyOf(NodeKey)
  if (nodeKey === undefined) return bad('node-key')
  const hostinfo = hostinfoOf(object.value.Hostinfo)
  if (!hostinfo.ok) return hostinfo
  const key = isJsonObject(Auth) && typeof Auth.AuthKey === 'string' && Auth.AuthKey !== '' ? Auth.AuthKey : undefined
  const expiry = typeof Expiry === 'string' && !Expiry.startsWith('0001-') ? Date.parse(Expiry) : Number.NaN
  return ok({
    Version: Version as number,
    NodeKey: nodeKey,
    Followup: typeof Followup === 'string' ? Followup : '',
    authKey: key,
    expiry: Number.isNaN(expiry) ? undefined : expiry,
    hostinfo: hostinfo.value ?? {},
  })
}

export type CleanMapRequest = Pick<MapRequest, 'Version' | 'NodeKey'> & {
  readonly isStream: boolean
  readonly omitsPeers: boolean
  readonly isCompressed: boolean
  /** Undefined: keep what is known. */
  readonly discoKey: DiscoKeyText | undefined
  readonly hostinfo: Hostinfo | undefined
  readonly endpoints: ReturnType<typeof cleanEndpoints> | undefined
}

export function parseMapRequest(body: Uint8Array): Decoded<CleanMapRequest> {
  const object = parseObject(body)
  if (!object.ok) return object
  const { Version, NodeKey, DiscoKey, Stream, OmitPeers, Compress, Endpoints } = object.value
  if (!Number.isSafeInteger(Version)) return bad('version')
  const nodeKey = nodeKeyOf(NodeKey)
  if (nodeKey === undefined) return bad('node-key')
  const hostinfo = hostinfoOf(object.value.Hostinfo)
  if (!hostinfo.ok) return hostinfo
  return ok({
    Version: Version as number,
    NodeKey: nodeKey,
    isStream: Stream === true,
    omitsPeers: OmitPeers === true,
    isCompressed: Compress === 'zstd',
    discoKey: discoKeyOf(DiscoKey),
    hostinfo: hostinfo.value,
    endpoints: Array.isArray(Endpoints) ? cleanEndpoints(Endpoints) : undefined,
  })
}
