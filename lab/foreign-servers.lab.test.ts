/**
 * Our daemon in networks that others serve: a stock relay, and Headscale as the coordination server. Skipped by name where
 * the programs are not installed (`npm run peers`, PINTAIL_HEADSCALE).
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { DERPER_PORT, type Derper, startDerper } from './derper.ts'
import { eventually } from './eventually.ts'
import { Headscale, headscaleProgram } from './headscale.ts'
import { Internet } from './internet.ts'
import { transfer } from './transfer.ts'

const hasDerper = stockProgram('derper') !== undefined
const hasStock = stockProgram('tailscaled') !== undefined

/** Neither UDP nor anything but the relay's TCP: adds a table of its own, so that a daemon's rules stay. */
async function cutUdp(daemon: Daemon, cut: boolean): Promise<void> {
  const table =
    'table inet lab-cut { chain out { type filter hook output priority filter; meta l4proto 17 oifname "eth0" drop; }; chain in { type filter hook input priority filter; meta l4proto 17 iifname "eth0" drop; }; }'
  await daemon.host.must('nft', ['-f', '-'], { input: cut ? table : 'delete table inet lab-cut' })
}

const viaRelay = (daemon: Daemon, address: string) =>
  eventually(
    'a pong over the relay',
    async () => {
      const pong = await daemon.ping(address, 2_000)
      return pong.DERPRegionID > 0 ? pong : undefined
    },
    { withinMs: 20_000 },
  )

describe.skipIf(!hasDerper)('with a stock derper as the only relay', () => {
  let internet: Internet
  let control: ControlServer
  let derper: Derper
  let ours: Daemon
  let other: Daemon
  let addresses: { ours: string; other: string }
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))

  beforeAll(async () => {
    internet = await Internet.create()
    derper = await startDerper(await internet.publicHost('derper', ['203.0.113.30']), join(folder, 'derper'))
    const node = {
      name: '900a',
      hostname: derper.machine.address,
      ipv4: derper.machine.address,
      derp_port: DERPER_PORT,
      cert_name: derper.certName,
    }
    const region = { region_id: 900, region_code: 'stock', region_name: 'Stock relay', nodes: [node] }
    control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
      config: { derp: { server: { enabled: false }, regions: [region] } },
    })
    const key = await control.createKey()
    ours = await Daemon.start((await internet.publicHost('ours')).host, { kind: 'ours', folder: join(folder, 'o') })
    other = await Daemon.start((await internet.publicHost('other')).host, {
      kind: hasStock ? 'stock' : 'ours',
      folder: join(folder, 's'),
    })
    await Promise.all([
      ours.join(control.url, key, { Hostname: 'ours' }),
      other.join(control.url, key, { Hostname: 'other' }),
    ])
    addresses = { ours: await ours.address(), other: await other.address() }
  })
  afterAll(async () => {
    await Promise.all([ours?.stop(), other?.stop()])
    await control?.stop()
    await derper?.stop()
    await internet?.close()
    discard(folder)
  })

  test('it is home for both, measured over STUN', async () => {
    await eventually(
      'both have this home',
      async () => {
        const peers = Object.values((await ours.status()).Peer ?? {})
        return peers[0]?.Relay === 'stock' ? true : undefined
      },
      { withinMs: 15_000 },
    )
  })

  test('ping and 10 MB both ways through it', async () => {
    await cutUdp(ours, true)
    try {
      expect((await viaRelay(ours, addresses.other)).DERPRegionCode).toBe('stock')
      expect((await viaRelay(other, addresses.ours)).DERPRegionCode).toBe('stock')
      expect(await transfer(ours.host, other.host, addresses.other, 10_000_000, 60_000)).toBe(10_000_000)
      expect(await transfer(other.host, ours.host, addresses.ours, 10_000_000, 60_000)).toBe(10_000_000)
    } finally {
      await cutUdp(ours, false)
    }
  })

  test('and direct again when UDP is back', async () => {
    await ours.icmp(addresses.other, { count: 3, waitSeconds: 3 })
    expect((await ours.untilDirect(addresses.other, 60_000)).endpoint).toMatch(/:41641$/)
  })
})

