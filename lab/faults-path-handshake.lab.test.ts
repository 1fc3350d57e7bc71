/**
 * A bad line and no relay: how long a fresh session takes, and that the direct path is not given up for single losses.
 * The protocol tries a handshake every five seconds, so at 10 % loss one of twenty may need a second try.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from './eventually.ts'
import { endProcess } from './host.ts'
import { type Line, TwoLines } from './two-lines.ts'

const GIVEN_UP_MS = 23_000

let net: TwoLines
beforeAll(async () => {
  net = await TwoLines.create('ours', ['ours', 'ours', 'ours', 'ours', 'ours'])
  for (const { near, far } of net.lines) await near.daemon.untilDirect(far.address, 15_000)
  await net.cutRelay()
})
afterAll(() => net?.close())

/** One fresh handshake with each far daemon at once; answers how long each took from the first packet on, in ms. */
async function freshHandshakes(lines: readonly Line[]): Promise<number[]> {
  const { daemon, host } = lines[0]!.near
  await daemon.client.editPrefs({ WantRunning: false, WantRunningSet: true })
  await eventually('it is down', async () => ((await daemon.status()).BackendState === 'Stopped' ? true : undefined), {
    withinMs: 5_000,
  })
  await daemon.client.editPrefs({ WantRunning: true, WantRunningSet: true })
  await eventually(
    'it knows its peers again',
    async () => {
      const peers = Object.values((await daemon.status()).Peer ?? {})
      const hasAddress = (await host.run('ip', ['-4', 'addr', 'show', 'pintail0'])).stdout.includes('inet ')
      return hasAddress && peers.length === net.lines.length ? true : undefined
    },
    { withinMs: 10_000 },
  )
  const started = performance.now()
  return Promise.all(
    lines.map(async ({ far }) => {
      const pings = host.start('ping', ['-n', '-q', '-i', '0.5', far.address])
      return eventually(
        `a session with ${far.address}`,
        async () => {
          const peers = Object.values((await daemon.status()).Peer ?? {})
          const peer = peers.find(({ TailscaleIPs }) => TailscaleIPs?.includes(far.address as never))
          if (peer === undefined || peer.LastHandshake.startsWith('0001')) return undefined
          return performance.now() - started
        },
        { withinMs: GIVEN_UP_MS, everyMs: 40 },
      )
        .catch(() => Number.POSITIVE_INFINITY)
        .finally(() => endProcess(pings))
    }),
  )
}

const shown = (all: readonly number[]) => all.map((ms) => (ms / 1000).toFixed(2)).join(' ')

describe('F11 fresh sessions on a bad line, without a relay', () => {
  /**
   * The bounds are what 95 of 100 sessions must keep; of so few samples some may be among the other five, so this many
   * must keep it: fewer than one run in a thousand fails by chance.
   */
  const lines: [lossPercent: number, rounds: number, boundMs: number, atLeast: number][] = [
    [0, 1, 1_000, 5],
    [1, 1, 1_000, 3],
    [5, 1, 6_000, 3],
    [10, 4, 6_000, 16],
    [30, 1, 22_000, 3],
  ]
  test.each(lines)(
    'at %i percent loss, %i × five at once: all but a few within %i ms',
    async (lossPercent, rounds, boundMs, atLeast) => {
      await Promise.all(net.lines.map(({ cable }) => cable.set({ lossPercent })))
      const all: number[] = []
      for (let round = 0; round < rounds; round++) all.push(...(await freshHandshakes(net.lines)))
      all.sort((a, b) => a - b)
      console.log(`${lossPercent} % loss: ${shown(all)} s`)
      expect(all.filter((ms) => ms <= boundMs).length).toBeGreaterThanOrEqual(atLeast)
    },
  )
})
