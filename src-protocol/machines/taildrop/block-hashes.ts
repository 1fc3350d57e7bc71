/**
 * How a sender learns what the receiver has already: the receiver lists the SHA-256 of each 64 KiB of its part, one JSON
 * object per line, and the sender goes on behind the last that matches. [features.md §2; docs/rules/taildrop.md TD-4] Pure.
 */
import { bad, type Decoded, ok } from '../../wire/decoded.ts'

export const BLOCK_BYTES = 64 << 10
/** No line of anybody's is longer. */
export const MAX_BLOCK_LINE = 512

export interface Block {
  readonly sha256Hex: string
  /** The last one may be shorter. */
  readonly size: number
}

export function encodeBlock({ sha256Hex, size }: Block): string {
  return `${JSON.stringify({ checksum: sha256Hex, algo: 'sha256', size })}\n`
}

export function decodeBlock(line: string): Decoded<Block> {
  if (line.length > MAX_BLOCK_LINE) return bad('too-long')
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return bad('not-json')
  }
  if (typeof value !== 'object' || value === null) return bad('not-an-object')
  const { checksum, algo, size } = value as { readonly [name: string]: unknown }
  if (algo !== 'sha256') return bad('unknown-algorithm')
  if (typeof checksum !== 'string' || !/^[0-9a-f]{64}$/i.test(checksum)) return bad('bad-checksum')
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > BLOCK_BYTES) return bad('bad-size')
  return ok({ sha256Hex: checksum.toLowerCase(), size })
}

/** `bytes=65536-`: where a sender goes on. Nothing else is served. */
export function parseRange(header: string | undefined): Decoded<number> {
  if (header === undefined || header === '') return ok(0)
  const digits = /^bytes=(\d{1,15})-$/.exec(header)?.[1]
  return digits === undefined ? bad('bad-range') : ok(Number(digits))
}
