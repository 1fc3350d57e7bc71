/**
 * What else there is to know: the same addresses elsewhere, and traffic to the same place that goes another way. Pure.
 * [docs/rules/explain.md EXP-9]
 */
import type { IpText } from '../../../src-contract/ids.ts'
import { ipBytes, parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import type { RoutingQuestion } from '../../io/route-view/port.ts'
import { findOverlaps } from '../routing/home.ts'
import type { ExplainFacts } from './facts.ts'
import { type RouteTables, type Walk, walkRules } from './policy-routing.ts'
import { protocolNumber } from './question.ts'
import { isBypass } from './rule-words.ts'
import { type Judgement, judge, type Scene } from './verdict.ts'

export function conflictsOf(facts: ExplainFacts, address: IpText, walk: Walk): string[] {
  const ip = ipBytes(address)
  const has = (text: string): boolean => {
    const prefix = parsePrefix(text)
    return prefix.ok && prefixContains(prefix.value, ip)
  }
  const overlaps = facts.netmap === undefined ? [] : findOverlaps(facts.netmap, facts.network, facts.tunName)
  const texts = overlaps
    .filter(({ subnet, network }) => has(subnet) && has(network))
    .map(({ subnet, network, interfaceName, node }) => {
      const [name] = node.Name.split('.')
      return `${subnet} behind ${name} has the same addresses as ${network} around this machine (${interfaceName}).`
    })
  const ways = new Set(walk.equals.map(({ hops }) => JSON.stringify(hops)))
  if (ways.size > 1) texts.push(`${ways.size} routes are equal; the kernel takes one of them.`)
  return [...new Set(texts)].slice(0, 16)
}

export function notesOf(
  scene: Scene,
  tables: RouteTables,
  asked: RoutingQuestion,
  walk: Walk,
  { verdict }: Judgement,
  source: IpText | '',
): string[] {
  const { facts } = scene
  const notes: string[] = []
  if (asked.from === undefined && source !== '' && walk.winner?.outcome === 'won') {
    const bound = walkRules(tables, { ...asked, from: source })
    if (!sameWay(walk, bound)) {
      const second = judge(scene, asked.to, bound)
      notes.push(`Connections get the source ${source}, and with that another rule decides: ${second.sentence}`)
    }
  }
  for (const proto of ['tcp', 'udp', 'icmp'] as const) {
    if (asked.protocol !== 0) break
    const other = walkRules(tables, { ...asked, protocol: protocolNumber(proto, asked.to) })
    if (!sameWay(walk, other)) notes.push(`For ${proto}: ${judge(scene, asked.to, other).sentence}`)
  }
  const isThroughExit = verdict === 'exit-node' || verdict === 'blocked'
  const { Users, Cgroups } = facts.bypass.Setting
  const isByUser = walk.winner !== undefined && isBypass(walk.winner.rule) && walk.winner.rule.uids !== undefined
  if (isThroughExit && Users.length > 0) notes.push(`Programs of ${Users.join(', ')} bypass the exit node.`)
  if (isThroughExit && Cgroups.length > 0) notes.push(`Programs in ${Cgroups.join(', ')} bypass the exit node.`)
  if (isByUser) notes.push('Programs of other users may take the exit node.')
  if (facts.tunName === undefined)
    notes.push(
      'Userspace networking: only the proxies of this daemon lead into the network, no route of this host does.',
    )
  else if (!facts.isRunning) notes.push('The tunnel is down: this is where traffic goes without it.')
  return notes
}

function sameWay(a: Walk, b: Walk): boolean {
  const way = ({ winner }: Walk): string => JSON.stringify([winner?.outcome, winner?.route?.type, winner?.route?.hops])
  return way(a) === way(b)
}
