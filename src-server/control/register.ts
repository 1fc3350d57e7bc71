/**
 * `POST /machine/register`: what each request of a client means and what it is answered. The order of the questions is part
 * of the protocol.                                                                              [control.md §3.3-3.5]
 */

import type { RegisterResponse } from '../../src-contract/control/register.ts'
import { MIN_CAPABILITY_VERSION } from '../../src-contract/control/versions.ts'
import type { MachineKeyText } from '../../src-contract/ids.ts'
import { profileOf } from '../mapper/node.ts'
import { isExpired, type NodeRecord, TAGGED_DEVICES } from '../registry/model.ts'
import { findKey, keyRefusalText } from '../registry/preauth.ts'
import type { Registry } from '../registry/registry.ts'
import type { PendingLogins } from './pending-logins.ts'
import type { CleanRegister } from './requests.ts'

export interface RegisterDoor {
  readonly registry: Registry
  readonly pending: PendingLogins
  readonly serverUrl: string
  readonly now: () => number
  readonly log: (event: string, detail: { readonly [name: string]: unknown }) => void
}

/** Who asks: the machine key is proven by the channel, the network is where its connection comes from. */
export interface Caller {
  readonly machineKey: MachineKeyText
  readonly network: string
}

export function isSupported(version: number): boolean {
  return version >= MIN_CAPABILITY_VERSION
}

export async function answerRegister(
  door: RegisterDoor,
  { machineKey, network }: Caller,
  request: CleanRegister,
  signal: AbortSignal,
): Promise<RegisterResponse> {
  const { registry, pending } = door
  const now = door.now()
  const known = registry.nodeByKey(request.NodeKey)
  if (known !== undefined && known.machineKey !== machineKey) return refusal('node exists with a different machine key')

  if (known !== undefined && request.expiry !== undefined) {
    if (request.expiry <= now) return logout(door, known)
    if (request.authKey === undefined) return shorten(door, known, request.expiry)
  }
  if (known !== undefined && request.authKey === undefined)
    return isExpired(known, now) ? expired(door, known) : success(door, known)

  if (request.Followup !== '') {
    const id = /\/register\/([0-9a-f]{24})$/.exec(request.Followup)?.[1]
    if (id !== undefined) await pending.wait(id, signal)
    const decided = registry.nodeByKey(request.NodeKey)
    if (decided?.machineKey === machineKey && !isExpired(decided, door.now())) return success(door, decided)
    return askPerson(door, { machineKey, network }, request)
  }
  if (request.authKey !== undefined) return joinByKey(door, machineKey, request, request.authKey, known)
  return askPerson(door, { machineKey, network }, request)
}

async function joinByKey(
  door: RegisterDoor,
  machineKey: MachineKeyText,
  request: CleanRegister,
  authKey: string,
  known: NodeRecord | undefined,
): Promise<RegisterResponse> {
  const { registry } = door
  const key = findKey(authKey, (publicId) => registry.keyByPublicId(publicId))
  const isLoggedIn = known !== undefined && !isExpired(known, door.now())
  // a container that restarts with a spent key is still the node it was
  if (isLoggedIn && (key === undefined || key.userId === known.userId || key.tags.join() === known.tags.join()))
    return success(door, known)
  if (known !== undefined && !isLoggedIn) return expired(door, known)
  if (key === undefined) {
    door.log('register-refused', { machineKey, reason: 'invalid key' })
    return refusal(keyRefusalText.invalid)
  }
  const outcome = await registry.register({
    machineKey,
    nodeKey: request.NodeKey,
    owner: { keyId: key.id },
    method: 'auth-key',
    hostinfo: request.hostinfo,
    capVersion: request.Version,
  })
  if (!outcome.ok) {
    door.log('register-refused', { machineKey, key: key.id, reason: outcome.message })
    return refusal(outcome.message)
  }
  door.log('registered', { node: outcome.value.id, name: outcome.value.givenName, key: key.id })
  return success(door, outcome.value)
}

function askPerson(door: RegisterDoor, { machineKey, network }: Caller, request: CleanRegister): RegisterResponse {
  const login = door.pending.ask({
    machineKey,
    nodeKey: request.NodeKey,
    hostinfo: request.hostinfo,
    capVersion: request.Version,
    network,
  })
  return { ...empty, AuthURL: `${door.serverUrl}/register/${login.id}` }
}

/** The client forgets its key whatever we say. */
async function logout(door: RegisterDoor, node: NodeRecord): Promise<RegisterResponse> {
  door.log('logout', { node: node.id })
  if (node.ephemeral) await door.registry.deleteNode(node.id)
  else if (!isExpired(node, door.now())) await door.registry.setExpiry(node.id, door.now())
  return { ...empty, NodeKeyExpired: true }
}

async function shorten(door: RegisterDoor, node: NodeRecord, expiry: number): Promise<RegisterResponse> {
  if (isExpired(node, door.now())) return expired(door, node)
  if (node.expiresAt !== null && expiry > node.expiresAt) return refusal('extending key is not allowed')
  const outcome = await door.registry.setExpiry(node.id, expiry)
  return outcome.ok ? success(door, outcome.value) : refusal(outcome.message)
}

const empty: RegisterResponse = {
  User: { ID: 0, DisplayName: '' },
  Login: { ID: 0, Provider: '', LoginName: '', DisplayName: '' },
  NodeKeyExpired: false,
  MachineAuthorized: false,
  AuthURL: '',
  NodeKeySignature: null,
  Error: '',
}

function refusal(text: string): RegisterResponse {
  return { ...empty, Error: text }
}

function identity(door: RegisterDoor, node: NodeRecord): RegisterResponse {
  const user = node.userId === null ? TAGGED_DEVICES : door.registry.users.get(node.userId)
  if (user === undefined) throw new Error(`node ${node.id} has no owner`)
  const { ID, LoginName, DisplayName } = profileOf(user)
  return { ...empty, User: { ID, DisplayName }, Login: { ID, Provider: '', LoginName, DisplayName } }
}

function success(door: RegisterDoor, node: NodeRecord): RegisterResponse {
  return { ...identity(door, node), MachineAuthorized: true }
}

function expired(door: RegisterDoor, node: NodeRecord): RegisterResponse {
  return { ...identity(door, node), NodeKeyExpired: true }
}
