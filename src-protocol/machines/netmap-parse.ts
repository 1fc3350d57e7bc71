/**
 * A map message as it came (any JSON) → MapResponse whose parts have the shapes that the fold and its consumers rely
 * on. A member of the wrong type counts as absent, a peer without id or key is left out, addresses and endpoints are
 * canonical or left out. Unknown members pass. Not the fold.                     [control.md §4.3-4.5, CTL-1.3, 1.4]
 */
import type {
  DerpMap,
  DerpRegion,
  FilterRule,
  MapResponse,
  Node,
  PeerChange,
  UserProfile,
} from '../../src-contract/control/map.ts'
import type { Int64, IpPort, PrefixText } from '../../src-contract/ids.ts'
import { bad, type Decoded, ok } from '../wire/decoded.ts'
import { ipPort, ipText, parseIpPort, parsePrefix } from '../wire/ip.ts'
import { isJsonObject, type JsonObject } from '../wire/json.ts'

export function parseMapResponse(json: unknown): Decoded<MapResponse> {
  if (!isJsonObject(json)) return bad('map-json')
  const message: JsonObject = { ...json }
  const read = <T>(name: string, parse: (value: unknown) => T | undefined): void => {
    if (!(name in message)) return
    const value = parse(message[name])
    if (value === undefined) delete message[name]
    else message[name] = value
  }
  for (const name of ['Domain', 'PopBrowserURL', 'MapSessionHandle']) read(name, text)
  read('KeepAlive', boolean)
  read('ControlTime', text)
  read('Node', parseNode)
  read('Peers', listOf(parseNode))
  read('PeersChanged', listOf(parseNode))
  read('PeersRemoved', listOf(id))
  read('PeersChangedPatch', listOf(parsePeerChange))
  read('PeerSeenChange', recordOf(boolean))
  read('OnlineChange', recordOf(boolean))
  read('UserProfiles', listOf(parseProfile))
  read('DERPMap', parseDerpMap)
  read('PacketFilter', filterChunk)
  read(
    'PacketFilters',
    recordOf((value) => (value === null ? null : filterChunk(value))),
  )
  read('Health', listOf(text))
  read(
    'DisplayMessages',
    recordOf((value) => (value === null ? null : object(value))),
  )
  read('CollectServices', boolean)
  for (const name of ['DNSConfig', 'SSHPolicy', 'TKAInfo', 'Debug', 'ControlDialPlan', 'ClientVersion']) {
    read(name, object)
  }
  read('PingRequest', (value) => (isJsonObject(value) && typeof value.URL === 'string' ? value : undefined))
  return ok(message as MapResponse)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
function boolean(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined
}
function object(value: unknown): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined
}
function id(value: unknown): Int64 | undefined {
  return typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value)) ? value : undefined
}

const KEY_FORMS = { nodekey: /^nodekey:[0-9a-f]{64}$/i, discokey: /^discokey:[0-9a-f]{64}$/i }

/** In lower case, as `wire/keys.ts` writes them: keys are compared as text. */
function keyText(kind: keyof typeof KEY_FORMS, value: unknown): string | undefined {
  return typeof value === 'string' && KEY_FORMS[kind].test(value) ? value.toLowerCase() : undefined
}

/** Elements that do not parse are left out; what is no list is absent. */
function listOf<T>(parse: (value: unknown) => T | undefined): (value: unknown) => T[] | undefined {
  return (value) => {
    if (!Array.isArray(value)) return undefined
    const list: T[] = []
    for (const element of value) {
      const parsed = parse(element)
      if (parsed !== undefined) list.push(parsed)
    }
    return list
  }
}

function recordOf<T>(parse: (value: unknown) => T | undefined): (value: unknown) => { [key: string]: T } | undefined {
  return (value) => {
    if (!isJsonObject(value)) return undefined
    const entries: [string, T][] = []
    for (const [key, element] of Object.entries(value)) {
      const parsed = parse(element)
      if (parsed !== undefined) entries.push([key, parsed])
    }
    return Object.fromEntries(entries)
  }
}

