/** What the daemon knows at this moment that bears on where traffic goes. */

import type { BypassReport } from '../../../src-contract/localapi/bypass.ts'
import type { SubnetRoute } from '../../../src-contract/localapi/subnet-routes.ts'
import { SERVICE_V4, SERVICE_V6 } from '../../../src-protocol/machines/resolver/upstream.ts'
import type { Core } from '../core.ts'
import { acceptedPrefixes } from '../routing/accepted-prefixes.ts'
import { chooseExit } from '../routing/exit-choice.ts'
import { plainWish, wishOf } from '../routing/wish.ts'
import { UserspaceRouter } from '../userspace/userspace-router.ts'
import type { ExplainFacts, PeerPrefixes } from './facts.ts'

export async function factsOf(
  core: Core,
  subnets: readonly SubnetRoute[],
  bypass: BypassReport,
): Promise<ExplainFacts> {
  const { netmap, plane, prefs, routing, ownRouting } = core
  const isRunning = core.state === 'Running' && netmap !== undefined
  const wish = netmap === undefined ? plainWish : wishOf(netmap, prefs, ownRouting, routing.home)
  const claimed = (): PeerPrefixes[] =>
    [...(netmap?.peers.values() ?? [])].map((node) => ({ node, prefixes: acceptedPrefixes(node, wish) }))
  // the same declaration that decides about the proxies' connections
  const proxies = new UserspaceRouter()
  await proxies.apply(plane.tunName === undefined && isRunning ? plane.previewRouting?.(netmap, wish) : undefined)
  return {
    netmap,
    isRunning,
    tunName: plane.tunName,
    peers: isRunning ? (plane.peerPrefixes?.() ?? claimed()) : [],
    subnets,
    exit: netmap === undefined ? { kind: 'none' } : chooseExit(netmap, prefs),
    allowsLan: wish.allowsLan,
    atHome: [...routing.home.off, ...routing.home.local],
    bypass,
    network: plane.network,
    serviceAddresses: isRunning ? [SERVICE_V4, SERVICE_V6] : [],
    pathOf: (node) => plane.pathOf(node),
    isInside: (ip) => proxies.isInside(ip),
  }
}
