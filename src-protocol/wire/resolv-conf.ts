/** resolv.conf(5): text ⇄ values, and whose it is by its comments. Lenient in reading, as the C library is. */
import type { IpText } from '../../src-contract/ids.ts'
import { canonicalDnsName } from './dns-name.ts'
import { ipText, parseIp } from './ip.ts'

export interface ResolvConf {
  readonly nameservers: readonly IpText[]
  /** Without final dots. */
  readonly searchDomains: readonly string[]
}

export type ResolvConfOwner = 'ours' | 'stock' | 'systemd-resolved' | 'NetworkManager' | 'resolvconf' | undefined

const MARK = '# resolv.conf(5) written by Pintail'
const MAX_LINES = 1_000
/** The C library asks three. */
const MAX_SERVERS = 16
const MAX_SEARCH_DOMAINS = 64

export function parseResolvConf(text: string): ResolvConf {
  const nameservers: IpText[] = []
  let searchDomains: string[] = []
  for (const line of text.split('\n', MAX_LINES)) {
    if (/^\s*[#;]/.test(line)) continue
    const [key, ...words] = line.trim().split(/[ \t]+/)
    if (key === 'nameserver') {
      const ip = parseIp((words[0] ?? '').replace(/%.*$/, ''))
      const isRoom = nameservers.length < MAX_SERVERS
      if (ip.ok && isRoom && !nameservers.includes(ipText(ip.value))) nameservers.push(ipText(ip.value))
    } else if (key === 'search' || key === 'domain') {
      // the last line counts
      const names = words.map((word) => canonicalDnsName(word)).filter((name) => name !== undefined && name !== '')
      searchDomains = [...new Set(names as string[])].slice(0, MAX_SEARCH_DOMAINS)
    }
  }
  return { nameservers, searchDomains }
}

/** Names come from a server: only what is a name gets in, so nothing can begin a line of its own. */
export function formatResolvConf(conf: ResolvConf, backupPath: string): string {
  const lines = [
    `${MARK}.`,
    `# What was here before is in ${backupPath}; it comes back when the daemon ends.`,
    '# To keep your own settings: pintail set --accept-dns=false',
    '',
    ...conf.nameservers.map((address) => `nameserver ${address}`),
  ]
  const names = conf.searchDomains.filter((name) => /^[0-9a-z_.-]+$/.test(name))
  if (names.length > 0) lines.push(`search ${names.join(' ')}`)
  return `${lines.join('\n')}\n`
}

/** What is left of our text, cut anywhere; also nothing at all. Only of meaning beside a backup of ours. */
export function isStumpOfOurs(text: string): boolean {
  return MARK.startsWith(text) || text.startsWith(MARK)
}

/** By the comments at its head. */
export function resolvConfOwner(text: string): ResolvConfOwner {
  for (const line of text.split('\n', MAX_LINES)) {
    const trimmed = line.trim()
    if (trimmed === '') continue
    if (!/^[#;]/.test(trimmed)) return undefined
    if (trimmed.includes('Pintail')) return 'ours'
    if (trimmed.includes('tailscale')) return 'stock'
    if (trimmed.includes('systemd-resolved')) return 'systemd-resolved'
    if (trimmed.includes('NetworkManager')) return 'NetworkManager'
    if (trimmed.includes('resolvconf')) return 'resolvconf'
  }
  return undefined
}
