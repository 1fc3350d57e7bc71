/**
 * A traveller's network: a laptop behind a router, exit nodes abroad, a web site that tells who asks, and the company whose
 * own VPN (`wt0`, 10.0.0.0/16) the laptop has as well. What leaves the laptop uncovered is written down by its router.
 */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MaskedPrefs } from '../src-contract/localapi/prefs.ts'
import { ControlServer } from './control-server.ts'
import { Daemon, type DaemonOptions } from './daemon.ts'
import { eventually } from './eventually.ts'
import { Host, ip } from './host.ts'
import { Internet, type PublicHost } from './internet.ts'
import { type MachineView, machineView } from './machine-view.ts'
import { startNameServer } from './name-server.ts'
import { servePage } from './room.ts'

type Kind = DaemonOptions['kind']

/** Not in the network that the exit nodes stand in: that is not theirs to offer. */
export const SITE = '198.51.100.80'
const cli = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))
const ASKING = `const udp = require('dgram').createSocket('udp4'), tcp = require('net')
udp.on('error', () => {})
setInterval(() => {
  udp.send('x', 9, '198.51.100.81', () => {})
  const socket = tcp.connect(80, '${SITE}')
  socket.on('error', () => {})
  setTimeout(() => socket.destroy(), 1000)
}, 100)`
/** In the laptop's own network. */
export const PRINTER = '10.1.0.3'
export const COMPANY = '10.0.1.100'
/** The company's name server, and what only that knows: a machine in another of its networks. */
const COMPANY_DNS = '10.0.0.53'
export const COMPANY_NAME = 'git.corp.example'
const COMPANY_GIT = '10.99.0.5'

export interface Exit extends PublicHost {
  readonly name: string
  readonly daemon: Daemon
}

export interface AwayOptions {
  readonly folder: string
  readonly client: Kind
  readonly exits: readonly Kind[]
  /** Over the server's configuration. */
  readonly config?: Record<string, unknown>
  /** See `ControlServer`. */
  readonly mapAdditions?: string
  /** The laptop as it is before anything of ours was on it. */
  readonly prepare?: (laptop: MachineView) => Promise<void>
}

export class Away {
  readonly internet: Internet
  readonly control: ControlServer
  readonly laptop: MachineView
  readonly client: Daemon
  readonly exits: readonly Exit[]
  readonly company: Host
  readonly world: Host
  readonly router: Host
  readonly routerAddress: string

  private constructor(
    parts: Pick<
      Away,
      'internet' | 'control' | 'laptop' | 'client' | 'exits' | 'company' | 'world' | 'router' | 'routerAddress'
    >,
  ) {
    this.internet = parts.internet
    this.control = parts.control
    this.laptop = parts.laptop
    this.client = parts.client
    this.exits = parts.exits
    this.company = parts.company
    this.world = parts.world
    this.router = parts.router
    this.routerAddress = parts.routerAddress
  }

