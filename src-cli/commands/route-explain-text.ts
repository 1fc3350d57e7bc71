/** An explanation of where traffic goes, for people: the sentence first, then how it came to that. Pure. */
import type {
  NameExplanation,
  RouteExplanation,
  RouteLoser,
  RoutePeer,
  RouteStep,
  RouteTarget,
} from '../../src-contract/localapi/route-explain.ts'
import { alignTabs } from '../text/table.ts'
import { oneCell } from '../text/visible.ts'

const FEW_PARTS = 4

export function explanationText(explanation: RouteExplanation): string {
  const { Asked, Names, Targets, Problems } = inLines(explanation)
  const blocks = [
    ...(Names === undefined ? [] : [namesText(Asked.To, Names)]),
    ...Targets.map((target) => targetText(target)),
    ...(Problems.length === 0 ? [] : [`${Problems.join('\n')}\n`]),
  ]
  return blocks.join('\n')
}

/** Names come from other machines; none of them may begin a line or a cell. */
function inLines(explanation: RouteExplanation): RouteExplanation {
  const text = JSON.stringify(explanation, (_key, value: unknown) =>
    typeof value === 'string' ? oneCell(value) : value,
  )
  return JSON.parse(text) as RouteExplanation
}

function namesText(asked: string, { Name, Servers, Why, Losers, Addresses, Problem }: NameExplanation): string {
  const title = Name === asked ? Name : `${asked} is ${Name}`
  const who = Servers.length === 0 ? 'answered here' : `asked at ${Servers.join(', ')}`
  const lines = [`${title}: ${who}, because ${Why}.`]
  if (Addresses.length > 0) lines.push(`Its addresses: ${Addresses.join(', ')}`)
  if (Problem !== '') lines.push(Problem)
  for (const { Suffix, Servers: servers, Why: why } of Losers) {
    const what = Suffix === '' ? 'everything else' : Suffix
    lines.push(`  not by the rule for ${what} (${servers.length === 0 ? 'answered here' : servers.join(', ')}): ${why}`)
  }
  return `${lines.join('\n')}\n`
}

function targetText(target: RouteTarget): string {
  const { Sentence, Steps, Losers, Peer, Filter, Conflicts, Notes } = target
  const lines = [...partLines(target), Sentence, '', ...stepLines(Steps)]
  if (Losers.length > 0) lines.push('', 'Would have it otherwise:', ...table(Losers.map(loserRow)))
  if (Peer !== undefined) lines.push('', ...peerLines(Peer))
  const remarks = [...Filter, ...Conflicts.map((text) => `Conflict: ${text}`), ...Notes, kernelText(target)]
  const said = remarks.filter((text) => text !== '')
  if (said.length > 0) lines.push('', ...said)
  return `${lines.join('\n')}\n`
}

/** Of a network that does not go one way. */
function partLines({ Parts, MoreParts }: RouteTarget): string[] {
  if (Parts.length === 0) return []
  const more = Math.max(0, Parts.length - FEW_PARTS) + MoreParts
  return [`${Parts.slice(0, FEW_PARTS).join(', ')}${more > 0 ? ` and ${more} more` : ''}, for example:`]
}

function stepLines(steps: readonly RouteStep[]): string[] {
  const rows = steps.map(
    ({ Priority, Rule, Name, Won, Why }) => `${Won ? '*' : ' '} ${Priority}:\t${Rule}\t${Name}\t${Why}`,
  )
  return table(rows)
}

function loserRow({ Kind, Name, Prefix, Interface, Why }: RouteLoser): string {
  const kinds: { readonly [kind in RouteLoser['Kind']]: string } = {
    'peer-route': 'machine',
    'exit-node': 'exit node',
    'other-vpn': 'another VPN',
    'local-network': 'local network',
    'default-route': 'default route',
    route: 'route',
  }
  const via = Interface === '' || Interface === Name ? '' : ` (${Interface})`
  return `  ${kinds[Kind] ?? Kind} ${Name}${via}\t${Prefix}\t${Why}`
}

function peerLines({ Name, Prefix, Online, Path, Over, Others }: RoutePeer): string[] {
  const paths: { readonly [kind in RoutePeer['Path']]: string } = {
    direct: `direct to ${Over}`,
    relay: `over relay ${Over}`,
    'peer-relay': `over another machine (${Over})`,
    idle: 'no session yet: the first packet begins one',
    none: 'no path',
  }
  return [
    `Machine ${Name} has ${Prefix}: ${Online ? 'online' : 'offline'}, ${paths[Path] ?? Path}.`,
    ...table(Others.map((other) => `  not ${other.Name} (${other.Online ? 'online' : 'offline'}):\t${other.Why}`)),
  ]
}

function kernelText({ KernelAgrees, Kernel }: RouteTarget): string {
  if (KernelAgrees === null) return 'The operating system could not be asked.'
  if (KernelAgrees) return `The operating system agrees: ${Kernel}.`
  return `The operating system says something else: ${Kernel}. Believe it, and tell us.`
}

function table(rows: readonly string[]): string[] {
  return rows.length === 0 ? [] : alignTabs(rows.join('\n'), { padding: 2 }).split('\n')
}
