/**
 * What other implementations rely on, on the wire beside wireguard-go [docs/rules/wireguard.md WG-9]: a machine between the
 * two tells what passed. Renewal (WG-9.4) is in `rekey.lab.test.ts`, replay (WG-9.10) in `replay.lab.test.ts`.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { execute } from './host.ts'
import { Internet } from './internet.ts'
import { Middlebox, type Passed } from './middlebox.ts'
import { openPlainPair, type PlainPair } from './plain-pair.ts'
import { coverUapiFolder } from './plain-wireguard.ts'

const hasWg = (await execute('sh', ['-c', 'command -v wg'])).code === 0
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe.skipIf(!hasWg || stockProgram('wireguard') === undefined)('beside wireguard-go', () => {
  let internet: Internet
  let pair: PlainPair
  let box: Middlebox
  /** Addresses of the hosts. */
  let we: string
  let they: string

  beforeAll(async () => {
    await coverUapiFolder()
    internet = await Internet.create()
  })
  afterEach(async () => {
    await pair?.stop()
    await box?.stop()
  })
  afterAll(() => internet?.close())

  async function meet(options: { isFast?: boolean; stepsBack?: boolean } = {}): Promise<void> {
    const middle = await internet.publicHost('middle')
    pair = await openPlainPair(internet, ['ours', 'stock'], { ...options, meetAt: middle.address })
    we = pair.a.underlay
    they = pair.b.underlay
    box = await Middlebox.start(middle.host, we, they)
  }
  const names = (passed: readonly Passed[]) =>
    passed.map(({ from, type, bytes }) => `${from === we ? 'we' : 'they'}: ${type}, ${bytes} bytes`)
  const ping = (end: 'a' | 'b', count = 1) => pair[end].device.ping(pair[end === 'a' ? 'b' : 'a'].address, count)

  test('[WG-9.1] our keepalive follows their response at once, and they may send', async () => {
    await meet()
    await pair.a.device.set('peer', pair.b.publicKey, 'persistent-keepalive', '25') // a session without anything to say
    await eventually('a session', () => (box.passed.length >= 3 ? true : undefined), { withinMs: 5_000 })
    expect(names(box.passed)).toEqual(['we: 1, 148 bytes', 'they: 2, 92 bytes', 'we: 4, 32 bytes'])
    expect(box.passed[2]!.at - box.passed[1]!.at).toBeLessThan(1_000)
    expect(await ping('b', 3)).toBe(3)
    expect(box.passed.filter(({ type }) => type !== 4)).toHaveLength(2) // with that session
  })

  test('[WG-9.2] [WG-9.3] unconfirmed we neither send data nor an initiation within 5 s of our response', async () => {
    await meet()
    box.hold({ from: they, type: 4 })
    const asked = ping('b')
    const response = await eventually('our response', () => box.passed.find(({ type }) => type === 2), {
      withinMs: 5_000,
    })
    const ours = ping('a', 1)
    const initiation = await eventually(
      'our own initiation',
      () => box.passed.find(({ from, type }) => from === we && type === 1),
      { withinMs: 8_000 },
    )
    expect(initiation.at - response.at).toBeGreaterThan(4_900)
    expect(initiation.at - response.at).toBeLessThan(6_000)
    expect(box.passed.filter(({ at, from, type }) => from === we && type === 4 && at < initiation.at)).toEqual([])
    await Promise.all([asked, ours])
  })

  test('[WG-9.5] data is padded to 16, not beyond the MTU, and they take it', async () => {
    await meet()
    expect(await ping('a')).toBe(1)
    const { host, address } = { host: pair.a.host, address: pair.b.address }
    for (const [payload, sealed] of [
      [0, 32 + 32],
      [4, 32 + 32],
      [5, 48 + 32],
      [1_392, 1_420 + 32],
      [1_391, 1_420 + 32],
    ] as const) {
      const since = box.passed.length
      const { stdout } = await host.run('ping', ['-n', '-c', '1', '-W', '2', '-s', String(payload), address])
      expect(stdout).toContain('1 received')
      const data = box.passed.slice(since).filter(({ type }) => type === 4)
      expect(names(data)).toEqual([`we: 4, ${sealed} bytes`, `they: 4, ${sealed} bytes`])
    }
  })

  const hasFast = stockProgram('fast/wireguard') !== undefined
  test.skipIf(!hasFast)('[WG-9.6] our clock steps back by a day: they go on answering our renewals', async () => {
    await meet({ isFast: true, stepsBack: true })
    const { stdout } = await pair.a.host.run('ping', ['-q', '-n', '-i', '0.1', '-w', '16', '-W', '1', pair.b.address], {
      timeoutMs: 25_000,
    })
    const initiations = box.passed.filter(({ from, type }) => from === we && type === 1)
    // One every four seconds, and a second try when the first is not answered.
    expect(initiations.length).toBeGreaterThanOrEqual(3)
    expect(initiations.length).toBeLessThanOrEqual(5)
    expect(box.passed.filter(({ from, type }) => from === they && type === 2)).toHaveLength(initiations.length)
    expect(stdout).toMatch(/ 0% packet loss|[01]\.\d+% packet loss/)
  })

  test('[WG-9.7] one byte and unknown types get no answer and do no harm', async () => {
    await meet()
    expect(await ping('a')).toBe(1)
    await wait(100)
    const since = box.passed.length
    for (const bytes of [
      [],
      [7],
      [0],
      [5, 0, 0, 0],
      [4, 0, 0, 0],
      [4, 0, 0, 0, ...new Array(60).fill(1)],
      new Array(148).fill(6),
    ])
      box.inject(we, Uint8Array.from(bytes))
    await wait(300)
    expect(names(box.passed.slice(since))).toEqual([])
    expect(await ping('b')).toBe(1)
  })

  test('[WG-9.8] their initiation by another way is answered there', async () => {
    await meet()
    expect(await ping('a')).toBe(1)
    box.reroute(they)
    // A restarted peer: it knows no session and comes from another port.
    await pair.b.device.set('peer', pair.a.publicKey, 'remove')
    await wait(100)
    await pair.b.device.set(
      ...['peer', pair.a.publicKey, 'allowed-ips', `${pair.a.address}/32`],
      ...['endpoint', `${(await pair.a.device.figures()).peers.get(pair.b.publicKey)!.endpoint}`],
    )
    const since = box.passed.length
    expect(await ping('b')).toBe(1)
    expect(names(box.passed.slice(since, since + 2))).toEqual(['they: 1, 148 bytes', 'we: 2, 92 bytes'])
    expect((await pair.a.device.figures()).peers.get(pair.b.publicKey)?.endpoint).toMatch(/:51821$/)
  })
})