/** The node with canonical addresses, `AllowedIPs` and `HomeDERP` filled in from their older forms. */
function parseNode(value: unknown): Node | undefined {
  if (!isJsonObject(value) || id(value.ID) === undefined) return undefined
  const Key = keyText('nodekey', value.Key)
  if (Key === undefined) return undefined
  const addresses = prefixes(value.Addresses) ?? []
  const node: JsonObject = {
    ...value,
    Key,
    StableID: text(value.StableID) ?? '',
    Name: text(value.Name) ?? '',
    User: id(value.User) ?? 0,
    Addresses: addresses,
    AllowedIPs: prefixes(value.AllowedIPs) ?? addresses,
  }
  const home = typeof value.HomeDERP === 'number' && value.HomeDERP > 0 ? value.HomeDERP : legacyHome(value.DERP)
  if (home !== undefined) node.HomeDERP = home
  if (value.DiscoKey !== undefined) node.DiscoKey = keyText('discokey', value.DiscoKey)
  const endpoints = ipPorts(value.Endpoints)
  if (endpoints !== undefined) node.Endpoints = endpoints
  for (const [name, isRight] of NODE_MEMBERS) {
    const member = node[name]
    if (member !== undefined && member !== null && !isRight(member)) delete node[name]
  }
  if (node.DiscoKey === undefined) delete node.DiscoKey
  return node as unknown as Node
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isBoolean = (value: unknown): boolean => typeof value === 'boolean'
const NODE_MEMBERS: readonly (readonly [string, (value: unknown) => boolean])[] = [
  ['Endpoints', Array.isArray],
  ['Tags', (value) => Array.isArray(value) && value.every(isText)],
  ['PrimaryRoutes', (value) => Array.isArray(value) && value.every(isText)],
  ['Capabilities', (value) => Array.isArray(value) && value.every(isText)],
  ['CapMap', isJsonObject],
  ['Hostinfo', isJsonObject],
  ['HomeDERP', Number.isSafeInteger],
  ['Cap', Number.isSafeInteger],
  ['KeyExpiry', isText],
  ['LastSeen', isText],
  ['Created', isText],
  ['Online', isBoolean],
  ['Expired', isBoolean],
  ['MachineAuthorized', isBoolean],
  ['IsWireGuardOnly', isBoolean],
  ['IsJailed', isBoolean],
  ['UnsignedPeerAPIOnly', isBoolean],
]

/** `127.3.3.40:N` means region N. */
function legacyHome(value: unknown): number | undefined {
  const match = typeof value === 'string' ? /^127\.3\.3\.40:(\d{1,5})$/.exec(value) : null
  return match === null ? undefined : Number(match[1])
}

/** The form that nearly every endpoint has already; the others go through the parser. */
const CANONICAL_V4_ENDPOINT = /^(\d{1,2}|1\d\d)(\.(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}:([1-9]\d{0,3}|[1-5]\d{4})$/

function ipPorts(value: unknown): IpPort[] | undefined {
  return listOf((element) => {
    if (typeof element !== 'string') return undefined
    if (CANONICAL_V4_ENDPOINT.test(element) && !element.startsWith('0')) return element as IpPort
    const parsed = parseIpPort(element)
    return parsed.ok ? ipPort(parsed.value.ip, parsed.value.port) : undefined
  })(value)
}

const CANONICAL_V4_HOST = /^(\d{1,2}|1\d\d)(\.(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}\/32$/

function prefixes(value: unknown): PrefixText[] | undefined {
  return listOf((element) => {
    if (typeof element !== 'string') return undefined
    if (CANONICAL_V4_HOST.test(element) && !element.startsWith('0')) return element
    const parsed = parsePrefix(element)
    return parsed.ok ? `${ipText(parsed.value.ip)}/${parsed.value.bits}` : undefined
  })(value)
}

function parsePeerChange(value: unknown): PeerChange | undefined {
  if (!isJsonObject(value)) return undefined
  const NodeID = id(value.NodeID)
  if (NodeID === undefined) return undefined
  const change: JsonObject = { NodeID }
  const take = (name: string, parsed: unknown): void => {
    if (parsed !== undefined) change[name] = parsed
  }
  if (typeof value.DERPRegion === 'number' && value.DERPRegion > 0) take('DERPRegion', value.DERPRegion)
  if (typeof value.Cap === 'number' && value.Cap > 0) take('Cap', value.Cap)
  take('CapMap', object(value.CapMap))
  take('Endpoints', ipPorts(value.Endpoints))
  take('Key', keyText('nodekey', value.Key))
  take('KeySignature', text(value.KeySignature))
  take('DiscoKey', keyText('discokey', value.DiscoKey))
  take('Online', boolean(value.Online))
  take('LastSeen', text(value.LastSeen))
  take('KeyExpiry', text(value.KeyExpiry))
  return change as unknown as PeerChange
}

function parseProfile(value: unknown): UserProfile | undefined {
  if (!isJsonObject(value) || id(value.ID) === undefined) return undefined
  return {
    ...value,
    ID: value.ID as Int64,
    LoginName: text(value.LoginName) ?? '',
    DisplayName: text(value.DisplayName) ?? '',
  }
}

function filterChunk(value: unknown): FilterRule[] | undefined {
  return listOf((rule) => object(rule) as FilterRule | undefined)(value)
}

function parseDerpMap(value: unknown): DerpMap | undefined {
  if (!isJsonObject(value)) return undefined
  const map: JsonObject = { ...value }
  if (!isJsonObject(value.Regions)) delete map.Regions
  else map.Regions = recordOf((region) => (region === null ? null : parseRegion(region)))(value.Regions)
  if (!isJsonObject(value.HomeParams)) delete map.HomeParams
  return map as DerpMap
}

function parseRegion(value: unknown): DerpRegion | undefined {
  if (!isJsonObject(value) || !Number.isSafeInteger(value.RegionID)) return undefined
  const nodes = listOf((node) => (isJsonObject(node) && typeof node.HostName === 'string' ? node : undefined))
  return {
    ...value,
    RegionID: value.RegionID as number,
    RegionCode: text(value.RegionCode) ?? '',
    RegionName: text(value.RegionName) ?? '',
    Nodes: (nodes(value.Nodes) ?? []) as unknown as DerpRegion['Nodes'],
  }
}
