/** Changes as clients send them: untrusted JSON → typed. Pure. The reasons are sentences for whoever sent it. */
import type { IpText } from '../../../src-contract/ids.ts'
import { bad, type Decoded, ok } from '../../../src-protocol/wire/decoded.ts'
import { ipText, parseIpPort } from '../../../src-protocol/wire/ip.ts'
import { isJsonObject } from '../../../src-protocol/wire/json.ts'
import { parseBypass } from '../bypass/setting.ts'
import { parseMaskedPrefs } from '../prefs-parse.ts'
import { parseRoutesEdit } from '../routing/subnet-routes.ts'
import type { WantedChange } from './undo.ts'
import { MAX_WITHIN_MS, MIN_WITHIN_MS } from './waiting.ts'

export interface Endpoint {
  readonly ip: IpText
  readonly port: number
}

export interface Session {
  readonly client: Endpoint
  readonly server: Endpoint
}

export interface ParsedChange {
  readonly wanted: WantedChange
  readonly session: Session | undefined
}

export function parseChange(value: unknown): Decoded<ParsedChange> {
  if (!isJsonObject(value)) return bad('a change is an object')
  const { Prefs: prefsValue, Bypass: bypassValue, Routes: routesValue, Session: sessionValue } = value
  const prefs = isAbsent(prefsValue) ? undefined : parseMaskedPrefs(prefsValue)
  if (prefs?.ok === false) return bad(prefs.message)
  if (prefs?.value.LoggedOutSet === true || prefs?.value.ControlURLSet === true)
    return bad('signing in, out or elsewhere cannot be part of a change')
  const bypass = isAbsent(bypassValue) ? undefined : parseBypass(bypassValue)
  if (bypass?.ok === false) return bypass
  const routes = isAbsent(routesValue) ? undefined : parseRoutesEdit(routesValue)
  if (routes?.ok === false) return routes
  if (prefs === undefined && bypass === undefined && routes === undefined) return bad('nothing is to change')
  const session = isAbsent(sessionValue) ? ok(undefined) : parseSession(sessionValue)
  if (!session.ok) return session
  return ok({
    wanted: {
      ...(prefs === undefined ? {} : { prefs: prefs.value }),
      ...(bypass === undefined ? {} : { bypass: bypass.value }),
      ...(routes === undefined ? {} : { routes: routes.value }),
    },
    session: session.value,
  })
}

/** In milliseconds. */
export function parseWithin(value: unknown): Decoded<number> {
  const seconds = isJsonObject(value) ? value.ConfirmWithinSeconds : undefined
  const ms = typeof seconds === 'number' ? Math.round(seconds * 1000) : Number.NaN
  if (!(ms >= MIN_WITHIN_MS && ms <= MAX_WITHIN_MS)) return bad('ConfirmWithinSeconds must be between 1 and 3600')
  return ok(ms)
}

export function parseChangeId(value: unknown): Decoded<string> {
  const id = isJsonObject(value) ? value.Id : undefined
  return typeof id === 'string' && /^[0-9a-f]{16}$/.test(id) ? ok(id) : bad('Id must name a change')
}

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null
}

function parseSession(value: unknown): Decoded<Session> {
  if (!isJsonObject(value)) return bad('a session is an object')
  const client = parseEndpoint(value.Client)
  const server = parseEndpoint(value.Server)
  if (client === undefined || server === undefined) return bad('a session has two ends such as 100.64.0.7:51514')
  return ok({ client, server })
}

function parseEndpoint(value: unknown): Endpoint | undefined {
  const parsed = typeof value === 'string' && value.length < 64 ? parseIpPort(value) : bad('')
  return parsed.ok ? { ip: ipText(parsed.value.ip), port: parsed.value.port } : undefined
}
