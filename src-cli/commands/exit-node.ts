/** `pintail exit-node`: which machines offer a way to the internet. Choosing one is `pintail set --exit-node`. */

import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { PeerStatus, Status } from '../../src-contract/localapi/status.ts'
import { quote } from '../text/quote.ts'
import { shellQuote } from '../text/shell-quote.ts'
import { alignTabs } from '../text/table.ts'
import { oneCell } from '../text/visible.ts'
import { CommandError, refuseArgs, type Verb } from '../verb.ts'
import { lastSeen, sortedPeers } from './status-text.ts'

export const exitNode: Verb = {
  name: 'exit-node',
  summary: 'Show machines that offer a way to the internet',
  examples: ['pintail exit-node list', 'pintail set --exit-node=$(pintail exit-node suggest | sed -n "s/.*: //p;q")'],
  verbs: [
    {
      name: 'list',
      summary: 'Show exit nodes',
      examples: ['pintail exit-node list', 'pintail exit-node list --filter=Japan'],
      flags: [{ name: 'filter', kind: 'text', help: 'only this country', default: '' }],
      async run({ args, flags, connect, terminal }) {
        if (args.length > 0) throw new CommandError("unexpected non-flag arguments to 'pintail exit-node list'")
        terminal.out(exitNodeTable(await (await connect()).status(), flags.text('filter'), terminal.now()))
        return 0
      },
    },
    {
      name: 'suggest',
      summary: 'Suggest the best available exit node',
      examples: ['pintail exit-node suggest'],
      async run(call) {
        refuseArgs(call)
        const { connect, terminal } = call
        try {
          const { ID, Name } = await (await connect()).suggestExitNode()
          const name = oneCell(Name.replace(/\.$/, ''))
          terminal.out(
            ID === ''
              ? 'No exit node suggestion is available.\n'
              : `Suggested exit node: ${name}\nTo accept this suggestion, use \`pintail set --exit-node=${shellQuote(name)}\`.\n`,
          )
          return 0
        } catch (error) {
          if (error instanceof LocalApiError && error.code === 'failed')
            throw new CommandError(`suggest exit node: ${error.message}`)
          throw error
        }
      },
    },
  ],
}

interface Row {
  peer: PeerStatus
  country: string
  countryCode: string
  city: string
  cityCode: string
}

export function exitNodeTable(status: Status, filter: string, nowMs: number): string {
  const offering = sortedPeers(status).filter((peer) => peer.ExitNodeOption)
  if (offering.length === 0) throw new CommandError('no exit nodes found')
  const all = offering.map(rowOf)
  const wanted = filter === '' ? all : all.filter(({ country }) => country.toLowerCase() === filter.toLowerCase())
  if (wanted.length === 0) throw new CommandError(`no exit nodes found for ${quote(filter)}`)
  const rows = filter === '' ? bestPerCity(wanted) : wanted
  rows.sort((a, b) => compare([a.country, a.city], [b.country, b.city]))
  const lines = rows.map(({ peer, country, city }) =>
    [peer.TailscaleIPs?.[0] ?? '', peer.DNSName.replace(/\.$/, ''), country || '-', city || '-', stateOf(peer, nowMs)]
      .map(oneCell)
      .join('\t'),
  )
  const text = [['IP', 'HOSTNAME', 'COUNTRY', 'CITY', 'STATUS'].join('\t'), ...lines].map((line) => `\n ${line}\t`)
  const table = alignTabs(text.join(''), { minWidth: 10, padding: 5 })
  const hints = [
    '# To view the complete list of exit nodes for a country, use `pintail exit-node list --filter=` followed by the country name.',
    '# To use an exit node, use `pintail set --exit-node=` followed by the hostname or IP.',
  ]
  const hasCountries = all.some(({ country }) => country !== '')
  return `${table}\n\n${(hasCountries ? hints : hints.slice(1)).join('\n')}\n`
}

function rowOf(peer: PeerStatus): Row {
  const { Country = '', CountryCode = '', City = '', CityCode = '' } = peer.Location ?? {}
  return { peer, country: Country, countryCode: CountryCode, city: City, cityCode: CityCode }
}

/** One per city and the selected one; a country with several cities starts with its best, called "Any". */
function bestPerCity(rows: readonly Row[]): Row[] {
  const located = rows.filter(({ countryCode }) => countryCode !== '')
  const result = rows.filter(({ countryCode }) => countryCode === '')
  for (const country of groups(located, (row) => row.countryCode)) {
    const cities = groups(country, (row) => row.cityCode)
    const best = best0(country)
    if (cities.length > 1 && best !== undefined) result.push({ ...best, city: 'Any', cityCode: '' })
    for (const city of cities) {
      const chosen = best0(city)
      result.push(...city.filter((row) => row === chosen || row.peer.ExitNode))
    }
  }
  return result
}

function best0(rows: readonly Row[]): Row | undefined {
  const priority = (row: Row) => row.peer.Location?.Priority ?? 0
  return [...rows].sort((a, b) => priority(b) - priority(a))[0]
}

function groups(rows: readonly Row[], key: (row: Row) => string): Row[][] {
  return [...Map.groupBy(rows, key).values()]
}

function compare(a: string[], b: string[]): number {
  const at = a.findIndex((part, i) => part !== b[i])
  if (at < 0) return 0
  // "Any" stands for the whole country: first.
  if (at === 1 && (a[1] === 'Any' || b[1] === 'Any')) return a[1] === 'Any' ? -1 : 1
  return (a[at] ?? '') < (b[at] ?? '') ? -1 : 1
}

function stateOf(peer: PeerStatus, nowMs: number): string {
  if (peer.ExitNode) return peer.Online ? 'selected' : `selected but offline${lastSeen(peer, nowMs)}`
  return peer.Online ? '-' : `offline${lastSeen(peer, nowMs)}`
}
