/**
 * What the winning route means: into the tunnel to whom, another VPN, the networks around, the internet, nowhere; and the
 * one sentence for a person. Pure. [docs/rules/explain.md EXP-3]
 */
import type { IpText } from '../../../src-contract/ids.ts'
import type { RouteVerdict } from '../../../src-contract/localapi/route-explain.ts'
import { ipBytes, isLinkLocal, isMulticast, isPrivateIp, prefixText } from '../../../src-protocol/wire/ip.ts'
import type { HostLink, HostRoute } from '../../io/route-view/port.ts'
import { displayName } from '../node-text.ts'
import type { ExplainFacts } from './facts.ts'
import type { Owner, Owners } from './owners.ts'
import type { Walk } from './policy-routing.ts'
import { isBypass, isOurs, ruleText, tableName } from './rule-words.ts'
import { via6Of } from './via6.ts'

/** Of clouds; the packet filter lets it pass. [docs/rules/filter.md 2.4] */
const METADATA = '169.254.169.254'

export interface Judgement {
  readonly verdict: RouteVerdict
  readonly sentence: string
  readonly owner: Owner | undefined
}

export interface Scene {
  readonly facts: ExplainFacts
  readonly owners: Owners
  readonly links: readonly HostLink[]
}

export function judge(scene: Scene, address: IpText, walk: Walk): Judgement {
  const { facts } = scene
  const ip = ipBytes(address)
  if (facts.tunName === undefined && facts.isRunning && facts.isInside(ip)) {
    return inTunnel(scene, address, 'the proxies of this daemon: programs that do not use them do not get there')
  }
  const { winner } = walk
  const say = (verdict: RouteVerdict, where: string, why: string): Judgement => ({
    verdict,
    sentence: `${shown(address)} → ${where}, because ${why}.`,
    owner: undefined,
  })
  if (winner === undefined) return say('unreachable', 'nowhere', 'this machine has no route to it')
  const { rule, route } = winner
  if (winner.outcome === 'refused' || route === undefined) {
    if (route !== undefined && isOurs(route)) {
      return say(
        'blocked',
        'nowhere',
        `your exit node is chosen and ${reasonOfClosed(facts)}: nothing leaves another way`,
      )
    }
    const what =
      route === undefined
        ? `rule ${rule.priority} (${ruleText(rule)})`
        : `the route "${route.type} ${route.text}" in ${tableName(route.table)}`
    return say('unreachable', 'nowhere', `${what} refuses it`)
  }
  if (route.type === 'local')
    return { verdict: 'this-machine', sentence: `${shown(address)} is this machine.`, owner: undefined }
  if (facts.tunName !== undefined && route.hops.some(({ interfaceName }) => interfaceName === facts.tunName))
    return inTunnel(scene, address, undefined)
  if (route.type === 'broadcast' || route.type === 'multicast' || isToMany(ip))
    return say('local', namesOf(route), 'it is for all around')
  const why = whyThisRoute(scene, walk)
  if (route.hops.some((hop) => scene.links.some(({ name, isTunnel }) => isTunnel && name === hop.interfaceName)))
    return say('other-vpn', namesOf(route), why)
  if (route.hops.every(({ gateway }) => gateway === '')) return say('local', namesOf(route), why)
  const isAround = route.prefix.bits > 0 && isPrivateIp(ip)
  return say(isAround ? 'local' : 'internet', namesOf(route), why)
}

