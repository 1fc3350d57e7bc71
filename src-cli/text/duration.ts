/** Durations as Go programs write and read them: `1h2m3.5s`, `12ms`, `0s`. Values are nanoseconds. */
const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

export function durationText(ns: number): string {
  const sign = ns < 0 ? '-' : ''
  const value = Math.abs(Math.round(ns))
  if (value === 0) return '0s'
  if (value < 1e3) return `${sign}${value}ns`
  if (value < 1e6) return `${sign}${value / 1e3}µs`
  if (value < 1e9) return `${sign}${value / 1e6}ms`
  const hours = Math.floor(value / 3600e9)
  const minutes = Math.floor((value % 3600e9) / 60e9)
  const seconds = fixed((value % 60e9) / 1e9)
  const head = hours > 0 ? `${hours}h${minutes}m` : minutes > 0 ? `${minutes}m` : ''
  return `${sign}${head}${seconds}s`
}

/** Nine decimals are enough for nanoseconds; no trailing zeros. */
function fixed(seconds: number): string {
  return seconds.toFixed(9).replace(/\.?0+$/, '')
}

/** Half away from zero, like the programs people compare with. */
export function roundDuration(ns: number, unitNs: number): number {
  return Math.sign(ns) * Math.round(Math.abs(ns) / unitNs) * unitNs
}

const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y

/** Nanoseconds, or undefined. */
export function parseDuration(text: string): number | undefined {
  const negative = text.startsWith('-')
  const rest = text.replace(/^[-+]/, '')
  if (rest === '0') return 0
  if (rest === '') return undefined
  let total = 0
  PART.lastIndex = 0
  while (PART.lastIndex < rest.length) {
    const part = PART.exec(rest)
    if (part === null) return undefined
    total += Number(part[1]) * (UNIT_NS[part[2] ?? ''] ?? Number.NaN)
  }
  return negative ? -total : total
}
