/**
 * Somebody on the way repeats every datagram, at once and again five seconds later. Inside the tunnel nothing comes twice
 * and nothing is missing; the data path counts what it has thrown away.                                         [WG-9.10]
 */
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Cable } from './cable.ts'
import { countDatagrams } from './counted-datagrams.ts'
import { stockProgram } from './daemon.ts'
import { eventually } from './eventually.ts'
import { endProcess, type Host, ip } from './host.ts'
import { Internet } from './internet.ts'
import { TwoLines } from './two-lines.ts'

const PER_SECOND = 400
const REPLAY_MS = 5_000
/** Long enough that half of the replays come while it lasts. */
const COUNT = (PER_SECOND * 2 * REPLAY_MS) / 1000
const hostile = { duplicatePercent: 100, replayMs: REPLAY_MS }
const intact = { arrived: COUNT, repeated: 0 }

describe.each(['native', 'twin'])('the %s data path', (kind) => {
  const program = fileURLToPath(new URL('../src-native/static-tunnel.lab.ts', import.meta.url))
  let internet: Internet
  let cable: Cable
  const hosts: Host[] = []

  beforeAll(async () => {
    internet = await Internet.create()
    for (const name of ['a', 'b']) hosts.push((await internet.publicHost(name)).host)
    cable = await Cable.plug({ host: hosts[0]!, device: 'line0' }, { host: hosts[1]!, device: 'line0' })
    for (const [i, host] of hosts.entries()) await ip(`-n ${host.name} addr add 10.9.9.${i + 1}/24 dev line0`)
  })
  afterAll(async () => {
    await cable?.unplug()
    await internet?.close()
  })

  async function open(side: number): Promise<{ child: ChildProcess; output: () => string }> {
    const words = [program, side === 0 ? 'a' : 'b', `10.9.9.${2 - side}`]
    const env = { ...process.env, PINTAIL_DATAPATH: kind }
    const child = hosts[side]!.start(process.execPath, words, { env })
    let output = ''
    child.stdout?.on('data', (text: Buffer) => {
      output += text.toString()
    })
    child.stderr?.on('data', (text: Buffer) => {
      output += text.toString()
    })
    await eventually(
      'the tunnel is up',
      () => {
        if (child.exitCode !== null) throw new Error(output)
        return output.includes('up ') ? true : undefined
      },
      { withinMs: 10_000 },
    )
    return { child, output: () => output }
  }

  test('[WG-9.10] lets each datagram in once and counts the others', async () => {
    const ends = [await open(0), await open(1)]
    try {
      await cable.set(hostile)
      const results = await Promise.all([
        countDatagrams(hosts[0]!, hosts[1]!, '100.64.0.2', { count: COUNT, perSecond: PER_SECOND }),
        countDatagrams(hosts[1]!, hosts[0]!, '100.64.0.1', { count: COUNT, perSecond: PER_SECOND }),
      ])
      expect(results).toEqual([intact, intact])
    } finally {
      await Promise.all(ends.map(({ child }) => endProcess(child)))
    }
    for (const { output } of ends) {
      const { drops } = JSON.parse(output().trim().split('\n').at(-1)!)
      console.log(`${kind}, replayed: ${JSON.stringify(drops)}`)
      expect(drops['in-replay-seen']).toBeGreaterThan(COUNT * 1.4)
    }
  })
})

describe('a mesh', () => {
  const far = stockProgram('tailscaled') === undefined ? (['ours'] as const) : (['ours', 'stock'] as const)
  let lines: TwoLines
  beforeAll(async () => {
    lines = await TwoLines.create('ours', far)
  })
  afterAll(() => lines?.close())

  for (const [i, kind] of far.entries()) {
    test(`[WG-9.10] with ${kind} at the other end nothing comes twice, either way`, async () => {
      const { near, far, cable } = lines.lines[i]!
      await near.daemon.untilDirect(far.address, 30_000)
      await far.daemon.untilDirect(near.address, 30_000)
      await cable.set(hostile)
      const options = { count: COUNT, perSecond: PER_SECOND }
      const results = await Promise.all([
        countDatagrams(near.host, far.host, far.address, options),
        countDatagrams(far.host, near.host, near.address, options),
      ])
      expect(results).toEqual([intact, intact])
      // It has not fled to the relay, where nobody repeats anything.
      expect((await near.daemon.ping(far.address)).Endpoint).toContain(far.bare)
    })
  }
})
