/** Answers of registry operations: refusals are values with a code, so that each door words them its own way. */

export type RefusalCode = 'not-found' | 'exists' | 'invalid' | 'in-use' | 'exhausted'

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: RefusalCode; readonly message: string }

export function done<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value }
}

export function refused(
  code: RefusalCode,
  message: string,
): { readonly ok: false; readonly code: RefusalCode; readonly message: string } {
  return { ok: false, code, message }
}
