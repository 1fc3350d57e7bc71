/**
 * Whom a line of the configuration means: `tag:NAME`, `node:NAME`, a user by name, or `*`. A node counts by its name only when an
 * administrator gave it that name: computers choose their host names themselves, and one could call itself what it likes.
 */
import type { NodeRecord } from './model.ts'
import { isValidLabel, isValidTag, isValidUserName } from './names.ts'

export const EVERYBODY = '*'

export function isValidWho(text: string): boolean {
  if (text.startsWith('tag:')) return isValidTag(text)
  if (text.startsWith('node:')) return isValidLabel(text.slice('node:'.length))
  return isValidUserName(text)
}

export function isNodeOf(who: string, node: NodeRecord, owner: string | undefined): boolean {
  if (who === EVERYBODY) return true
  if (who.startsWith('tag:')) return node.tags.includes(who)
  if (who.startsWith('node:')) return node.isRenamed && node.givenName === who.slice('node:'.length)
  return owner === who
}
