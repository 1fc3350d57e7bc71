/**
 * All that a machine's network is made of, as its own programs print it, to be compared byte by byte: addresses, rules,
 * routes of every table, packet filter, kernel settings, resolv.conf. Left out is only what moves by itself: packet counts,
 * timers, and what the kernel makes of each link for IPv6.
 */
import { createHash } from 'node:crypto'
import type { MachineView } from './machine-view.ts'

const PARTS = {
  addresses: 'ip -o address',
  rules: 'ip -d rule; ip -d -6 rule',
  routes: 'ip -d route show table all; ip -d -6 route show table all',
  filter: 'nft list ruleset',
  settings: 'cd /proc/sys/net && grep -H . ipv4/ip_forward ipv4/conf/*/* ipv6/conf/all/forwarding 2>/dev/null',
} as const

export type HostNetwork = Readonly<Record<keyof typeof PARTS | 'names', string>>

export async function hostNetwork(machine: MachineView): Promise<HostNetwork> {
  const parts: Record<string, string> = {}
  for (const [name, script] of Object.entries(PARTS)) {
    const { stdout } = await machine.run('sh', ['-c', script])
    parts[name] = stdout
      .replace(/^.*conf\/pintail0\/.*\n/gm, '')
      .replace(/^.*(fe80:|ff00::|anycast |multicast ).*\n/gm, '')
      .replace(/packets \d+ bytes \d+/g, 'counted')
      .replace(/ (valid|preferred)_lft \S+/g, '')
  }
  parts.names = await machine.readEtc('resolv.conf')
  return parts as HostNetwork
}

/** Parts that differ, with the first line that does. */
export function differences(before: HostNetwork, after: HostNetwork): string[] {
  return Object.entries(before).flatMap(([name, text]) => {
    const other = after[name as keyof HostNetwork]
    if (text === other) return []
    const [a, b] = [text.split('\n'), other.split('\n')]
    const at = a.findIndex((line, i) => line !== b[i])
    return [`${name}: "${a[at] ?? 'end'}" is "${b[at] ?? 'end'}"`]
  })
}

/**
 * Lines of before that are not there any more. That strict reverse path filters accept marked answers is the one setting
 * that is ours to change (docs/rules/router.md, 14).
 */
export function vanished(before: HostNetwork, now: HostNetwork): string[] {
  return Object.keys(PARTS).flatMap((name) => {
    const lines = new Set(now[name as keyof HostNetwork].split('\n'))
    return before[name as keyof HostNetwork]
      .split('\n')
      .filter((line) => !lines.has(line) && !line.includes('/src_valid_mark:'))
  })
}

/** New addresses, rules and routes, for `isOurs` to judge. Filter tables that are new cannot be anybody else's. */
export function appeared(before: HostNetwork, now: HostNetwork, isOurs: (line: string) => boolean): string[] {
  return (['addresses', 'rules', 'routes'] as const).flatMap((name) => {
    const lines = new Set(before[name].split('\n'))
    return now[name].split('\n').filter((line) => !lines.has(line) && !isOurs(line))
  })
}

/** Chains of before that have other rules now, beside a jump into chains of ours: "ip filter INPUT". */
export function changedChains(before: HostNetwork, now: HostNetwork): string[] {
  const after = chainsOf(now.filter)
  return [...chainsOf(before.filter)].flatMap(([name, rules]) => (after.get(name) === rules ? [] : [name]))
}

function chainsOf(ruleset: string): Map<string, string> {
  const chains = new Map<string, string>()
  let table = ''
  let block = ''
  for (const line of ruleset.split('\n')) {
    if (line.startsWith('table ')) table = line.replace(/^table | \{$/g, '')
    else if (/^\t\S/.test(line) && line.endsWith('{')) block = `${table} ${line.trim().split(' ')[1]}`
    else if (block !== '' && /^\t\t/.test(line) && !/ jump ts-/.test(line))
      chains.set(block, `${chains.get(block) ?? ''}${line}\n`)
  }
  return chains
}

/** For a line of a report. */
export function fingerprint(network: HostNetwork): string {
  return createHash('sha256').update(JSON.stringify(network)).digest('hex').slice(0, 12)
}
