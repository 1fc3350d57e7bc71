/** The table of `pintail status`, from a status object to text. Pure; the time is an argument. */
import { domainToUnicode } from 'node:url'
import { idText } from '../../src-contract/ids.ts'
import type { PeerStatus, Status } from '../../src-contract/localapi/status.ts'
import { quote } from '../text/quote.ts'
import { alignTabs } from '../text/table.ts'
import { oneCell } from '../text/visible.ts'
import { shortName } from './peer-names.ts'

export interface TableOptions {
  active: boolean
  header: boolean
  peers: boolean
  self: boolean
  nowMs: number
}

export function statusTable(status: Status, options: TableOptions): { text: string; hiddenExitNodes: boolean } {
  const rows: string[][] = []
  if (options.header) {
    const titles = ['IP', 'Hostname', 'Owner', 'OS', 'Status']
    rows.push(
      titles,
      titles.map((title) => '-'.repeat(title.length)),
    )
  }
  if (options.self && status.Self) rows.push(rowOf(status.Self, status, options.nowMs))
  let hiddenExitNodes = false
  if (options.peers) {
    for (const peer of sortedPeers(status)) {
      if (peer.ShareeNode) continue
      if (peer.ExitNodeOption && !peer.ExitNode && peer.DNSName.endsWith('mullvad.ts.net.')) {
        if (peer.Location !== undefined) hiddenExitNodes = true
        continue
      }
      if (!options.active || peer.Active) rows.push(rowOf(peer, status, options.nowMs))
    }
  }
  const text = alignTabs(rows.map((cells) => `${cells.map(oneCell).join('\t')}\t\n`).join(''), { padding: 2 })
  return { text, hiddenExitNodes }
}

export function sortedPeers(status: Status): PeerStatus[] {
  const key = (peer: PeerStatus) => [peer.DNSName, peer.HostName, peer.TailscaleIPs?.[0] ?? '', peer.PublicKey]
  return Object.values(status.Peer ?? {}).sort((a, b) => {
    const [x, y] = [key(a), key(b)]
    const at = x.findIndex((part, i) => part !== y[i])
    return at < 0 ? 0 : (x[at] ?? '') < (y[at] ?? '') ? -1 : 1
  })
}

function rowOf(peer: PeerStatus, status: Status, nowMs: number): string[] {
  return [peer.TailscaleIPs?.[0] ?? '', nameOf(peer, status), ownerOf(peer, status), peer.OS, stateOf(peer, nowMs)]
}

function nameOf(peer: PeerStatus, status: Status): string {
  const suffix = status.CurrentTailnet?.MagicDNSSuffix ?? status.MagicDNSSuffix ?? ''
  const name = shortName(peer.DNSName, suffix)
  if (name === '') return `(${quote(sanitisedHostname(peer.HostName))})`
  if (!name.startsWith('xn-')) return name
  const unicode = domainToUnicode(name)
  return unicode === '' ? name : `${name} (${unicode})`
}

/** A host name as it would be written in DNS. */
function sanitisedHostname(name: string): string {
  const base = name.toLowerCase().replace(/\.(local|localdomain|lan)$/, '')
  return base
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63)
}

function ownerOf(peer: PeerStatus, status: Status): string {
  const id = idText(peer.AltSharerUserID || peer.UserID)
  if (id === '0') return '-'
  const login = status.User?.[id]?.LoginName
  if (login === undefined) return id
  const at = login.indexOf('@')
  return at < 0 ? login : login.slice(0, at + 1)
}

function stateOf(peer: PeerStatus, nowMs: number): string {
  const hasTraffic = peer.TxBytes !== 0 || peer.RxBytes !== 0
  const offline = peer.Online ? '' : `; offline${lastSeen(peer, nowMs)}`
  const traffic = hasTraffic ? `, tx ${peer.TxBytes} rx ${peer.RxBytes}` : ''
  if (peer.Active) {
    const role = peer.ExitNode ? 'exit node; ' : peer.ExitNodeOption ? 'offers exit node; ' : ''
    return `active; ${role}${pathOf(peer)}${offline}${traffic}`
  }
  if (peer.ExitNode) return `idle; exit node${offline}${traffic}`
  if (peer.ExitNodeOption) return `idle; offers exit node${offline}${traffic}`
  if (hasTraffic) return `idle${offline}${traffic}`
  return peer.Online ? '-' : `offline${lastSeen(peer, nowMs)}`
}

function pathOf(peer: PeerStatus): string {
  if (peer.CurAddr !== '') return `direct ${peer.CurAddr}`
  if (peer.PeerRelay) return `peer-relay ${peer.PeerRelay}`
  return peer.Relay === '' ? '' : `relay ${quote(peer.Relay)}`
}

export function lastSeen(peer: Pick<PeerStatus, 'LastSeen'>, nowMs: number): string {
  const at = Date.parse(peer.LastSeen ?? '')
  if (Number.isNaN(at) || at <= 0) return '' // the zero time lies before 1970
  const minutes = Math.max(1, Math.floor((nowMs - at) / 60_000))
  const hours = Math.floor(minutes / 60)
  if (hours < 1) return `, last seen ${minutes}m ago`
  return hours < 24 ? `, last seen ${hours}h ago` : `, last seen ${Math.floor(hours / 24)}d ago`
}

/** undefined: it runs. */
export function notRunningText(status: Status): string | undefined {
  switch (status.BackendState) {
    case 'Running':
    case 'Starting':
      return undefined
    case 'Stopped':
      return 'Pintail is stopped.'
    case 'NeedsLogin':
      return status.AuthURL ? `Logged out.\nLog in at: ${status.AuthURL}` : 'Logged out.'
    case 'NeedsMachineAuth':
      return 'Machine is not yet approved by tailnet admin.'
    default:
      return `unexpected state: ${status.BackendState}`
  }
}

export function healthBlock(status: Status): string {
  return `# Health check:\n${(status.Health ?? []).map((text) => `#     - ${text}\n`).join('')}`
}