  static async open({ folder, client: kind, exits: kinds, config = {}, ...more }: AwayOptions): Promise<Away> {
    const internet = await Internet.create()
    const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
      config,
      ...(more.mapAdditions === undefined ? {} : { mapAdditions: more.mapAdditions }),
    })
    const world = await openWorld(internet, folder)
    const lan = await internet.lan(['laptop', 'printer'], 'apdf')
    const [laptopHost, printer] = lan.hosts
    await servePage(printer!.host, 'printer')
    const company = await openCompany(laptopHost!.host, folder)
    const laptop = await machineView(laptopHost!.host)
    // as the company's VPN leaves it
    await laptop.writeEtc('resolv.conf', `nameserver ${COMPANY_DNS}\n`)
    await more.prepare?.(laptop)
    const client = await Daemon.start(laptop.host, { kind, folder: join(folder, 'l') })
    const key = await control.createKey()
    await client.join(control.url, key, { Hostname: 'laptop' })
    const exits: Exit[] = []
    for (const [index, exitKind] of kinds.entries()) {
      const name = `exit${index + 1}`
      const machine = await internet.publicHost(name)
      await machine.host.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
      const daemon = await Daemon.start(machine.host, { kind: exitKind, folder: join(folder, `x${index}`) })
      const AdvertiseRoutes = ['0.0.0.0/0', '::/0']
      await daemon.join(control.url, key, { Hostname: name, AdvertiseRoutes, NetfilterMode: 2 })
      exits.push({ ...machine, name, daemon })
    }
    await lan.router.must('nft', ['-f', '-'], { input: WITNESS })
    const { router, wanAddress: routerAddress } = lan
    return new Away({ internet, control, laptop, client, exits, company, world, router, routerAddress })
  }

  /** The administrator says yes; the laptop sees the offer. */
  async approveExits(): Promise<void> {
    for (const { name } of this.exits) await this.control.admin('routes', 'approve', name, '--all')
    await eventually(
      'the laptop sees the exit nodes',
      async () => {
        const offering = Object.values((await this.client.status()).Peer ?? {}).filter((peer) => peer.ExitNodeOption)
        return offering.length === this.exits.length ? true : undefined
      },
      { withinMs: 10_000 },
    )
  }

  async use(exit: Exit | undefined, more: MaskedPrefs = {}): Promise<void> {
    const id = exit === undefined ? '' : (await exit.daemon.status()).Self.ID
    await this.edit({ ExitNodeID: id, ExitNodeIDSet: true, ExitNodeIPSet: true, ...more })
  }

  async edit(edit: MaskedPrefs): Promise<void> {
    await this.client.client.editPrefs(edit)
  }

  /** What the web site says who asks; "" when it cannot be reached. */
  async seenAs(timeoutSeconds = 5): Promise<string> {
    const page = await this.fetch(`http://${SITE}/`, timeoutSeconds)
    return /came through the tunnel to (?:::ffff:)?([0-9a-f.:]+?)\.</.exec(page)?.[1] ?? ''
  }

  async reaches(address: string, timeoutSeconds = 2): Promise<boolean> {
    return (await this.fetch(`http://${address}/`, timeoutSeconds)).includes('<h1>')
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

  /** Programs that go on sending to the world, by TCP and UDP, as programs do. */
  keepAsking(): ChildProcess {
    return this.laptop.start(process.execPath, ['-e', ASKING])
  }

  async fetch(url: string, timeoutSeconds: number): Promise<string> {
    const { stdout } = await this.laptop.run('curl', ['-s', '-m', String(timeoutSeconds), url], {
      timeoutMs: timeoutSeconds * 1000 + 5_000,
    })
    return stdout
  }

  /** As users look: interface and table of the route that wins. */
  async routeGet(address: string): Promise<string> {
    const { stdout, stderr } = await this.laptop.run('ip', ['route', 'get', address])
    const device = / dev (\S+)/.exec(stdout)?.[1]
    const table = / table (\S+)/.exec(stdout)?.[1] ?? 'main'
    return device === undefined ? (stderr || stdout).trim() : `${device} ${table}`
  }

  /** The same as our daemon tells it, behind its verdict; with the kernel's own words where that does not agree. */
  async explained(to: string): Promise<string> {
    const [target] = (await this.client.client.explainRoute({ to }))?.Targets ?? []
    if (target === undefined) return ''
    const table = target.Steps.find(({ Won }) => Won)?.Table ?? ''
    const objection = target.KernelAgrees === true ? '' : `, kernel: ${target.Kernel}`
    return `${target.Verdict}: ${target.Interface} ${table}${objection}`
  }

  /** Whatever left the laptop since the last call that was not for the network's own machines (and `others`), sorted. */
  async leaked(others: readonly string[] = []): Promise<string[]> {
    const text = await this.router.must('nft', ['-j', 'list', 'table', 'inet', 'witness'])
    await this.router.must('nft', ['flush', 'set', 'inet', 'witness', 'v4'])
    await this.router.must('nft', ['flush', 'set', 'inet', 'witness', 'v6'])
    const { nftables } = JSON.parse(text) as { nftables: { set?: { name: string; elem?: unknown[] } }[] }
    const own = new Set(['203.0.113.10', ...this.exits.map(({ address }) => address), ...others])
    return nftables
      .flatMap(({ set }) => set?.elem ?? [])
      .map(flowText)
      .filter((flow) => !own.has(flow.split(' ')[0]!))
      .sort()
  }

  /** The company's VPN client ends, and starts again. */
  async setCompanyVpn(isUp: boolean): Promise<void> {
    if (isUp) await companyVpnUp(this.laptop)
    else await this.laptop.run('ip', ['link', 'set', 'wt0', 'down'])
  }

  async close(): Promise<void> {
    await Promise.all([this.client.stop(), ...this.exits.map(({ daemon }) => daemon.stop())])
    await this.control.stop()
    await this.company.close()
    await this.world.close()
    await this.internet.close()
  }
}

