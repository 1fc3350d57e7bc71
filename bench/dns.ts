/**
 * Answers for names of the network at 5 000 questions a second, over the host's own sockets and through the interface,
 * ours and stock one after the other in each round.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ControlServer } from '../lab/control-server.ts'
import { Daemon, stockProgram } from '../lab/daemon.ts'
import { Internet } from '../lab/internet.ts'
import type { Sheet } from '../lab/measure-line.ts'
import type { AskerFigures } from './dns-asker.ts'
import { cpuNanoseconds, median } from './load.ts'

const asker = fileURLToPath(new URL('./dns-asker.ts', import.meta.url))
const PER_SECOND = 5_000
/** Short and many, turn by turn, so that what else the machine does hits both. */
const SECONDS = 1.2
const SLICES = 6

interface Slice extends AskerFigures {
  readonly cpuUsPerAnswer: number
}

export async function benchDns({
  sheet,
  folder,
  rounds,
}: {
  sheet: Sheet
  folder: string
  rounds: number
}): Promise<void> {
  const internet = await Internet.create()
  const control = await ControlServer.start(await internet.publicHost('control'), {
    config: { dns: { base_domain: 'demo.internal' } },
  })
  const daemons: Daemon[] = []
  try {
    const key = await control.createKey()
    for (const kind of ['ours', 'stock'] as const) {
      if (kind === 'stock' && stockProgram('tailscaled') === undefined) continue
      const daemon = await Daemon.start((await internet.publicHost(kind)).host, { kind, folder: join(folder, kind) })
      daemons.push(daemon)
      await daemon.join(control.url, key, { Hostname: kind, CorpDNS: true })
    }
    const measured: { [kind in 'ours' | 'stock']: Slice[] } = { ours: [], stock: [] }
    for (const daemon of daemons) await measure(daemon) // whatever is compiled, read or opened at the first question
    for (let slice = 0; slice < rounds * SLICES; slice++)
      for (const daemon of daemons) measured[daemon.options.kind].push(await measure(daemon))
    const calm = { ours: calmer(measured.ours), stock: calmer(measured.stock) }
    const row = (about: string, unit: string, pick: (slice: Slice) => number, limit?: number): void => {
      const ours = median(calm.ours.map(pick))
      sheet.add({
        case: `dns: an own name at ${PER_SECOND}/s, ${about}`,
        ours,
        stock: calm.stock.length === 0 ? null : median(calm.stock.map(pick)),
        unit,
        must: limit === undefined ? null : `≤ ${limit} ${unit}`,
        ok: limit === undefined || ours <= limit,
      })
    }
    row('median', 'ms', ({ p50Ms }) => p50Ms)
    row('p99', 'ms', ({ p99Ms }) => p99Ms, 1)
    row('CPU of an answer', 'µs', ({ cpuUsPerAnswer }) => cpuUsPerAnswer)
    row('without an answer', 'of 1 000', ({ lost, sent }) => (lost / sent) * 1_000, 1)
    row('left out, the asker was held up', 'of 1 000', (slice) => slice.heldUp * 1_000)
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.stop()))
    await control.stop()
    await internet.close()
  }
}

async function measure(daemon: Daemon): Promise<Slice> {
  const before = cpuNanoseconds([daemon.pid])
  const text = await daemon.host.must(
    process.execPath,
    [asker, '100.100.100.100', `${daemon.options.kind}.demo.internal`, String(PER_SECOND), String(SECONDS)],
    { timeoutMs: (SECONDS + 20) * 1_000 },
  )
  const figures = JSON.parse(text) as AskerFigures
  const spentUs = (cpuNanoseconds([daemon.pid]) - before) / 1_000
  return { ...figures, cpuUsPerAnswer: spentUs / (figures.sent - figures.lost) }
}

/** The half in which the asker itself was held up least: on a machine that has other work the rest is about that. */
function calmer(slices: readonly Slice[]): Slice[] {
  return [...slices].sort((a, b) => a.heldUp - b.heldUp).slice(0, Math.ceil(slices.length / 2))
}