function inTunnel({ facts, owners }: Scene, address: IpText, proxies: string | undefined): Judgement {
  const ip = ipBytes(address)
  const where = proxies ?? facts.tunName ?? ''
  if (facts.serviceAddresses.includes(address)) {
    const sentence = `${address} is answered by Pintail on this machine: it is the network's name server.`
    return { verdict: 'this-machine', sentence, owner: undefined }
  }
  if (isMulticast(ip) || (isLinkLocal(ip) && address !== METADATA)) {
    const sentence = `${address} → ${where}, where it ends, because such addresses mean the own link and do not pass the network.`
    return { verdict: 'unreachable', sentence, owner: undefined }
  }
  const owner = owners.find(ip)
  if (owner === undefined) {
    const isExit = facts.exit.kind !== 'none'
    const why = isExit
      ? `${reasonOfClosed(facts)}: nothing leaves another way`
      : 'no machine of this network has it at present'
    return {
      verdict: isExit ? 'blocked' : 'unreachable',
      sentence: `${shown(address)} → ${where}, where it ends, because ${why}.`,
      owner,
    }
  }
  const name = displayName(owner.node)
  const isOffline = owner.node.Online === false
  if (owner.bits === 0) {
    // the server may be wrong about that: a direct path is one that has just answered
    if (isOffline && facts.pathOf(owner.node)?.kind !== 'direct') {
      const sentence = `${shown(address)} → nowhere, because your exit node ${name} is offline: nothing leaves another way.`
      return { verdict: 'blocked', sentence, owner }
    }
    return {
      verdict: 'exit-node',
      sentence: `${shown(address)} → exit node ${name} (${where}), because everything that has no other way takes it.`,
      owner,
    }
  }
  const isOwn = owner.bits === ip.length * 8
  const why = isOwn ? 'that is its own address' : `it offers ${owner.text} and you accept that`
  const sentence = `${shown(address)} → ${name} (${where}), because ${why}${isOffline ? '; it is offline at present' : ''}.`
  return { verdict: 'peer', sentence, owner }
}

function isToMany(ip: Uint8Array): boolean {
  return isMulticast(ip) || ip.every((byte) => byte === 255)
}

function reasonOfClosed({ exit }: ExplainFacts): string {
  if (exit.kind === 'chosen') return `${displayName(exit.node)} has no way to you at present`
  if (exit.kind === 'none') return 'the daemon is not running as it was'
  if (exit.why === 'not-found') return `there is no machine ${exit.name} in this network`
  return exit.why === 'no-candidate'
    ? 'no machine can serve as one'
    : `${exit.name} does not offer it, or is not approved`
}

/** `10.1.2.3 at site 7 (fd7a:…)` */
function shown(address: IpText): string {
  const via = via6Of(ipBytes(address))
  return via === undefined ? address : `${address} (${via.Address} at site ${via.Site})`
}

function namesOf(route: HostRoute): string {
  return route.hops
    .map(({ interfaceName, gateway }) => (gateway === '' ? interfaceName : `${interfaceName} via ${gateway}`))
    .join(' or ')
}

function whyThisRoute({ facts }: Scene, { winner, stops }: Walk): string {
  const { rule, route } = winner!
  if (isBypass(rule)) return bypassReason(facts, rule.to === undefined ? undefined : prefixText(rule.to))
  const isSelective = rule.to !== undefined || rule.from !== undefined || rule.uids !== undefined || rule.isInverted
  if (isSelective) return `rule ${rule.priority} (${ruleText(rule)}), which is not Pintail's, decides about it`
  const thrown = stops.find((stop) => stop.outcome === 'thrown' && stop.route !== undefined && isOurs(stop.route))
  const what = route!.prefix.bits === 0 ? 'the default route' : `the route ${route!.text}`
  const plain = `${what} in ${tableName(route!.table)} leads there`
  if (thrown?.route === undefined) return plain
  return facts.atHome.includes(thrown.route.text)
    ? `you are in ${thrown.route.text} yourself`
    : `the local network ${thrown.route.text} stays outside of the tunnel`
}

function bypassReason({ bypass }: ExplainFacts, to: string | undefined): string {
  if (to === undefined) return 'programs of this user bypass the exit node'
  const from = bypass.InEffect.find(({ Prefix }) => Prefix === to)?.From ?? 'setting'
  return from === 'setting' ? `you bypass ${to}` : `you bypass ${to} (${from})`
}
