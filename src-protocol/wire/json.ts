/**
 * JSON whose integers are exact: ids of hosted control planes exceed 2^53, so such integers are read as `bigint` and a
 * `bigint` is written as a bare number. Everything else is plain JSON.                    [control.md §1.2, trap 13]
 */
import { bad, type Decoded, ok } from './decoded.ts'

/** ES2025 members of JSON that every engine we run on has, but the library types do not list yet. */
interface ExactJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown
  rawJSON(text: string): unknown
}
const exactJson = JSON as unknown as ExactJson

/**
 * 2^53 has 16 digits; text without such a token needs no second look, which keeps the common case at native speed. Long
 * runs of digits inside keys do not count: they stand between quotes.
 */
const LONG_INTEGER = /(?:^|[:[,\s])-?\d{16,}(?:$|[\s,\]}])/
const INTEGER = /^-?\d+$/

export function parseJson(text: string): Decoded<unknown> {
  try {
    if (!LONG_INTEGER.test(text)) return ok(JSON.parse(text))
    return ok(
      exactJson.parse(text, (_key, value, context) =>
        typeof value === 'number' &&
        !Number.isSafeInteger(value) &&
        context.source !== undefined &&
        INTEGER.test(context.source)
          ? BigInt(context.source)
          : value,
      ),
    )
  } catch {
    return bad('json') // the parser's only way to refuse; nesting beyond the stack ends here too
  }
}

/** `undefined` is written as `null`. */
export function writeJson(value: unknown, indent?: string): string {
  const text = holdsBigint(value)
    ? JSON.stringify(value, (_key, v) => (typeof v === 'bigint' ? exactJson.rawJSON(String(v)) : v), indent)
    : JSON.stringify(value, undefined, indent)
  return text ?? 'null'
}

function holdsBigint(value: unknown): boolean {
  if (typeof value === 'bigint') return true
  if (typeof value !== 'object' || value === null) return false
  for (const part of Array.isArray(value) ? value : Object.values(value)) if (holdsBigint(part)) return true
  return false
}

export type JsonObject = { [name: string]: unknown }

/** A JSON object; not null, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
