/**
 * Prefs as they come from a client or from the state file: untrusted JSON → typed. Unknown members are dropped (older
 * clients send some), members of the wrong type are an error that names them.
 *
 * Builds fresh objects from known names only, so that a `__proto__` in the input has no effect.
 */
import { defaultPrefs, type MaskedPrefs, type Prefs } from '../../src-contract/localapi/prefs.ts'

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string }

type Check = (value: unknown) => boolean

const isText: Check = (v) => typeof v === 'string'
const isFlag: Check = (v) => typeof v === 'boolean'
const isMaybeFlag: Check = (v) => v === null || typeof v === 'boolean'
const isTexts: Check = (v) => v === null || (Array.isArray(v) && v.every(isText))
const isList: Check = (v) => v === null || Array.isArray(v)
const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v)

type ClientPref = Exclude<keyof Prefs, 'Config'>

/** Every pref a client may send and the form it must have; a new member of `Prefs` does not compile without a row. */
const forms: { readonly [K in ClientPref]-?: Check } = {
  ControlURL: isText,
  RouteAll: isFlag,
  ExitNodeID: isText,
  ExitNodeIP: isText,
  AutoExitNode: isText,
  InternalExitNodePrior: isText,
  ExitNodeAllowLANAccess: isFlag,
  CorpDNS: isFlag,
  RunSSH: isFlag,
  RunWebClient: isFlag,
  WantRunning: isFlag,
  LoggedOut: isFlag,
  ShieldsUp: isFlag,
  AdvertiseTags: isTexts,
  Hostname: isText,
  NotepadURLs: isFlag,
  ForceDaemon: isFlag,
  AdvertiseRoutes: isTexts,
  AdvertiseServices: isTexts,
  Sync: isMaybeFlag,
  NoSNAT: isFlag,
  NoStatefulFiltering: isMaybeFlag,
  NetfilterMode: (v) => v === 0 || v === 1 || v === 2,
  OperatorUser: isText,
  ProfileName: isText,
  AutoUpdate: (v) => isObject(v) && isFlag(v.Check ?? false) && isMaybeFlag(v.Apply ?? null),
  AppConnector: (v) => isObject(v) && isFlag(v.Advertise ?? false),
  PostureChecking: isFlag,
  NetfilterKind: isText,
  RemoteConfig: isFlag,
  DriveShares: isList,
  RelayServerPort: (v) => v === null || (typeof v === 'number' && Number.isInteger(v) && v >= 0 && v <= 65535),
  RelayServerStaticEndpoints: isTexts,
}

export const prefNames = Object.keys(forms) as ClientPref[]

/** A whole Prefs document; what it leaves out has its default. `Config` is never taken from a client. */
export function parsePrefs(value: unknown): Parsed<Prefs> {
  const known = readKnown(value)
  return known.ok ? { ok: true, value: { ...defaultPrefs(), ...known.value } } : known
}

export function parseMaskedPrefs(value: unknown): Parsed<MaskedPrefs> {
  const known = readKnown(value)
  if (!known.ok || !isObject(value)) return known
  const masked: Record<string, unknown> = { ...known.value }
  for (const name of prefNames) {
    const flag = value[`${name}Set`]
    if (flag === undefined || flag === null) continue
    if (name === 'AutoUpdate') {
      if (!isObject(flag)) return { ok: false, message: 'AutoUpdateSet must be an object' }
      masked.AutoUpdateSet = { CheckSet: flag.CheckSet === true, ApplySet: flag.ApplySet === true }
    } else if (typeof flag === 'boolean') {
      masked[`${name}Set`] = flag
    } else {
      return { ok: false, message: `${name}Set must be true or false` }
    }
  }
  return { ok: true, value: masked as MaskedPrefs }
}

function readKnown(value: unknown): Parsed<Partial<Prefs>> {
  if (!isObject(value)) return { ok: false, message: 'prefs must be a JSON object' }
  const known: Record<string, unknown> = {}
  for (const name of prefNames) {
    const member = value[name]
    // Go leaves its zero values out or writes null for empty lists; neither is an error.
    if (member === undefined || (member === null && !forms[name](null))) continue
    if (!forms[name](member)) return { ok: false, message: `${name} has the wrong type` }
    known[name] = fresh(name, member)
  }
  return { ok: true, value: known as Partial<Prefs> }
}

function fresh(name: ClientPref, member: unknown): unknown {
  if (name === 'AutoUpdate' && isObject(member)) return { Check: member.Check ?? false, Apply: member.Apply ?? null }
  if (name === 'AppConnector' && isObject(member)) return { Advertise: member.Advertise ?? false }
  return member
}
