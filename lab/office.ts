/**
 * An office network with two routers into it, a branch whose network has the same numbers, and a laptop elsewhere, which
 * can be carried into the office, or into a café that happens to use those numbers, too.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ControlServer } from './control-server.ts'
import { Daemon, type DaemonOptions } from './daemon.ts'
import { eventually } from './eventually.ts'
import { Host } from './host.ts'
import { Internet } from './internet.ts'
import { type MachineView, machineView } from './machine-view.ts'
import { plug, room, servePage, unique } from './room.ts'

type Kind = DaemonOptions['kind']

export const OFFICE = '192.168.50.0/24'
export const SERVER = '192.168.50.10'
/** The laptop's address there, in the office as in the café. */
const VISITOR = '192.168.50.77'

export interface OfficeRouter {
  readonly name: string
  readonly daemon: Daemon
  /** In the office. */
  readonly inside: string
}

export interface OfficeOptions {
  readonly folder: string
  readonly client: Kind
  readonly routers: readonly Kind[]
  /** Over the server's configuration. */
  readonly config?: Record<string, unknown>
}

const cli = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))

export class Office {
  readonly internet: Internet
  readonly control: ControlServer
  readonly laptop: MachineView
  readonly client: Daemon
  readonly routers: readonly OfficeRouter[]
  readonly server: Host
  readonly #rooms: { readonly office: Host; readonly cafe: Host }
  readonly #authKey: string
  readonly #folder: string
  readonly #branch: { close(): Promise<void> }[] = []

  private constructor(
    parts: Pick<Office, 'internet' | 'control' | 'laptop' | 'client' | 'routers' | 'server'>,
    rooms: { office: Host; cafe: Host },
    authKey: string,
    folder: string,
  ) {
    this.internet = parts.internet
    this.control = parts.control
    this.laptop = parts.laptop
    this.client = parts.client
    this.routers = parts.routers
    this.server = parts.server
    this.#rooms = rooms
    this.#authKey = authKey
    this.#folder = folder
  }

