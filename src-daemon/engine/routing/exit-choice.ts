/**
 * Which peer the internet is reached through. Pure. A choice that nobody can serve at present is still a choice: then
 * nothing leaves, rather than by another way. [features.md §5]
 */

import type { Node } from '../../../src-contract/control/map.ts'
import type { PrefixText } from '../../../src-contract/ids.ts'
import type { Prefs } from '../../../src-contract/localapi/prefs.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { displayName, nodeAddresses } from '../node-text.ts'

/** In `ExitNodeID`: automatic, and none found yet. */
export const UNRESOLVED_AUTO = 'auto:any'
export const EXIT_ROUTES: readonly PrefixText[] = ['0.0.0.0/0', '::/0']

export type ExitChoice =
  | { readonly kind: 'none' }
  | { readonly kind: 'chosen'; readonly node: Node }
  /** `name`: for a person. */
  | { readonly kind: 'blocked'; readonly name: string; readonly why: 'not-found' | 'not-offering' | 'no-candidate' }

export function chooseExit(netmap: Netmap, prefs: Prefs): ExitChoice {
  const { ExitNodeID: id, ExitNodeIP: ip } = prefs
  if (id === '' && ip === '') return { kind: 'none' }
  if (id === UNRESOLVED_AUTO) return { kind: 'blocked', name: 'any', why: 'no-candidate' }
  const node = findExit(netmap, id, ip)
  if (node === undefined) return { kind: 'blocked', name: id === '' ? ip : id, why: 'not-found' }
  if (!offersExit(node)) return { kind: 'blocked', name: displayName(node), why: 'not-offering' }
  return { kind: 'chosen', node }
}

/** An address that was chosen before the peers were known becomes its peer's id. */
export function resolveExitAddress(netmap: Netmap, prefs: Prefs): Prefs {
  if (prefs.ExitNodeIP === '' || prefs.ExitNodeID !== '') return prefs
  const node = findExit(netmap, '', prefs.ExitNodeIP)
  return node === undefined ? prefs : { ...prefs, ExitNodeID: node.StableID, ExitNodeIP: '' }
}

export function offersExit(node: Node): boolean {
  const allowed = node.AllowedIPs ?? []
  return EXIT_ROUTES.every((route) => allowed.includes(route))
}

function findExit(netmap: Netmap, id: string, ip: string): Node | undefined {
  for (const node of netmap.peers.values()) {
    if (id !== '' ? node.StableID === id : nodeAddresses(node).includes(ip)) return node
  }
  return undefined
}
