/**
 * Our rules as input of `iptables-restore --noflush`, and what `iptables-save` prints read back. Pure. One table is taken
 * whole or not at all; our mark is in `filter`, which is written first and removed last. [docs/rules/router.md RT-13]
 */
import type { FamilyRules, FirewallRule, FirewallWish } from './firewall-rules.ts'
import { FORWARD_MARK, hex, MARK_MASK, markAndMask } from './marks.ts'

/** An empty chain that says whose the others are. */
export const OWNER = 'pintail-'
/** Another: src_valid_mark was off before us. */
export const VALID_MARK = 'made-src-valid-mark'

const hooked = [
  { table: 'filter', base: 'INPUT', chain: 'ts-input', rules: 'input' },
  { table: 'filter', base: 'FORWARD', chain: 'ts-forward', rules: 'forward' },
  { table: 'nat', base: 'POSTROUTING', chain: 'ts-postrouting', rules: 'postrouting' },
] as const

const masks = `--nfmask ${hex(MARK_MASK)} --ctmask ${hex(MARK_MASK)}`
const connmark = [
  `PREROUTING -m conntrack --ctstate RELATED,ESTABLISHED -m connmark ! --mark ${markAndMask(0)} -j CONNMARK --restore-mark ${masks}`,
  `OUTPUT -m conntrack --ctstate NEW -m mark ! --mark ${markAndMask(0)} -j CONNMARK --save-mark ${masks}`,
]

/** Lines of `iptables-save` that are about us, behind the name of their table. */
export type SavedLines = readonly string[]

export function parseSaved(text: string): SavedLines {
  const lines: string[] = []
  let table = ''
  for (const raw of text.split('\n')) {
    const line = raw.trim()
    if (line.startsWith('*')) table = line.slice(1)
    const name = /^:(\S+) -/.exec(line)?.[1]
    if (name !== undefined && isOurChain(name)) lines.push(`${table} :${name}`)
    const rule = /^-A (\S+) ?(.*)$/.exec(line)
    if (rule === null) continue
    const [, chain = '', rest = ''] = rule
    const leadsToUs = hooked.some((hook) => hook.base === chain && rest === `-j ${hook.chain}`)
    const isConnmark = table === 'mangle' && connmark.includes(`${chain} ${rest}`)
    if (isOurChain(chain) || leadsToUs || isConnmark) lines.push(`${table} -A ${chain} ${rest}`.trimEnd())
  }
  return lines
}

export function ownerIn(saved: SavedLines): string | undefined {
  return chainsOf(saved)
    .find((name) => name.startsWith(OWNER))
    ?.slice(OWNER.length)
}

export function chainsOf(saved: SavedLines): string[] {
  return saved.flatMap((line) => /^filter :(.+)$/.exec(line)?.[1] ?? [])
}

export interface RestoreOptions {
  readonly hasNat: boolean
  readonly madeValidMark: boolean
}

/** To run against exactly what `saved` shows. '' = there is nothing to do. */
export function restoreText(
  saved: SavedLines,
  rules: FamilyRules | undefined,
  wish: Pick<FirewallWish, 'device' | 'mode'>,
  options: RestoreOptions,
): string {
  const isOn = rules !== undefined && wish.mode === 'on'
  const filter: string[] = []
  const nat: string[] = []
  const mangle: string[] = []
  const marks = rules === undefined ? [] : [`${OWNER}${wish.device}`, ...(options.madeValidMark ? [VALID_MARK] : [])]
  filter.push(...marks.map((name) => `:${name} - [0:0]`))
  for (const { table, base, chain, rules: which } of hooked) {
    const lines = table === 'nat' ? nat : filter
    if (table === 'nat' && !options.hasNat) continue
    if (rules !== undefined)
      lines.push(`:${chain} - [0:0]`, ...rules[which].map((rule) => `-A ${chain} ${spell(rule)}`))
    const jumps = saved.filter((line) => line === `${table} -A ${base} -j ${chain}`)
    if (isOn && jumps.length === 0) lines.push(`-I ${base} 1 -j ${chain}`)
    if (!isOn) lines.push(...jumps.map(() => `-D ${base} -j ${chain}`))
    if (rules === undefined && saved.includes(`${table} :${chain}`)) lines.push(`-F ${chain}`, `-X ${chain}`)
  }
  for (const rule of connmark) {
    const there = saved.filter((line) => line === `mangle -A ${rule}`)
    if (isOn && there.length === 0) mangle.push(`-I ${rule.replace(' ', ' 1 ')}`)
    if (!isOn) mangle.push(...there.map(() => `-D ${rule}`))
  }
  const stale = chainsOf(saved).filter((name) => isMark(name) && !marks.includes(name))
  filter.push(...stale.flatMap((name) => [`-F ${name}`, `-X ${name}`]))
  const blocks: [string, readonly string[]][] = [
    ['filter', filter],
    ['nat', nat],
    ['mangle', mangle],
  ]
  return (rules === undefined ? blocks.reverse() : blocks)
    .filter(([, lines]) => lines.length > 0)
    .map(([table, lines]) => `*${table}\n${lines.join('\n')}\nCOMMIT\n`)
    .join('')
}

function isMark(name: string): boolean {
  return name === VALID_MARK || name.startsWith(OWNER)
}

function isOurChain(name: string): boolean {
  return isMark(name) || hooked.some(({ chain }) => chain === name)
}

function spell(rule: FirewallRule): string {
  const words: string[] = []
  if (rule.source !== undefined) words.push(`-s ${rule.source}`)
  if (rule.in !== undefined) words.push(`-i ${rule.in}`)
  if (rule.notIn !== undefined) words.push(`! -i ${rule.notIn}`)
  if (rule.out !== undefined) words.push(`-o ${rule.out}`)
  if (rule.udpPort !== undefined) words.push(`-p udp -m udp --dport ${rule.udpPort}`)
  if (rule.hasForwardMark) words.push(`-m mark --mark ${markAndMask(FORWARD_MARK)}`)
  if (rule.isNotEstablished) words.push('-m conntrack ! --ctstate RELATED,ESTABLISHED')
  words.push(
    rule.verdict === 'set-forward-mark'
      ? `-j MARK --set-xmark ${markAndMask(FORWARD_MARK)}`
      : `-j ${rule.verdict.toUpperCase()}`,
  )
  return words.join(' ')
}
