/** What every `decode…` answers. The reason is also the label of the drop counter, so it is a short fixed word. */
export type Decoded<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string }

export function ok<T>(value: T): Decoded<T> {
  return { ok: true, value }
}

export function bad(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason }
}
