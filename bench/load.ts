/** Traffic through a tunnel and what it cost: iperf3 and ping in the machines' namespaces, CPU and memory from /proc. */
import { readdirSync, readFileSync } from 'node:fs'
import { eventually } from '../lab/eventually.ts'
import type { Host } from '../lab/host.ts'
import type { Contestant } from './contestants.ts'

const PORT = 5333
const TICKS_PER_SECOND = 100

export interface Flow {
  readonly gbits: number
  /** Of both daemons, for each gigabyte that was sent. */
  readonly cpuSecondsPerGb: number
}

export async function tcp(pair: Contestant, address: string, streams: number, seconds = 3): Promise<Flow> {
  const before = cpuSeconds(pair.pids())
  const report = await iperf(pair.near, pair.far, address, ['-t', String(seconds), '-O', '1', '-P', String(streams)])
  const spent = cpuSeconds(pair.pids()) - before
  const sent = (report.intervals as { sum: { bytes: number } }[]).reduce((sum, { sum: { bytes } }) => sum + bytes, 0)
  return { gbits: report.end.sum_received.bits_per_second / 1e9, cpuSecondsPerGb: spent / (sent / 1e9) }
}

export interface Paced {
  readonly sentKpps: number
  readonly lostPercent: number
}

/** Datagrams of 1232 bytes at a steady rate; the sender may not reach it on a slow machine, so its own rate comes along. */
export async function udp(pair: Contestant, kpps: number, seconds = 3): Promise<Paced> {
  const bits = String(kpps * 1000 * 1232 * 8)
  const words = ['-u', '-l', '1232', '-b', bits, '--pacing-timer', '200', '-t', String(seconds)]
  const { sum } = (await iperf(pair.near, pair.far, pair.v4, words)).end
  return { sentKpps: sum.packets / sum.seconds / 1000, lostPercent: sum.lost_percent }
}

/** Round trips in ms, sorted. */
export async function roundTrips({ near, v4 }: Contestant, count: number): Promise<number[]> {
  const { stdout } = await near.run('ping', ['-n', '-c', String(count), '-i', '0.01', '-W', '2', v4], {
    timeoutMs: count * 40 + 10_000,
  })
  return [...stdout.matchAll(/time=([\d.]+)/g)].map((match) => Number(match[1])).sort((a, b) => a - b)
}

/** The same while one TCP stream takes all it can. */
export async function roundTripsUnderLoad(pair: Contestant, count: number): Promise<number[]> {
  const seconds = Math.ceil((count * 0.02) / 1) + 3
  const load = iperf(pair.near, pair.far, pair.v4, ['-t', String(seconds)])
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const times = await roundTrips(pair, count)
  await load
  return times
}

export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  )
}

/** User and system time of processes, all threads. */
export function cpuSeconds(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return Number(fields[11]) + Number(fields[12])
  })
  return ticks.reduce((sum, one) => sum + one, 0) / TICKS_PER_SECOND
}

/** Finer than ticks: nanoseconds on a processor, of all threads. */
export function cpuNanoseconds(pids: readonly number[]): number {
  let sum = 0
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0])
    }
  }
  return sum
}

/** Resident memory of the larger of the processes. */
export function residentMiB(pids: readonly number[]): number {
  const sizes = pids.map((pid) => {
    const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)
    return Number(line?.[1] ?? Number.NaN) / 1024
  })
  return Math.max(...sizes)
}

interface IperfReport {
  readonly intervals: unknown
  readonly end: {
    readonly sum_received: { readonly bits_per_second: number }
    readonly sum: { readonly packets: number; readonly seconds: number; readonly lost_percent: number }
  }
}

let ports = 0

export async function iperf(from: Host, to: Host, address: string, words: readonly string[]): Promise<IperfReport> {
  const port = String(PORT + (ports++ % 500))
  const server = to.start('iperf3', ['-s', '-1', '-p', port, '-B', address])
  try {
    await eventually(
      'iperf3 listens',
      async () => ((await to.must('ss', ['-Hltn', `sport = :${port}`])).trim() === '' ? undefined : true),
      { withinMs: 10_000 },
    )
    const output = await from.must('iperf3', ['-c', address, '-p', port, '-J', ...words], { timeoutMs: 60_000 })
    return JSON.parse(output) as IperfReport
  } finally {
    server.kill('SIGKILL')
  }
}
