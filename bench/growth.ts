/**
 * What other peers cost a pair that talks: throughput of the pair, memory of a quiet peer, time of one change, with 1 to
 * 10 000 peers of four routes each in the tables. The data path alone, with fixed keys: no network map has that many here.
 */
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { eventually } from '../lab/eventually.ts'
import { endProcess, type Host } from '../lab/host.ts'
import { Internet } from '../lab/internet.ts'
import type { Sheet } from '../lab/measure-line.ts'
import { iperf, median } from './load.ts'

const program = fileURLToPath(new URL('../src-native/static-tunnel.lab.ts', import.meta.url))
const COUNTS = [1, 10, 100, 1_000, 10_000]
const MTU_BYTES = 1280
const LEAST_THROUGHPUT = 0.95
const MOST_BYTES = 4096
const MOST_GROWTH = 5

interface Ready {
  readonly bytesAPeer: number
  readonly microsecondsAChange: number
}

export async function benchGrowth({
  sheet,
  rounds,
}: {
  readonly sheet: Sheet
  readonly rounds: number
}): Promise<void> {
  const internet = await Internet.create()
  try {
    const [a, b] = [await internet.publicHost('grow-a'), await internet.publicHost('grow-b')]
    const gbits = new Map<number, number[]>()
    const ready = new Map<number, Ready>()
    for (let round = 1; round <= rounds; round++) {
      // Back and forth, so that a machine that gets slower does not speak for or against many peers.
      for (const count of round % 2 === 1 ? COUNTS : COUNTS.toReversed()) {
        console.error(`round ${round} of ${rounds}: ${count} peers`)
        const ends = await Promise.all([start(a.host, 'a', b.address, count), start(b.host, 'b', a.address, count)])
        try {
          const report = await iperf(a.host, b.host, '100.64.0.2', ['-t', '3', '-O', '1'])
          gbits.set(count, [...(gbits.get(count) ?? []), report.end.sum_received.bits_per_second / 1e9])
          ready.set(count, ends[0].ready)
        } finally {
          await Promise.all(ends.map(({ child }) => endProcess(child)))
        }
      }
    }
    const one = median(gbits.get(1)!)
    const change = ready.get(10)!.microsecondsAChange
    for (const count of COUNTS) {
      const own = median(gbits.get(count)!)
      sheet.add({
        case: `throughput of a pair among ${count} peers`,
        ours: own,
        stock: null,
        unit: 'Gbit/s',
        must: `≥ ${LEAST_THROUGHPUT} of that among one (${(own / one).toFixed(2)})`,
        ok: own >= one * LEAST_THROUGHPUT,
      })
    }
    const { bytesAPeer, microsecondsAChange } = ready.get(10_000)!
    sheet.add({
      case: 'memory of a quiet peer',
      ours: bytesAPeer,
      stock: null,
      unit: 'bytes',
      must: `≤ ${MOST_BYTES}`,
      ok: bytesAPeer <= MOST_BYTES,
    })
    sheet.add({
      case: 'one change among 10 000 peers',
      ours: microsecondsAChange,
      stock: null,
      unit: 'µs',
      must: `≤ ${MOST_GROWTH} × that among 10 (${change.toFixed(1)} µs)`,
      ok: microsecondsAChange <= change * MOST_GROWTH,
    })
  } finally {
    await internet.close()
  }
}

async function start(
  host: Host,
  side: 'a' | 'b',
  remote: string,
  peers: number,
): Promise<{ readonly child: ChildProcess; readonly ready: Ready }> {
  const child = host.start(process.execPath, [program, side, remote, String(MTU_BYTES), String(peers - 1)])
  let output = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  let complaint = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint += chunk.toString()
  })
  const ready = await eventually(
    'the tunnel is up',
    () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${complaint}`)
      const json = /^up \S+ (\{.*\})$/m.exec(output)?.[1]
      return json === undefined ? undefined : (JSON.parse(json) as Ready)
    },
    { withinMs: 20_000 },
  )
  return { child, ready }
}