/** The sets grow by each kind of packet that passes from the LAN to the world; what asks the LAN itself (multicast) never leaves it. */
const WITNESS = `
table inet witness {
  set v4 { type ipv4_addr . inet_proto; flags dynamic; size 4096; }
  set v6 { type ipv6_addr . inet_proto; flags dynamic; size 4096; }
  chain forward {
    type filter hook prerouting priority raw;
    iifname "lan" ip daddr != { 10.1.0.0/24, 224.0.0.0/4 } add @v4 { ip daddr . meta l4proto }
    iifname "lan" ip6 daddr != { fe80::/10, ff00::/8 } add @v6 { ip6 daddr . meta l4proto }
  }
}
`

function flowText(element: unknown): string {
  const found = element as { concat?: unknown[]; elem?: { val?: { concat?: unknown[] } } }
  return (found.concat ?? found.elem?.val?.concat ?? [element]).join(' ')
}

/** Behind the router that all of this internet has as its default. */
async function openWorld(internet: Internet, folder: string): Promise<Host> {
  const { host: core } = await internet.publicHost('core', ['203.0.113.9'])
  const world = await Host.create(`world-${process.pid}-${Date.now() % 1_000_000}`, folder)
  await core.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1'])
  await ip(
    `-n ${core.name} route del default`,
    `-n ${core.name} addr add 203.0.113.1/24 dev eth0`,
    `link add world netns ${core.name} type veth peer name eth0 netns ${world.name}`,
    `-n ${core.name} link set world up`,
    `-n ${core.name} addr add 198.51.100.1/24 dev world`,
    `-n ${world.name} link set eth0 up`,
    `-n ${world.name} addr add ${SITE}/24 dev eth0`,
    `-n ${world.name} route add default via 198.51.100.1`,
  )
  await servePage(world, 'site')
  return world
}

async function openCompany(laptop: Host, folder: string): Promise<Host> {
  const company = await Host.create(`company-${process.pid}-${Date.now() % 1_000_000}`, folder)
  await ip(
    `link add wt0 netns ${laptop.name} type veth peer name wt0 netns ${company.name}`,
    `-n ${company.name} link set wt0 up`,
    `-n ${company.name} addr add 10.0.0.1/16 dev wt0`,
    `-n ${company.name} addr add ${COMPANY}/32 dev lo`,
    `-n ${company.name} addr add ${COMPANY_DNS}/32 dev lo`,
    `-n ${company.name} addr add ${COMPANY_GIT}/32 dev lo`,
  )
  await companyVpnUp(laptop)
  await servePage(company, 'company')
  await startNameServer(company, { address: COMPANY_DNS, zones: { [COMPANY_NAME]: COMPANY_GIT }, manner: 'fine' })
  return company
}

/** As such clients do: a single address and a route of its own. */
async function companyVpnUp(laptop: Pick<Host, 'run'>): Promise<void> {
  for (const words of [
    'link set wt0 up',
    'addr replace 10.0.77.7/32 dev wt0',
    'route replace 10.0.0.0/16 dev wt0',
    'route replace 10.99.0.0/16 dev wt0',
  ])
    await laptop.run('ip', words.split(' '))
}
