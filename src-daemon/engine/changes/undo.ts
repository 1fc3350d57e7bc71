/**
 * What a change does to a profile's settings, and how it is taken back: only what it changed itself, and of that only
 * what nobody has changed since. Pure. [docs/rules/changes.md CHG-1, CHG-4]
 */
import type { PrefixText } from '../../../src-contract/ids.ts'
import type { BypassSetting } from '../../../src-contract/localapi/bypass.ts'
import { networkPrefs } from '../../../src-contract/localapi/changes.ts'
import type { MaskedPrefs, Prefs } from '../../../src-contract/localapi/prefs.ts'
import type { SubnetRoutesEdit } from '../../../src-contract/localapi/subnet-routes.ts'
import { parseBypass } from '../bypass/setting.ts'
import { editPrefs, findPrefsProblems, type PrefsContext } from '../prefs-edit.ts'
import { prefNames } from '../prefs-parse.ts'
import type { Profile } from '../profile.ts'
import { applyRoutesEdit } from '../routing/subnet-routes.ts'

export type Settings = Pick<Profile, 'prefs' | 'bypass' | 'routesOff'>
export type PrefName = (typeof prefNames)[number]

export interface WantedChange {
  readonly prefs?: MaskedPrefs
  readonly bypass?: BypassSetting
  readonly routes?: Required<SubnetRoutesEdit>
}

/** Lists go back entry by entry, so that what others added to them meanwhile stays. */
export interface ListUndo<T> {
  readonly add: T
  readonly remove: T
}

export interface Undo {
  /** As they were. */
  readonly prefs: Prefs
  /** Which of them go back. */
  readonly names: readonly PrefName[]
  readonly routesOff: ListUndo<readonly PrefixText[]>
  readonly bypass: ListUndo<BypassSetting>
  /** Changed by somebody else since: they stay. */
  readonly left: readonly PrefName[]
}

export type ChangeResult =
  | { readonly ok: true; readonly next: Settings; readonly undo: Undo }
  | { readonly ok: false; readonly message: string }

/** One choice, in four members; the daemon itself moves it from one to another. */
const EXIT_CHOICE: readonly PrefName[] = ['ExitNodeID', 'ExitNodeIP', 'AutoExitNode', 'InternalExitNodePrior']
const BYPASS_KINDS = ['Prefixes', 'Suffixes', 'Interfaces', 'Users', 'Cgroups'] as const

export function applyChange(now: Settings, change: WantedChange, context: PrefsContext): ChangeResult {
  const edited = editPrefs(now.prefs, change.prefs ?? {}, context)
  if (!edited.ok) return edited
  const routesOff = applyRoutesEdit(now.routesOff, change.routes ?? { Off: [], On: [] })
  if (!routesOff.ok) return { ok: false, message: routesOff.reason }
  const bypass = change.bypass ?? now.bypass
  const next = {
    prefs: edited.changed ? edited.prefs : now.prefs,
    bypass: JSON.stringify(bypass) === JSON.stringify(now.bypass) ? now.bypass : bypass,
    routesOff: change.routes === undefined ? now.routesOff : routesOff.value,
  }
  return { ok: true, next, undo: undoOf(now, next) }
}

function undoOf(before: Settings, after: Settings): Undo {
  return {
    prefs: before.prefs,
    names: changedNames(before.prefs, after.prefs),
    routesOff: {
      add: before.routesOff.filter((route) => !after.routesOff.includes(route)),
      remove: after.routesOff.filter((route) => !before.routesOff.includes(route)),
    },
    bypass: { add: without(before.bypass, after.bypass), remove: without(after.bypass, before.bypass) },
    left: [],
  }
}

export function isEmptyUndo(undo: Undo): boolean {
  return undo.names.length === 0 && whatIs(undo).length === 0
}

/** Somebody else changed these preferences while the change was waiting: what is new is theirs. */
export function afterOtherEdit(undo: Undo, before: Prefs, after: Prefs): Undo {
  const taken = changedNames(before, after).filter((name) => undo.names.includes(name))
  if (taken.length === 0) return undo
  return { ...undo, names: undo.names.filter((name) => !taken.includes(name)), left: [...undo.left, ...taken] }
}

export type RevertResult =
  | { readonly ok: true; readonly next: Settings; readonly left: readonly string[] }
  | { readonly ok: false; readonly message: string }

export function revertChange(now: Settings, undo: Undo, context: PrefsContext): RevertResult {
  const left = new Set(words(undo.left))
  const prefs: Record<string, unknown> = { ...now.prefs }
  for (const name of undo.names) {
    if (Object.hasOwn(undo.prefs, name)) prefs[name] = undo.prefs[name]
    else delete prefs[name]
  }
  const wanted = prefs as unknown as Prefs
  const known = findPrefsProblems(now.prefs, context)
  const problems = findPrefsProblems(wanted, context).filter((problem) => !known.includes(problem))
  if (problems.length > 0) return { ok: false, message: problems.join('\n') }
  const routesOff = applyRoutesEdit(now.routesOff, { Off: [...undo.routesOff.add], On: [...undo.routesOff.remove] })
  if (!routesOff.ok) left.add('subnet routes')
  const bypass = parseBypass(plus(without(now.bypass, undo.bypass.remove), undo.bypass.add))
  if (!bypass.ok) left.add('bypass')
  return {
    ok: true,
    next: {
      prefs: undo.names.length === 0 ? now.prefs : wanted,
      routesOff: routesOff.ok ? routesOff.value : now.routesOff,
      bypass: bypass.ok ? bypass.value : now.bypass,
    },
    left: [...left],
  }
}

/** For a person. */
export function whatIs(undo: Undo): string[] {
  const has = ({ add, remove }: Undo['bypass']): boolean =>
    BYPASS_KINDS.some((kind) => add[kind].length + remove[kind].length > 0)
  return [
    ...words([...undo.names, ...undo.left]),
    ...(has(undo.bypass) ? ['bypass'] : []),
    ...(undo.routesOff.add.length + undo.routesOff.remove.length > 0 ? ['subnet routes'] : []),
  ]
}

function words(names: readonly PrefName[]): string[] {
  const shown = names.filter((name) => name !== 'InternalExitNodePrior')
  return [...new Set(shown.map((name) => networkPrefs[name] ?? name))]
}

function changedNames(before: Prefs, after: Prefs): PrefName[] {
  const changed = prefNames.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
  return changed.some((name) => EXIT_CHOICE.includes(name)) ? [...new Set([...changed, ...EXIT_CHOICE])] : changed
}

function without(setting: BypassSetting, less: BypassSetting): BypassSetting {
  const kept = structuredClone(setting)
  for (const kind of BYPASS_KINDS) kept[kind] = setting[kind].filter((entry) => !less[kind].includes(entry))
  return kept
}

function plus(setting: BypassSetting, more: BypassSetting): BypassSetting {
  const sum = structuredClone(setting)
  for (const kind of BYPASS_KINDS) sum[kind] = [...new Set([...setting[kind], ...more[kind]])].sort()
  return sum
}
