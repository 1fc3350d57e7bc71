/**
 * An endpoint moves while packets flow: a NAT forgets its mappings, a machine changes its address. Traffic goes on within a
 * second. Plain WireGuard follows the datagrams; a mesh follows the first proof of the new path.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { execute, type Host, ip } from './host.ts'
import { Internet, type Lan } from './internet.ts'
import { longestGap } from './longest-gap.ts'
import { openPlainPair, type PlainPair } from './plain-pair.ts'
import { coverUapiFolder } from './plain-wireguard.ts'

const SECONDS = 6
const hasWg = (await execute('sh', ['-c', 'command -v wg'])).code === 0

/** The new address is there before the old one goes, as with a laptop that finds another network. */
async function moveHost(host: Host, from: string, to: string): Promise<void> {
  await host.must('sysctl', ['-qw', 'net.ipv4.conf.eth0.promote_secondaries=1'])
  await ip(`-n ${host.name} addr add ${to}/24 dev eth0`, `-n ${host.name} addr del ${from}/24 dev eth0`)
}

describe.skipIf(!hasWg)('plain WireGuard', () => {
  let internet: Internet
  const pairs: PlainPair[] = []
  beforeAll(async () => {
    await coverUapiFolder()
    internet = await Internet.create()
  })
  afterAll(async () => {
    await Promise.all(pairs.map((pair) => pair.stop()))
    await internet?.close()
  })

  for (const [moving, staying] of [
    ['ours', 'ours'],
    ['ours', 'stock'],
    ['stock', 'ours'],
  ] as const) {
    const skip = stockProgram('wireguard') === undefined && (moving === 'stock' || staying === 'stock')
    test.skipIf(skip)(`${moving} moves to another address, ${staying} follows`, async () => {
      const pair = await openPlainPair(internet, [moving, staying])
      pairs.push(pair)
      expect(await pair.a.device.ping(pair.b.address, 3)).toBeGreaterThan(0)
      const to = `203.0.113.${200 + pairs.length}`
      const gap = await longestGap(pair.a.host, pair.b.address, SECONDS, () =>
        moveHost(pair.a.host, pair.a.underlay, to),
      )
      console.log(`plain, ${moving} moves, ${staying} follows: ${JSON.stringify(gap)}`)
      expect(gap.longestMs).toBeLessThan(1_000)
    })
  }
})

/** A stock daemon goes on sending to an address until its trust in the last pong ends, 6.5 s later, whatever we do. */
const patienceMs = { ours: 1_000, stock: 8_000 }

describe('a mesh', () => {
  let internet: Internet
  let control: ControlServer
  let lan: Lan
  let inside: Daemon
  const outside: { [kind: string]: { daemon: Daemon; address: string } } = {}
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  const kinds = stockProgram('tailscaled') === undefined ? (['ours'] as const) : (['ours', 'stock'] as const)

  beforeAll(async () => {
    internet = await Internet.create()
    control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
    })
    const key = await control.createKey()
    lan = await internet.lan(['inside'], 'symmetric')
    inside = await Daemon.start(lan.hosts[0]!.host, { kind: 'ours', folder: join(folder, 'i') })
    await inside.join(control.url, key, { Hostname: 'inside' })
    for (const kind of kinds) {
      const { host } = await internet.publicHost(kind)
      const daemon = await Daemon.start(host, { kind, folder: join(folder, kind) })
      await daemon.join(control.url, key, { Hostname: kind })
      outside[kind] = { daemon, address: await daemon.address() }
      await inside.untilDirect(outside[kind].address, 30_000)
    }
  })
  afterAll(async () => {
    await Promise.all([inside, ...Object.values(outside).map(({ daemon }) => daemon)].map((daemon) => daemon?.stop()))
    await control?.stop()
    await internet?.close()
    discard(folder)
  })

  for (const kind of kinds) {
    test(`our NAT forgets its mappings while we talk to ${kind}`, async () => {
      const { address, daemon } = outside[kind]!
      expect((await inside.icmp(address, { count: 5 })).length).toBeGreaterThan(0)
      const before = (await daemon.untilDirect(await inside.address(), 10_000)).endpoint
      const gap = await longestGap(inside.host, address, kind === 'stock' ? 2 * SECONDS : SECONDS, () =>
        lan.router.run('conntrack', ['-D', '-p', 'udp']),
      )
      const after = (await daemon.untilDirect(await inside.address(), 20_000)).endpoint
      console.log(`our NAT rebinds, ${kind} follows: ${JSON.stringify({ ...gap, before, after })}`)
      expect(after).not.toBe(before)
      expect(gap.longestMs).toBeLessThan(patienceMs[kind])
    })
  }
})
