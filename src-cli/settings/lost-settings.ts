/**
 * `up` takes the whole wish: a setting that is not mentioned would fall back to its default. Before that happens,
 * this finds what would be lost and writes the command that keeps it. Pure.
 */
import type { Prefs } from '../../src-contract/localapi/prefs.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import { shellQuote } from '../text/shell-quote.ts'
import { DEFAULT_CONTROL_URL, upPrefFlags } from './pref-flags.ts'

export interface UpWish {
  readonly current: Prefs
  readonly wanted: Prefs
  readonly status: Status
  /** Typed flags with their text, sorted by name. */
  readonly typed: ReadonlyMap<string, string>
  readonly platform: NodeJS.Platform
}

/** The message, or undefined when nothing would be lost. */
export function lostSettingsMessage(wish: UpWish): string | undefined {
  if (wish.current.ControlURL === '') return undefined // never configured
  const missing = upPrefFlags
    .filter(({ spec }) => !wish.typed.has(spec.name))
    .map((flag) => ({
      name: flag.spec.name,
      before: flag.read(wish.current, wish.status),
      after: flag.read(wish.wanted, wish.status),
    }))
    .filter(({ name, before, after }) => before !== after && !isExempt(name, before, after, wish))
    .map(({ name, before }) => flagText(name, before))
    .sort()
  if (missing.length === 0) return undefined
  const command = ['pintail', 'up', ...[...wish.typed].map(([name, value]) => flagText(name, value)), ...missing]
  return `Error: changing settings via 'pintail up' requires mentioning all
non-default flags. To proceed, either re-run your command with --reset or
use the command below to explicitly mention the current value of
all non-default settings:

\t${command.join(' ')}
`
}

/** `--ssh`, `--accept-dns=false`, `--hostname='a b'`. */
export function flagText(name: string, value: string): string {
  if (value === 'true') return `--${name}`
  return value === '' ? `--${name}=` : `--${name}=${shellQuote(value)}`
}

function isExempt(name: string, before: string, after: string, wish: UpWish): boolean {
  switch (name) {
    case 'login-server':
      return isSameControl(before, after)
    case 'stateful-filtering': // its default changed; who never chose it must not be asked
      return wish.platform === 'linux' && before === 'true' && after === 'false'
    default:
      return false
  }
}

export function isSameControl(a: string, b: string): boolean {
  const plain = (url: string) => {
    const trimmed = (url || DEFAULT_CONTROL_URL).replace(/\/+$/, '')
    return trimmed === 'https://login.tailscale.com' ? DEFAULT_CONTROL_URL : trimmed
  }
  return plain(a) === plain(b)
}
