/** Texts that come from other people or machines, made fit to be shown. Pure. */
import { ZERO_TIME } from '../../src-contract/ids.ts'

/** First label of a machine's name. */
export function shortName(fqdn: string | undefined, hostname: string | undefined): string {
  const label = withoutDot(fqdn ?? '').split('.')[0]
  return cleanText(label || hostname || '?', 253)
}

export function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}

export function afterFirstDot(name: string): string {
  return name.includes('.') ? name.slice(name.indexOf('.') + 1) : ''
}

export function realTime(time: string | null | undefined): string | null {
  return !time || time === ZERO_TIME || time.startsWith('0001-') ? null : time
}

/** No control characters, no direction overrides, no endless text. */
export function cleanText(text: string, maxLength: number): string {
  const clean = text.replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/gu, ' ').trim()
  return clean.length > maxLength ? `${clean.slice(0, maxLength - 1)}…` : clean
}
