/**
 * Runs in a namespace of its own: builds rules and routes by chance, and compares what we say with what the kernel says.
 * Arguments: seed, hosts, addresses asked about for each. Prints what differs, as JSON.
 */
import { spawnSync } from 'node:child_process'
import type { IpText, PrefixText } from '../../../src-contract/ids.ts'
import { parsePrefix, prefixText } from '../../../src-protocol/wire/ip.ts'
import { linuxRouteView } from '../../io/route-view/linux.ts'
import type { HostRouting } from '../../io/route-view/port.ts'
import { agrees, RouteTables, walkRules } from './policy-routing.ts'

const [seed = 1, hosts = 1, asked = 1] = process.argv.slice(2).map(Number)

/** mulberry32 */
let state = seed
function random(): number {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
const some = (share: number, words: () => string): string => (random() < share ? ` ${words()}` : '')
const upTo = (count: number): number => Math.floor(random() * count)

/** Some lines are refused (a route that is there already): the kernel has what it has. */
function batch(family: 4 | 6, lines: readonly string[]): void {
  spawnSync('ip', [`-${family}`, '-force', '-batch', '-'], {
    input: `${lines.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
}

const TABLES = ['main', '52', '100', '7120']
const networks = {
  4: () =>
    one([
      '0.0.0.0/0',
      ...[8, 9, 12, 16, 17, 20, 24, 28, 32].map((bits) => `10.${upTo(4)}.${upTo(3)}.${upTo(6)}/${bits}`),
    ]),
  6: () =>
    one(['::/0', ...[32, 48, 52, 64, 96, 128].map((bits) => `2001:db8:${upTo(3)}:${upTo(2)}::${upTo(6)}/${bits}`)]),
}
const gateways = { 4: ['10.1.0.77', '10.2.0.77'], 6: ['2001:db8:1::77', '2001:db8:2::77'] }
const sources = { 4: '10.1.0.5', 6: '2001:db8:1::5' }
/** The kernel refuses routes with bits of hosts. */
function masked(text: string): string {
  const prefix = parsePrefix(text)
  return prefix.ok ? prefixText(prefix.value) : text
}

function routeLine(family: 4 | 6): string {
  const where = ` table ${one(TABLES)}${some(0.4, () => `metric ${one([10, 20, 300])}`)}`
  const to = masked(networks[family]())
  const kind = random()
  if (kind < 0.25) return `route add ${one(['unreachable', 'blackhole', 'prohibit', 'throw', 'throw'])} ${to}${where}`
  const hop = random() < 0.5 ? `dev ${one(['va', 'vb'])}` : `via ${one(gateways[family])}`
  return `route add ${to} ${hop}${where}`
}

function ruleLine(family: 4 | 6, index: number): string {
  const action =
    random() < 0.7
      ? `lookup ${one(TABLES)}${some(0.25, () => `suppress_prefixlength ${one([0, 8, 16, 32])}`)}${some(0.1, () => 'suppress_ifgroup 3')}`
      : random() < 0.4
        ? `goto ${100 + 10 * (index + 1 + upTo(5))}`
        : one(['unreachable', 'prohibit', 'blackhole', 'nop'])
  const selectors = [
    some(0.35, () => `to ${networks[family]()}`),
    some(0.15, () => `from ${one([`${sources[family]}`, networks[family]()])}`),
    some(0.1, () => one(['iif lo', 'iif va', 'oif va'])),
    some(0.15, () => `fwmark ${one(['0x80000/0xff0000', '0x1', '0/0xff'])}`),
    some(0.15, () => `uidrange ${one(['0-0', '1000-1005', '0-4000'])}`),
    some(0.15, () => `ipproto ${one(['tcp', 'udp'])}`),
    some(0.1, () => `dport ${one(['80', '20-90'])}`),
  ]
  return `rule add pref ${100 + 10 * index}${some(0.1, () => 'not')}${selectors.join('')} ${action}`
}

function build(family: 4 | 6): void {
  for (const each of [4, 6] as const) {
    batch(each, [
      'rule flush',
      'rule add pref 32766 lookup main',
      ...TABLES.map((table) => `route flush table ${table}`),
      'address flush dev va',
      'address flush dev vb',
    ])
  }
  batch(family, [
    ...(family === 4
      ? ['address add 10.1.0.5/16 dev va', 'address add 10.2.0.5/24 dev vb']
      : ['address add 2001:db8:1::5/64 dev va nodad', 'address add 2001:db8:2::5/64 dev vb nodad']),
    ...Array.from({ length: 5 + upTo(25) }, () => routeLine(family)),
    ...Array.from({ length: upTo(14) }, (_, index) => ruleLine(family, index)),
  ])
}

/** IPv6 puts a new address into its table a moment later. */
async function readBuilt(family: 4 | 6): Promise<HostRouting> {
  const own = family === 4 ? ['10.1.0.5/32', '10.2.0.5/32'] : ['2001:db8:1::5/128', '2001:db8:2::5/128']
  for (let look = 0; ; look++) {
    const routing = await view.read((family === 4 ? '0.0.0.0/0' : '::/0') as PrefixText)
    const isThere = own.every((text) => routing.routes.some((route) => route.table === 'local' && route.text === text))
    if (isThere) return routing
    if (look === 200) throw new Error(`no addresses: ${routing.problems.join()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const differences: unknown[] = []
const seen: Record<string, number> = {}
const sizes = { rules: 0, routes: 0 }
const view = linuxRouteView()
batch(4, [
  'link add va type veth peer name pa',
  'link add vb type veth peer name pb',
  ...['lo', 'va', 'pa', 'vb', 'pb'].map((name) => `link set ${name} up`),
  'link set vb group 3',
])
// a gateway that cannot be found is left for another, which is no matter of rules
for (const family of [4, 6] as const)
  batch(
    family,
    gateways[family].flatMap((gateway) =>
      ['va', 'vb'].map((dev) => `neigh replace ${gateway} lladdr 02:00:00:00:00:77 nud permanent dev ${dev}`),
    ),
  )
for (let host = 0; host < hosts; host++) {
  const family = host % 2 === 0 ? 4 : 6
  build(family)
  const routing = await readBuilt(family)
  const tables = new RouteTables(routing)
  sizes.rules += routing.rules.length
  sizes.routes += routing.routes.length
  const questions = Array.from({ length: asked }, () => ({
    to: networks[family]()
      .replace(/\/.*/, '')
      .replace(/^(0\.0\.0\.0|::)$/, family === 4 ? '198.51.100.7' : '2001:db9::7') as IpText,
    from: random() < 0.2 ? (sources[family] as IpText) : undefined,
    uid: one([0, 1003, 5000]),
    protocol: one([6, 17]),
    port: 0,
  })).map((question) => (question.protocol === 6 ? { ...question, port: one([0, 80, 443]) } : question))
  const answers = await Promise.all(questions.map((question) => view.ask(question)))
  for (const [i, question] of questions.entries()) {
    // some as users ask: only what concerns the address is read
    const own = i < 2 ? new RouteTables(await view.read(`${question.to}/${family === 4 ? 32 : 128}`)) : tables
    const walk = walkRules(own, question)
    const answer = answers[i]!
    seen[answer.kind] = (seen[answer.kind] ?? 0) + 1
    if (agrees(walk, answer) === true && routing.problems.length === 0) continue
    const { winner } = walk
    differences.push({
      host,
      question,
      answer,
      problems: routing.problems,
      ours: { rule: winner?.rule.priority, outcome: winner?.outcome, route: winner?.route },
    })
  }
}
process.stdout.write(JSON.stringify({ seen, sizes, differences: differences.slice(0, 5), count: differences.length }))