describe.skipIf(headscaleProgram === undefined || !hasDerper)('with Headscale as the coordination server', () => {
  let internet: Internet
  let headscale: Headscale
  let derper: Derper
  let key: string
  const daemons: Daemon[] = []
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))

  beforeAll(async () => {
    internet = await Internet.create()
    derper = await startDerper(await internet.publicHost('derper', ['203.0.113.30']), join(folder, 'derper'))
    const ip = derper.machine.address
    const node = {
      name: '900a',
      regionid: 900,
      hostname: ip,
      ipv4: ip,
      derpport: DERPER_PORT,
      certname: derper.certName,
    }
    const region = { regionid: 900, regioncode: 'stock', regionname: 'Stock relay', nodes: [node] }
    headscale = await Headscale.start(
      await internet.publicHost('headscale', ['203.0.113.10']),
      join(folder, 'hs'),
      new Map([[900, region]]),
    )
    key = await headscale.createKey()
  })
  afterAll(async () => {
    await Promise.all(daemons.map((daemon) => daemon.stop()))
    await headscale?.stop()
    await derper?.stop()
    await internet?.close()
    discard(folder)
  })

  async function join_(name: string, kind: 'ours' | 'stock'): Promise<Daemon> {
    const daemon = await Daemon.start((await internet.publicHost(name)).host, { kind, folder: join(folder, name) })
    daemons.push(daemon)
    await daemon.join(headscale.url, key, { Hostname: name })
    return daemon
  }
  const peerNamed = async (daemon: Daemon, name: string) =>
    Object.values((await daemon.status()).Peer ?? {}).find((peer) => peer.HostName === name)

  test('ours register by key, get the full map and deltas, and reach each other from both ends', async () => {
    const one = await join_('one', 'ours')
    expect(await peerNamed(one, 'two')).toBeUndefined()
    const two = await join_('two', 'ours')
    await eventually('one hears of two', () => peerNamed(one, 'two'), { withinMs: 10_000 })
    const addresses = { one: await one.address(), two: await two.address() }
    await eventually(
      'one reaches two',
      async () => ((await one.icmp(addresses.two, { count: 1, waitSeconds: 2 })).length > 0 ? true : undefined),
      {
        withinMs: 15_000,
      },
    )
    expect((await two.icmp(addresses.one, { count: 3, waitSeconds: 3 })).length).toBeGreaterThan(0)
    expect((await one.untilDirect(addresses.two, 20_000)).endpoint).toMatch(/:41641$/)
  })

  test('offline and back reach the other side as patches', async () => {
    const [one, two] = daemons as [Daemon, Daemon]
    await two.stop()
    await eventually('offline', async () => ((await peerNamed(one, 'two'))?.Online === false ? true : undefined), {
      withinMs: 30_000,
    })
    await two.start()
    await eventually('online', async () => ((await peerNamed(one, 'two'))?.Online === true ? true : undefined), {
      withinMs: 15_000,
    })
  })

  test.skipIf(!hasStock)('a stock node in the same network: both ends ping', async () => {
    const one = daemons[0]!
    const stock = await join_('stock', 'stock')
    const addresses = { one: await one.address(), stock: await stock.address() }
    await eventually(
      'ours reaches stock',
      async () => ((await one.icmp(addresses.stock, { count: 1, waitSeconds: 2 })).length > 0 ? true : undefined),
      {
        withinMs: 20_000,
      },
    )
    expect((await stock.icmp(addresses.one, { count: 3, waitSeconds: 3 })).length).toBeGreaterThan(0)
  })

  test('a node that is deleted disappears from the map', async () => {
    const [one] = daemons as [Daemon]
    await headscale.admin('nodes', 'delete', '-i', await headscale.nodeId('two'), '--force')
    await eventually('gone', async () => ((await peerNamed(one, 'two')) === undefined ? true : undefined), {
      withinMs: 15_000,
    })
  })

  test('logout is understood', async () => {
    const [one] = daemons as [Daemon]
    await one.client.logout()
    await eventually(
      'signed out',
      async () => ((await one.client.status({ peers: false })).BackendState === 'NeedsLogin' ? true : undefined),
      {
        withinMs: 10_000,
      },
    )
  })
})
