/**
 * What a computer says about itself, checked member by member: the part that other nodes get to see. One node's odd value
 * must not make another node's decoder refuse the whole map, so nothing passes here by its name alone.
 */
import type { Hostinfo, Location, Service } from '../../src-contract/control/map.ts'
import type { IpPort } from '../../src-contract/ids.ts'
import { ipPort, parseIpPort } from '../../src-protocol/wire/ip.ts'
import { isJsonObject } from '../../src-protocol/wire/json.ts'
import { offeredRoutes } from '../routing/offers.ts'

const MAX_TEXT = 256
const MAX_SERVICES = 64
const MAX_ENDPOINTS = 64
const MAX_KEYS = 16

function text(value: unknown, max = MAX_TEXT): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= max ? value : undefined
}

function list(value: unknown, max: number): unknown[] {
  return Array.isArray(value) ? value.slice(0, max) : []
}

/** The members of Hostinfo that peers need; absent stays absent. */
export function peerHostinfo(said: Hostinfo): Hostinfo {
  const shown: Hostinfo = {}
  for (const name of ['OS', 'OSVersion', 'Hostname', 'DeviceModel', 'App'] as const) {
    const value = text(said[name])
    if (value !== undefined) shown[name] = value
  }
  for (const name of ['ShareeNode', 'ShieldsUp', 'WireIngress', 'IngressEnabled', 'PeerRelay'] as const)
    if (said[name] === true) shown[name] = true
  const services = list(said.Services, MAX_SERVICES).flatMap(service)
  if (services.length > 0) shown.Services = services
  const routes = offeredRoutes(said)
  if (routes.length > 0) shown.RoutableIPs = routes
  const keys = list(said.sshHostKeys, MAX_KEYS).flatMap((key) => text(key, 4096) ?? [])
  if (keys.length > 0) shown.sshHostKeys = keys
  const location = locationOf(said.Location)
  if (location !== undefined) shown.Location = location
  return shown
}

function service(value: unknown): Service[] {
  if (!isJsonObject(value)) return []
  const { Proto, Port, Description } = value
  if (text(Proto, 32) === undefined || !Number.isInteger(Port) || (Port as number) < 0 || (Port as number) > 65535)
    return []
  const described = text(Description)
  return [
    { Proto: Proto as string, Port: Port as number, ...(described === undefined ? {} : { Description: described }) },
  ]
}

function locationOf(said: unknown): Location | undefined {
  if (!isJsonObject(said)) return undefined
  const shown: Location = {}
  for (const name of ['Country', 'CountryCode', 'City', 'CityCode'] as const) {
    const value = text(said[name])
    if (value !== undefined) shown[name] = value
  }
  for (const name of ['Latitude', 'Longitude'] as const) {
    const value = said[name]
    if (typeof value === 'number' && Number.isFinite(value)) shown[name] = value
  }
  const priority = said.Priority
  if (Number.isSafeInteger(priority)) shown.Priority = priority as number
  return Object.keys(shown).length > 0 ? shown : undefined
}

/** Endpoints in canonical text, without duplicates; what is none is left out. */
export function cleanEndpoints(said: unknown): IpPort[] {
  const clean = list(said, MAX_ENDPOINTS).flatMap((pair) => {
    const parsed = typeof pair === 'string' ? parseIpPort(pair) : undefined
    return parsed?.ok && parsed.value.port > 0 ? ipPort(parsed.value.ip, parsed.value.port) : []
  })
  return [...new Set(clean)]
}

/** 0 when the node has not chosen a home relay, or says something else than a region. */
export function homeRegion(said: Hostinfo | undefined): number {
  const region = said?.NetInfo?.PreferredDERP
  return Number.isInteger(region) && region! > 0 && region! <= 65535 ? region! : 0
}
