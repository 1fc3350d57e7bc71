/**
 * JSON with the bytes that scripts know: members in the order they came, numeric member names in text order (as Go
 * sorts map keys; JavaScript would put 9 before 10), `<`, `>`, `&` escaped, 64-bit ids as plain numbers.
 */
export function goJson(value: unknown, indent = ''): string {
  return write(value, indent, indent === '' ? '' : '\n')
}

function write(value: unknown, indent: string, newline: string): string {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return escapeHtml(JSON.stringify(value ?? null))
  const inner = newline === '' ? '' : newline + indent
  if (Array.isArray(value))
    return wrap(
      '[',
      value.map((item) => write(item, indent, inner)),
      ']',
      newline,
      inner,
    )
  const colon = newline === '' ? ':' : ': '
  const members = inTextOrder(Object.entries(value).filter(([, v]) => v !== undefined)).map(
    ([key, v]) => escapeHtml(JSON.stringify(key)) + colon + write(v, indent, inner),
  )
  return wrap('{', members, '}', newline, inner)
}

function wrap(open: string, parts: string[], close: string, newline: string, inner: string): string {
  return parts.length === 0 ? open + close : `${open}${inner}${parts.join(`,${inner}`)}${newline}${close}`
}

function inTextOrder(entries: [string, unknown][]): [string, unknown][] {
  const numeric = entries.length > 1 && entries.every(([key]) => /^\d+$/.test(key))
  return numeric ? entries.sort(([a], [b]) => (a < b ? -1 : 1)) : entries
}

const ESCAPES: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
}

function escapeHtml(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (c) => ESCAPES[c] ?? c)
}
