/** What the tunnel must reach beside tailscaled (plain devices: beside wireguard-go), and what we aim at. `docs/operations.md` says how to read the lines. */
import type { Sheet } from '../lab/measure-line.ts'
import type { Kind } from './contestants.ts'
import { median } from './load.ts'

export interface Goal {
  readonly must: number
  readonly aim: number
}

/** By case: against tailscaled as a ratio, or by itself. */
export interface CaseGoals {
  readonly unit: string
  readonly better: 'higher' | 'lower'
  readonly counts: 'ratio' | 'value'
  readonly goals: { readonly [kind in Kind]?: Goal } | undefined
  /** What the ratio is against, when not against tailscaled. */
  readonly beside?: Kind
}

const both = (must: number, aim: number) => ({ 'ipsec-mb': { must, aim }, openssl: { must, aim } })
const throughput: CaseGoals = {
  unit: 'Gbit/s',
  better: 'higher',
  counts: 'ratio',
  goals: { 'ipsec-mb': { must: 2, aim: 2.6 }, openssl: { must: 1.5, aim: 1.8 } },
}
const lower = (unit: string, counts: CaseGoals['counts'], goals: CaseGoals['goals']): CaseGoals => ({
  unit,
  better: 'lower',
  counts,
  goals,
})

const plain = (goals: CaseGoals, must: number, aim: number): CaseGoals => ({
  ...goals,
  counts: 'ratio',
  goals: { plain: { must, aim } },
  beside: 'wireguard-go',
})

export const caseGoals = {
  'TCP, 1 stream': throughput,
  'TCP, 4 streams': throughput,
  'CPU a gigabyte': lower('s/GB', 'ratio', {
    'ipsec-mb': { must: 0.45, aim: 0.35 },
    openssl: { must: 0.65, aim: 0.35 },
  }),
  'round trip p50, idle': lower('ms', 'ratio', both(0.7, 0.5)),
  'round trip p99, idle': lower('ms', 'ratio', both(0.5, 0.5)),
  'round trip p50, under load': lower('ms', 'ratio', both(0.5, 0.15)),
  'round trip p99, under load': lower('ms', 'ratio', both(0.5, 0.15)),
  'UDP at 50 kpps, lost': lower('%', 'value', both(2, 1)),
  'UDP at 100 kpps, lost': lower('%', 'value', both(20, 10)),
  'UDP at 150 kpps, lost': lower('%', 'value', both(45, 30)),
  'UDP at 150 kpps, sent': { unit: 'kpps', better: 'higher', counts: 'value', goals: undefined },
  'TCP inside IPv6': throughput,
  'TCP, IPv6 outside': throughput,
  'TCP to 8 peers at once': throughput,
  'resident memory, idle': lower('MiB', 'value', both(120, 90)),
  'resident memory, after load': lower('MiB', 'value', both(150, 110)),
  'idle CPU, 1 peer': lower('ms/s', 'ratio', both(1, 0.5)),
  'idle CPU, 100 quiet peers': lower('ms/s', 'ratio', both(1, 0.5)),
  'plain device, TCP, 1 stream': plain(throughput, 1.5, 2),
  'plain device, TCP, 4 streams': plain(throughput, 1.5, 2),
  'plain device, CPU a gigabyte': plain(lower('s/GB', 'ratio', undefined), 0.65, 0.45),
  'plain device, round trip p50, idle': plain(lower('ms', 'ratio', undefined), 1, 0.7),
  'plain device, round trip p99, idle': plain(lower('ms', 'ratio', undefined), 1, 0.7),
} as const satisfies { readonly [name: string]: CaseGoals }

export type CaseName = keyof typeof caseGoals

/** Figures of all rounds, case by case. */
export class Results {
  readonly #figures = new Map<CaseName, Map<Kind, number[]>>()

  add(name: CaseName, kind: Kind, value: number): void {
    const row = this.#figures.get(name) ?? new Map<Kind, number[]>()
    this.#figures.set(name, row.set(kind, [...(row.get(kind) ?? []), value]))
  }

  print(sheet: Sheet): void {
    for (const [name, row] of this.#figures) {
      const { unit, better, counts, goals, beside = 'tailscaled' }: CaseGoals = caseGoals[name]
      const stock = row.has(beside) ? median(row.get(beside)!) : null
      for (const [kind, values] of row) {
        if (kind === beside) continue
        const ours = median(values)
        const goal = goals?.[kind]
        const counted = counts === 'value' ? ours : stock === null ? undefined : ours / stock
        const sign = better === 'higher' ? '≥' : '≤'
        const times = counts === 'ratio' ? ' ×' : ''
        sheet.add({
          case: `${name} (${kind})`,
          ours,
          stock,
          unit,
          must: goal === undefined ? null : `${sign} ${goal.must}${times}, aim ${sign} ${goal.aim}${times}`,
          ok: goal === undefined || counted === undefined || isGood(counted, goal.must, better),
        })
      }
    }
  }
}

function isGood(value: number, must: number, better: CaseGoals['better']): boolean {
  return better === 'higher' ? value >= must : value <= must
}