  static async open({ folder, client: kind, routers: kinds, config = {} }: OfficeOptions): Promise<Office> {
    const internet = await Internet.create()
    const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
      config,
    })
    const key = await control.createKey()
    const office = await room('office', folder)
    const cafe = await room('cafe', folder)
    const server = await Host.create(unique('server'), folder)
    await plug(server, 'eth0', office, `${SERVER}/24`)
    await servePage(server, 'office')
    server.start(process.execPath, [
      '-e',
      `require('net').createServer((s) => s.on('error', () => {}).pipe(s)).listen(7)`,
    ])
    const lan = await internet.lan(['laptop'], 'apdf')
    const laptop = await machineView(lan.hosts[0]!.host)
    const client = await Daemon.start(laptop.host, { kind, folder: join(folder, 'l') })
    await client.join(control.url, key, { Hostname: 'laptop' })
    const routers: OfficeRouter[] = []
    for (const [index, routerKind] of kinds.entries()) {
      const name = `router${index + 1}`
      const { host } = await internet.publicHost(name)
      const inside = `192.168.50.${index + 1}`
      await plug(host, 'eth1', office, `${inside}/24`)
      await host.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
      const daemon = await Daemon.start(host, { kind: routerKind, folder: join(folder, `r${index}`) })
      await daemon.join(control.url, key, { Hostname: name, AdvertiseRoutes: [OFFICE], NetfilterMode: 2 })
      routers.push({ name, daemon, inside })
    }
    return new Office({ internet, control, laptop, client, routers, server }, { office, cafe }, key, folder)
  }

  async approve(name: string): Promise<void> {
    await this.control.admin('routes', 'approve', name, '--all')
  }

  /** Who the office's server says asks; "" when it cannot be reached. */
  async seenAs(timeoutSeconds = 2): Promise<string> {
    const page = await this.page(`http://${SERVER}/`, timeoutSeconds)
    return /came through the tunnel to (?:::ffff:)?([0-9a-f.:]+?)\.</.exec(page)?.[1] ?? ''
  }

  /** Our command line on the laptop; answers all it said. */
  async pintail(...words: string[]): Promise<string> {
    const { stdout, stderr } = await this.laptop.run(process.execPath, [
      cli,
      `--socket=${this.client.socketPath}`,
      ...words,
    ])
    return (stdout + stderr).trim()
  }

  /** Waits until it asks as `who`; answers whom it asks as then. */
  async untilSeen(who: string): Promise<string> {
    return eventually(`the server sees ${who}`, async () => ((await this.seenAs(1)) === who ? who : undefined), {
      withinMs: 15_000,
    }).catch(() => this.seenAs(1))
  }

  /** The server's own way back to members of the network, for routers that keep their addresses. */
  async answerThrough(router: string): Promise<void> {
    await this.server.must('ip', ['route', 'replace', '100.64.0.0/10', 'via', router])
  }

  async page(url: string, timeoutSeconds = 2): Promise<string> {
    const { stdout } = await this.laptop.run('curl', ['-g', '-s', '-m', String(timeoutSeconds), url], {
      timeoutMs: timeoutSeconds * 1000 + 5_000,
    })
    return stdout
  }

  /** The office under a number of its own as well; answers where its server is then. */
  async offerSite(router: OfficeRouter, site: number): Promise<string> {
    await router.daemon.client.editPrefs({ AdvertiseRoutes: [OFFICE, sitePrefix(site)], AdvertiseRoutesSet: true })
    return siteUrl(site)
  }

  /** Interface of the route to the office's server. */
  async routeDevice(): Promise<string> {
    const { stdout } = await this.laptop.run('ip', ['route', 'get', SERVER])
    return / dev (\S+)/.exec(stdout)?.[1] ?? ''
  }

  /** The way to the office's server as our daemon tells it; `agrees`: the kernel says the same. */
  async explained(): Promise<{
    verdict: string
    agrees: boolean
    machines: string[]
    lost: string[]
    overlaps: number
  }> {
    const [found] = (await this.client.client.explainRoute({ to: SERVER }))?.Targets ?? []
    if (found === undefined) throw new Error('nothing was explained')
    const { Verdict, KernelAgrees, Peer, Losers, Conflicts } = found
    return {
      verdict: Verdict,
      agrees: KernelAgrees === true,
      machines: Peer === undefined ? [] : [Peer.Name, ...Peer.Others.map(({ Name }) => `not ${Name}`)],
      lost: Losers.filter(({ Kind }) => Kind === 'peer-route').map(({ Reason }) => Reason),
      overlaps: Conflicts.length,
    }
  }

  /** Plugs the laptop in, beside the network it has. */
  async visit(where: 'office' | 'cafe'): Promise<void> {
    await plug(this.laptop.host, 'eth9', this.#rooms[where], `${VISITOR}/24`)
  }

  async leave(): Promise<void> {
    await this.laptop.run('ip', ['link', 'del', 'eth9'])
  }

  /** Another site with the same numbers, behind a router that offers it under a number of its own. */
  async addBranch(kind: Kind, site: number): Promise<{ readonly daemon: Daemon; readonly url: string }> {
    const branch = await room('branch', this.#folder)
    const machine = await Host.create(unique('machine'), this.#folder)
    await plug(machine, 'eth0', branch, `${SERVER}/24`)
    await servePage(machine, 'branch')
    const { host } = await this.internet.publicHost('branch')
    await plug(host, 'eth1', branch, '192.168.50.3/24')
    await host.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
    const daemon = await Daemon.start(host, { kind, folder: join(this.#folder, 'b') })
    this.#branch.push({ close: () => daemon.stop() }, machine, branch)
    await daemon.join(this.control.url, this.#authKey, {
      Hostname: 'branch',
      AdvertiseRoutes: [sitePrefix(site)],
      NetfilterMode: 2,
    })
    return { daemon, url: siteUrl(site) }
  }

  async close(): Promise<void> {
    await Promise.all([this.client.stop(), ...this.routers.map(({ daemon }) => daemon.stop())])
    for (const part of this.#branch) await part.close()
    await this.control.stop()
    await Promise.all([this.server, this.#rooms.office, this.#rooms.cafe].map((host) => host.close()))
    await this.internet.close()
  }
}

const sitePrefix = (site: number): string => `fd7a:115c:a1e0:b1a:0:${site.toString(16)}:c0a8:3200/120`
const siteUrl = (site: number): string => `http://[fd7a:115c:a1e0:b1a:0:${site.toString(16)}:c0a8:320a]/`
