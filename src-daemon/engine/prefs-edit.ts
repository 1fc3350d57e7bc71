/**
 * What a `MaskedPrefs` does to prefs, and which prefs are allowed. Pure. [docs/rules/localapi.md LA-4]
 * Not their consequences (`backend.ts`) and not their reading from JSON (`prefs-parse.ts`).
 */
import type { MaskedPrefs, Prefs } from '../../src-contract/localapi/prefs.ts'
import { parsePrefix, prefixText } from '../../src-protocol/wire/ip.ts'
import { prefNames } from './prefs-parse.ts'

const AUTO_ANY = 'auto:any'
const DEFAULT_ROUTES = ['0.0.0.0/0', '::/0']

export interface PrefsContext {
  /** Names of the other profiles. */
  readonly otherProfileNames: readonly string[]
}

export type EditResult =
  | { readonly ok: true; readonly prefs: Prefs; readonly changed: boolean }
  | { readonly ok: false; readonly message: string }

export function editPrefs(current: Prefs, edit: MaskedPrefs, context: PrefsContext): EditResult {
  if ((edit as { InternalExitNodePriorSet?: boolean }).InternalExitNodePriorSet === true) {
    return { ok: false, message: "can't set Internal fields" }
  }
  const next = adjust(copySet(current, edit), current, edit)
  const problems = findPrefsProblems(next, context)
  if (problems.length > 0) return { ok: false, message: problems.join('\n') }
  return { ok: true, prefs: next, changed: !samePrefs(current, next) }
}

/** Only members whose Set bit is on are copied. */
function copySet(current: Prefs, edit: MaskedPrefs): Prefs {
  const next: Record<string, unknown> = { ...current }
  const from = edit as Record<string, unknown>
  for (const name of prefNames) {
    if (name !== 'AutoUpdate' && from[`${name}Set`] === true) next[name] = from[name] ?? zeroLike(current, name)
  }
  next.AutoUpdate = {
    Check: edit.AutoUpdateSet?.CheckSet === true ? (edit.AutoUpdate?.Check ?? false) : current.AutoUpdate.Check,
    Apply: edit.AutoUpdateSet?.ApplySet === true ? (edit.AutoUpdate?.Apply ?? null) : current.AutoUpdate.Apply,
  }
  return next as unknown as Prefs
}

/** A Set bit without a value means the zero value: Go leaves those out. */
function zeroLike(current: Prefs, name: keyof Prefs): unknown {
  const before = current[name]
  switch (typeof before) {
    case 'string':
      return ''
    case 'boolean':
      return false
    case 'number':
      return name === 'RelayServerPort' ? null : 0
    default:
      return name === 'AutoExitNode' || name === 'OperatorUser' || name === 'ProfileName' ? '' : null
  }
}

function adjust(next: Prefs, current: Prefs, edit: MaskedPrefs): Prefs {
  const result = { ...next }
  if (edit.ExitNodeIDSet === true && result.ExitNodeID === '') result.InternalExitNodePrior = ''
  if (edit.AutoExitNodeSet === true && (result.AutoExitNode ?? '') === '' && current.ExitNodeID === AUTO_ANY) {
    result.ExitNodeID = ''
  }
  if ((edit.ExitNodeIDSet === true || edit.ExitNodeIPSet === true) && edit.AutoExitNodeSet !== true) {
    delete result.AutoExitNode
  }
  // An old client turns an exit node on by the sentinel alone.
  if (edit.ExitNodeIDSet === true && result.ExitNodeID !== '' && edit.ExitNodeIPSet !== true) result.ExitNodeIP = ''
  for (const name of ['OperatorUser', 'ProfileName', 'AutoExitNode'] as const)
    if (result[name] === '') delete result[name]
  return result
}

/** The sentences of a stock daemon, so that scripts that look for them still work. */
export function findPrefsProblems(prefs: Prefs, context: PrefsContext): string[] {
  const problems: string[] = []
  if (prefs.ProfileName !== undefined && context.otherProfileNames.includes(prefs.ProfileName)) {
    problems.push(`profile name "${prefs.ProfileName}" already in use`)
  }
  if (prefs.RunSSH) problems.push('The SSH server is not supported by this daemon.')
  if (prefs.AutoUpdate.Apply === true) problems.push('Auto-updates are not supported on this platform.')
  const routes = prefs.AdvertiseRoutes ?? []
  const usesExitNode = prefs.ExitNodeID !== '' || prefs.ExitNodeIP !== ''
  if (usesExitNode && DEFAULT_ROUTES.every((route) => routes.includes(route))) {
    problems.push('Cannot advertise an exit node and use an exit node at the same time.')
  }
  for (const route of routes) problems.push(...findRouteProblem(route))
  const url = findControlUrlProblem(prefs.ControlURL)
  if (url !== undefined) problems.push(url)
  return problems
}

function findRouteProblem(route: string): string[] {
  const parsed = parsePrefix(route)
  if (!parsed.ok) return [`route ${route} is not a prefix`]
  const masked = prefixText(parsed.value)
  return masked === route ? [] : [`route ${route} has non-address bits set; expected ${masked}`]
}

function findControlUrlProblem(text: string): string | undefined {
  if (text === '') return undefined
  if (!URL.canParse(text)) return `the login server "${text.slice(0, 200)}" is not a URL`
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'the login server must be an https or http URL'
  if (url.username !== '' || url.password !== '') return 'the login server URL must not carry a password'
  return undefined
}

export function samePrefs(a: Prefs, b: Prefs): boolean {
  const text = (prefs: Prefs): string => JSON.stringify(prefNames.map((name) => prefs[name] ?? null))
  return text(a) === text(b)
}
