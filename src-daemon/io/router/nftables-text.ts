/**
 * Our rules as one script for `nft`, which the kernel takes whole or not at all. Pure.
 *
 * Two places. `ts-input` and `ts-forward` are in the tables that iptables shares, because an ACCEPT counts only within a
 * table; there we write only what `iptables-nft` can read, or every later `iptables` call on the host (Docker's, ufw's)
 * would fail. Marks, connection states and masquerading, which it cannot read, are in tables of our own.
 * [docs/rules/router.md RT-11, RT-12]
 */
import type { FamilyRules, FirewallRule, FirewallWish } from './firewall-rules.ts'
import { DAEMON_MARK, FORWARD_MARK, GROUP_MARK, hex, MARK_MASK } from './marks.ts'
import type { NftFamily, NftListing, NftRule } from './nftables-output.ts'

export const OWN_TABLE = 'pintail'
export const families: readonly NftFamily[] = ['ip', 'ip6']
/** Chains of others that lead to ours. */
const shared = [
  { base: 'INPUT', chain: 'ts-input', hook: 'input', rules: 'input' },
  { base: 'FORWARD', chain: 'ts-forward', hook: 'forward', rules: 'forward' },
] as const
const KEEP_OTHERS = hex(~MARK_MASK >>> 0)
/** Empty chains of ours that say what was not there before us; the kernel keeps them as long as what they are about. */
const MADE = 'made-'
export const OWNER = 'owner-'
export const VALID_MARK = 'src-valid-mark'

export interface ScriptOptions {
  /** src_valid_mark was off before us: remembered in the same step. */
  readonly madeValidMark: boolean
}

/** To run against exactly what `listing` shows. undefined = remove everything of ours. */
export function nftScript(listing: NftListing, wish: FirewallWish | undefined, options: ScriptOptions): string {
  const made = new Set(madeBefore(listing))
  const lines = families.flatMap((family) => [
    ...sharedLines(family, listing, wish, made),
    ...(hasTable(listing, family, OWN_TABLE) ? [`delete table ${family} ${OWN_TABLE}`] : []),
  ])
  if (wish !== undefined) {
    lines.push(`add table ip ${OWN_TABLE}`, `add chain ip ${OWN_TABLE} ${OWNER}${wish.device}`)
    if (options.madeValidMark) made.add(VALID_MARK)
    else made.delete(VALID_MARK)
    for (const what of made) lines.push(`add chain ip ${OWN_TABLE} ${MADE}${what}`)
    for (const family of families) {
      const rules = family === 'ip' ? wish.v4 : wish.v6
      if (rules !== undefined) lines.push(...ownTable(family, rules, wish))
    }
  }
  return lines.map((line) => `${line}\n`).join('')
}

export function madeBefore(listing: NftListing): string[] {
  return listing.chains
    .filter(({ family, table, name }) => family === 'ip' && table === OWN_TABLE && name.startsWith(MADE))
    .map(({ name }) => name.slice(MADE.length))
}

/** Changes `made` to what will have been made. */
function sharedLines(
  family: NftFamily,
  listing: NftListing,
  wish: FirewallWish | undefined,
  made: Set<string>,
): string[] {
  const rules = wish === undefined || wish.mode === 'off' ? undefined : family === 'ip' ? wish.v4 : wish.v6
  const isHooked = rules !== undefined && wish?.mode === 'on'
  const table = `${family} filter`
  const lines: string[] = []
  const gone = new Set<string>()
  if (rules !== undefined && !hasTable(listing, family, 'filter')) {
    lines.push(`add table ${table}`)
    made.add(`${family}-filter`)
  }
  for (const { base, chain, hook, rules: which } of shared) {
    const inBase = listing.rules.filter((rule) => isIn(rule, family, base))
    const jumps = inBase.filter(({ jumpsTo }) => jumpsTo === chain)
    const mark = `${family}-filter-${base}`
    const there = listing.chains.find((c) => c.family === family && c.table === 'filter' && c.name === base)
    if (rules !== undefined) {
      lines.push(`add chain ${table} ${chain}`, `flush chain ${table} ${chain}`)
      const written = rules[which].filter(isPlain)
      // Whoever jumps here by himself has no mark set by us.
      if (!isHooked && which === 'forward') written.unshift({ in: wish?.device ?? '', verdict: 'accept' })
      lines.push(...written.map((rule) => `add rule ${table} ${chain} ${spell(family, rule)}`))
    }
    if (isHooked && there === undefined) {
      lines.push(`add chain ${table} ${base} { type filter hook ${hook} priority 0 ; policy accept ; }`)
      made.add(mark)
    }
    if (isHooked && jumps.length === 0) lines.push(`insert rule ${table} ${base} counter jump ${chain}`)
    if (isHooked) continue
    for (const { handle } of jumps) lines.push(`delete rule ${table} ${base} handle ${handle}`)
    if (made.delete(mark) && there?.policy === 'accept' && inBase.length === jumps.length) {
      lines.push(`delete chain ${table} ${base}`)
      gone.add(base)
    }
    if (rules !== undefined || !hasChain(listing, family, chain)) continue
    lines.push(`flush chain ${table} ${chain}`, `delete chain ${table} ${chain}`)
    gone.add(chain)
  }
  if (rules === undefined && made.delete(`${family}-filter`) && hasTable(listing, family, 'filter')) {
    const left = listing.chains.filter((c) => c.family === family && c.table === 'filter' && !gone.has(c.name))
    if (left.length === 0) lines.push(`delete table ${table}`)
  }
  return lines
}

