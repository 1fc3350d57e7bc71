/** `pintail whois` and `pintail whoami`: who stands behind an address. */

import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import { idText } from '../../src-contract/ids.ts'
import type { WhoIs } from '../../src-contract/localapi/ping.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import { goJson } from '../text/go-json.ts'
import { alignTabs } from '../text/table.ts'
import { CommandError, type Verb } from '../verb.ts'

export const whois: Verb = {
  name: 'whois',
  summary: 'Show the machine and person behind an address',
  args: '[--json] ip[:port]',
  examples: ['pintail whois 100.64.0.2', 'pintail whois --json [fd7a:115c:a1e0::1]:443'],
  flags: [
    { name: 'json', kind: 'bool', help: 'as JSON', default: false },
    { name: 'proto', kind: 'text', help: 'protocol of the port: tcp or udp; empty = both', default: '' },
  ],
  async run({ args, flags, connect, terminal }) {
    const [address] = args
    if (address === undefined) throw new CommandError('missing argument, expected one peer')
    if (args.length > 1) throw new CommandError('too many arguments, expected at most one peer')
    const who = await ask(await connect(), address, flags.text('proto'))
    terminal.out(flags.bool('json') ? `${goJson(who, '  ')}\n` : whoText(who))
    return 0
  },
}

export const whoami: Verb = {
  name: 'whoami',
  summary: 'Show this machine and the person it belongs to',
  examples: ['pintail whoami', 'pintail whoami --json'],
  flags: [{ name: 'json', kind: 'bool', help: 'as JSON', default: false }],
  async run({ args, flags, connect, terminal }) {
    if (args.length > 0) throw new CommandError('too many arguments, expected none')
    const client = await connect()
    const status = await client.status({ peers: false })
    const own = status.TailscaleIPs?.[0]
    if (own === undefined) throw new CommandError(`no current Pintail IP address; state: ${status.BackendState}`)
    const who = await ask(client, own, '')
    terminal.out(flags.bool('json') ? `${goJson(who, '  ')}\n` : whoText(who, status.CurrentTailnet))
    return 0
  },
}

async function ask(client: LocalClient, address: string, proto: string): Promise<WhoIs> {
  try {
    return await client.whois(address, { proto })
  } catch (error) {
    if (error instanceof LocalApiError && error.code === 'not-found') throw new CommandError('peer not found')
    throw error
  }
}

export function whoText({ Node, UserProfile, CapMap }: WhoIs, tailnet: Status['CurrentTailnet'] = null): string {
  const addresses = Node.Addresses ?? []
  const routes = (Node.AllowedIPs ?? []).slice(2)
  const rows = [
    'Machine:',
    `  Name:\t${Node.Name.replace(/\.$/, '')}`,
    `  ID:\t${Node.StableID}`,
    `  Addresses:\t[${addresses.join(' ')}]`,
  ]
  if (routes.length > 0) rows.push(`  AllowedIPs:\t[${routes.join(' ')}]`)
  if ((Node.Tags ?? []).length > 0) rows.push(`  Tags:\t${(Node.Tags ?? []).join(', ')}`)
  else rows.push('User:', `  Name:\t${UserProfile.LoginName}`, `  ID:\t${idText(UserProfile.ID)}`)
  if (tailnet !== null)
    rows.push('Tailnet:', `  Name:\t${tailnet.Name}`, `  MagicDNS Suffix:\t${tailnet.MagicDNSSuffix}`)
  const table = alignTabs(`${rows.join('\n')}\n`, { minWidth: 10, padding: 5 })
  return table + capabilitiesText(CapMap)
}

function capabilitiesText(caps: WhoIs['CapMap']): string {
  const entries = Object.entries(caps ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  if (entries.length === 0) return ''
  const lines = entries.map(([cap, values]) => {
    if (values === null || values.length === 0) return `  - ${cap}\n`
    const shown = goJson(values, '  ').replaceAll('\n', '\n      ')
    return `  - ${cap}:\n      ${shown}\n`
  })
  return `Capabilities:\n${lines.join('')}`
}
