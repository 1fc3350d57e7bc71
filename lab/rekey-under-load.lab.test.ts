/**
 * Renewals while a TCP stream takes all there is: two daemons of ours whose WireGuard clock is thirty times as fast renew
 * every four seconds. The stream does not notice: no stall, and no more retransmissions than between the renewals.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import type { Host } from './host.ts'
import { Internet } from './internet.ts'

const SECONDS = 30
const PORT = 5334
const SAMPLE_MS = 200
/** A loss at a renewal shows within this, as the sender has to notice it first. */
const AFTERMATH_MS = 1_000

/** What the sender's TCP did between two looks at it. */
interface Slice {
  readonly fromMs: number
  readonly toMs: number
  readonly bytes: number
  readonly retransmits: number
}

let internet: Internet
let control: ControlServer
let from: Daemon
let to: Daemon
const folder = mkdtempSync(join(tmpdir(), 'pt-'))

beforeAll(async () => {
  internet = await Internet.create()
  control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
    folder: join(folder, 'c'),
  })
  const key = await control.createKey()
  const open = async (name: string): Promise<Daemon> => {
    const { host } = await internet.publicHost(name)
    const daemon = await Daemon.start(host, { kind: 'ours', isFast: true, folder: join(folder, name) })
    await daemon.join(control.url, key, { Hostname: name })
    return daemon
  }
  from = await open('a')
  to = await open('b')
  await from.untilDirect(await to.address(), 30_000)
})
afterAll(async () => {
  await Promise.all([from?.stop(), to?.stop()])
  await control?.stop()
  await internet?.close()
  discard(folder)
})

/** Until `signal`: what the sender's TCP did, and the wall clock of each new session as its daemon's status tells it. */
async function watch(address: string, signal: AbortSignal): Promise<{ slices: Slice[]; renewals: number[] }> {
  const slices: Slice[] = []
  const handshakes = new Set<string>()
  let before: { atMs: number; bytes: number; retransmits: number } | undefined
  while (!signal.aborted) {
    const [peer] = Object.values((await from.status()).Peer ?? {})
    if (peer !== undefined) handshakes.add(peer.LastHandshake)
    const sockets = await from.host.must('ss', ['-Htin', 'dst', address, 'dport', '=', `:${PORT}`])
    const sum = (field: RegExp) => [...sockets.matchAll(field)].reduce((total, match) => total + Number(match[1]), 0)
    const now = { atMs: Date.now(), bytes: sum(/bytes_acked:(\d+)/g), retransmits: sum(/retrans:\d+\/(\d+)/g) }
    // At the end the sockets are gone.
    if (before !== undefined && before.bytes > 0 && now.bytes >= before.bytes)
      slices.push({
        fromMs: before.atMs,
        toMs: now.atMs,
        bytes: now.bytes - before.bytes,
        retransmits: now.retransmits - before.retransmits,
      })
    before = now
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS))
  }
  return { slices, renewals: [...handshakes].map((text) => Date.parse(text)) }
}

async function listens(host: Host): Promise<true | undefined> {
  return (await host.must('ss', ['-Hltn', `sport = :${PORT}`])).trim() === '' ? undefined : true
}

async function fullLoad(): Promise<{ slices: Slice[]; renewals: number[] }> {
  const address = await to.address()
  const server = to.host.start('iperf3', ['-s', '-1', '-p', String(PORT), '-B', address])
  await eventually('iperf3 listens', () => listens(to.host), { withinMs: 5_000 })
  const stop = new AbortController()
  const watched = watch(address, stop.signal)
  try {
    const words = ['-c', address, '-p', String(PORT), '-t', String(SECONDS)]
    await from.host.must('iperf3', words, { timeoutMs: (SECONDS + 20) * 1000 }) // fails if the stream breaks
  } finally {
    stop.abort()
    server.kill('SIGKILL')
  }
  const { slices, renewals } = await watched
  const [first, last] = [slices[0]?.fromMs ?? 0, slices.at(-1)?.toMs ?? 0]
  return { slices, renewals: renewals.filter((at) => at > first && at < last) }
}

const perSecond = (slices: readonly Slice[], what: 'bytes' | 'retransmits') =>
  slices.reduce((sum, slice) => sum + slice[what], 0) /
  slices.reduce((sum, { fromMs, toMs }) => sum + (toMs - fromMs) / 1000, 0)

test('under full load renewals cost neither a stall nor a burst of retransmissions', async () => {
  const { slices, renewals } = await fullLoad()
  const near = slices.filter(({ fromMs, toMs }) => renewals.some((at) => toMs > at && fromMs < at + AFTERMATH_MS))
  const apart = slices.filter((slice) => !near.includes(slice))
  const stalledMs = Math.max(...slices.filter(({ bytes }) => bytes === 0).map(({ fromMs, toMs }) => toMs - fromMs), 0)
  const figures = {
    renewals: renewals.length,
    gbits: (perSecond(slices, 'bytes') * 8) / 1e9,
    near: { slices: near.length, bytes: perSecond(near, 'bytes'), retransmits: perSecond(near, 'retransmits') },
    apart: { slices: apart.length, bytes: perSecond(apart, 'bytes'), retransmits: perSecond(apart, 'retransmits') },
    stalledMs,
  }
  const line = slices.map((slice) => `${near.includes(slice) ? '*' : ''}${slice.retransmits}`).join(' ')
  console.log(`renewals under full load: ${JSON.stringify(figures)} ${line}`)
  expect(renewals.length).toBeGreaterThanOrEqual(6)
  expect(near.length).toBeGreaterThan(0)
  expect(apart.length).toBeGreaterThan(0)
  expect(stalledMs).toBeLessThan(1_000)
  expect(figures.near.bytes).toBeGreaterThan(figures.apart.bytes / 2)
  // A renewal that loses what is on its way loses hundreds; a busy machine loses one now and then.
  expect(figures.near.retransmits).toBeLessThan(2 * figures.apart.retransmits + 20)
})
