/**
 * The lines of a scenario: what is looked at, what was found, what must be. Every one that is not so fails the run.
 * Not for figures beside a peer's: those are measures (`measure-line.ts`).
 */
import type { Sheet } from './measure-line.ts'

export interface Checks {
  is(what: string, found: unknown, wanted: unknown): void
  /** In seconds, from `performance.now()`. */
  within(what: string, startedMs: number, seconds: number): void
  /** `missing`: what there was instead. */
  seconds(what: string, tookMs: number | undefined, seconds: number, missing?: string): void
}

/** `who`: which mix of nodes this is about. */
export function checksOn(sheet: Sheet, who: string): Checks {
  const checks: Checks = {
    is: (what, found, wanted) =>
      sheet.add({
        case: `${who}: ${what}`,
        ours: inWords(found),
        stock: null,
        unit: '',
        must: inWords(wanted),
        ok: inWords(found) === inWords(wanted),
      }),
    within: (what, startedMs, seconds) => checks.seconds(what, performance.now() - startedMs, seconds),
    seconds: (what, tookMs, seconds, missing = 'never') =>
      sheet.add({
        case: `${who}: ${what}`,
        ours: tookMs === undefined ? missing : tookMs / 1000,
        stock: null,
        unit: tookMs === undefined ? '' : 's',
        must: `≤ ${seconds}`,
        ok: tookMs !== undefined && tookMs <= seconds * 1000,
      }),
  }
  return checks
}

function inWords(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'nothing' : value.join(', ')
  return value === '' || value === undefined ? 'nothing' : String(value)
}
