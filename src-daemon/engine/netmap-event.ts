/** A netmap change as the watchers' event; work in proportion to the change. Pure. */
import type { Node, UserProfile } from '../../src-contract/control/map.ts'
import { idText } from '../../src-contract/ids.ts'
import type { LegacyNetMap } from '../../src-contract/localapi/notify.ts'
import type { Netmap, NetmapDelta } from '../../src-protocol/machines/netmap.ts'
import type { NetmapEvent } from './notify.ts'

export function netmapEvent(netmap: Netmap, delta: NetmapDelta, full: () => LegacyNetMap): NetmapEvent {
  const nodes = (ids: readonly string[]): Node[] => ids.flatMap((id) => netmap.peers.get(id) ?? [])
  const peersChanged = nodes([...delta.peersAdded, ...delta.peersChanged])
  let built: LegacyNetMap | undefined
  return {
    kind: 'netmap',
    full: () => {
      built ??= full()
      return built
    },
    self: delta.selfChanged || delta.full ? netmap.self : undefined,
    peersChanged,
    peersRemoved: delta.peersRemoved.map((id) => toId(id)),
    patches: delta.patches,
    peersPatched: nodes(delta.peersPatched),
    users: delta.profilesChanged ? usersOf(netmap, [netmap.self, ...peersChanged]) : {},
  }
}

function usersOf(netmap: Netmap, nodes: readonly Node[]): { [id: string]: UserProfile } {
  const users: { [id: string]: UserProfile } = {}
  for (const node of nodes) {
    const profile = netmap.userProfiles.get(idText(node.User))
    if (profile !== undefined) users[idText(node.User)] = profile
  }
  return users
}

function toId(text: string): number | bigint {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}
