/** One line of a bench or lab scenario: what we reach, what the peer reaches in the same run, and whether it is enough. */
export interface Measure {
  readonly case: string
  readonly ours: number | string | null
  readonly stock: number | string | null
  readonly unit: string
  /** ours ÷ stock; null without a peer. */
  readonly ratio: number | null
  /** What must hold, in words; null = only reported. */
  readonly must: string | null
  readonly ok: boolean
}

/** Prints one JSON line per measure and remembers whether all were good. */
export class Sheet {
  readonly #asJson: boolean
  #count = 0
  #failed = 0

  constructor(options: { json: boolean }) {
    this.#asJson = options.json
  }

  get ok(): boolean {
    return this.#failed === 0
  }

  /** How many there were, and how many were not good. */
  get sum(): { readonly count: number; readonly failed: number } {
    return { count: this.#count, failed: this.#failed }
  }

  add(measure: Omit<Measure, 'ratio' | 'ok'> & { ok?: boolean }): void {
    const { ours, stock } = measure
    const ratio = typeof ours === 'number' && typeof stock === 'number' && stock !== 0 ? round(ours / stock) : null
    const line: Measure = { ...measure, ratio, ok: measure.ok ?? true }
    this.#count++
    if (!line.ok) this.#failed++
    if (this.#asJson) console.log(JSON.stringify(line))
    else console.log(asText(line))
  }
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}

function asText({ case: name, ours, stock, unit, ratio, must, ok }: Measure): string {
  const show = (value: number | string | null) =>
    value === null ? '–' : typeof value === 'number' ? String(round(value)) : value
  const against = stock === null ? '' : `  stock ${show(stock)} ${unit}  ratio ${ratio ?? '–'}`
  return `${ok ? 'ok  ' : 'MISS'} ${name.padEnd(44)} ${show(ours)} ${unit}${against}${must === null ? '' : `  (must: ${must})`}`
}
