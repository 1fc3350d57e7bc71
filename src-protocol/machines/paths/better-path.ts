/** Which of two addresses of one peer is the better path.                                                [disco.md §6.5] */
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import { isLinkLocal, isLoopback, isPrivateIp, parseIpPort } from '../../wire/ip.ts'

export interface MeasuredPath {
  readonly endpoint: IpPort
  readonly latencyMs: Ms
  /** Through a peer relay; a direct path beats it whatever the latency. */
  readonly vni?: number
}

export function isBetterPath(a: MeasuredPath, b: MeasuredPath | undefined): boolean {
  if (b === undefined) return true
  if (a.endpoint === b.endpoint && a.vni === b.vni) return false
  if ((a.vni === undefined) !== (b.vni === undefined)) return a.vni === undefined
  const [pointsA, pointsB] = [points(a, b), points(b, a)]
  // One point of difference against none is noise: stay.
  if (pointsA <= 1 && pointsB === 0) return false
  return pointsA > pointsB
}

function points(path: MeasuredPath, other: MeasuredPath): number {
  const faster = path.latencyMs < other.latencyMs ? Math.floor(100 - (100 * path.latencyMs) / other.latencyMs) : 0
  const parsed = parseIpPort(path.endpoint)
  if (!parsed.ok) return faster
  const { ip } = parsed.value
  const near = isLoopback(ip) ? 50 : isLinkLocal(ip) ? 30 : isPrivateIp(ip) ? 20 : 0
  return faster + near + (ip.length === 16 ? 10 : 0)
}
