/**
 * JSON as Go daemons write it: signed 64-bit ids go beyond 2^53, so such integers are read as `bigint` and written
 * back as bare numbers. Anything else is plain JSON.
 */
type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown
const parseWithSource = JSON.parse as (text: string, reviver: Reviver) => unknown

const MAYBE_BIG = /[:,[\s-]\d{16}/
const INTEGER = /^-?\d+$/

/** Throws SyntaxError; callers on a boundary turn that into their own error. */
export function parseLossless(text: string): unknown {
  if (!MAYBE_BIG.test(text)) return JSON.parse(text)
  return parseWithSource(text, (_key, value, { source }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && INTEGER.test(source)
      ? BigInt(source)
      : value,
  )
}

const rawJson = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON

export function writeLossless(value: unknown, indent?: string): string {
  return JSON.stringify(value, (_key, v: unknown) => (typeof v === 'bigint' ? rawJson(String(v)) : v), indent)
}
