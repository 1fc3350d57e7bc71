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

const asker = fileURLToPath(new URL('./dns-asker.ts', import.meta.url))
const PER_SECOND = 5_000
const SECONDS = 4

interface Figures {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly answered: number
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
    const measured: { [kind in 'ours' | 'stock']: Figures[] } = { ours: [], stock: [] }
    for (let round = 0; round < rounds; round++) {
      for (const daemon of daemons) measured[daemon.options.kind].push(await measure(daemon))
    }
    const row = (about: string, pick: (figures: Figures) => number, limit: number | undefined): void => {
      const ours = median(measured.ours.map(pick))
      sheet.add({
        case: `dns: an own name at ${PER_SECOND}/s, ${about}`,
        ours,
        stock: measured.stock.length === 0 ? null : median(measured.stock.map(pick)),
        unit: 'ms',
        must: limit === undefined ? null : `≤ ${limit} ms`,
        ok: limit === undefined || ours <= limit,
      })
    }
    row('median', ({ p50Ms }) => p50Ms, undefined)
    row('p99', ({ p99Ms }) => p99Ms, 1)
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.stop()))
    await control.stop()
    await internet.close()
  }
}

async function measure(daemon: Daemon): Promise<Figures> {
  const text = await daemon.host.must(
    process.execPath,
    [asker, '100.100.100.100', `${daemon.options.kind}.demo.internal`, String(PER_SECOND), String(SECONDS)],
    { timeoutMs: (SECONDS + 20) * 1_000 },
  )
  const figures = JSON.parse(text) as Figures
  if (figures.answered < 0.999)
    throw new Error(`${daemon.options.kind} answered ${(figures.answered * 100).toFixed(2)} % only`)
  return figures
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
