/** `pintail debug paths [NAME]`: which way each peer's packets go, and how it came to that. Our daemon only. */
import type { PathReport } from '../../src-contract/localapi/pintail.ts'
import { shortName } from '../commands/peer-names.ts'
import { goJson } from '../text/go-json.ts'
import { alignTabs } from '../text/table.ts'
import { CommandError, type Verb } from '../verb.ts'

export const paths: Verb = {
  name: 'paths',
  summary: "Show the way of each peer's packets",
  args: '[flags] [name]',
  examples: ['pintail debug paths', 'pintail debug paths nas', 'pintail debug paths --json'],
  flags: [{ name: 'json', kind: 'bool', help: 'as JSON', default: false }],
  async run({ args, flags, connect, terminal }) {
    const client = await connect()
    const reports = await client.pintailPaths()
    if (reports === undefined)
      throw new CommandError(`the daemon on ${client.socketPath} is not pintaild; it does not tell its paths`)
    const status = await client.status()
    const suffix = status.CurrentTailnet?.MagicDNSSuffix ?? ''
    const named = Object.values(status.Peer ?? {}).map((peer) => ({
      name: shortName(peer.DNSName, suffix) || peer.HostName,
      report: reports[peer.ID],
    }))
    const wanted = named.filter(({ name }) => args[0] === undefined || name === args[0])
    if (args[0] !== undefined && wanted.length === 0) throw new CommandError(`no peer named ${args[0]}`)
    if (flags.bool('json')) {
      terminal.out(`${goJson(Object.fromEntries(wanted.map(({ name, report }) => [name, report ?? null])), '  ')}\n`)
    } else {
      const rows = wanted.map(({ name, report }) => pathRows(name, report))
      terminal.out(alignTabs(rows.join(''), { padding: 2 }))
    }
    return 0
  },
}

export function pathRows(name: string, report: PathReport | undefined): string {
  if (report === undefined) return `${name}\tnone\t\n`
  const latency = report.latencyMs > 0 ? `${report.latencyMs.toFixed(1)}ms` : ''
  const head = `${name}\t${wayText(report.kind, report)}\t${latency}\t\n`
  const history = report.history.map((step) => {
    const way = wayText(step.to, { ...step, derpRegionCode: '' })
    return `  ${step.at}\t${step.from} → ${way}\t${step.reason}\t\n`
  })
  const narrow = report.candidates.flatMap(({ endpoint, tooSmallForBytes: bytes }) =>
    bytes === undefined ? [] : [`  ${endpoint}\tpath MTU too small, ${bytes} bytes\t\t\n`],
  )
  return head + narrow.join('') + history.join('')
}

function wayText(kind: PathReport['kind'], at: { endpoint: string; derpRegion: number; derpRegionCode: string }) {
  switch (kind) {
    case 'direct':
    case 'peer-relay':
      return `${kind} ${at.endpoint}`
    case 'relay':
      return `relay ${at.derpRegionCode || at.derpRegion}`
    default:
      return kind
  }
}
