/**
 * A laptop whose DNS one of the real programs manages, in a network with names, a split zone and an exit node: what our
 * daemon is wished to do there, how one sees that it holds, and whether anything of it remains. Used by
 * `dns-modes.lab.test.ts` and `npm run lab -- dns-modes`.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DnsReport } from '../src-contract/localapi/dns.ts'
import { ControlServer } from './control-server.ts'
import { Daemon } from './daemon.ts'
import { type DnsMode, pairs, soon } from './dns-modes.ts'
import { Internet } from './internet.ts'
import { type MachineView, machineView } from './machine-view.ts'
import { type NameServer, startNameServer } from './name-server.ts'

const pintaild = fileURLToPath(new URL('../bin/pintaild.mjs', import.meta.url))
/** In the world, not of ours. */
export const OUTSIDE = { name: 'www.example.com', address: '198.51.100.1' } as const
const ZONE = { name: 'wiki.corp.example', address: '198.51.100.9' } as const

export class DnsNetwork {
  readonly internet: Internet
  readonly folder: string
  /** With nothing but names, and an exit node. */
  readonly control: ControlServer
  /** With a split zone. */
  readonly splitControl: ControlServer
  /** `nas`, the exit node. */
  readonly other: Daemon
  readonly #servers: readonly NameServer[]

  private constructor(
    parts: Pick<DnsNetwork, 'internet' | 'folder' | 'control' | 'splitControl' | 'other'>,
    servers: NameServer[],
  ) {
    this.internet = parts.internet
    this.folder = parts.folder
    this.control = parts.control
    this.splitControl = parts.splitControl
    this.other = parts.other
    this.#servers = servers
  }

  static async open(folder: string): Promise<DnsNetwork> {
    const internet = await Internet.create()
    const base_domain = 'demo.internal'
    const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
      config: { dns: { base_domain } },
    })
    const splitControl = await ControlServer.start(await internet.publicHost('split', ['203.0.113.11']), {
      folder: join(folder, 'd'),
      config: { dns: { base_domain, nameservers: { split: { 'corp.example': ['203.0.113.55'] } } } },
    })
    const world = await internet.publicHost('world', ['203.0.113.54', '203.0.113.55'])
    const zones = { [OUTSIDE.name]: OUTSIDE.address, [ZONE.name]: ZONE.address }
    const servers: NameServer[] = []
    for (const address of ['203.0.113.54', '203.0.113.55'])
      servers.push(await startNameServer(world.host, { address, zones, manner: 'fine' }))
    const nas = await internet.publicHost('nas')
    await nas.host.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
    const other = await Daemon.start(nas.host, { kind: 'ours', folder: join(folder, 'n') })
    const AdvertiseRoutes = ['0.0.0.0/0', '::/0']
    await other.join(control.url, await control.createKey(), { Hostname: 'nas', AdvertiseRoutes, NetfilterMode: 2 })
    await control.admin('routes', 'approve', 'nas', '--all')
    return new DnsNetwork({ internet, folder, control, splitControl, other }, servers)
  }

  async close(): Promise<void> {
    await this.other.stop()
    await Promise.all(this.#servers.map((server) => server.stop()))
    await Promise.all([this.control.stop(), this.splitControl.stop()])
    await this.internet.close()
  }
}

/** What the settings are about. */
export const dnsWishes = ['plain names', 'an exit node', 'accept-dns off', 'a split zone'] as const
export type DnsWish = (typeof dnsWishes)[number]

export class DnsMachine {
  readonly view: MachineView
  readonly mode: DnsMode
  readonly #network: DnsNetwork
  readonly #environment: Record<string, string>
  /** What there was before our daemon came. */
  #before = ''
  #ours: Daemon | undefined

  private constructor(network: DnsNetwork, mode: DnsMode, view: MachineView, environment: Record<string, string>) {
    this.#network = network
    this.mode = mode
    this.view = view
    this.#environment = environment
  }

