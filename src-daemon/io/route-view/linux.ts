/**
 * Linux: `ip` tells, as JSON. It leaves out what does not concern the network in question, so that a host with a hundred
 * thousand routes costs the daemon nothing; what it prints is limited in size and time.
 */
import type { PrefixText } from '../../../src-contract/ids.ts'
import type { Decoded } from '../../../src-protocol/wire/decoded.ts'
import { findProgram, runProgram } from '../dns/run-program.ts'
import { type Read, readAnswer, readLinks, readRoutes, readRules } from './ip-json.ts'
import type { Family, HostRoute, HostRouting, RouteView, RoutingQuestion } from './port.ts'

const MAX_OUTPUT_BYTES = 8 << 20
const NO_IP = 'The routes of this host cannot be read: the program ip (iproute2) is missing.'

export function linuxRouteView(): RouteView {
  return {
    read: readAround,
    ask: async (question) => {
      const program = await findProgram('ip')
      if (program === undefined) return { kind: 'unknown', reason: NO_IP }
      const { output, complaint } = await runProgram(program, questionWords(question), '', MAX_OUTPUT_BYTES)
      return readAnswer(output, complaint, familyOf(question.to))
    },
  }
}

async function readAround(network: PrefixText): Promise<HostRouting> {
  const problems = new Set<string>()
  const family = familyOf(network)
  const program = await findProgram('ip')
  if (program === undefined) return { family, rules: [], routes: [], links: [], problems: [NO_IP] }
  const look = async <T>(what: string, words: readonly string[], read: (text: string) => Decoded<Read<T>>) => {
    const { status, output, complaint } = await runProgram(program, words, '', MAX_OUTPUT_BYTES)
    // kernels without the family, or without rules: a fact, not a problem
    if (status !== 0 && /not supported|does not exist/.test(complaint)) return []
    const decoded = read(output)
    if (status !== 0 || !decoded.ok) {
      const why = complaint.trim().slice(0, 200)
      problems.add(`The ${what} of this host cannot be read${why === '' ? '' : ` (${why})`}.`)
      return []
    }
    if (decoded.value.odd > 0) problems.add(`Some ${what} of this host are of a kind that is not understood.`)
    return decoded.value.found
  }
  const routes = (which: 'match' | 'root'): Promise<readonly HostRoute[]> => {
    const words = [`-${family}`, '-N', '-d', '-json', 'route', 'show', 'table', 'all', which, network]
    return look('routes', words, (text) => readRoutes(text, family))
  }
  const isHost = network.endsWith(family === 4 ? '/32' : '/128')
  const [rules, around, inside, links] = await Promise.all([
    look('rules', [`-${family}`, '-N', '-d', '-json', 'rule', 'show'], (text) => readRules(text, family)),
    routes('match'),
    isHost ? [] : routes('root'),
    look('interfaces', ['-N', '-d', '-json', 'address', 'show'], readLinks),
  ])
  const longer = inside.filter((route) => route.text !== network) // the others are around as well
  return { family, rules, routes: [...around, ...longer], links, problems: [...problems] }
}

/** Every word is an address that was parsed, or a number. */
function questionWords({ to, from, uid, protocol, port }: RoutingQuestion): string[] {
  return [
    ...[`-${familyOf(to)}`, '-N', '-json', 'route', 'get', to],
    ...(from === undefined ? [] : ['from', from]),
    ...['uid', String(uid)],
    ...(protocol === 0 ? [] : ['ipproto', String(protocol)]),
    ...(port === 0 ? [] : ['dport', String(port)]),
  ]
}

const familyOf = (address: string): Family => (address.includes(':') ? 6 : 4)
