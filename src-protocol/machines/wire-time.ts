/** Times of the control protocol (RFC 3339) as numbers. */

/** Milliseconds since 1970; undefined for no time: absent, unreadable or the zero time of year 1. */
export function parseTime(text: string | undefined): number | undefined {
  if (text === undefined || text.startsWith('0001-01-01')) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}
