/**
 * The whole product's tunnel: two daemons of ours and two stock ones on one network, measured in turn so that a slow moment
 * of the machine hits both. No target yet: the native data path will set them.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ControlServer } from '../lab/control-server.ts'
import { Daemon, stockProgram } from '../lab/daemon.ts'
import { eventually } from '../lab/eventually.ts'
import type { Host } from '../lab/host.ts'
import { Internet } from '../lab/internet.ts'
import type { Sheet } from '../lab/measure-line.ts'

const TRANSFER_SECONDS = 3
const ECHO_COUNT = 200

interface Pair {
  readonly from: Daemon
  readonly to: Daemon
  readonly address: string
}

export async function benchTunnel({
  sheet,
  folder,
  rounds,
}: {
  sheet: Sheet
  folder: string
  rounds: number
}): Promise<void> {
  const internet = await Internet.create()
  try {
    const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
    })
    const key = await control.createKey()
    const open = async (kind: 'ours' | 'stock'): Promise<Pair> => {
      const daemons = []
      for (const side of ['a', 'b']) {
        const { host } = await internet.publicHost(`${kind}-${side}`)
        const daemon = await Daemon.start(host, { kind, folder: join(folder, `${kind}-${side}`) })
        await daemon.join(control.url, key, { Hostname: `${kind}-${side}` })
        daemons.push(daemon)
      }
      const [from, to] = daemons as [Daemon, Daemon]
      const address = await to.address()
      await from.untilDirect(address, 30_000)
      return { from, to, address }
    }
    const ours = await open('ours')
    const stock = stockProgram('tailscaled') === undefined ? undefined : await open('stock')
    const cases: [name: string, unit: string, measure: (pair: Pair) => Promise<number>][] = [
      ['TCP, 1 stream', 'Gbit/s', (pair) => tcp(pair, 1)],
      ['TCP, 4 streams', 'Gbit/s', (pair) => tcp(pair, 4)],
      ['round trip p50, idle', 'ms', (pair) => roundTrip(pair, 0.5)],
      ['round trip p99, idle', 'ms', (pair) => roundTrip(pair, 0.99)],
    ]
    for (const [name, unit, measure] of cases) {
      const figures: { ours: number[]; stock: number[] } = { ours: [], stock: [] }
      for (let round = 0; round < rounds; round++) {
        figures.ours.push(await measure(ours))
        if (stock !== undefined) figures.stock.push(await measure(stock))
      }
      sheet.add({
        case: name,
        ours: median(figures.ours),
        stock: stock === undefined ? null : median(figures.stock),
        unit,
        must: null,
      })
    }
    sheet.add({
      case: 'resident memory after load',
      ours: residentMiB(ours.from.pid),
      stock: stock === undefined ? null : residentMiB(stock.from.pid),
      unit: 'MiB',
      must: null,
    })
    await Promise.all([ours, stock].flatMap((pair) => (pair ? [pair.from.stop(), pair.to.stop()] : [])))
    await control.stop()
  } finally {
    await internet.close()
  }
}

async function tcp({ from, to, address }: Pair, streams: number): Promise<number> {
  const server = to.host.start('iperf3', ['-s', '-1', '-p', '5333', '-B', address])
  try {
    await eventually('iperf3 listens', async () => ((await listens(to.host, 5333)) ? true : undefined), {
      withinMs: 5_000,
    })
    const args = ['-c', address, '-p', '5333', '-J', '-t', String(TRANSFER_SECONDS), '-O', '1', '-P', String(streams)]
    const report = JSON.parse(await from.host.must('iperf3', args, { timeoutMs: 30_000 }))
    return report.end.sum_received.bits_per_second / 1e9
  } finally {
    server.kill('SIGKILL')
  }
}

async function listens(host: Host, port: number): Promise<boolean> {
  return (await host.must('ss', ['-Hltn', `sport = :${port}`])).trim() !== ''
}

async function roundTrip({ from, address }: Pair, quantile: number): Promise<number> {
  const times = (await from.icmp(address, { count: ECHO_COUNT, intervalSeconds: 0.01 })).sort((a, b) => a - b)
  return times[Math.min(times.length - 1, Math.floor(times.length * quantile))] ?? Number.NaN
}

/** The child that runs in the namespace has the shell's process id: `ip netns exec` and `sh` replace themselves. */
function residentMiB(pid: number): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)
  return Number(line?.[1] ?? Number.NaN) / 1024
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
