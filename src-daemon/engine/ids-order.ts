import type { Int64 } from '../../src-contract/ids.ts'

/** Numbers and bigints in one order. */
export function compareIds(a: Int64, b: Int64): number {
  return a < b ? -1 : a > b ? 1 : 0
}
