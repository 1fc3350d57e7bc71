/**
 * The daemon's state document: machine key, profiles with their node keys and prefs. JSON with a version. Where it is
 * kept: `io/store`. This is the only place that writes private keys as text.
 *
 * A document that cannot be understood is an error: whoever reads it must stop, not begin a new identity.
 */

import type { UserProfile } from '../../src-contract/control/map.ts'
import { ok } from '../../src-protocol/wire/decoded.ts'
import { isJsonObject, type JsonObject, parseJson, writeJson } from '../../src-protocol/wire/json.ts'
import { parsePrivateKey, privateKeyText, Secret } from '../../src-protocol/wire/keys.ts'
import { parseBypass } from './bypass/setting.ts'
import { parsePendingChange } from './changes/kept-change.ts'
import { parsePrefs } from './prefs-parse.ts'
import { newProfile, type Profile } from './profile.ts'
import { nothingServed, parseKeptServe } from './serve/kept.ts'

export const STATE_VERSION = 1

export interface DaemonState {
  readonly machineKey: Secret
  /** Random, sent in Hostinfo; servers use it to tell installations apart in logs. */
  readonly backendLogId: string
  /** "" = the draft. */
  readonly currentId: string
  /** By id. */
  readonly profiles: ReadonlyMap<string, Profile>
  /** The profile that has not signed in yet; kept so that a restart in the middle of a login goes on with its key. */
  readonly draft: Profile
}

export type StateRead =
  | { readonly ok: true; readonly state: DaemonState }
  | { readonly ok: false; readonly message: string }

export function writeState(state: DaemonState): string {
  const document = {
    version: STATE_VERSION,
    machineKey: privateKeyText(state.machineKey.expose()),
    backendLogId: state.backendLogId,
    currentId: state.currentId,
    profiles: [...state.profiles.values()].map(writeProfile),
    draft: writeProfile(state.draft),
  }
  return `${writeJson(document, ' ')}\n`
}

function writeProfile(profile: Profile): JsonObject {
  return {
    id: profile.id,
    prefs: profile.prefs,
    nodeKey: profile.nodeKey === undefined ? null : privateKeyText(profile.nodeKey.expose()),
    oldNodeKey: profile.oldNodeKey === undefined ? null : privateKeyText(profile.oldNodeKey.expose()),
    user: profile.user,
    nodeId: profile.nodeId,
    network: profile.network,
    routesOff: [...profile.routesOff],
    bypass: profile.bypass,
    serve: profile.serve,
    ...(profile.pendingChange === undefined ? {} : { pendingChange: profile.pendingChange }),
  }
}

export function readState(text: string): StateRead {
  const parsed = parseJson(text)
  if (!parsed.ok || !isJsonObject(parsed.value)) return damaged('it is not JSON')
  const document = parsed.value
  if (typeof document.version !== 'number') return damaged('it has no version')
  if (document.version > STATE_VERSION) {
    return { ok: false, message: `it was written by a newer version (${document.version})` }
  }
  const machineKey = typeof document.machineKey === 'string' ? parsePrivateKey(document.machineKey) : undefined
  if (!machineKey?.ok) return damaged('the machine key is unreadable')
  if (!Array.isArray(document.profiles)) return damaged('it has no profiles')
  const profiles = new Map<string, Profile>()
  for (const entry of document.profiles) {
    const profile = readProfile(entry)
    if (typeof profile === 'string') return damaged(profile)
    profiles.set(profile.id, profile)
  }
  const draft = readProfile(document.draft)
  if (typeof draft === 'string') return damaged(draft)
  const currentId = textOf(document.currentId)
  if (currentId !== '' && !profiles.has(currentId)) return damaged('the current profile is missing')
  return {
    ok: true,
    state: {
      machineKey: new Secret(machineKey.value),
      backendLogId: textOf(document.backendLogId),
      currentId,
      profiles,
      draft,
    },
  }
}

function readProfile(entry: unknown): Profile | string {
  if (!isJsonObject(entry)) return 'a profile is not an object'
  const prefs = parsePrefs(entry.prefs)
  if (!prefs.ok) return `a profile has bad prefs (${prefs.message})`
  const nodeKey = readKey(entry.nodeKey)
  const oldNodeKey = readKey(entry.oldNodeKey)
  if (nodeKey === 'bad' || oldNodeKey === 'bad') return 'a node key is unreadable'
  const network = isJsonObject(entry.network) ? entry.network : {}
  const bypass = parseBypass(entry.bypass ?? {})
  if (!bypass.ok) return `a profile has a bad bypass (${bypass.reason})`
  const serve = parseKeptServe(entry.serve ?? nothingServed)
  if (!serve.ok) return `a profile has a bad serve config (${serve.reason})`
  const pendingChange = entry.pendingChange === undefined ? ok(undefined) : parsePendingChange(entry.pendingChange)
  if (!pendingChange.ok) return `a profile has a bad change (${pendingChange.reason})`
  return {
    ...newProfile(),
    id: textOf(entry.id),
    prefs: prefs.value,
    nodeKey,
    oldNodeKey,
    user: readUser(entry.user),
    nodeId: textOf(entry.nodeId),
    network: {
      MagicDNSName: textOf(network.MagicDNSName),
      DomainName: textOf(network.DomainName),
      DisplayName: textOf(network.DisplayName),
    },
    routesOff: Array.isArray(entry.routesOff) ? entry.routesOff.filter((route) => typeof route === 'string') : [],
    bypass: bypass.value,
    serve: serve.value,
    pendingChange: pendingChange.value,
  }
}

function readKey(value: unknown): Secret | undefined | 'bad' {
  if (value === null || value === undefined) return undefined
  const parsed = typeof value === 'string' ? parsePrivateKey(value) : undefined
  return parsed?.ok ? new Secret(parsed.value) : 'bad'
}

function readUser(value: unknown): UserProfile {
  const user = isJsonObject(value) ? value : {}
  const id = user.ID
  return {
    ID: typeof id === 'number' || typeof id === 'bigint' ? id : 0,
    LoginName: textOf(user.LoginName),
    DisplayName: textOf(user.DisplayName),
    ...(typeof user.ProfilePicURL === 'string' ? { ProfilePicURL: user.ProfilePicURL } : {}),
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function damaged(why: string): StateRead {
  return { ok: false, message: `it is damaged: ${why}` }
}
