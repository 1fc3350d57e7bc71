/**
 * Stock clients as subnet routers, exit nodes and users of both, with our approvals: what `tailscale status --json` of a third
 * one shows, and where its packets go. Skipped by name where the stock programs are not installed.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { ControlServer } from '../lab/control-server.ts'
import { Daemon, stockProgram } from '../lab/daemon.ts'
import { discard } from '../lab/demo-network.ts'
import { eventually } from '../lab/eventually.ts'
import type { Host } from '../lab/host.ts'
import { Internet } from '../lab/internet.ts'

const tailscale = stockProgram('tailscale')
const hasStock = tailscale !== undefined && stockProgram('tailscaled') !== undefined

const SUBNET = '192.168.50.0/24'
const SERVER = '192.168.50.10'
/** Not in the network of the routers' own interfaces, which no stock exit node leads to. */
const SITE = '198.51.100.80'
/** Nothing leaves and nothing comes, and nobody is told. */
const UNPLUGGED =
  'table inet cut { chain out { type filter hook output priority -500; oifname "eth0" drop; }; chain in { type filter hook input priority -500; iifname "eth0" drop; }; }'

describe.skipIf(!hasStock)('stock routers, a stock user, our server', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  let internet: Internet
  let control: ControlServer
  let routers: Daemon[]
  let user: Daemon

  const cli = async (daemon: Daemon, ...words: string[]): Promise<string> =>
    daemon.host.must(tailscale!, [`--socket=${daemon.socketPath}`, ...words])
  const reload = async (edit: (config: Record<string, unknown>) => object): Promise<string> => {
    const file = join(control.folder, 'control.yaml')
    const config = parse(readFileSync(file, 'utf8')) as Record<string, unknown>
    writeFileSync(file, stringify({ ...config, ...edit(config) }))
    return control.admin('reload')
  }
  /** Who has the subnet, as the third one's command line shows it. */
  const owner = async (): Promise<string> => {
    const { Peer } = JSON.parse(await cli(user, 'status', '--json')) as Awaited<ReturnType<Daemon['status']>>
    const peers = Object.values(Peer ?? {}).filter((peer) => peer.PrimaryRoutes?.includes(SUBNET))
    const allowed = Object.values(Peer ?? {}).filter((peer) => peer.AllowedIPs?.includes(SUBNET))
    expect(allowed.map(({ HostName }) => HostName)).toEqual(peers.map(({ HostName }) => HostName))
    return peers.map(({ HostName }) => HostName).join()
  }
  const fetched = async (address: string): Promise<string> => {
    const { stdout } = await user.host.run('curl', ['-s', '-m', '2', `http://${address}/`])
    return /<h1>(.*)<\/h1>/.exec(stdout)?.[1] ?? ''
  }
  const untilOwner = async (name: string, withinMs: number): Promise<number> => {
    const started = performance.now()
    await eventually(`${name} has the subnet`, async () => (await owner()) === name || undefined, { withinMs })
    const tookMs = performance.now() - started
    await eventually(`packets go to ${name}`, async () => (await fetched(SERVER)) === name || undefined, {
      withinMs: 20_000,
    })
    return tookMs
  }

  beforeAll(async () => {
    internet = await Internet.create()
    control = await ControlServer.start(await internet.publicHost('control'), { folder: join(folder, 'c') })
    const site = await internet.publicHost('site')
    await site.host.must('ip', ['addr', 'add', `${SITE}/32`, 'dev', 'lo'])
    await serve(site.host, 'site')
    const key = await control.createKey()
    const start = async (name: string) =>
      Daemon.start((await internet.publicHost(name)).host, { kind: 'stock', folder: join(folder, name) })
    routers = [await start('r1'), await start('r2')]
    user = await start('user')
    await user.join(control.url, key, { Hostname: 'user', RouteAll: true, NetfilterMode: 2 })
    for (const [index, router] of routers.entries()) {
      const name = `r${index + 1}`
      await router.host.must('ip', ['addr', 'add', `${SERVER}/32`, 'dev', 'lo'])
      await router.host.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
      await router.host.must('ip', ['route', 'add', SITE, 'via', site.address])
      await serve(router.host, name)
      const AdvertiseRoutes = [SUBNET, '0.0.0.0/0', '::/0']
      await router.join(control.url, key, { Hostname: name, AdvertiseRoutes, NetfilterMode: 2 })
    }
  })
  afterAll(async () => {
    await Promise.all([user?.stop(), ...(routers ?? []).map((router) => router.stop())])
    await control?.stop()
    await internet?.close()
    discard(folder)
  })

  test('[SRV-R2] [U15] offered is not approved; approved, the route is there and leads to the router', async () => {
    const waiting = async () => (await control.admin('routes', 'list')).match(/waits for approval/g)?.length
    await eventually('both offer', async () => (await waiting()) === 6 || undefined, { withinMs: 10_000 })
    expect(await owner()).toBe('')
    expect(await fetched(SERVER)).toBe('')
    for (const name of ['r2', 'r1']) await control.admin('routes', 'approve', name, SUBNET)
    await untilOwner('r2', 5000) // the only one for a moment, and it keeps it
  })

  test('[SRV-R3] the router is killed: the other one has it within 15 s, and keeps it when the first is back', async () => {
    await routers[1]!.kill()
    const tookMs = await untilOwner('r1', 15_000)
    console.log(`killed: moved after ${(tookMs / 1000).toFixed(1)} s`)
    await routers[1]!.start()
    await eventually(
      'the killed one is back',
      async () => Object.values((await user.status()).Peer ?? {}).find((p) => p.HostName === 'r2')?.Online || undefined,
      { withinMs: 20_000 },
    )
    expect(await owner()).toBe('r1')
  })

  test('[SRV-R3] the router is unplugged: the other one has it within 15 s; the server restarts: nobody moves', async () => {
    await routers[0]!.host.must('nft', ['-f', '-'], { input: UNPLUGGED })
    const tookMs = await untilOwner('r2', 15_000)
    console.log(`unplugged: moved after ${(tookMs / 1000).toFixed(1)} s`)
    await routers[0]!.host.must('nft', ['delete', 'table', 'inet', 'cut'])
    await new Promise((resolve) => setTimeout(resolve, 1000)) // written within half a second
    await control.kill()
    await control.start()
    await eventually(
      'all streams are back',
      async () =>
        (JSON.parse(await control.admin('health', '--json')) as { streams: number }).streams === 3 || undefined,
      { withinMs: 60_000, everyMs: 300 },
    )
    expect(await owner()).toBe('r2')
  })

  test('[SRV-R2] [SRV-R4] [SRV-R6] [U14] an exit node approved by the configuration is offered, suggested and leads out', async () => {
    await control.admin('nodes', 'rename', 'r1', 'r1')
    expect(await reload(() => ({ auto_approve: { exit_node: ['node:r1'] } }))).toMatch(/auto_approve\.exit_node/)
    const offering = async () =>
      Object.values((await user.status()).Peer ?? {})
        .filter((peer) => peer.ExitNodeOption)
        .map(({ HostName }) => HostName)
        .join()
    await eventually('it is offered', async () => (await offering()) === 'r1' || undefined, { withinMs: 5000 })
    await eventually(
      'it is suggested',
      async () => (await cli(user, 'exit-node', 'suggest')).includes('r1.demo.internal') || undefined,
      { withinMs: 20_000, everyMs: 500 },
    )
    await cli(user, 'set', '--exit-node=r1')
    await eventually('the site answers through it', async () => (await fetched(SITE)) === 'site' || undefined, {
      withinMs: 20_000,
    })
    const { stdout } = await user.host.run('curl', ['-s', '-m', '2', `http://${SITE}/`])
    const its = (await routers[0]!.host.must('ip', ['-4', '-o', 'addr', 'show', 'eth0'])).match(/203\.0\.113\.\d+/)![0]
    expect(stdout).toContain(`${its}.`)
    await reload(() => ({ auto_approve: {} }))
    await eventually('it is gone', async () => (await offering()) === '' || undefined, { withinMs: 5000 })
    await cli(user, 'set', '--exit-node=')
  })

  test('[SRV-1.6] [U16] a split zone and an attribute, taken over without a restart, reach the stock client', async () => {
    const said = await reload((config) => ({
      dns: {
        ...(config.dns as object),
        nameservers: { split: { 'cloud.example': [`${SERVER}:53`] } },
        search_domains: ['cloud.example'],
        extra_records: [{ name: 'wiki.cloud.example', type: 'A', value: '100.64.0.9' }],
      },
      node_attributes: [{ target: ['*'], attr: ['magicdns-aaaa', 'disable-linux-cgnat-drop-rule'] }],
    }))
    expect(said).toBe('In effect: dns.nameservers, dns.search_domains, dns.extra_records, node_attributes.\n')
    await eventually(
      'the client has them',
      async () => {
        const status = await cli(user, 'dns', 'status', '--all')
        const { Self } = await user.status()
        return (
          (/cloud\.example\.?\s+->\s+192\.168\.50\.10/.test(status) && Self.CapMap?.['magicdns-aaaa'] !== undefined) ||
          undefined
        )
      },
      { withinMs: 5000 },
    )
  })
})

async function serve(host: Host, name: string): Promise<void> {
  const child = host.start(process.execPath, [join(import.meta.dirname, '..', 'lab', 'page.ts'), name])
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    child.once('close', (code) => reject(new Error(`the page of ${name} ended with ${code}`)))
  })
}
