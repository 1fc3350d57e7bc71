/** From `air:` to the device that is meant, or why files cannot go there. */
import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import type { StableNodeId } from '../../src-contract/ids.ts'
import { type PeerStatus, taildropTarget } from '../../src-contract/localapi/status.ts'
import { canonicalIp, isTailnetIp } from '../text/address.ts'
import { quote } from '../text/quote.ts'
import { CommandError, type Terminal } from '../verb.ts'
import { resolveTarget } from './peer-names.ts'

export interface FileRecipient {
  readonly id: StableNodeId
  /** As typed, without the colon. */
  readonly typed: string
  readonly isOffline: boolean
}

/** The words that are devices: the last, and those before it that end alike and are no files. */
export function splitTargets(
  words: readonly string[],
  isFile: (word: string) => boolean,
): { files: readonly string[]; targets: readonly string[] } {
  if (words.length < 2) throw new CommandError('usage: pintail file cp <files...> <target>:')
  const last = words.at(-1) ?? ''
  if (!last.endsWith(':')) {
    throw new CommandError(
      `final argument to 'pintail file cp' must end in colon: the device to send to, like ${quote(`${last}:`)}`,
    )
  }
  let first = words.length - 1
  while (first > 1 && (words[first - 1] ?? '').endsWith(':') && !isFile(words[first - 1] ?? '')) first--
  return { files: words.slice(0, first), targets: words.slice(first).map((word) => word.slice(0, -1)) }
}

export async function findRecipient(client: LocalClient, typed: string, terminal: Terminal): Promise<FileRecipient> {
  const status = await client.status()
  const { ip } = await resolveTarget(nameOrAddress(typed), status, terminal)
  const targets = await client.fileTargets().catch((error) => {
    if (error instanceof LocalApiError && error.code === 'failed') throw cannot(typed, error.message)
    throw error
  })
  const target = targets.find(({ Node }) => Node.Addresses?.some((prefix) => prefix.split('/')[0] === ip))
  if (target !== undefined) return { id: target.Node.StableID, typed, isOffline: target.Node.Online === false }
  const peer = Object.values(status.Peer ?? {}).find((one) => one.TailscaleIPs?.includes(ip))
  if (peer !== undefined) throw cannot(typed, `cannot send files: ${reasonText(peer)}`)
  if (status.TailscaleIPs?.includes(ip) === true) throw cannot(typed, 'that is this device')
  if (isTailnetIp(ip)) throw cannot(typed, 'unknown target; not in your Tailnet')
  throw cannot(typed, `unknown target; ${ip} is not a Tailscale IP address`)
}

function nameOrAddress(typed: string): string {
  const inside = /^\[(.*)\]$/.exec(typed)?.[1]
  const ip = canonicalIp(inside ?? typed)
  const isV6 = ip?.includes(':') === true
  if (inside === undefined && isV6) throw new CommandError(`an IPv6 literal must be written as [${ip}]`)
  if (inside !== undefined && !isV6) throw new CommandError('unexpected brackets around target')
  return inside ?? typed
}

function cannot(typed: string, why: string): CommandError {
  return new CommandError(`can't send to ${typed}: ${why}`)
}

function reasonText({ TaildropTarget }: PeerStatus): string {
  switch (TaildropTarget) {
    case taildropTarget.noNetmap:
    case taildropTarget.notRunning:
      return 'this device is not connected to its network (pintail up)'
    case taildropTarget.missingCap:
      return 'file sharing is switched off in this network; its administrator can allow it'
    case taildropTarget.offline:
      return 'the device is offline, and it never said where it takes files'
    case taildropTarget.unsupportedOs:
      return "the device's system cannot receive files"
    case taildropTarget.noPeerApi:
      return 'the device does not offer to take files: its program is too old, or has no network interface'
    case taildropTarget.ownedByOtherUser:
      return "it belongs to somebody else, or has a tag; the network's policy has to let you (file-sharing-target)"
    default:
      return 'unknown reason'
  }
}
