/**
 * Routers on both sides: two offices whose machines know nothing of the mesh. Each router offers its own network and
 * accepts the other's; without SNAT each side sees the other's real addresses, and a connection can begin at either.
 */
import { join } from 'node:path'
import { checksOn } from '../checks.ts'
import { ControlServer } from '../control-server.ts'
import { Daemon, type DaemonOptions } from '../daemon.ts'
import { eventually } from '../eventually.ts'
import { Host } from '../host.ts'
import { Internet } from '../internet.ts'
import type { Sheet } from '../measure-line.ts'
import { plug, room, servePage, unique } from '../room.ts'

type Kind = DaemonOptions['kind']

interface Site {
  readonly name: string
  readonly machine: Host
  readonly address: string
  readonly router: Daemon
  readonly room: Host
}

export interface SiteToSiteOptions {
  readonly folder: string
  readonly routers: readonly [Kind, Kind]
}

export async function siteToSite(sheet: Sheet, { folder, routers }: SiteToSiteOptions): Promise<void> {
  const checks = checksOn(sheet, `${routers.join(' and ')} routers`)
  const internet = await Internet.create()
  const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
    folder: join(folder, 'c'),
    config: { auto_approve: { routes: { '192.168.0.0/16': ['demo'] } } },
  })
  const key = await control.createKey()
  const sites: Site[] = []
  const openSite = async (name: string, kind: Kind, number: number): Promise<Site> => {
    const network = `192.168.${number}.0/24`
    const inside = await room(name, folder)
    const machine = await Host.create(unique(`${name}-pc`), folder)
    const address = `192.168.${number}.10`
    await plug(machine, 'eth0', inside, `${address}/24`)
    await machine.must('ip', ['route', 'add', 'default', 'via', `192.168.${number}.1`])
    await servePage(machine, name)
    const { host } = await internet.publicHost(name)
    await plug(host, 'eth1', inside, `192.168.${number}.1/24`)
    await host.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
    const router = await Daemon.start(host, { kind, folder: join(folder, name) })
    await router.join(control.url, key, {
      Hostname: name,
      AdvertiseRoutes: [network],
      RouteAll: true,
      NoSNAT: true,
      NetfilterMode: 2,
    })
    return { name, machine, address, router, room: inside }
  }
  const reads = (from: Site, to: Site): Promise<string> =>
    eventually(
      `${from.name} reads the page of ${to.name}`,
      async () => {
        const { stdout } = await from.machine.run('curl', ['-s', '-m', '2', `http://${to.address}/`])
        const name = /<h1>(.*)<\/h1>/.exec(stdout)?.[1]
        const who = /came through the tunnel to (?:::ffff:)?([0-9a-f.:]+?)\.</.exec(stdout)?.[1]
        return name === undefined ? undefined : `${name}, asked by ${who}`
      },
      { withinMs: 15_000 },
    ).catch(() => '')
  try {
    for (const [index, kind] of routers.entries()) sites.push(await openSite(`site${index + 1}`, kind, 50 + 10 * index))
    const [one, two] = sites as [Site, Site]
    checks.is('a machine of the first asks the second', await reads(one, two), `site2, asked by ${one.address}`)
    checks.is('a machine of the second asks the first', await reads(two, one), `site1, asked by ${two.address}`)
    const fromRouter = await one.router.host.run('curl', ['-s', '-m', '3', `http://${two.address}/`])
    checks.is('a router itself asks the other side', fromRouter.stdout.includes('<h1>site2</h1>'), true)
    const full = await one.machine.run('ping', ['-n', '-c', '1', '-W', '2', '-M', 'do', '-s', '1252', two.address])
    checks.is('packets as large as the tunnel takes', full.stdout.includes(' time='), true)
    await two.router.client.editPrefs({ RouteAll: false, RouteAllSet: true })
    const back = await one.machine.run('curl', ['-s', '-m', '2', `http://${two.address}/`])
    checks.is('one side no longer accepts: no way back', back.stdout, '')
    await two.router.client.editPrefs({ RouteAll: true, RouteAllSet: true })
    checks.is('and accepts again', await reads(one, two), `site2, asked by ${one.address}`)
  } finally {
    await Promise.all(sites.map(({ router }) => router.stop()))
    await control.stop()
    await Promise.all(sites.flatMap(({ machine, room: inside }) => [machine.close(), inside.close()]))
    await internet.close()
  }
}
