/** From what a person types to a peer's address. */
import type { PeerStatus, Status } from '../../src-contract/localapi/status.ts'
import { canonicalIp } from '../text/address.ts'
import { CommandError, type Terminal } from '../verb.ts'

/** The name without the tailnet's suffix and the final dot. */
export function shortName(dnsName: string, suffix: string): string {
  const name = dnsName.replace(/\.$/, '')
  const tail = `.${suffix}`
  return suffix !== '' && name.toLowerCase().endsWith(tail.toLowerCase()) ? name.slice(0, -tail.length) : name
}

export interface Target {
  ip: string
  isSelf: boolean
}

/** Order: literal, peers by short or full name, this machine, the operating system's resolver. */
export async function resolveTarget(typed: string, status: Status, terminal: Terminal): Promise<Target> {
  const literal = canonicalIp(typed)
  if (literal !== undefined) return { ip: literal, isSelf: status.TailscaleIPs?.includes(literal) === true }
  const peer = Object.values(status.Peer ?? {}).find((node) => isNamed(node, typed))
  if (peer !== undefined) {
    const ip = peer.TailscaleIPs?.[0]
    if (ip === undefined) throw new CommandError(`node found but lacks an IP`)
    return { ip, isSelf: false }
  }
  if (status.Self !== null && isNamed(status.Self, typed)) {
    const ip = status.Self.TailscaleIPs?.[0]
    if (ip !== undefined) return { ip, isSelf: true }
  }
  const [first] = await terminal.resolveHost(typed)
  if (first === undefined) throw new CommandError(`error looking up IP of ${JSON.stringify(typed)}: no such host`)
  return { ip: first, isSelf: status.TailscaleIPs?.includes(first) === true }
}

function isNamed(node: PeerStatus, typed: string): boolean {
  const wanted = typed.toLowerCase().replace(/\.$/, '')
  const fqdn = (node.DNSName ?? '').toLowerCase().replace(/\.$/, '')
  if (fqdn === '') return (node.HostName ?? '').toLowerCase() === wanted
  return fqdn === wanted || fqdn.split('.')[0] === wanted
}
