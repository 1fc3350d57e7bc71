import type { PingResult } from '../src-contract/localapi/ping.ts'
import { defaultPrefs, type Prefs } from '../src-contract/localapi/prefs.ts'
import { EMPTY_PEER_STATUS, type PeerStatus, type Status } from '../src-contract/localapi/status.ts'
import { LocalApiError } from './local-api-error.ts'

/** Slices and objects may be null in any reply; what is null here may also be anything. */
const ZERO_STATUS = {
  Version: '',
  TUN: false,
  BackendState: 'NoState',
  AuthURL: '',
  TailscaleIPs: null,
  Health: null,
  MagicDNSSuffix: '',
  CurrentTailnet: null,
  CertDomains: null,
  User: null,
  ClientVersion: null,
} satisfies Partial<Status>

const ZERO_PING: PingResult = {
  IP: '',
  NodeIP: '',
  NodeName: '',
  Err: '',
  LatencySeconds: 0,
  Endpoint: '',
  PeerRelay: '',
  DERPRegionID: 0,
  DERPRegionCode: '',
}

export function parseStatus(value: unknown): Status {
  const status = complete('status', value, ZERO_STATUS)
  requireTexts('TailscaleIPs', status.TailscaleIPs)
  requireTexts('Health', status.Health)
  status.Self = parsePeer('Self', status.Self ?? {})
  status.Peer ??= null
  if (status.Peer !== null)
    for (const [key, peer] of Object.entries(complete('Peer', status.Peer, {}))) {
      ;(status.Peer as Record<string, unknown>)[key] = parsePeer(`Peer ${key}`, peer)
    }
  if (status.User !== null) complete('User', status.User, {})
  if (status.CurrentTailnet !== null)
    complete('CurrentTailnet', status.CurrentTailnet, { Name: '', MagicDNSSuffix: '', MagicDNSEnabled: false })
  return status as unknown as Status
}

function parsePeer(what: string, value: unknown): PeerStatus {
  const peer = complete(what, value, EMPTY_PEER_STATUS)
  for (const list of ['TailscaleIPs', 'AllowedIPs', 'Tags', 'Addrs']) requireTexts(`${what}.${list}`, peer[list])
  return peer as unknown as PeerStatus
}

export function parsePrefs(value: unknown): Prefs {
  const { Config: _, NoStatefulFiltering: __, Sync: ___, ...zero } = defaultPrefs()
  const prefs = complete('prefs', value, { ...zero, CorpDNS: false, NetfilterMode: 0 })
  prefs.Config ??= null
  for (const list of ['AdvertiseTags', 'AdvertiseRoutes', 'RelayServerStaticEndpoints']) requireTexts(list, prefs[list])
  return prefs as unknown as Prefs
}

export function parsePing(value: unknown): PingResult {
  return complete('ping', value, ZERO_PING) as unknown as PingResult
}

/** Adds what is missing, in place. */
function complete(what: string, value: unknown, zero: object): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(`${what} is not an object`)
  const record = value as Record<string, unknown>
  for (const [name, standard] of Object.entries(zero)) {
    const given = record[name]
    if (given === undefined) record[name] = standard
    else if (!hasShapeOf(given, standard)) throw bad(`${what}.${name} is a ${typeof given}`)
  }
  return record
}

function hasShapeOf(given: unknown, standard: unknown): boolean {
  if (standard === null) return true
  if (typeof standard === 'object') return given === null || typeof given === 'object'
  return typeof given === typeof standard || (typeof standard === 'number' && typeof given === 'bigint')
}

function requireTexts(what: string, value: unknown): void {
  if (value === null || value === undefined) return
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
    throw bad(`${what} is not a list of texts`)
}

function bad(problem: string): LocalApiError {
  return new LocalApiError('bad-reply', `the daemon's answer makes no sense: ${problem}`)
}