/** Counts, at `eth0`, what we send with the counter 0: by its size a TSMP message with a disco key over IPv4, or other. */
const firstPackets = `
table inet first {
  counter tsmp { }
  counter other { }
  chain out {
    type filter hook output priority filter;
    oifname "eth0" meta l4proto 17 @th,64,32 0x04000000 @th,128,64 0x0 udp length 104 counter name tsmp return
    oifname "eth0" meta l4proto 17 @th,64,32 0x04000000 @th,128,64 0x0 counter name other
  }
}`

test.skipIf(stockProgram('tailscaled') === undefined)(
  '[WG-9.9] our session with tailscaled begins with TSMP, and carries what follows',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pt-'))
    const internet = await Internet.create()
    try {
      const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
        folder: join(folder, 'c'),
      })
      const key = await control.createKey()
      const open = async (kind: 'ours' | 'stock'): Promise<Daemon> => {
        const { host } = await internet.publicHost(kind)
        const daemon = await Daemon.start(host, { kind, folder: join(folder, kind) })
        await daemon.join(control.url, key, { Hostname: kind })
        return daemon
      }
      const [ours, stock] = [await open('ours'), await open('stock')]
      await ours.untilDirect(await stock.address(), 30_000)
      await stock.untilDirect(await ours.address(), 30_000)
      await ours.host.rules(firstPackets)
      const words = ['-n', '-c', '3', '-i', '0.3', '-s', '900', '-W', '3', await stock.address()]
      expect((await ours.host.run('ping', words)).stdout).toContain('3 received')
      const { nftables } = JSON.parse(await ours.host.must('nft', ['-j', 'list', 'counters'])) as {
        nftables: { counter?: { name: string; packets: number } }[]
      }
      const counts = nftables.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter.packets]]))
      expect(Object.fromEntries(counts)).toEqual({ tsmp: 1, other: 0 })
      await Promise.all([ours.stop(), stock.stop()])
      await control.stop()
    } finally {
      await internet.close()
      discard(folder)
    }
  },
)
