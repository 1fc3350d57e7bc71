/**
 * Go's flag syntax made plain: `-x` = `--x`, `--x=v` or `--x v`, `--x` alone is true for a switch, flags end at the
 * first word that is none. Comes out as `--x=v … -- words`, which `cli.ts` hands to commander.
 */
import { parseDuration } from './text/duration.ts'
import { CommandError, FlagError, type FlagSpec, type Verb } from './verb.ts'

export interface PlainArgs {
  /** From the root down. */
  path: Verb[]
  /** For commander. */
  argv: string[]
  global: string[]
  wantsHelp: boolean
  /** Set when the flags of the last verb in `path` make no sense. */
  problem?: string
  secrets: string[]
}

const ALIASES: Readonly<Record<string, string>> = { authkey: 'auth-key', 'posture-checking': 'report-posture' }
const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False'])

/** Throws CommandError for a verb that does not exist. */
export function plainArgs(argv: readonly string[], root: Verb): PlainArgs {
  const result: PlainArgs = { path: [root], argv: [], global: [], wantsHelp: false, secrets: [] }
  let words = [...argv]
  for (let verb = root; ; ) {
    const flags = takeFlags(words, verb.flags ?? [])
    if (verb === root) result.global = flags.plain
    result.argv.push(...flags.plain)
    result.secrets.push(...flags.secrets)
    words = flags.rest
    if (flags.wantsHelp) return { ...result, wantsHelp: true }
    if (flags.problem !== undefined) return { ...result, problem: flags.problem }
    const next = words[0]
    if (verb.verbs === undefined || next === undefined) break
    const found = verb.verbs.find(({ name }) => name === next)
    if (found === undefined) {
      if (verb.run !== undefined) break
      throw new CommandError(`${fullName(result.path)}: unknown subcommand: ${next}`)
    }
    result.path.push(found)
    result.argv.push(found.name)
    words = words.slice(1)
    verb = found
  }
  result.argv.push('--', ...words)
  return result
}

export function fullName(path: readonly Verb[]): string {
  return path.map(({ name }) => name).join(' ')
}

interface TakenFlags {
  plain: string[]
  rest: string[]
  secrets: string[]
  wantsHelp: boolean
  problem?: string
}

function takeFlags(words: readonly string[], specs: readonly FlagSpec[]): TakenFlags {
  const taken: TakenFlags = { plain: [], rest: [], secrets: [], wantsHelp: false }
  const seen = new Set<string>()
  let i = 0
  const fail = (problem: string) => ({ ...taken, rest: words.slice(i), problem })
  while (i < words.length) {
    const word = words[i] ?? ''
    if (word === '--') {
      i++
      break
    }
    const parts = /^--?([^=-][^=]*)(?:=(.*))?$/s.exec(word)
    if (parts === null) {
      if (/^--?[=-]/.test(word)) return fail(`bad flag syntax: ${word}`)
      break
    }
    const typed = parts[1] ?? ''
    const name = ALIASES[typed] ?? typed
    const spec = specs.find((flag) => flag.name === name)
    if (spec === undefined) {
      if (name === 'help' || name === 'h') return { ...taken, wantsHelp: true }
      return fail(`flag provided but not defined: -${typed}`)
    }
    let value = parts[2]
    if (value === undefined && spec.kind === 'bool') value = 'true'
    if (value === undefined) {
      value = words[++i]
      if (value === undefined) return fail(`flag needs an argument: -${name}`)
    }
    i++
    if (spec.secret === true) taken.secrets.push(value)
    const shown = JSON.stringify(spec.secret === true ? '[secret]' : value)
    if (seen.has(name)) {
      const what = spec.kind === 'bool' ? `boolean flag ${name}` : `value ${shown} for flag -${name}`
      return fail(`invalid ${what}: flag provided multiple times`)
    }
    seen.add(name)
    if (parseFlagValue(spec, value) === undefined) {
      const what = spec.kind === 'bool' ? `boolean value ${shown} for -${name}` : `value ${shown} for flag -${name}`
      return fail(`invalid ${what}: parse error`)
    }
    taken.plain.push(`--${name}=${value}`)
  }
  return { ...taken, rest: words.slice(i) }
}

/** Durations come out in milliseconds. */
export function parseFlagValue(spec: FlagSpec, value: string): boolean | string | number | undefined {
  switch (spec.kind) {
    case 'bool':
      return TRUE.has(value) ? true : FALSE.has(value) ? false : undefined
    case 'int':
      return /^[-+]?\d{1,15}$/.test(value) ? Number(value) : undefined
    case 'duration': {
      const ns = parseDuration(value)
      return ns === undefined ? undefined : ns / 1e6
    }
    case 'text':
      return value
  }
}

export function requireFlagValue(spec: FlagSpec, value: string): boolean | string | number {
  const parsed = parseFlagValue(spec, value)
  if (parsed === undefined) throw new FlagError(`invalid value for flag -${spec.name}: parse error`)
  return parsed
}
