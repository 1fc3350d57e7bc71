/**
 * The embedded network: a coordination server with relay, four demo machines behind different routers, and this computer.
 * What `npm start` opens the app on, what `--check` proves, and the stage of the app's end-to-end test.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ControlServer } from './control-server.ts'
import { Daemon, type DaemonOptions } from './daemon.ts'
import type { Host } from './host.ts'
import { Internet, type Lan, type PublicHost } from './internet.ts'
import type { NatKind } from './nat.ts'

const page = fileURLToPath(new URL('./page.ts', import.meta.url))

export const demoMachines = ['vps', 'nas', 'office', 'phone'] as const
export type DemoMachineName = (typeof demoMachines)[number]

const routers: Record<Exclude<DemoMachineName, 'vps'>, NatKind> = { nas: 'apdf', office: 'symmetric', phone: 'noudp' }

/** What others may reach through a machine: the internet, and the network that it stands in. */
const offers: { readonly [name in DemoMachineName]?: (address: string) => string[] } = {
  vps: () => ['0.0.0.0/0', '::/0'],
  office: (address) => [`${address.slice(0, address.lastIndexOf('.'))}.0/24`],
}

export interface DemoMachine {
  readonly name: DemoMachineName
  readonly host: Host
  readonly daemon: Daemon
  readonly address: string
  /** Its router; the public machine has none. */
  readonly lan: Lan | undefined
}

export interface DemoNetworkOptions {
  /** State of every program and this computer's socket. Short: a socket path has at most 107 characters. */
  readonly folder: string
  readonly progress?: (text: string) => void
  /** Kind of this computer's daemon; a stock one serves the app's compatibility tests. */
  readonly me?: DaemonOptions['kind']
  /** This computer's daemon runs in the real network, not in a namespace. */
  readonly here?: boolean
  /** Do not sign this computer in: the app's test does that. */
  readonly leaveMeSignedOut?: boolean
  /** Only these machines; tests that need two do not wait for four. */
  readonly machines?: readonly DemoMachineName[]
}

export class DemoNetwork {
  readonly internet: Internet
  readonly control: ControlServer
  readonly key: string
  readonly me: Daemon
  /** Its router; none when it runs in the real network. */
  readonly meLan: Lan | undefined
  readonly machines: ReadonlyMap<DemoMachineName, DemoMachine>

  private constructor(parts: Pick<DemoNetwork, 'internet' | 'control' | 'key' | 'me' | 'meLan' | 'machines'>) {
    this.internet = parts.internet
    this.control = parts.control
    this.key = parts.key
    this.me = parts.me
    this.meLan = parts.meLan
    this.machines = parts.machines
  }

  static async open(options: DemoNetworkOptions): Promise<DemoNetwork> {
    const { folder, progress = () => {}, machines: wanted = demoMachines } = options
    progress('networks and routers')
    const internet = await Internet.create()
    try {
      const server = await internet.publicHost('control', ['203.0.113.10', '203.0.113.11'])
      const meLan = options.here ? undefined : await internet.lan(['me'], 'apdf')
      const mePlace = meLan?.hosts[0] ?? (await internet.outside())
      const places = await Promise.all(wanted.map(async (name) => ({ name, ...(await placeOf(internet, name)) })))
      progress('coordination server, relay and STUN')
      const control = await ControlServer.start(server, { folder: join(folder, 'control') })
      const key = await control.createKey()
      progress(`${wanted.length + 1} daemons`)
      const startMe = async () => {
        const me = await Daemon.start(mePlace.host, { kind: options.me ?? 'ours', folder: join(folder, 'me') })
        if (!options.leaveMeSignedOut) await ensureJoined(me, control.url, key, 'me')
        return me
      }
      const startMachine = async ({
        name,
        machine,
        lan,
      }: {
        name: DemoMachineName
        machine: PublicHost
        lan: Lan | undefined
      }) => {
        const daemon = await Daemon.start(machine.host, { kind: 'ours', folder: join(folder, name) })
        await ensureJoined(daemon, control.url, key, name)
        const routes = offers[name]?.(machine.address) ?? []
        if (routes.length > 0) {
          await machine.host.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
          await daemon.client.editPrefs({ AdvertiseRoutes: routes, AdvertiseRoutesSet: true })
          await control.admin('routes', 'approve', name, ...routes)
        }
        const serving = machine.host.start(process.execPath, [page, name])
        await new Promise((resolve) => serving.stdout?.once('data', resolve))
        progress(`${name} joined`)
        return [name, { name, host: machine.host, daemon, address: await daemon.address(), lan }] as const
      }
      const [me, ...entries] = await Promise.all([startMe(), ...places.map(startMachine)])
      return new DemoNetwork({ internet, control, key, me, meLan, machines: new Map(entries) })
    } catch (error) {
      await internet.close()
      throw error
    }
  }

  machine(name: DemoMachineName): DemoMachine {
    const machine = this.machines.get(name)
    if (machine === undefined) throw new Error(`this network was opened without ${name}`)
    return machine
  }

  /** Reads a machine's web page from this computer, through the tunnel. */
  async readPage(name: DemoMachineName, timeoutMs = 5_000): Promise<string> {
    const script = `const r = await fetch('http://${this.machine(name).address}/', { signal: AbortSignal.timeout(${timeoutMs}) }); console.log(await r.text())`
    return this.me.host.must(process.execPath, ['--input-type=module', '-e', script], {
      timeoutMs: timeoutMs + 5_000,
    })
  }

  async close(): Promise<void> {
    const daemons = [this.me, ...[...this.machines.values()].map(({ daemon }) => daemon)]
    await Promise.all(daemons.map((daemon) => daemon.stop()))
    await this.control.stop()
    await this.internet.close()
  }
}

/** State that was kept from an earlier start is used as it is; a fresh daemon joins. */
async function ensureJoined(daemon: Daemon, url: string, key: string, hostname: string): Promise<void> {
  const { BackendState } = await daemon.client.status({ peers: false })
  if (BackendState === 'Running' || BackendState === 'Starting') return
  await daemon.join(url, key, { Hostname: hostname })
}

async function placeOf(
  internet: Internet,
  name: DemoMachineName,
): Promise<{ machine: PublicHost; lan: Lan | undefined }> {
  if (name === 'vps') return { machine: await internet.publicHost(name, ['203.0.113.20']), lan: undefined }
  const lan = await internet.lan([name], routers[name])
  return { machine: lan.hosts[0]!, lan }
}

/** Removes what a network that is not kept has written. */
export function discard(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}
