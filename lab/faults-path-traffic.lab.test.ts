/**
 * TCP through the tunnel on bad lines, beside bare TCP on the same cable in the same minute. The relay is cut:
 * what arrives has gone over the cable. Not measured at 30 % loss, where bare TCP itself hardly connects.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from './eventually.ts'
import { endProcess, execute } from './host.ts'
import { type Impairment, perfectLine } from './impairment.ts'
import { type Line, TwoLines } from './two-lines.ts'

const hasIperf = await execute('iperf3', ['--version']).then(
  () => true,
  () => false,
)
const SECONDS = 1

let net: TwoLines
let line: Line
beforeAll(async () => {
  net = await TwoLines.create('ours', ['ours'])
  line = net.lines[0]!
  await line.near.daemon.untilDirect(line.far.address, 15_000)
  await net.cutRelay()
})
afterAll(() => net?.close())

let port = 5300
/** Mbit/s of four streams. On a bad line the question itself may be lost, so it is asked three times. */
async function speed(address: string): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const server = line.far.host.start('iperf3', ['-s', '-1', '-p', String(++port)])
    try {
      await eventually(
        'iperf3 listens',
        async () => ((await line.far.host.run('ss', ['-Hltn', `sport = :${port}`])).stdout !== '' ? true : undefined),
        { withinMs: 5_000 },
      )
      const args = ['-c', address, '-p', String(port), '-t', String(SECONDS), '-P', '4', '-J']
      const { stdout } = await line.near.host.run('iperf3', args, { timeoutMs: 10_000 })
      const bits = (JSON.parse(stdout || '{}') as { end?: { sum_received?: { bits_per_second: number } } }).end
        ?.sum_received
      if (bits !== undefined) return bits.bits_per_second / 1e6
      if (attempt === 2) throw new Error(`iperf3 to ${address}: ${stdout.slice(-300)}`)
    } finally {
      await endProcess(server, 'SIGKILL')
    }
  }
}

const spoil = (impairment: Partial<Impairment>) =>
  line.cable.set({ ...perfectLine, delayMs: 10, rateMbit: 50, ...impairment })

const bad: [name: string, impairment: Partial<Impairment>][] = [
  ['a slow line', {}],
  ['1 % loss', { lossPercent: 1 }],
  ['5 % loss', { lossPercent: 5 }],
  ['10 % loss', { lossPercent: 10 }],
  ['20 % twice', { duplicatePercent: 20 }],
  ['25 % out of order', { reorderPercent: 25 }],
  ['± 50 ms', { delayMs: 60, jitterMs: 50 }],
]

describe.skipIf(!hasIperf)('F11 TCP through the tunnel is at least 80 percent of bare TCP', () => {
  test.each(bad)('%s', async (name, impairment) => {
    await spoil(impairment)
    const rounds: { bare: number; tunnel: number }[] = []
    const total = (way: 'bare' | 'tunnel') => rounds.reduce((sum, round) => sum + round[way], 0)
    // Two rounds, and more when a congestion window had bad luck in one of them.
    while (rounds.length < 2 || (rounds.length < 5 && total('tunnel') < 0.8 * total('bare')))
      rounds.push({ bare: await speed(line.far.bare), tunnel: await speed(line.far.address) })
    const shown = rounds.map(({ bare, tunnel }) => `${tunnel.toFixed(1)} of ${bare.toFixed(1)}`).join(', ')
    console.log(`${name}: ${shown} Mbit/s = ${(total('tunnel') / total('bare')).toFixed(2)}`)
    expect(total('tunnel') / total('bare')).toBeGreaterThanOrEqual(0.8)
  })
})
