/** `pintail debug datapath`: what moves the packets, what was dropped and why, what trouble was survived. Our daemon only. */
import type { DatapathReport } from '../../src-contract/localapi/pintail.ts'
import { goJson } from '../text/go-json.ts'
import { alignTabs } from '../text/table.ts'
import { CommandError, type Verb } from '../verb.ts'

export const datapath: Verb = {
  name: 'datapath',
  summary: 'Show what moves the packets, and what it dropped or survived',
  args: '[flags]',
  examples: ['pintail debug datapath', 'pintail debug datapath --json'],
  flags: [{ name: 'json', kind: 'bool', help: 'as JSON', default: false }],
  async run({ flags, connect, terminal }) {
    const client = await connect()
    const report = await client.pintailDatapath()
    if (report === undefined)
      throw new CommandError(`the daemon on ${client.socketPath} is not pintaild; it does not tell about its data path`)
    terminal.out(flags.bool('json') ? `${goJson(report, '  ')}\n` : datapathText(report))
    return 0
  },
}

export function datapathText(report: DatapathReport): string {
  const because = (reason: string) => (reason === '' ? '' : ` (${reason})`)
  const { v4, v6 } = report.udpPorts
  const rows: [string, string | number][] = [
    ['data path', `${report.backend}${because(report.whyNotNative)}`],
    ['AEAD', `${report.aead}${because(report.whyNotFasterAead)}`],
    ['interface', report.interfaceName === '' ? 'none' : `${report.interfaceName}, MTU ${report.mtuBytes}`],
    ['super-packets', report.tunOffload || 'none'],
    ['UDP ports', report.socketProblem === '' ? `${v4} (IPv4), ${v6 ?? 'none'} (IPv6)` : report.socketProblem],
    ['peers', report.peers],
    ['received', `${report.rxPackets} packets, ${report.rxBytes} bytes`],
    ['sent', `${report.txPackets} packets, ${report.txBytes} bytes`],
  ]
  const counts = (title: string, entries: { [name: string]: number }): [string, string | number][] => {
    const sorted = Object.entries(entries).sort(([, a], [, b]) => b - a)
    return sorted.length === 0
      ? [[title, 'none']]
      : [[title, ''], ...sorted.map(([name, n]): [string, number] => [`  ${name}`, n])]
  }
  const all = [...rows, ...counts('dropped', report.drops), ...counts('survived', report.faults)]
  return alignTabs(all.map(([name, value]) => `${name}\t${value}\n`).join(''), { padding: 2 })
}
