/**
 * An hour of WireGuard in two minutes: both ends' protocol times divided by 30, ours beside tailscaled and wireguard-go,
 * once as the end that starts and once as the other. The handshakes are counted on the wire.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { WIREGUARD_SPEED } from './fast-speed.ts'
import { countHandshakes, type HandshakeCounts, startCountingHandshakes } from './handshake-counter.ts'
import { execute, type Host } from './host.ts'
import { Internet } from './internet.ts'
import { openPlainPair, type PlainPair } from './plain-pair.ts'
import { coverUapiFolder } from './plain-wireguard.ts'
import { type SteadyStreamReport, steadyStream } from './steady-stream.ts'

const hasWg = (await execute('sh', ['-c', 'command -v wg'])).code === 0
const HOUR_SECONDS = 3600 / WIREGUARD_SPEED
const PINGS_PER_SECOND = 20
/** `ping` is a little slower than asked. */
const PINGS = HOUR_SECONDS * PINGS_PER_SECOND * 0.9
/** REKEY_AFTER_TIME */
const RENEWAL_SECONDS = 120 / WIREGUARD_SPEED
/** 15 s without an answer let either end start anew; a machine that is that slow proves nothing about who renews. */
const SILENCE_MS = (15_000 / WIREGUARD_SPEED) * 0.9

interface Hour {
  readonly seconds: number
  /** Seen at our end. */
  readonly handshakes: HandshakeCounts
  readonly pings: { readonly sent: number; readonly received: number; readonly duplicates: number }
  readonly stream: SteadyStreamReport
}

interface End {
  readonly host: Host
  readonly address: string
}

/** The first packet is the starter's; from then on both ends have something to say all the time. */
async function hour({ ours, starter, other }: { ours: Host; starter: End; other: End }): Promise<Hour> {
  await startCountingHandshakes(ours)
  const started = performance.now()
  const ping = execute(
    'ip',
    [
      'netns',
      'exec',
      starter.host.name,
      'ping',
      '-q',
      '-n',
      '-i',
      String(1 / PINGS_PER_SECOND),
      '-c',
      String(PINGS),
      other.address,
    ],
    { timeoutMs: (HOUR_SECONDS + 30) * 1000 },
  )
  const stream = steadyStream(starter.host, other.host, other.address, HOUR_SECONDS)
  const { stdout } = await ping
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? []
  const duplicates = /\+(\d+) duplicates/.exec(stdout)?.[1] ?? 0
  const streamed = await stream
  return {
    seconds: (performance.now() - started) / 1000,
    pings: { sent: Number(sent), received: Number(received), duplicates: Number(duplicates) },
    stream: streamed,
    handshakes: await countHandshakes(ours),
  }
}

function expectAnHour({ seconds, handshakes, pings, stream }: Hour, starter: 'ours' | 'theirs'): void {
  console.log(`an hour, started by ${starter}: ${JSON.stringify({ seconds, handshakes, pings, stream })}`)
  const [byStarter, byOther, answers] =
    starter === 'ours'
      ? [handshakes.initiationsOut, handshakes.initiationsIn, handshakes.responsesIn]
      : [handshakes.initiationsIn, handshakes.initiationsOut, handshakes.responsesOut]
  const renewals = Math.max(byStarter, answers) + byOther
  if (stream.longestMs < SILENCE_MS) expect(byOther).toBe(0)
  // Never early, and late by a packet and a report of the data path.
  expect(renewals).toBeLessThanOrEqual(Math.floor(seconds / RENEWAL_SECONDS) + 1 + byOther)
  expect(renewals).toBeGreaterThanOrEqual(Math.floor((seconds / RENEWAL_SECONDS) * 0.9))
  expect(pings).toEqual({ sent: PINGS, received: PINGS, duplicates: 0 })
  expect(stream.error).toBe(undefined)
  expect([stream.received, stream.wrong]).toEqual([stream.sent, 0])
  expect(stream.sent).toBeGreaterThan(1024 * HOUR_SECONDS * 10)
  expect(stream.longestMs).toBeLessThan(1_000)
}

describe('an hour of renewals in two minutes', () => {
  const hasTailscaled = stockProgram('fast/tailscaled') !== undefined
  const hasWireGuardGo = hasWg && stockProgram('fast/wireguard') !== undefined
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  const running: (Daemon | PlainPair)[] = []
  let internet: Internet
  let control: ControlServer | undefined
  const hours: { [name: string]: Hour } = {}

  async function meshPair(number: number, key: string): Promise<{ ours: End; theirs: End }> {
    const start = async (kind: 'ours' | 'stock'): Promise<Daemon> => {
      const name = `${kind}${number}`
      const { host } = await internet.publicHost(name)
      const daemon = await Daemon.start(host, { kind, isFast: true, folder: join(folder, name) })
      running.push(daemon)
      await daemon.join(control!.url, key, { Hostname: name })
      return daemon
    }
    const [ours, theirs] = await Promise.all([start('ours'), start('stock')])
    await Promise.all([
      ours.untilDirect(await theirs.address(), 30_000),
      theirs.untilDirect(await ours.address(), 30_000),
    ])
    return {
      ours: { host: ours.host, address: await ours.address() },
      theirs: { host: theirs.host, address: await theirs.address() },
    }
  }

  /** All at once: none of them has much to do. */
  beforeAll(
    async () => {
      internet = await Internet.create()
      const runs: (() => Promise<void>)[] = []
      const plan = (name: string, pair: { ours: End; theirs: End }, starter: 'ours' | 'theirs') =>
        runs.push(async () => {
          const other = starter === 'ours' ? pair.theirs : pair.ours
          hours[`${name} ${starter}`] = await hour({ ours: pair.ours.host, starter: pair[starter], other })
        })
      if (hasTailscaled) {
        control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
          folder: join(folder, 'c'),
        })
        const key = await control.createKey()
        plan('tailscaled', await meshPair(1, key), 'ours')
        plan('tailscaled', await meshPair(2, key), 'theirs')
      }
      if (hasWireGuardGo) {
        await coverUapiFolder()
        for (const starter of ['ours', 'theirs'] as const) {
          const pair = await openPlainPair(internet, ['ours', 'stock'], { isFast: true })
          running.push(pair)
          plan('wireguard-go', { ours: pair.a, theirs: pair.b }, starter)
        }
      }
      await Promise.all(runs.map((run) => run()))
    },
    (HOUR_SECONDS + 120) * 1000,
  )
  afterAll(async () => {
    await Promise.all(running.map((daemon) => daemon.stop()))
    await control?.stop()
    await internet?.close()
    discard(folder)
  })

  for (const starter of ['ours', 'theirs'] as const) {
    const by = starter === 'ours' ? 'we start' : 'they start'
    test.skipIf(!hasTailscaled)(`[WG-9.4] beside tailscaled, ${by}: nothing is lost, only the starter renews`, () => {
      expectAnHour(hours[`tailscaled ${starter}`]!, starter)
    })
    test.skipIf(!hasWireGuardGo)(
      `[WG-9.4] beside wireguard-go, ${by}: nothing is lost, only the starter renews`,
      () => {
        expectAnHour(hours[`wireguard-go ${starter}`]!, starter)
      },
    )
  }
})