function ownTable(family: NftFamily, rules: FamilyRules, wish: FirewallWish): string[] {
  const { device, groups } = wish
  const isOn = wish.mode === 'on'
  const table = `${family} ${OWN_TABLE}`
  const lines = [`add table ${table}`]
  const chain = (name: string, hook: string, body: readonly string[], isHooked = true): void => {
    if (body.length === 0) return
    lines.push(`add chain ${table} ${name}${isHooked ? ` { ${hook} ; policy accept ; }` : ''}`)
    lines.push(...body.map((rule) => `add rule ${table} ${name} ${rule}`))
  }
  // Before iptables' own FORWARD, which then sees the mark.
  const marks = rules.forward.filter((rule) => !isPlain(rule)).map((rule) => spell(family, rule))
  const toTunnel = marks.length > 1 ? [marks[0]!, `iifname "${device}" return`, ...marks.slice(1)] : marks
  chain('ts-mark', 'type filter hook forward priority -1', toTunnel, isOn)
  chain(
    'ts-postrouting',
    'type nat hook postrouting priority 99',
    rules.postrouting.map((rule) => spell(family, rule)),
    isOn,
  )
  const marked = (what: 'meta' | 'ct', mark: number): string => `${what} mark & ${hex(MARK_MASK)} == ${hex(mark)}`
  const set = (what: 'meta' | 'ct', mark: number): string =>
    `${what} mark set ${what} mark & ${KEEP_OTHERS} | ${hex(mark)}`
  if (groups.length > 0) {
    const choose = groups.map(
      (group) => `socket cgroupv2 level ${depthOf(group)} "${group}" ${set('meta', GROUP_MARK)}`,
    )
    chain('bypass-groups', 'type route hook output priority -151', choose)
    // The address was chosen before the mark was there.
    const leave = `${marked('meta', GROUP_MARK)} oifname != { "lo", "${device}" } masquerade`
    if (family === 'ip' || wish.v6 !== undefined)
      chain('bypass-source', 'type nat hook postrouting priority 98', [leave])
  }
  if (isOn || groups.length > 0) {
    // Answers come back with the mark of what they answer, so that strict reverse path filters look in the right table.
    const known = [DAEMON_MARK, GROUP_MARK]
    const restore = known.map((mark) => `ct state established,related ${marked('ct', mark)} ${set('meta', mark)}`)
    const save = known.map((mark) => `ct state new ${marked('meta', mark)} ${set('ct', mark)}`)
    chain('restore-mark', 'type filter hook prerouting priority -150', restore)
    chain('save-mark', 'type filter hook output priority -150', save)
  }
  return lines
}

/** What `iptables-nft` can read. */
function isPlain(rule: FirewallRule): boolean {
  return rule.verdict !== 'set-forward-mark' && rule.isNotEstablished === undefined
}

function spell(family: NftFamily, rule: FirewallRule): string {
  const words: string[] = []
  if (rule.in !== undefined) words.push(`iifname "${rule.in}"`)
  if (rule.notIn !== undefined) words.push(`iifname != "${rule.notIn}"`)
  if (rule.out !== undefined) words.push(`oifname "${rule.out}"`)
  if (rule.source !== undefined) words.push(`${family} saddr ${rule.source}`)
  if (rule.udpPort !== undefined) words.push(`udp dport ${rule.udpPort}`)
  if (rule.hasForwardMark) words.push(`meta mark & ${hex(MARK_MASK)} == ${hex(FORWARD_MARK)}`)
  if (rule.isNotEstablished) words.push('ct state != { established, related }')
  words.push('counter')
  words.push(
    rule.verdict === 'set-forward-mark'
      ? `meta mark set meta mark & ${KEEP_OTHERS} | ${hex(FORWARD_MARK)}`
      : rule.verdict,
  )
  return words.join(' ')
}

const depthOf = (group: string): number => group.split('/').length

function hasTable({ tables }: NftListing, family: string, name: string): boolean {
  return tables.some((table) => table.family === family && table.name === name)
}

function hasChain({ chains }: NftListing, family: string, name: string): boolean {
  return chains.some((chain) => chain.family === family && chain.table === 'filter' && chain.name === name)
}

function isIn(rule: NftRule, family: string, chain: string): boolean {
  return rule.family === family && rule.table === 'filter' && rule.chain === chain
}
