/**
 * Each piece of ours with each piece of theirs, over a real network: a stock daemon in our network, ours in a network with
 * a stock relay, and both command lines on both daemons. Skipped by name where the stock programs are not installed.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { Internet } from './internet.ts'
import { transfer } from './transfer.ts'

const tailscale = stockProgram('tailscale')
const hasStock = tailscale !== undefined && stockProgram('tailscaled') !== undefined
const pintail = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))

/** The members that both documents have, in the order of the first, at each depth: `Self.CapMap: a b c`. */
function orders(one: object, other: object, at = ''): string[] {
  const shared = Object.entries(one).filter(([name]) => name in other)
  const below = shared.flatMap(([name, value]) => {
    const counterpart = (other as Record<string, unknown>)[name]
    const isObject = (it: unknown): it is object => typeof it === 'object' && it !== null && !Array.isArray(it)
    return isObject(value) && isObject(counterpart) ? orders(value, counterpart, `${at}.${name}`) : []
  })
  return [`${at}: ${shared.map(([name]) => name).join(' ')}`, ...below.sort()]
}

describe.skipIf(!hasStock)('with stock tailscaled and our server', () => {
  let internet: Internet
  let control: ControlServer
  let ours: Daemon
  let stock: Daemon
  let addresses: { ours: string; stock: string }
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))

  beforeAll(async () => {
    internet = await Internet.create()
    control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
    })
    const key = await control.createKey()
    ours = await Daemon.start((await internet.publicHost('ours')).host, { kind: 'ours', folder: join(folder, 'o') })
    stock = await Daemon.start((await internet.publicHost('stock')).host, { kind: 'stock', folder: join(folder, 's') })
    await Promise.all([
      ours.join(control.url, key, { Hostname: 'ours' }),
      stock.join(control.url, key, { Hostname: 'stock' }),
    ])
    addresses = { ours: await ours.address(), stock: await stock.address() }
  })
  afterAll(async () => {
    await Promise.all([ours?.stop(), stock?.stop()])
    await control?.stop()
    await internet?.close()
    discard(folder)
  })

  test('they reach each other directly, both directions', async () => {
    expect((await ours.icmp(addresses.stock, { count: 3, waitSeconds: 5 })).length).toBeGreaterThan(0)
    expect((await stock.icmp(addresses.ours, { count: 3, waitSeconds: 5 })).length).toBeGreaterThan(0)
    expect((await ours.untilDirect(addresses.stock, 20_000)).endpoint).toMatch(/:41641$/)
    expect((await stock.untilDirect(addresses.ours, 20_000)).endpoint).toMatch(/:41641$/)
  })

  test('10 MB over TCP, both directions, direct', async () => {
    expect(await transfer(ours.host, stock.host, addresses.stock, 10_000_000)).toBe(10_000_000)
    expect(await transfer(stock.host, ours.host, addresses.ours, 10_000_000)).toBe(10_000_000)
  })

  test('without UDP they go on over our relay: ping and 10 MB both ways', async () => {
    const noUdp =
      'table inet cut { chain out { type filter hook output priority filter; meta l4proto 17 oifname "eth0" drop; }; chain in { type filter hook input priority filter; meta l4proto 17 iifname "eth0" drop; }; }'
    await ours.host.rules(noUdp)
    try {
      const pong = await eventually(
        'a pong over the relay',
        async () => {
          const result = await ours.ping(addresses.stock, 2_000)
          return result.DERPRegionID > 0 ? result : undefined
        },
        { withinMs: 20_000 },
      )
      expect(pong.DERPRegionCode).toBe('lab')
      expect(await transfer(ours.host, stock.host, addresses.stock, 10_000_000, 60_000)).toBe(10_000_000)
      expect(await transfer(stock.host, ours.host, addresses.ours, 10_000_000, 60_000)).toBe(10_000_000)
    } finally {
      await ours.host.rules('')
    }
  })

  test('[LA-3] status and prefs have the members of a stock daemon in its order', async () => {
    const documents = async (daemon: Daemon) => {
      const { Self, Peer, ...rest } = await daemon.status()
      return { rest, Self, peer: Object.values(Peer ?? {})[0], prefs: await daemon.client.prefs() }
    }
    const [own, theirs] = await Promise.all([documents(ours), documents(stock)])
    expect(orders(own, theirs)).toEqual(orders(theirs, own))
  })

  /** One run of the stock command line on a daemon. */
  const stockCli = (daemon: Daemon, ...words: string[]) =>
    daemon.host.run(tailscale!, [`--socket=${daemon.socketPath}`, ...words], { timeoutMs: 60_000 })
  const ourCli = (daemon: Daemon, ...words: string[]) =>
    daemon.host.run(process.execPath, [pintail, `--socket=${daemon.socketPath}`, ...words], { timeoutMs: 60_000 })

  test('[U8] the stock command line reads our daemon: status, ip, ping, netcheck', async () => {
    const status = await stockCli(ours, 'status')
    expect(status.code, status.stderr).toBe(0)
    expect(status.stdout).toMatch(
      new RegExp(`^${addresses.stock.replaceAll('.', '\\.')}\\s+stock\\s+\\S+\\s+linux\\s+`, 'm'),
    )
    const json = JSON.parse((await stockCli(ours, 'status', '--json')).stdout)
    expect(json.BackendState).toBe('Running')
    expect((await stockCli(ours, 'ip', '-4')).stdout.trim()).toBe(addresses.ours)
    expect((await stockCli(ours, 'ping', '--c=5', addresses.stock)).stdout).toMatch(
      /pong from stock \(.*\) via (\d+\.\d+\.\d+\.\d+:\d+|DERP\(lab\)) in/,
    )
    const netcheck = await stockCli(ours, 'netcheck')
    expect(netcheck.stdout).toMatch(/UDP: true/)
    expect(netcheck.stdout).toMatch(/lab:/)
  })

  test('[U2] the stock command line sets, stops, starts and signs our daemon in and out', async () => {
    expect((await stockCli(ours, 'set', '--hostname=renamed')).code).toBe(0)
    await eventually(
      'the new name reaches the other side',
      async () => {
        const peers = Object.values((await stock.status()).Peer ?? {})
        return peers.some((peer) => peer.HostName === 'renamed') ? true : undefined
      },
      { withinMs: 5_000 },
    )
    expect((await stockCli(ours, 'down')).code).toBe(0)
    const stopped = await stockCli(ours, 'status')
    expect([stopped.code, stopped.stdout.trim()]).toEqual([1, 'Tailscale is stopped.'])
    expect((await ours.icmp(addresses.stock, { count: 1, waitSeconds: 1 })).length).toBe(0)
    const up = await stockCli(ours, 'up', `--login-server=${control.url}`, '--hostname=renamed', '--accept-dns=false')
    expect(up.code, up.stderr).toBe(0)
    expect((await ours.icmp(addresses.stock, { count: 5, waitSeconds: 5 })).length).toBeGreaterThan(0)
    expect((await stockCli(ours, 'logout')).code).toBe(0)
    expect((await stockCli(ours, 'status')).stdout).toMatch(/^Logged out\./)
    const key = await control.createKey()
    const again = await stockCli(
      ours,
      'up',
      `--login-server=${control.url}`,
      `--auth-key=${key}`,
      '--hostname=ours',
      '--accept-dns=false',
    )
    expect(again.code, again.stderr).toBe(0)
    addresses.ours = await ours.address()
  })

  test('the stock command line renews our identity with a key', async () => {
    const before = (await ours.status()).Self.PublicKey
    const key = await control.createKey()
    const words = [`--login-server=${control.url}`, `--auth-key=${key}`, '--hostname=ours', '--accept-dns=false']
    const renewed = await stockCli(ours, 'up', '--force-reauth', '--timeout=20s', ...words)
    expect(renewed.code, renewed.stderr).toBe(0)
    expect((await ours.status()).Self.PublicKey).not.toBe(before)
    addresses.ours = await ours.address()
    await eventually(
      'the other side has the new identity',
      async () => ((await stock.icmp(addresses.ours, { count: 1, waitSeconds: 2 })).length > 0 ? true : undefined),
      { withinMs: 20_000 },
    )
  })

  test('[U8] our command line reads and drives a stock daemon', async () => {
    const status = await ourCli(stock, 'status')
    expect(status.code, status.stderr).toBe(0)
    expect(status.stdout).toBe((await stockCli(stock, 'status')).stdout)
    expect((await ourCli(stock, 'ip', '-4')).stdout.trim()).toBe(addresses.stock)
    expect((await ourCli(stock, 'ping', '--c=5', addresses.ours)).stdout).toMatch(/pong from ours/)
    expect((await ourCli(stock, 'down')).code).toBe(0)
    expect((await ourCli(stock, 'status')).code).toBe(1)
    const up = await ourCli(stock, 'up')
    expect(up.code, up.stderr).toBe(0)
  })

  test('a stock daemon sees ours go offline and come back', async () => {
    const see = async () =>
      Object.values((await stock.status()).Peer ?? {}).find((peer) => peer.TailscaleIPs?.includes(addresses.ours))
    await ours.stop()
    await eventually('offline', async () => ((await see())?.Online === false ? true : undefined), { withinMs: 20_000 })
    await ours.start()
    await eventually('online', async () => ((await see())?.Online === true ? true : undefined), { withinMs: 10_000 })
  })
})
