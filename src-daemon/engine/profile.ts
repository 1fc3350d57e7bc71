/**
 * A profile: one login at one coordination server, with its prefs. The words only; who is current: `profiles.ts`.
 */

import type { UserProfile } from '../../src-contract/control/map.ts'
import type { PrefixText, StableNodeId } from '../../src-contract/ids.ts'
import { type BypassSetting, emptyBypass } from '../../src-contract/localapi/bypass.ts'
import { defaultPrefs, type LoginProfile, type Prefs } from '../../src-contract/localapi/prefs.ts'
import type { Secret } from '../../src-protocol/wire/keys.ts'
import type { PendingChange } from './changes/waiting.ts'
import { type KeptServe, nothingServed } from './serve/kept.ts'

export interface Profile {
  /** Four hexadecimal digits; "" until the first login succeeded. */
  readonly id: string
  /** `Config` is always null here; the API adds it ({@link prefsWithConfig}). */
  readonly prefs: Prefs
  readonly nodeKey: Secret | undefined
  /** What the node key was before the last renewal. */
  readonly oldNodeKey: Secret | undefined
  readonly user: UserProfile
  readonly nodeId: StableNodeId
  readonly network: LoginProfile['NetworkProfile']
  /** Subnets of others that are not used although routes are accepted. */
  readonly routesOff: readonly PrefixText[]
  /** What does not take the exit node. */
  readonly bypass: BypassSetting
  /** What it serves, and whose files. */
  readonly serve: KeptServe
  /** Of the network, waiting for its confirmation. */
  readonly pendingChange: PendingChange | undefined
}

export function emptyUser(): UserProfile {
  return { ID: 0, LoginName: '', DisplayName: '' }
}

export function newProfile(): Profile {
  return {
    id: '',
    prefs: defaultPrefs(),
    nodeKey: undefined,
    oldNodeKey: undefined,
    user: emptyUser(),
    nodeId: '',
    network: { MagicDNSName: '', DomainName: '', DisplayName: '' },
    routesOff: [],
    bypass: emptyBypass,
    serve: nothingServed,
    pendingChange: undefined,
  }
}

const ZERO_PRIVATE = `privkey:${'0'.repeat(64)}`
const ZERO_NETWORK_LOCK = `nlpriv:${'0'.repeat(128)}`

/** Prefs as clients see them: the login filled in, its secrets zeroed. */
export function prefsWithConfig(profile: Profile): Prefs {
  if (profile.nodeKey === undefined) return { ...profile.prefs, Config: null }
  return {
    ...profile.prefs,
    Config: {
      PrivateNodeKey: ZERO_PRIVATE,
      OldPrivateNodeKey: ZERO_PRIVATE,
      UserProfile: profile.user,
      NetworkLockKey: ZERO_NETWORK_LOCK,
      NodeID: profile.nodeId,
    },
  }
}

export function loginProfile(profile: Profile): LoginProfile {
  return {
    ID: profile.id,
    Name: profile.prefs.ProfileName ?? profile.user.LoginName,
    NetworkProfile: profile.network,
    Key: profile.id === '' ? '' : `profile-${profile.id}`,
    UserProfile: profile.user,
    NodeID: profile.nodeId,
    LocalUserID: '',
    ControlURL: profile.id === '' ? '' : profile.prefs.ControlURL,
  }
}
