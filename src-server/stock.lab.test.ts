/**
 * Stock clients in our network: they join, find each other directly and over our relay, measure it, and do what the
 * administrator says. Skipped by name where the stock programs are not installed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from '../lab/control-server.ts'
import { Daemon, stockProgram } from '../lab/daemon.ts'
import { eventually } from '../lab/eventually.ts'
import { Internet } from '../lab/internet.ts'

const tailscale = stockProgram('tailscale')
const hasStock = tailscale !== undefined && stockProgram('tailscaled') !== undefined

const NO_UDP =
  'table inet cut { chain out { type filter hook output priority filter; meta l4proto 17 oifname "eth0" drop; }; chain in { type filter hook input priority filter; meta l4proto 17 iifname "eth0" drop; }; }'

describe.skipIf(!hasStock)('stock tailscaled 1.102.5 in our network', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  let internet: Internet
  let control: ControlServer
  let a: Daemon
  let b: Daemon
  let addressOfB: string

  const cli = (daemon: Daemon, ...words: string[]) =>
    daemon.host.run(tailscale!, [`--socket=${daemon.socketPath}`, ...words])

  beforeAll(async () => {
    internet = await Internet.create()
    control = await ControlServer.start(await internet.publicHost('control'), { folder: join(folder, 'c') })
    const key = await control.createKey()
    a = await Daemon.start((await internet.publicHost('a')).host, { kind: 'stock', folder: join(folder, 'a') })
    b = await Daemon.start((await internet.publicHost('b')).host, { kind: 'stock', folder: join(folder, 'b') })
    await a.join(control.url, key, { Hostname: 'a' })
    await b.join(control.url, key, { Hostname: 'b' })
    addressOfB = await b.address()
  })
  afterAll(async () => {
    await Promise.all([a?.stop(), b?.stop()])
    await control?.stop()
    await internet?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('[SRV-7.1] they see each other and ping directly, both directions', async () => {
    await eventually(
      'a knows b by name',
      async () =>
        Object.values((await a.status()).Peer ?? {}).some((peer) => peer.DNSName === 'b.demo.internal.') || undefined,
      { withinMs: 1000 },
    )
    expect((await a.untilDirect(addressOfB, 20_000)).endpoint).toMatch(/:41641$/)
    expect((await b.untilDirect(await a.address(), 20_000)).endpoint).toMatch(/:41641$/)
    expect(await a.icmp(addressOfB, { count: 3 })).toHaveLength(3)
  })

  test('[SRV-7.2] netcheck finds our relay by STUN and, without UDP, by HTTPS; traffic goes over the relay', async () => {
    expect((await cli(a, 'netcheck')).stdout).toMatch(/UDP: true[\s\S]*Nearest DERP: Laboratory/)
    // host.rules would flush the daemon's own tables as well
    await a.host.must('nft', ['-f', '-'], { input: NO_UDP })
    try {
      const pong = await eventually(
        'a pong over the relay',
        async () => {
          const result = await a.ping(addressOfB, 2000)
          return result.DERPRegionID > 0 ? result : undefined
        },
        { withinMs: 20_000 },
      )
      expect(pong.DERPRegionCode).toBe('lab')
      expect(await b.icmp(await a.address(), { count: 3, waitSeconds: 5 })).toHaveLength(3)
      expect((await cli(a, 'netcheck')).stdout).toMatch(/UDP: false[\s\S]*Nearest DERP: Laboratory/)
    } finally {
      await a.host.must('nft', ['delete', 'table', 'inet', 'cut'])
    }
    await a.untilDirect(addressOfB, 30_000)
    await b.untilDirect(await a.address(), 30_000)
  })

  test('[SRV-7.3] a killed server comes back: nobody signs in again, tunnels never stop', async () => {
    await control.kill()
    expect(await a.icmp(addressOfB, { count: 5 })).toHaveLength(5)
    await control.start()
    await eventually(
      'both streams are back',
      async () =>
        (JSON.parse(await control.admin('health', '--json')) as { streams: number }).streams === 2 || undefined,
      { withinMs: 60_000, everyMs: 300 },
    )
    expect(await a.icmp(addressOfB, { count: 3 })).toHaveLength(3)
  })

  test('[SRV-7.4] logout, then the link of an interactive login, approved by the administrator', async () => {
    await cli(b, 'logout')
    const up = cli(b, 'up', `--login-server=${control.url}`, '--hostname=b', '--accept-dns=false', '--timeout=60s')
    const url = await eventually(
      'a login link',
      async () => {
        const { AuthURL } = await b.client.status({ peers: false })
        return AuthURL === undefined || AuthURL === '' ? undefined : AuthURL
      },
      { withinMs: 15_000 },
    )
    expect(url).toMatch(/\/register\/[0-9a-f]{24}$/)
    await control.admin('nodes', 'register', '--id', url, '--user', 'demo')
    expect((await up).code).toBe(0)
    expect(await b.address()).toBe(addressOfB)
    await eventually(
      'a reaches b again',
      async () => (await a.icmp(addressOfB, { count: 1 })).length === 1 || undefined,
      { withinMs: 20_000 },
    )
  })

  test('[SRV-7.5] expired and deleted nodes are asked to sign in; others lose a deleted one', async () => {
    const stateOfB = async (state: string) =>
      (await b.client.status({ peers: false })).BackendState === state ? true : undefined
    await control.admin('nodes', 'expire', 'b')
    await eventually('b needs a login', () => stateOfB('NeedsLogin'), { withinMs: 10_000 })
    await control.admin('nodes', 'expire', 'b', '--never')
    await control.admin('nodes', 'delete', 'b')
    await eventually(
      'a has no peers',
      async () => Object.keys((await a.status()).Peer ?? {}).length === 0 || undefined,
      { withinMs: 5000 },
    )
    await eventually('b needs a login', () => stateOfB('NeedsLogin'), { withinMs: 10_000 })
  })
})
