/** What is different between two views of this machine's network. Pure. [docs/rules/changes.md CHG-5] */
import type { BypassSetting } from '../../../src-contract/localapi/bypass.ts'
import type { ChangeDiff, ListDelta } from '../../../src-contract/localapi/changes.ts'
import { prefNames } from '../prefs-parse.ts'
import type { NetworkView } from './network-view.ts'

export function diffOf(before: NetworkView, after: NetworkView): ChangeDiff {
  return {
    Settings: prefNames
      .filter((name) => name !== 'InternalExitNodePrior')
      .map((Name) => ({ Name, Before: before.settings.prefs[Name] ?? null, After: after.settings.prefs[Name] ?? null }))
      .filter(({ Before, After }) => JSON.stringify(Before) !== JSON.stringify(After)),
    Bypass: delta(bypassEntries(before.settings.bypass), bypassEntries(after.settings.bypass)),
    RoutesOff: delta(before.settings.routesOff, after.settings.routesOff),
    Connected: { Before: before.connected, After: after.connected },
    Addresses: delta(before.router.addresses, after.router.addresses),
    Routes: delta(before.routes, after.routes),
    Rules: delta(before.rules, after.rules),
    Dns: {
      Servers: delta(before.dns.servers, after.dns.servers),
      Search: delta(before.dns.search, after.dns.search),
      Split: delta(before.dns.split, after.dns.split),
    },
    ExitNode: { Before: before.exitNode, After: after.exitNode },
    Firewall: { Before: before.firewall, After: after.firewall },
    Forwarded: delta(before.router.advertisedRoutes, after.router.advertisedRoutes),
  }
}

function bypassEntries({ Prefixes, Suffixes, Interfaces, Users, Cgroups }: BypassSetting): string[] {
  return [
    ...Prefixes,
    ...Suffixes.map((suffix) => `*.${suffix}`),
    ...Interfaces.map((name) => `interface:${name}`),
    ...Users.map((name) => `user:${name}`),
    ...Cgroups.map((path) => `cgroup:${path}`),
  ]
}

function delta<T>(before: readonly T[], after: readonly T[]): ListDelta<T> {
  const had = new Set(before.map((item) => JSON.stringify(item)))
  const has = new Set(after.map((item) => JSON.stringify(item)))
  return {
    Added: after.filter((item) => !had.has(JSON.stringify(item))),
    Removed: before.filter((item) => !has.has(JSON.stringify(item))),
  }
}
