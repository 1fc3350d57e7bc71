/** The peer that takes the traffic: by which network, over which path, and why not another machine that offers the same. Pure. */
import type { RoutePeer, RouteQuestion } from '../../../src-contract/localapi/route-explain.ts'
import { displayName } from '../node-text.ts'
import { offersExit } from '../routing/exit-choice.ts'
import type { ExplainFacts } from './facts.ts'
import type { Owner } from './owners.ts'

const MAX_OTHERS = 16

export function peerOf(facts: ExplainFacts, owner: Owner): RoutePeer {
  const { node, text, bits } = owner
  const path = facts.pathOf(node)
  const Path = path?.kind ?? 'none'
  return {
    Node: node.StableID,
    Name: displayName(node),
    Prefix: text,
    Online: node.Online === true,
    Path,
    Over: Path === 'relay' ? (path?.derpRegionCode ?? '') : (path?.endpoint ?? ''),
    Others: bits === 0 ? otherExits(facts, node.StableID) : otherRouters(facts, owner),
  }
}

function otherExits({ netmap }: ExplainFacts, chosen: string): RoutePeer['Others'] {
  return [...(netmap?.peers.values() ?? [])]
    .filter((node) => node.StableID !== chosen && offersExit(node))
    .slice(0, MAX_OTHERS)
    .map((node) => ({
      Node: node.StableID,
      Name: displayName(node),
      Online: node.Online === true,
      Why: 'You chose another one.',
    }))
}

function otherRouters({ netmap, subnets }: ExplainFacts, { node: winner, text }: Owner): RoutePeer['Others'] {
  const others: RoutePeer['Others'] = []
  const allowed = new Set(subnets.filter(({ Prefix }) => Prefix === text).map(({ Via }) => Via))
  for (const node of netmap?.peers.values() ?? []) {
    if (node.StableID === winner.StableID || others.length >= MAX_OTHERS) continue
    const isAllowed = allowed.has(node.StableID)
    const isOffering = node.Hostinfo?.RoutableIPs?.includes(text) === true
    if (!isAllowed && !isOffering) continue
    const Why = isAllowed
      ? `${displayName(winner)} had it first.`
      : 'It stands by: the server gave the network to another machine, or has not approved this one.'
    others.push({ Node: node.StableID, Name: displayName(node), Online: node.Online === true, Why })
  }
  return others
}

/** What is known about packet filters: little, and only that is said. [docs/rules/explain.md EXP-6] */
export function filterWords(owner: Owner, { Proto, Port }: RouteQuestion): string[] {
  const { node, text, bits } = owner
  const name = displayName(node)
  const words = [`This machine lets it out. What ${name} lets in is for its own rules, which are not known here.`]
  if (bits !== (text.includes(':') ? 128 : 32) || Port === 0) return words
  const services = (node.Hostinfo?.Services ?? []).filter(({ Proto: proto }) => proto === 'tcp' || proto === 'udp')
  const service = services.find((one) => one.Proto === Proto && one.Port === Port)
  if (service !== undefined) {
    const what =
      service.Description === undefined || service.Description === '' ? '' : ` (${service.Description.slice(0, 60)})`
    words.push(`${name} says that it serves ${Proto} ${Port}${what}.`)
  } else if (services.length > 0) words.push(`${name} announces other services, not ${Proto} ${Port}.`)
  return words
}
