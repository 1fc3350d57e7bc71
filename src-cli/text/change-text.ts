/** A change of the network as a person reads it before it is made. Pure. */
import {
  type ChangeDiff,
  type ChangeWarning,
  type ExitNodeView,
  isEmptyDiff,
  type ListDelta,
  networkPrefs,
  type RouteLine,
} from '../../src-contract/localapi/changes.ts'

/** Of one kind; `--json` has them all. */
const MAX_LINES = 40

export function diffText(diff: ChangeDiff): string {
  if (isEmptyDiff(diff)) return 'Nothing would change.\n'
  const { Connected, ExitNode, Firewall, Dns } = diff
  const lines = [
    ...fromTo('connection', stateText(Connected.Before), stateText(Connected.After)),
    ...fromTo(
      'exit node',
      exitText(ExitNode.Before) + autoText(diff, 'Before'),
      exitText(ExitNode.After) + autoText(diff, 'After'),
    ),
    ...fromTo('incoming connections', shieldText(Firewall.Before.ShieldsUp), shieldText(Firewall.After.ShieldsUp)),
    ...(Connected.Before && Connected.After
      ? [
          ...fromTo('firewall mode', Firewall.Before.Mode, Firewall.After.Mode),
          ...fromTo('source NAT', onOff(Firewall.Before.Snat), onOff(Firewall.After.Snat)),
          ...fromTo('stateful filtering', onOff(Firewall.Before.Stateful), onOff(Firewall.After.Stateful)),
        ]
      : []),
    ...otherSettings(diff),
    ...changes('bypass', diff.Bypass, (entry) => entry),
    ...changes('switched off', diff.RoutesOff, (prefix) => prefix),
    ...changes('address', diff.Addresses, (address) => address),
    ...changes('route', diff.Routes, routeText),
    ...changes('rule', diff.Rules, (rule) => `${rule} past the tunnel`),
    ...changes('forwarded', diff.Forwarded, (prefix) => prefix),
    ...changes('name server', Dns.Servers, (server) => server),
    ...changes('search domain', Dns.Search, (domain) => domain),
    ...changes('names below', Dns.Split, ({ Suffix, Servers }) => `${Suffix} asked ${whereText(Servers)}`),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

export function warningsText(warnings: readonly ChangeWarning[]): string {
  return warnings.map(({ Text, Fix }) => `Warning: ${[Text, ...Fix.map((line) => `  ${line}`)].join('\n')}\n`).join('')
}

function changes<T>(what: string, { Added, Removed }: ListDelta<T>, text: (item: T) => string): string[] {
  return [...some(Removed, (item) => `- ${what} ${text(item)}`), ...some(Added, (item) => `+ ${what} ${text(item)}`)]
}

function some<T>(items: readonly T[], text: (item: T) => string): string[] {
  if (items.length <= MAX_LINES) return items.map(text)
  return [...items.slice(0, MAX_LINES).map(text), `  and ${items.length - MAX_LINES} more`]
}

/** What has no line of its own above. */
function otherSettings({ Settings }: ChangeDiff): string[] {
  const own = new Set([
    'connection',
    'exit node',
    'incoming connections',
    'firewall mode',
    'source NAT',
    'stateful filtering',
  ])
  return Settings.filter(({ Name }) => !own.has(networkPrefs[Name] ?? '')).flatMap(({ Name, Before, After }) =>
    fromTo(networkPrefs[Name] ?? Name, valueText(Before), valueText(After)),
  )
}

function fromTo(what: string, before: string, after: string): string[] {
  return before === after ? [] : [`${what}: ${before} → ${after}`]
}

function routeText({ Prefix, Way, ViaName }: RouteLine): string {
  switch (Way) {
    case 'outside':
      return `${Prefix} outside of the tunnel`
    case 'blocked':
      return `${Prefix} to nowhere: the exit node cannot be used`
    case 'service':
      return `${Prefix} answered here`
    default:
      return `${Prefix} through ${ViaName || 'other machines'}`
  }
}

function exitText({ ID, Name, Blocked }: ExitNodeView): string {
  return ID === '' ? 'none' : Blocked ? `${Name || ID} (cannot be used)` : Name || ID
}

/** The same machine may stay, and yet no longer by itself. */
function autoText({ Settings }: ChangeDiff, when: 'Before' | 'After'): string {
  const word = Settings.find(({ Name }) => Name === 'AutoExitNode')?.[when]
  return typeof word === 'string' && word !== '' ? ` (auto:${word})` : ''
}

function whereText(servers: readonly string[]): string {
  if (servers.length === 0) return 'here'
  return servers[0] === 'system' ? "at this machine's own name servers" : `at ${servers.join(', ')}`
}

function valueText(value: unknown): string {
  if (typeof value === 'boolean') return onOff(value)
  if (value === null || value === '') return 'none'
  return Array.isArray(value) ? value.join(', ') || 'none' : typeof value === 'string' ? value : JSON.stringify(value)
}

const onOff = (is: boolean): string => (is ? 'on' : 'off')
const stateText = (is: boolean): string => (is ? 'connected' : 'disconnected')
const shieldText = (up: boolean): string => (up ? 'blocked' : 'allowed')