  static async open(network: DnsNetwork, mode: DnsMode): Promise<DnsMachine> {
    const view = await machineView((await network.internet.publicHost('ours')).host)
    if (mode.packages === undefined) throw new Error(`no package of ${mode.name}`)
    if (mode.packages.length > 0) await view.install(mode.packages)
    const machine = new DnsMachine(network, mode, view, await mode.prepare(view))
    if ((await machine.getent(OUTSIDE.name)) !== OUTSIDE.address) throw new Error(`${mode.name} does not work here`)
    machine.#before = await machine.settings()
    await machine.start()
    await machine.ours.join(network.control.url, await network.control.createKey(), {
      Hostname: 'laptop',
      CorpDNS: true,
    })
    return machine
  }

  get ours(): Daemon {
    if (this.#ours === undefined) throw new Error('the daemon does not run')
    return this.#ours
  }

  get before(): string {
    return this.#before
  }

  /** Each state folder is a machine of its own to the server. */
  async start(name: string = this.mode.name): Promise<void> {
    const folder = join(this.#network.folder, name.slice(0, 12))
    this.#ours = await Daemon.start(this.view.host, { kind: 'ours', folder, environment: this.#environment })
  }

  async stop(): Promise<void> {
    await this.#ours?.stop()
  }

  report(): Promise<DnsReport> {
    return this.ours.client.json('GET', 'pintail/dns') as Promise<DnsReport>
  }

  async getent(name: string): Promise<string> {
    return (await this.view.run('getent', ['ahostsv4', name])).stdout.split(/\s+/)[0] ?? ''
  }

  /** What the manager holds, and each file in /etc that has to do with it: what it is, whose, and its bytes. */
  async settings(): Promise<string> {
    const script =
      'cd /etc && for f in *resolv*; do stat -c "%n %F %a %u" "$f"; readlink "$f" || base64 "$f"; done 2>&1'
    const { stdout } = await this.view.run('sh', ['-c', script])
    return `${await this.mode.settings(this.view)}\n${stdout}`
  }

  isBack(): Promise<true> {
    return soon('all is as before', async () => ((await this.settings()) === this.#before ? true : undefined))
  }

  knowsNames(): Promise<true> {
    const { other } = this.#network
    return soon('names of the network', async () =>
      (await this.getent('nas.demo.internal')) === (await other.address()) ? true : undefined,
    )
  }

  /** Resolves when it is so, as programs of the machine see it. */
  async wish(what: DnsWish): Promise<void> {
    const { splitControl, other } = this.#network
    switch (what) {
      case 'plain names':
        await this.knowsNames()
        return
      case 'an exit node':
        await this.ours.client.editPrefs({ ExitNodeID: (await other.status()).Self.ID, ExitNodeIDSet: true })
        await soon('names are asked at the exit node', async () => {
          const asked = await this.ours.client.json('GET', `dns-query?name=${OUTSIDE.name}&type=A`)
          return JSON.stringify(asked).includes('/dns-query') && (await this.settings()) !== this.#before
            ? true
            : undefined
        })
        return
      case 'accept-dns off':
        await this.ours.client.editPrefs({ CorpDNS: false, CorpDNSSet: true, ExitNodeID: '', ExitNodeIDSet: true })
        if (!this.mode.canSplit) await this.isBack()
        return
      case 'a split zone':
        await this.ours.join(splitControl.url, await splitControl.createKey(), { Hostname: 'laptop', CorpDNS: true })
        await soon('names of the zone', async () =>
          (await this.getent(ZONE.name)) === ZONE.address ? true : undefined,
        )
        return
    }
  }

  /** A new daemon does it, is killed, and `pintaild --cleanup` runs. Resolves when all is as before, byte by byte. */
  async wishKilledCleaned(what: DnsWish): Promise<void> {
    await this.start(what === 'a split zone' ? `s-${this.mode.name}` : this.mode.name)
    try {
      await this.wish(what)
    } finally {
      await this.ours.kill()
    }
    const { folder, socketPath } = this.ours
    const words = [`--statedir=${join(folder, 'state')}`, `--socket=${socketPath}`, '--tun=pintail0']
    const cleanUp = [...pairs(this.#environment), process.execPath, pintaild, '--cleanup', ...words]
    const { code, stderr } = await this.view.run('env', cleanUp)
    if (code !== 0 || stderr.includes('cannot-clean-up')) throw new Error(`--cleanup ended with ${code}: ${stderr}`)
    await this.isBack()
    if ((await this.getent(OUTSIDE.name)) !== OUTSIDE.address) throw new Error(`${OUTSIDE.name} is not found any more`)
  }
}
