/**
 * Somebody else's coordination server: Headscale approves our routers by hand and by its policy; subnets and exit nodes of
 * ours and stock ones are used by clients of both kinds.
 */
import { join } from 'node:path'
import { checksOn } from '../checks.ts'
import { Daemon, type DaemonOptions } from '../daemon.ts'
import { DERPER_PORT, startDerper } from '../derper.ts'
import { eventually } from '../eventually.ts'
import { Headscale } from '../headscale.ts'
import { Host } from '../host.ts'
import { Internet } from '../internet.ts'
import type { Sheet } from '../measure-line.ts'
import { plug, room, servePage, unique } from '../room.ts'

type Kind = DaemonOptions['kind']
const EXIT_ROUTES = ['0.0.0.0/0', '::/0']
/** Not in the network that the routers stand in. */
const SITE = '198.51.100.80'
/** Whoever offers this or an exit node needs nobody's yes. */
const AUTOMATIC = '192.168.60.0/24'
const POLICY = {
  acls: [{ action: 'accept', src: ['*'], dst: ['*:*'] }],
  autoApprovers: { routes: { [AUTOMATIC]: ['demo@'] }, exitNode: ['demo@'] },
}

export interface UnderHeadscaleOptions {
  readonly folder: string
  readonly client: Kind
  readonly router: Kind
}

export async function underHeadscale(sheet: Sheet, options: UnderHeadscaleOptions): Promise<void> {
  const { folder, client: clientKind, router: routerKind } = options
  const checks = checksOn(sheet, `Headscale, ${clientKind} client, ${routerKind} routers`)
  const internet = await Internet.create()
  const daemons: Daemon[] = []
  const rooms: Host[] = []
  const derper = await startDerper(await internet.publicHost('derper', ['203.0.113.30']), join(folder, 'derper'))
  const { address: ip } = derper.machine
  const node = { name: '900a', regionid: 900, hostname: ip, ipv4: ip, derpport: DERPER_PORT, certname: derper.certName }
  const region = { regionid: 900, regioncode: 'stock', regionname: 'Stock relay', nodes: [node] }
  const headscale = await Headscale.start(
    await internet.publicHost('headscale', ['203.0.113.10']),
    join(folder, 'hs'),
    new Map([[900, region]]),
    POLICY,
  )
  try {
    const site = await internet.publicHost('site')
    await site.host.must('ip', ['addr', 'add', `${SITE}/32`, 'dev', 'lo'])
    await servePage(site.host, 'site')
    const key = await headscale.createKey()
    const open = async (name: string, kind: Kind, prefs: object): Promise<{ daemon: Daemon; address: string }> => {
      const { host, address } = await internet.publicHost(name)
      await host.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
      await host.must('ip', ['route', 'add', SITE, 'via', site.address])
      const daemon = await Daemon.start(host, { kind, folder: join(folder, name) })
      daemons.push(daemon)
      await daemon.join(headscale.url, key, { Hostname: name, NetfilterMode: 2, ...prefs })
      return { daemon, address }
    }
    const openRouter = async (name: string, number: number, exit: readonly string[]) => {
      const inside = await room(name, folder)
      const machine = await Host.create(unique(`${name}-pc`), folder)
      rooms.push(inside, machine)
      await plug(machine, 'eth0', inside, `192.168.${number}.10/24`)
      await servePage(machine, name)
      const router = await open(name, routerKind, { AdvertiseRoutes: [`192.168.${number}.0/24`, ...exit] })
      await plug(router.daemon.host, 'eth1', inside, `192.168.${number}.1/24`)
      return router
    }
    const byHand = await openRouter('byhand', 50, [])
    const automatic = await openRouter('automatic', 60, EXIT_ROUTES)
    const client = await open('client', clientKind, { RouteAll: true })
    const page = async (address: string): Promise<string> => {
      const { stdout } = await client.daemon.host.run('curl', ['-s', '-m', '2', `http://${address}/`])
      const name = /<h1>(.*)<\/h1>/.exec(stdout)?.[1]
      const who = /came through the tunnel to (?:::ffff:)?([0-9a-f.:]+?)\.</.exec(stdout)?.[1]
      return name === undefined ? '' : `${name}, asked by ${who}`
    }
    const becomes = (address: string, wanted: string): Promise<string> =>
      eventually(`${address} is ${wanted}`, async () => ((await page(address)) === wanted ? wanted : undefined), {
        withinMs: 20_000,
      }).catch(() => page(address))

    const approved = await becomes('192.168.60.10', 'automatic, asked by 192.168.60.1')
    checks.is('a subnet that the policy approves', approved, 'automatic, asked by 192.168.60.1')
    checks.is('one that waits for approval', await page('192.168.50.10'), '')
    await headscale.admin('nodes', 'approve-routes', '-i', await headscale.nodeId('byhand'), '-r', '192.168.50.0/24')
    const yes = await becomes('192.168.50.10', 'byhand, asked by 192.168.50.1')
    checks.is('approved by hand', yes, 'byhand, asked by 192.168.50.1')

    const { Self } = await automatic.daemon.status()
    checks.is('the site, before', await page(SITE), `site, asked by ${client.address}`)
    await client.daemon.client.editPrefs({ ExitNodeID: Self.ID, ExitNodeIDSet: true })
    const through = await becomes(SITE, `site, asked by ${automatic.address}`)
    checks.is('the site through the exit node that the policy approves', through, `site, asked by ${automatic.address}`)
    checks.is('and the other subnet meanwhile', await page('192.168.50.10'), 'byhand, asked by 192.168.50.1')
    await client.daemon.client.editPrefs({ ExitNodeID: '', ExitNodeIDSet: true })
    checks.is(
      'without it again',
      await becomes(SITE, `site, asked by ${client.address}`),
      `site, asked by ${client.address}`,
    )
    await headscale.admin('nodes', 'approve-routes', '-i', await headscale.nodeId('byhand'), '-r', '')
    checks.is('approval taken back', await becomes('192.168.50.10', ''), '')
    await byHand.daemon.stop()
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.stop()))
    await headscale.stop()
    await derper.stop()
    await Promise.all(rooms.map((host) => host.close()))
    await internet.close()
  }
}
