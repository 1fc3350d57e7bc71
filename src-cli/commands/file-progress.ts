/** One line that shows how far a file is, redrawn in place. Pure; the layout is that of the stock command line. */
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const
const NAME_WIDTH = 36
/** Rates are of the last seconds, so that they follow what happens. */
const RATE_OVER_MS = 5_000

/** Back to the start of the line, and nothing behind the cursor. */
export const ERASE_LINE = '\r\u001b[K'

export class Progress {
  readonly #name: string
  readonly #size: number | undefined
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = []

  /** `size` undefined: nobody knows. */
  constructor(name: string, size: number | undefined) {
    this.#name = name
    this.#size = size
  }

  line(bytes: number, nowMs: number): string {
    this.#samples.push({ atMs: nowMs, bytes })
    while (this.#samples.length > 2 && nowMs - (this.#samples[1]?.atMs ?? 0) > RATE_OVER_MS) this.#samples.shift()
    const [first] = this.#samples
    const seconds = first === undefined ? 0 : (nowMs - first.atMs) / 1000
    const rate = first === undefined || seconds === 0 ? 0 : Math.max(0, (bytes - first.bytes) / seconds)
    const cells = [nameCell(this.#name), sizeText(bytes).padStart(10), `${sizeText(rate)}/s`.padStart(12)]
    if (this.#size !== undefined) {
      const percent = this.#size === 0 ? 100 : (bytes / this.#size) * 100
      cells.push(`${percent.toFixed(2)}%`.padStart(7), `ETA ${timeLeft(this.#size - bytes, rate)}`)
    }
    return cells.join('    ')
  }
}

export function sizeText(bytes: number): string {
  let unit = 0
  let value = bytes
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(2)}${UNITS[unit]}`
}

function timeLeft(bytes: number, rate: number): string {
  if (bytes <= 0) return '00:00:00'
  if (rate <= 0) return '-'
  const seconds = Math.ceil(bytes / rate)
  if (seconds >= 360_000) return '-'
  return [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
}

function nameCell(name: string): string {
  const characters = [...name]
  if (characters.length <= NAME_WIDTH) return name + ' '.repeat(NAME_WIDTH - characters.length)
  return `${characters.slice(0, NAME_WIDTH - 1).join('')}…`
}
