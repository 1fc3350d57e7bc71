/** `--exit-node`: an address, a name or `auto:any` → prefs, and back. */
import type { Prefs } from '../../src-contract/localapi/prefs.ts'
import type { PeerStatus, Status } from '../../src-contract/localapi/status.ts'
import { canonicalIp } from '../text/address.ts'
import { CommandError } from '../verb.ts'

/** What "automatic, but none is chosen yet" looks like in `ExitNodeID`. */
const UNRESOLVED_AUTO = 'auto:any'

export function exitNodeText(prefs: Prefs, status: Status): string {
  if (prefs.AutoExitNode) return `auto:${prefs.AutoExitNode}`
  if (prefs.ExitNodeIP) return prefs.ExitNodeIP
  if (!prefs.ExitNodeID) return ''
  const peer = peersOf(status).find(({ ID }) => ID === prefs.ExitNodeID)
  return peer?.TailscaleIPs?.[0] ?? prefs.ExitNodeID
}

export function chooseExitNode(prefs: Prefs, value: string, status: Status): void {
  prefs.ExitNodeID = ''
  prefs.ExitNodeIP = ''
  prefs.AutoExitNode = ''
  if (value === '') return
  if (value.startsWith('auto:')) {
    prefs.AutoExitNode = value.slice('auto:'.length)
    prefs.ExitNodeID = UNRESOLVED_AUTO
    return
  }
  const ip = canonicalIp(value)
  if (ip === undefined) prefs.ExitNodeID = peerByName(value, status).ID
  else prefs.ExitNodeIP = checkedIp(ip, value, status)
}

function checkedIp(ip: string, typed: string, status: Status): string {
  if (status.TailscaleIPs?.includes(ip))
    throw new CommandError(
      `cannot use ${typed} as an exit node as it is a local IP address to this machine; did you mean --advertise-exit-node?`,
    )
  if (status.BackendState !== 'Running') return ip // the daemon looks it up when it knows its peers
  const peer = peersOf(status).find(({ TailscaleIPs }) => TailscaleIPs?.includes(ip))
  if (peer === undefined) throw new CommandError(`no node found in netmap with IP ${typed}`)
  return offered(peer, typed).TailscaleIPs?.includes(ip) ? ip : typed
}

function peerByName(name: string, status: Status): PeerStatus {
  if (status.BackendState === 'NoState' || status.BackendState === 'NeedsLogin' || status.CurrentTailnet === null)
    throw new CommandError(
      'cannot resolve exit node by hostname while Pintail is starting up; please use its Pintail IP address instead',
    )
  const wanted = name.toLowerCase().replace(/\.$/, '')
  const suffix = `.${(status.CurrentTailnet?.MagicDNSSuffix ?? '').toLowerCase()}`
  const found = peersOf(status).filter((peer) => {
    const fqdn = peer.DNSName.toLowerCase().replace(/\.$/, '')
    return fqdn === wanted || (fqdn.endsWith(suffix) ? fqdn.slice(0, -suffix.length) : fqdn) === wanted
  })
  if (found.length > 1) throw new CommandError(`ambiguous exit node name ${JSON.stringify(name)}`)
  const peer = found[0]
  if (peer === undefined)
    throw new CommandError(`invalid value ${JSON.stringify(name)} for --exit-node; must be IP or peer hostname`)
  return offered(peer, name)
}

function offered(peer: PeerStatus, typed: string): PeerStatus {
  if (!peer.ExitNodeOption) throw new CommandError(`node ${typed} is not advertising an exit node`)
  return peer
}

function peersOf(status: Status): PeerStatus[] {
  return Object.values(status.Peer ?? {})
}
