/** Lab tests: what the kernel has of network settings, as text to compare. */
import { execFileSync, spawnSync } from 'node:child_process'

export const run = (program: string, ...words: string[]): string => execFileSync(program, words, { encoding: 'utf8' })
export const ip = (...words: string[]): string => run('ip', ...words)
export const nft = (script: string): string => run('nft', script)

const quietly = (...words: string[]): string => {
  try {
    return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return '' // an empty table is an error
  }
}

export const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim().replace(/\s+/g, ' '))
    .filter(Boolean)

export const addressesOf = (device: string): (string | undefined)[] =>
  [...ip('-o', 'address', 'show', 'dev', device, 'scope', 'global').matchAll(/inet6? (\S+)/g)].map((m) => m[1]).sort()

/** Of table 52. */
export const routes = (): string[] =>
  [...linesOf(quietly('route', 'show', 'table', '52')), ...linesOf(quietly('-6', 'route', 'show', 'table', '52'))].map(
    (line) => line.replace(/( (scope link|linkdown|metric 1024|pref medium|dev lo|proto 152))+/g, ''),
  )

export const rules = (): string[] => [...linesOf(ip('rule')), ...linesOf(ip('-6', 'rule')).map((line) => `-6 ${line}`)]

/** Packet filter rules without counters. */
export const ruleset = (): string[] =>
  linesOf(run('nft', 'list', 'ruleset')).map((line) => line.replace(/ packets \d+ bytes \d+/, ''))

/** Rules of one chain. */
export function chainRules(family: string, table: string, chain: string): string[] {
  return linesOf(run('nft', 'list', 'chain', family, table, chain))
    .map((line) => line.replace(/ packets \d+ bytes \d+/, ''))
    .filter((line) => !/^(table|chain|\}|type )/.test(line))
}

/** Everything that the host has. */
export const networkSnapshot = (device: string): string =>
  [
    ip('-d', '-o', 'link', 'show', device).replace(/qlen \d+|qdisc \S+|state \S+/g, ''),
    ip('-o', 'address'),
    ip('-d', 'rule'),
    ip('-d', '-6', 'rule'),
    ip('-d', 'route', 'show', 'table', 'all'),
    // The kernel's own multicast and link-local routes come and go a moment after links do.
    quietly('-6', '-d', 'route', 'show', 'table', '52'),
    quietly('-6', '-d', 'route', 'show', 'table', 'main'),
    run('nft', 'list', 'ruleset'),
    run('cat', '/proc/sys/net/ipv4/conf/all/src_valid_mark'),
  ].join('\n')

/** Whether `iptables-nft`, `iptables-legacy` is here and may write: the old one wants a lock file of root's. */
export function canIptables(variant: string): boolean {
  return ['iptables', 'ip6tables'].every((name) => {
    const args = ['--noflush', '-w', '1']
    const { status } = spawnSync(`${name}-${variant}-restore`, args, { input: '*filter\nCOMMIT\n' })
    const listed = spawnSync(`${name}-${variant}-save`, ['-t', 'nat'])
    return status === 0 && listed.status === 0
  })
}
