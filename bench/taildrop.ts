/**
 * Files between two machines, ours beside stock ones, through the command lines that people type: MB/s from the start of
 * `file cp` to its end, and the processor time of both daemons. Rounds take turns, so that a slow moment hits both.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { stockProgram } from '../lab/daemon.ts'
import { DropNetwork, type Name } from '../lab/drop-network.ts'
import type { Sheet } from '../lab/measure-line.ts'
import { cpuNanoseconds, median } from './load.ts'

const LARGE_BYTES = 512 << 20
const SMALL_COUNT = 200
const MUST_RATIO = 1.5

interface Figures {
  readonly mbPerSecond: number[]
  readonly cpuPerGb: number[]
  readonly filesPerSecond: number[]
}

export async function benchTaildrop(options: { sheet: Sheet; folder: string; rounds: number }): Promise<void> {
  const { sheet, folder, rounds } = options
  const hasStock = stockProgram('tailscaled') !== undefined
  const pairs: (readonly [Name, Name])[] = [['ours', 'ours2'], ...(hasStock ? [['stock', 'stock2'] as const] : [])]
  const network = await DropNetwork.open(folder, pairs.flat())
  const sources = join(folder, 'sources')
  mkdirSync(sources)
  const large = join(sources, 'large')
  execFileSync('sh', ['-c', 'head -c "$1" /dev/urandom > "$0"', large, String(LARGE_BYTES)])
  const small = Array.from({ length: SMALL_COUNT }, (_, i) => join(sources, `small-${i}`))
  for (const path of small) execFileSync('sh', ['-c', 'head -c 1000 /dev/urandom > "$0"', path])
  const figures = new Map<Name, Figures>(
    pairs.map(([from]) => [from, { mbPerSecond: [], cpuPerGb: [], filesPerSecond: [] }]),
  )
  const residentBefore = new Map<Name, number>()
  const residentAfter = new Map<Name, number>()
  try {
    for (const [from, to] of pairs) {
      await network.daemon(from).untilDirect(await network.daemon(to).address(), 60_000)
      await send(network, from, to, small.slice(0, 3))
      residentBefore.set(from, network.residentMiB(from, to))
    }
    for (let round = 1; round <= rounds; round++) {
      for (const [from, to] of pairs) {
        console.error(`  … round ${round} of ${rounds}: ${from}`)
        const pids = pidsOf(network, from, to)
        const before = cpuNanoseconds(pids)
        const seconds = await send(network, from, to, [large])
        const { mbPerSecond, cpuPerGb, filesPerSecond } = figures.get(from)!
        mbPerSecond.push(LARGE_BYTES / 1e6 / seconds)
        cpuPerGb.push((cpuNanoseconds(pids) - before) / LARGE_BYTES)
        residentAfter.set(from, network.residentMiB(from, to))
        filesPerSecond.push(SMALL_COUNT / (await send(network, from, to, small)))
      }
    }
  } finally {
    await network.close()
    rmSync(sources, { recursive: true })
  }
  const of = (name: Name, figure: keyof Figures): number | null => {
    const values = figures.get(name)?.[figure]
    return values === undefined ? null : median(values)
  }
  const [ours, stock] = [of('ours', 'mbPerSecond'), of('stock', 'mbPerSecond')]
  sheet.add({
    case: 'Taildrop, 512 MiB direct',
    ...{ ours, stock, unit: 'MB/s', must: `≥ ${MUST_RATIO} × stock` },
    ok: stock === null || (ours ?? 0) >= MUST_RATIO * stock,
  })
  const report = (name: string, unit: string, read: (name: Name) => number | null): void =>
    sheet.add({ case: name, ours: read('ours'), stock: read('stock'), unit, must: null })
  report('Taildrop, both daemons', 'CPU s/GB', (name) => of(name, 'cpuPerGb'))
  report('Taildrop, 1000 bytes each', 'files/s', (name) => of(name, 'filesPerSecond'))
  report('Taildrop, resident before', 'MiB', (name) => residentBefore.get(name) ?? null)
  report('Taildrop, resident after', 'MiB', (name) => residentAfter.get(name) ?? null)
}

function pidsOf(network: DropNetwork, from: Name, to: Name): number[] {
  return [network.daemon(from).pid, network.daemon(to).pid]
}

/** How long it took, in seconds; what arrived is thrown away. */
async function send(network: DropNetwork, from: Name, to: Name, paths: readonly string[]): Promise<number> {
  const started = performance.now()
  const sent = await network.file(from, ['cp', ...paths, `${to}:`], { timeoutMs: 300_000 })
  const seconds = (performance.now() - started) / 1000
  if (sent.code !== 0) throw new Error(`${from} did not send: ${sent.stderr}`)
  const wiped = await network.file(to, ['get', '/dev/null'], { timeoutMs: 60_000 })
  if (wiped.code !== 0) throw new Error(`${to} did not delete: ${wiped.stderr}`)
  return seconds
}
