/** Preferences: `GET/PATCH /localapi/v0/prefs`. Keys and defaults as in the stock daemon on Linux. */

import type { UserProfile } from '../control/map.ts'
import type { IpPort, PrefixText, StableNodeId } from '../ids.ts'

/** The login that belongs to a profile. Secrets are zeroed in every API reply. */
export interface Persist {
  PrivateNodeKey: string
  OldPrivateNodeKey: string
  UserProfile: UserProfile
  NetworkLockKey: string
  NodeID: StableNodeId
}

export interface Prefs {
  ControlURL: string
  RouteAll: boolean
  ExitNodeID: StableNodeId
  ExitNodeIP: string
  AutoExitNode?: string
  InternalExitNodePrior: StableNodeId
  ExitNodeAllowLANAccess: boolean
  CorpDNS: boolean
  RunSSH: boolean
  RunWebClient: boolean
  WantRunning: boolean
  LoggedOut: boolean
  ShieldsUp: boolean
  AdvertiseTags: string[] | null
  Hostname: string
  NotepadURLs: boolean
  ForceDaemon?: boolean
  AdvertiseRoutes: PrefixText[] | null
  AdvertiseServices: string[] | null
  Sync: boolean | null
  NoSNAT: boolean
  NoStatefulFiltering?: boolean | null
  /** 0 off, 1 nodivert, 2 on. */
  NetfilterMode: number
  OperatorUser?: string
  ProfileName?: string
  AutoUpdate: { Check: boolean; Apply: boolean | null }
  AppConnector: { Advertise: boolean }
  PostureChecking: boolean
  NetfilterKind: string
  RemoteConfig: boolean
  DriveShares: unknown[] | null
  RelayServerPort?: number | null
  RelayServerStaticEndpoints?: IpPort[]
  Config: Persist | null
}

export function defaultPrefs(): Prefs {
  return {
    ControlURL: '',
    RouteAll: false,
    ExitNodeID: '',
    ExitNodeIP: '',
    InternalExitNodePrior: '',
    ExitNodeAllowLANAccess: false,
    CorpDNS: true,
    RunSSH: false,
    RunWebClient: false,
    WantRunning: false,
    LoggedOut: false,
    ShieldsUp: false,
    AdvertiseTags: null,
    Hostname: '',
    NotepadURLs: false,
    AdvertiseRoutes: null,
    AdvertiseServices: null,
    Sync: null,
    NoSNAT: false,
    NoStatefulFiltering: true,
    NetfilterMode: 2,
    AutoUpdate: { Check: true, Apply: null },
    AppConnector: { Advertise: false },
    PostureChecking: false,
    NetfilterKind: '',
    RemoteConfig: false,
    DriveShares: null,
    Config: null,
  }
}

type EditablePref = Exclude<keyof Prefs, 'Config' | 'InternalExitNodePrior' | 'AutoUpdate'>

/** PATCH body: any prefs, plus `<Field>Set` for each that is to be copied. */
export type MaskedPrefs = Partial<Prefs> & { [K in EditablePref as `${K}Set`]?: boolean } & {
  AutoUpdateSet?: { CheckSet?: boolean; ApplySet?: boolean }
}

export interface LoginProfile {
  ID: string
  Name: string
  NetworkProfile: { MagicDNSName: string; DomainName: string; DisplayName: string }
  Key: string
  UserProfile: UserProfile
  NodeID: StableNodeId
  LocalUserID: string
  ControlURL: string
}

/** `POST /localapi/v0/start`. */
export interface StartOptions {
  FrontendLogID?: string
  UpdatePrefs?: Prefs | null
  AuthKey?: string
}
