/** Whether two pictures of the host's network differ in a way that matters. Pure. */
import type { HostNetwork, NetworkChange } from './port.ts'

export function compareNetworks(before: HostNetwork, after: HostNetwork): Omit<NetworkChange, 'network'> | undefined {
  if (before.defaultV4 !== after.defaultV4 || before.defaultV6 !== after.defaultV6) {
    return { major: true, reason: 'default-route' }
  }
  if (addressesText(before) === addressesText(after)) return undefined
  return { major: true, reason: 'addresses' }
}

/** Link-local addresses come and go with every interface and are never an endpoint. */
function addressesText(network: HostNetwork): string {
  return network.interfaces
    .flatMap((host) => host.addresses.map((a) => `${host.name} ${a.address}/${a.bits}`))
    .filter((line) => !/ fe80:/.test(line))
    .sort()
    .join('\n')
}

/** `/proc/net/route`: destination and mask are hexadecimal; the default route has zero in both. */
export function defaultInterfaceV4(table: string): string {
  let best = ''
  let bestMetric = Number.POSITIVE_INFINITY
  for (const line of table.split('\n').slice(1)) {
    const [name, destination, , flags, , , metric, mask] = line.split(/\s+/)
    if (name === undefined || destination !== '00000000' || mask !== '00000000') continue
    if ((Number.parseInt(flags ?? '0', 16) & 1) === 0) continue // not up
    const cost = Number(metric)
    if (cost < bestMetric) [best, bestMetric] = [name, cost]
  }
  return best
}

/**
 * `/proc/net/ipv6_route`: destination, prefix length, …, metric (5), references, use, flags (8), name (9). It has the routes
 * of every table, so those of our own interface are left out: an exit node is no other network.
 */
export function defaultInterfaceV6(table: string, own?: string): string {
  let best = ''
  let bestMetric = Number.POSITIVE_INFINITY
  for (const line of table.split('\n')) {
    const fields = line.trim().split(/\s+/)
    if (fields.length < 10 || fields[1] !== '00' || !/^0+$/.test(fields[0] ?? '')) continue
    const flags = Number.parseInt(fields[8] ?? '0', 16)
    const isReject = (flags & 0x200) !== 0
    const name = fields[9] ?? ''
    const cost = Number.parseInt(fields[5] ?? '0', 16)
    if (!isReject && name !== 'lo' && name !== own && cost < bestMetric) [best, bestMetric] = [name, cost]
  }
  return best
}
