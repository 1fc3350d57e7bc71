import type { UserAccounts } from './port.ts'

/** A fixed list of users. */
export function memoryUserAccounts(uids: { readonly [name: string]: number } = {}): UserAccounts {
  return { uidOf: async (name) => (Object.hasOwn(uids, name) ? uids[name] : undefined) }
}
