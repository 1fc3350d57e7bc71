/**
 * What of a changed configuration a running server takes over (`pintail-control reload`, SIGHUP), and what waits for a restart.
 * Pure.                                                                                    [docs/rules/server.md SRV-1.6]
 */
import type { Config } from './schema.ts'

/** Keys that count at once. */
const LIVE: readonly string[] = [
  'auto_approve.routes',
  'auto_approve.exit_node',
  'node_attributes',
  'dns.magic_dns',
  'dns.override_local_dns',
  'dns.nameservers',
  'dns.search_domains',
  'dns.extra_records',
  'derp.regions',
  'derp.paths',
]

export interface Reloaded {
  readonly applied: readonly string[]
  readonly needsRestart: readonly string[]
  /** What is allowed and probably not meant. */
  readonly warnings: readonly string[]
}

/** The keys that differ, two levels deep. */
export function changedKeys(before: Config, after: Config): Pick<Reloaded, 'applied' | 'needsRestart'> {
  const changed = Object.keys(after).flatMap((section) => {
    const [old, now] = [valueAt(before, section), valueAt(after, section)]
    if (!isSection(old) || !isSection(now)) return isEqual(old, now) ? [] : [section]
    const keys = [...new Set([...Object.keys(old), ...Object.keys(now)])]
    return keys.filter((key) => !isEqual(old[key], now[key])).map((key) => `${section}.${key}`)
  })
  return {
    applied: changed.filter((key) => LIVE.includes(key)),
    needsRestart: changed.filter((key) => !LIVE.includes(key)),
  }
}

/** The running configuration with the parts of the new one that count at once. */
export function takeLive(running: Config, next: Config): Config {
  return {
    ...running,
    auto_approve: next.auto_approve,
    node_attributes: next.node_attributes,
    dns: { ...next.dns, base_domain: running.dns.base_domain },
    derp: { ...running.derp, regions: next.derp.regions, paths: next.derp.paths },
  }
}

/** Users whom the configuration names and nobody knows. */
export function unknownUsers(config: Config, isUser: (name: string) => boolean): string[] {
  const named = [
    ...Object.values(config.auto_approve.routes).flat(),
    ...config.auto_approve.exit_node,
    ...config.node_attributes.flatMap(({ target }) => target),
  ]
  const users = new Set(named.filter((who) => !who.includes(':') && who !== '*'))
  return [...users]
    .filter((name) => !isUser(name))
    .map(
      (name) =>
        `the config names the user ${name}, who does not exist (yet); a tag is tag:${name}, a node node:${name}`,
    )
}

type Section = { readonly [key: string]: unknown }

function valueAt(config: Config, section: string): unknown {
  return (config as Section)[section]
}

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
