/** How much goes through a tunnel with a stock program at the other end, either way. Compared with what stock alone reaches in `bench`. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { execute, type Host } from './host.ts'
import { Internet } from './internet.ts'
import { openPlainPair, type PlainPair } from './plain-pair.ts'
import { coverUapiFolder } from './plain-wireguard.ts'

const SECONDS = 3
const PORT = '5335'
/** A floor under any machine that runs this; a tunnel that loses or reorders falls far below. */
const LEAST_GBITS = 0.2
const hasTailscaled = stockProgram('tailscaled') !== undefined
const hasWireGuardGo =
  stockProgram('wireguard') !== undefined && (await execute('sh', ['-c', 'command -v wg'])).code === 0

let internet: Internet
const folder = mkdtempSync(join(tmpdir(), 'pt-'))
const running: (Daemon | ControlServer | PlainPair)[] = []
beforeAll(async () => {
  await coverUapiFolder()
  internet = await Internet.create()
})
afterAll(async () => {
  await Promise.all(running.reverse().map((one) => one.stop()))
  await internet?.close()
  discard(folder)
})

async function gbits(from: Host, to: Host, address: string): Promise<number> {
  const report = await iperf(from, to, address)
  const received = report.end?.sum_received
  if (received === undefined)
    throw new Error(`iperf3 measured nothing: ${report.error ?? JSON.stringify(report).slice(0, 2_000)}`)
  return received.bits_per_second / 1e9
}

interface IperfReport {
  readonly error?: string
  readonly end?: { readonly sum_received?: { readonly bits_per_second: number } }
}

async function iperf(from: Host, to: Host, address: string): Promise<IperfReport> {
  const server = to.start('iperf3', ['-s', '-1', '-p', PORT, '-B', address])
  try {
    await eventually(
      'iperf3 listens',
      async () => ((await to.must('ss', ['-Hltn', `sport = :${PORT}`])).trim() === '' ? undefined : true),
      { withinMs: 15_000 },
    )
    const words = ['-c', address, '-p', PORT, '-J', '-O', '1', '-t', String(SECONDS)]
    const { code, stdout, stderr } = await from.run('iperf3', words, { timeoutMs: 30_000 })
    return stdout.trim() === '' ? { error: `status ${code}: ${stderr}` } : (JSON.parse(stdout) as IperfReport)
  } finally {
    server.kill('SIGKILL')
    await new Promise((resolve) =>
      server.exitCode === null && server.signalCode === null ? server.once('close', resolve) : resolve(undefined),
    )
  }
}

interface End {
  readonly host: Host
  readonly address: string
}
async function bothWays(what: string, ours: End, theirs: End): Promise<void> {
  const figures = {
    toThem: await gbits(ours.host, theirs.host, theirs.address),
    toUs: await gbits(theirs.host, ours.host, ours.address),
  }
  console.log(`Gbit/s with ${what}: ${JSON.stringify(figures)}`)
  expect(figures.toThem).toBeGreaterThan(LEAST_GBITS)
  expect(figures.toUs).toBeGreaterThan(LEAST_GBITS)
}

test.skipIf(!hasTailscaled)('with tailscaled', async () => {
  const place = mkdtempSync(join(folder, 'n')) // of this try: another one's servers may still run
  const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
    folder: join(place, 'c'),
  })
  running.push(control)
  const key = await control.createKey()
  const open = async (kind: 'ours' | 'stock'): Promise<Daemon> => {
    const { host } = await internet.publicHost(kind)
    const daemon = await Daemon.start(host, { kind, folder: join(place, kind) })
    running.push(daemon)
    await daemon.join(control.url, key, { Hostname: kind })
    return daemon
  }
  const [ours, stock] = [await open('ours'), await open('stock')]
  const [ourAddress, theirAddress] = [await ours.address(), await stock.address()]
  await ours.untilDirect(theirAddress, 30_000)
  await stock.untilDirect(ourAddress, 30_000)
  await bothWays('tailscaled', { host: ours.host, address: ourAddress }, { host: stock.host, address: theirAddress })
})

test.skipIf(!hasWireGuardGo)('with wireguard-go', async () => {
  const pair = await openPlainPair(internet, ['ours', 'stock'])
  running.push(pair)
  await bothWays('wireguard-go', pair.a, pair.b)
})
