/** Pre-auth keys: the text a person pastes, and whether it opens the door. Format: `pintail-auth-<12 hex>-<64 hex>`. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { PreAuthKey } from './model.ts'

const FORMAT = /^pintail-auth-([0-9a-f]{12})-([0-9a-f]{64})$/

/** The secret is 256 random bits, so a plain hash is as good as a slow one. */
export function newKeyText(): { text: string; publicId: string; secretHash: string } {
  const publicId = randomBytes(6).toString('hex')
  const secret = randomBytes(32).toString('hex')
  return { text: `pintail-auth-${publicId}-${secret}`, publicId, secretHash: hash(secret) }
}

export type KeyRefusal = 'invalid' | 'expired' | 'used'
export type KeyAnswer = { readonly kind: 'valid'; readonly key: PreAuthKey } | { readonly kind: KeyRefusal }

/** Words that reach the person at the other end; clients of all kinds show them as they are. */
export const keyRefusalText: { readonly [reason in KeyRefusal]: string } = {
  invalid: 'invalid pre auth key',
  expired: 'authkey expired',
  used: 'authkey already used',
}

/** The key that this text names, if its secret is right; says nothing about whether it may still be used. */
export function findKey(
  text: string,
  byPublicId: (publicId: string) => PreAuthKey | undefined,
): PreAuthKey | undefined {
  const match = FORMAT.exec(text.trim())
  if (match === null) return undefined
  const key = byPublicId(match[1]!)
  if (key === undefined) return undefined
  const isRight = timingSafeEqual(Buffer.from(hash(match[2]!), 'hex'), Buffer.from(key.secretHash, 'hex'))
  return isRight ? key : undefined
}

export function judgeKey(key: PreAuthKey | undefined, nowMs: number): KeyAnswer {
  if (key === undefined) return { kind: 'invalid' }
  if (key.expiresAt !== null && key.expiresAt <= nowMs) return { kind: 'expired' }
  if (key.used && !key.reusable) return { kind: 'used' }
  return { kind: 'valid', key }
}

function hash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
