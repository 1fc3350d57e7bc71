/**
 * A direct path that loses large packets without a word, between two daemons of ours and to a stock one: traffic goes on.
 * The cable drops by size and says nothing, so neither host learns of it from its kernel.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PathReport } from '../src-contract/localapi/pintail.ts'
import { type Daemon, stockProgram } from './daemon.ts'
import { eventually } from './eventually.ts'
import { transfer } from './transfer.ts'
import { type Line, TwoLines } from './two-lines.ts'

const TEN_MIB = 10 << 20
const stock = stockProgram('tailscaled') === undefined ? [] : (['stock'] as const)

let net: TwoLines
beforeAll(async () => {
  net = await TwoLines.create('ours', ['ours', ...stock])
})
afterAll(() => net?.close())

async function report(from: Daemon, to: string): Promise<PathReport> {
  const peers = Object.values((await from.status()).Peer ?? {})
  const id = peers.find(({ TailscaleIPs }) => TailscaleIPs?.includes(to as never))?.ID
  const found = id === undefined ? undefined : (await from.client.pintailPaths())?.[id]
  if (found === undefined) throw new Error(`no path to ${to}`)
  return found
}

const bothWays = async ({ near, far }: Line): Promise<number[]> => [
  await transfer(near.host, far.host, far.address, TEN_MIB, 40_000),
  await transfer(far.host, near.host, near.address, TEN_MIB, 40_000),
]

/** Nothing measured is remembered. */
async function restart({ near, far }: Line): Promise<void> {
  await Promise.all([near, far].map(({ daemon }) => daemon.stop()))
  await Promise.all([near, far].map(({ daemon }) => daemon.start()))
}

describe('F12 between two of ours', () => {
  test.each([1400, 1340])('a path for %i bytes stays direct, and 10 MiB pass each way', async (limit) => {
    const line = net.lines[0]!
    await line.cable.set({ maxPacketBytes: limit })
    await line.near.daemon.untilDirect(line.far.address, 15_000)
    expect(await bothWays(line)).toEqual([TEN_MIB, TEN_MIB])
    expect(await report(line.near.daemon, line.far.address)).toMatchObject({ kind: 'direct' })
    expect(await report(line.far.daemon, line.near.address)).toMatchObject({ kind: 'direct' })
  })

  test('a direct path begins to lose 1301 bytes and more: noticed within 10 s, and the transfer completes', async () => {
    const line = net.lines[0]!
    const running = bothWays(line)
    await line.cable.set({ maxPacketBytes: 1300 })
    const started = performance.now()
    const found = await eventually(
      'the path is found too narrow',
      async () => {
        const now = await report(line.near.daemon, line.far.address)
        return now.candidates.some(({ tooSmallForBytes }) => tooSmallForBytes === 1340) ? now : undefined
      },
      { withinMs: 12_000 },
    )
    const noticedMs = performance.now() - started
    expect(found.kind).toBe('relay')
    expect(await running).toEqual([TEN_MIB, TEN_MIB])
    console.log(
      `noticed after ${noticedMs.toFixed(0)} ms, complete after ${(performance.now() - started).toFixed(0)} ms`,
    )
    expect(noticedMs).toBeLessThan(10_000)
    expect((await report(line.near.daemon, line.far.address)).history.at(-1)).toMatchObject({ to: 'relay' })
  })

  test('a path for 1200 bytes from the beginning', async () => {
    const line = net.lines[0]!
    await line.cable.set({ maxPacketBytes: 1200 })
    await restart(line)
    const started = performance.now()
    await eventually(
      'a packet passes',
      async () => ((await line.near.daemon.icmp(line.far.address)).length > 0 ? true : undefined),
      { withinMs: 15_000 },
    )
    expect(await bothWays(line)).toEqual([TEN_MIB, TEN_MIB])
    console.log(`1200 from the start: complete after ${(performance.now() - started).toFixed(0)} ms`)
    const found = await eventually(
      'the path is found too narrow',
      async () => {
        const now = await report(line.near.daemon, line.far.address)
        return now.candidates.some(({ tooSmallForBytes }) => tooSmallForBytes !== undefined) ? now : undefined
      },
      { withinMs: 12_000 },
    )
    expect(found).toMatchObject({ kind: 'relay' })
  })
})

describe.skipIf(stock.length === 0)('F12 with a stock peer', () => {
  test('1340 bytes: direct, 10 MiB each way', async () => {
    const line = net.lines[1]!
    await line.cable.set({ maxPacketBytes: 1340 })
    await line.near.daemon.untilDirect(line.far.address, 15_000)
    expect(await bothWays(line)).toEqual([TEN_MIB, TEN_MIB])
    expect(await report(line.near.daemon, line.far.address)).toMatchObject({ kind: 'direct' })
  })

  test('1300 bytes, from one moment to the next: both directions complete', async () => {
    const line = net.lines[1]!
    await line.cable.set({ maxPacketBytes: 1300 })
    const started = performance.now()
    for (const [from, to] of [
      [line.far, line.near],
      [line.near, line.far],
    ] as const) {
      expect(await transfer(from.host, to.host, to.address, TEN_MIB, 40_000)).toBe(TEN_MIB)
      console.log(
        `${from === line.far ? 'stock to ours' : 'ours to stock'}: complete ${(performance.now() - started).toFixed(0)} ms after the change`,
      )
    }
    expect(await report(line.near.daemon, line.far.address)).toMatchObject({ kind: 'relay' })
  })
})

test('F12 the relay goes too: small packets still pass', async () => {
  const { near, far } = net.lines[0]!
  await net.cutRelay()
  await eventually(
    'a small packet passes',
    async () => ((await near.daemon.icmp(far.address)).length > 0 ? true : undefined),
    { withinMs: 15_000 },
  )
  expect(await near.daemon.icmp(far.address, { count: 5 })).toHaveLength(5)
})
