/** Which machine names are asked through: the exit node that the preferences name, as far as the network map knows it. */
import type { Node } from '../../../src-contract/control/map.ts'
import type { Prefs } from '../../../src-contract/localapi/prefs.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { nodeAddresses } from '../node-text.ts'

export function chosenExitNode(netmap: Netmap, prefs: Prefs): Node | undefined {
  if (prefs.ExitNodeID === '' && prefs.ExitNodeIP === '') return undefined
  for (const node of netmap.peers.values()) {
    if (prefs.ExitNodeID !== '' && node.StableID === prefs.ExitNodeID) return node
    if (prefs.ExitNodeID === '' && nodeAddresses(node).some((address) => address === prefs.ExitNodeIP)) return node
  }
  return undefined
}
