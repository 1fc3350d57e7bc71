/**
 * A small internet without an uplink: one bridge that carries public hosts and routers, and LANs behind the routers.
 * Public addresses are from 203.0.113.0/24 (documentation range), LANs from 10.N.0.0/24.
 */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { Host, ip } from './host.ts'
import { type NatKind, natRules } from './nat.ts'

export interface PublicHost {
  readonly host: Host
  readonly address: string
}

export interface Lan {
  readonly router: Host
  readonly wanAddress: string
  readonly hosts: readonly PublicHost[]
  /** Changes the router's behaviour while everything runs. */
  setKind(kind: NatKind): Promise<void>
}

export class Internet {
  readonly #hosts: Host[] = []
  #lanCount = 0
  #nextPublic = 100

  readonly folder: string
  readonly bridge: Host

  private constructor(folder: string, bridge: Host) {
    this.folder = folder
    this.bridge = bridge
  }

  /** Must run inside the sandbox; `npm run lab`, `test:lab`, `bench` and `npm start` see to that. */
  static async create(): Promise<Internet> {
    const scratchRoot = process.env.PINTAIL_LAB_SCRATCH
    if (scratchRoot === undefined)
      throw new Error(
        'the laboratory only works inside its sandbox: start it with npm run lab, test:lab, bench or npm start',
      )
    const folder = mkdtempSync(join(scratchRoot, 'net-'))
    const bridge = await Host.create(unique('inet'), folder)
    await ip(
      `-n ${bridge.name} link add br0 type bridge forward_delay 0 mcast_snooping 0`,
      `-n ${bridge.name} link set br0 up`,
    )
    const internet = new Internet(folder, bridge)
    internet.#hosts.push(bridge)
    return internet
  }

  /** A machine with a public address and no router. */
  async publicHost(name: string, addresses: readonly string[] = [this.#takeAddress()]): Promise<PublicHost> {
    const host = await this.#host(name)
    await this.#attach(host, 'eth0')
    await ip(...addresses.map((address) => `-n ${host.name} addr add ${address}/24 dev eth0`))
    await ip(`-n ${host.name} route add default via 203.0.113.1 dev eth0 onlink`)
    return { host, address: addresses[0]! }
  }

  /** Plugs the real machine into this internet, with one interface and no default route; gone when the internet is. */
  async outside(): Promise<PublicHost> {
    const host = Host.outside(this.folder)
    this.#hosts.push(host)
    const address = '203.0.113.2'
    await this.#attach(host, 'pintail-lab0')
    await ip(`-n ${host.name} addr add ${address}/24 dev pintail-lab0`)
    return { host, address }
  }

  /** Machines behind one router. */
  async lan(names: readonly string[], kind: NatKind, wanAddress: string = this.#takeAddress()): Promise<Lan> {
    const number = ++this.#lanCount
    const router = await this.#host(`r-${names[0]}`)
    await this.#attach(router, 'wan')
    await ip(
      `-n ${router.name} addr add ${wanAddress}/24 dev wan`,
      `-n ${router.name} link add lan type bridge forward_delay 0`,
      `-n ${router.name} link set lan up`,
      `-n ${router.name} addr add 10.${number}.0.1/24 dev lan`,
      `-n ${router.name} route add default via 203.0.113.1 dev wan onlink`,
    )
    await router.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1'])
    const hosts: PublicHost[] = []
    for (const [index, name] of names.entries()) {
      const host = await this.#host(name)
      const address = `10.${number}.0.${index + 2}`
      await ip(
        `link add eth0 netns ${host.name} type veth peer name port${index} netns ${router.name}`,
        `-n ${router.name} link set port${index} master lan up`,
        `-n ${host.name} link set eth0 up`,
        `-n ${host.name} addr add ${address}/24 dev eth0`,
        `-n ${host.name} route add default via 10.${number}.0.1`,
      )
      hosts.push({ host, address })
    }
    const setKind = (next: NatKind) => router.rules(natRules(next, hosts[0]!.address))
    await setKind(kind)
    return { router, wanAddress, hosts, setKind }
  }

  async close(): Promise<void> {
    await Promise.all(this.#hosts.reverse().map((host) => host.close()))
  }

  async #host(name: string): Promise<Host> {
    const host = await Host.create(unique(name), this.folder)
    this.#hosts.push(host)
    return host
  }

  async #attach(host: Host, device: string): Promise<void> {
    const port = `p${this.#hosts.length}`
    await ip(
      `link add ${device} netns ${host.name} type veth peer name ${port} netns ${this.bridge.name}`,
      `-n ${this.bridge.name} link set ${port} master br0 up`,
      `-n ${host.name} link set ${device} up`,
    )
  }

  #takeAddress(): string {
    return `203.0.113.${this.#nextPublic++}`
  }
}

let count = 0
/** Several laboratories may exist in one sandbox, one after another or side by side. */
function unique(name: string): string {
  return `${name}-${process.pid}-${++count}`
}

/** Where a host keeps the files of one of its programs. */
export function scratch(host: Host, program: string): string {
  const folder = join(host.folder, program)
  mkdirSync(folder, { recursive: true })
  return folder
}
