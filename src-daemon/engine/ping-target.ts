/** From `ping`'s address to a peer; what can be answered without sending anything is answered here. */
import type { Node } from '../../src-contract/control/map.ts'
import type { PingResult } from '../../src-contract/localapi/ping.ts'
import type { Netmap } from '../../src-protocol/machines/netmap.ts'
import { canonicalIp, findPeerByAddress, isOwnAddress } from './find-node.ts'
import { displayName, keyExpiryMs, nodeAddresses } from './node-text.ts'
import type { DataPlane, PingOptions } from './plane-port.ts'

export function emptyPingResult(address: string, target?: Node): PingResult {
  return {
    IP: address,
    NodeIP: target === undefined ? '' : (nodeAddresses(target)[0] ?? ''),
    NodeName: target === undefined ? '' : displayName(target),
    Err: '',
    LatencySeconds: 0,
    Endpoint: '',
    PeerRelay: '',
    DERPRegionID: 0,
    DERPRegionCode: '',
  }
}

export async function pingSelfOrPlane(
  plane: DataPlane,
  netmap: Netmap | undefined,
  isRunning: boolean,
  wallMs: number,
  options: PingOptions,
): Promise<PingResult> {
  const fail = (message: string, target?: Node): PingResult => ({
    ...emptyPingResult(options.address, target),
    Err: message,
  })
  if (netmap === undefined || !isRunning) return fail('local tailscaled stopped')
  const address = canonicalIp(options.address)
  if (address === undefined) return fail('no matching peer')
  if (isOwnAddress(netmap, address)) {
    return { ...fail(`${address} is local Tailscale IP`, netmap.self), IsLocalIP: true }
  }
  const target = findPeerByAddress(netmap, address)
  if (target === undefined) return fail('no matching peer')
  const expiry = keyExpiryMs(target)
  if (target.Expired === true || (expiry !== undefined && expiry <= wallMs)) {
    return fail("peer's node key has expired", target)
  }
  return plane.ping(target, { ...options, address })
}
