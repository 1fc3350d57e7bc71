/**
 * Two or more daemons that share a network, and a cable between the first and each other one: control server and relay are
 * reached over a good network that lets no other UDP through, so that every direct path is the cable, which a test spoils.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cable } from './cable.ts'
import { ControlServer } from './control-server.ts'
import { Daemon } from './daemon.ts'
import { discard } from './demo-network.ts'
import { type Host, ip } from './host.ts'
import { Internet } from './internet.ts'

const RELAY_ADDRESS = '203.0.113.11'

/** The good network: no UDP between the daemons, and on demand no relay either. */
const goodNetwork = (relay: 'relay' | 'no relay') => `table inet good_network {
  chain out {
    type filter hook output priority filter;
    oifname "eth0" meta l4proto 17 udp dport != 3478 drop
    ${relay === 'relay' ? '' : `ip daddr ${RELAY_ADDRESS} drop`}
  }
}`

export interface Station {
  readonly daemon: Daemon
  readonly host: Host
  /** In the mesh, IPv4. */
  readonly address: string
  /** On the cable. */
  readonly bare: string
}

export interface Line {
  readonly near: Station
  readonly far: Station
  readonly cable: Cable
}

export class TwoLines {
  readonly #internet: Internet
  readonly #folder: string
  readonly control: ControlServer
  readonly lines: readonly Line[]
  readonly #stations: Station[]

  private constructor(
    internet: Internet,
    folder: string,
    control: ControlServer,
    lines: readonly Line[],
    stations: Station[],
  ) {
    this.#internet = internet
    this.#folder = folder
    this.control = control
    this.lines = lines
    this.#stations = stations
  }

  /** One near daemon of ours, and a far one of each kind named, each at a cable of its own. */
  static async create(near: 'ours' | 'stock', far: readonly ('ours' | 'stock')[]): Promise<TwoLines> {
    const folder = mkdtempSync(join(tmpdir(), 'pt-'))
    const internet = await Internet.create()
    const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10', RELAY_ADDRESS]), {
      folder: join(folder, 'c'),
      config: { derp: { server: { region_code: 'lab', region_name: 'Laboratory', ipv4: RELAY_ADDRESS } } },
    })
    const key = await control.createKey()
    const hosts: Host[] = []
    for (const name of ['near', ...far.map((kind, i) => `far${i}${kind}`)])
      hosts.push((await internet.publicHost(name)).host)
    const cables: Cable[] = []
    for (const [i, host] of hosts.slice(1).entries()) {
      cables.push(await Cable.plug({ host: hosts[0]!, device: `line${i}` }, { host, device: 'line0' }, { seed: i + 1 }))
      await ip(`-n ${hosts[0]!.name} addr add ${bareAddress(i, 1)}/24 dev line${i}`)
      await ip(`-n ${host.name} addr add ${bareAddress(i, 2)}/24 dev line0`)
    }
    const stations = await Promise.all(
      hosts.map(async (host, i): Promise<Station> => {
        await host.rules(goodNetwork('relay'))
        const kind = i === 0 ? near : far[i - 1]!
        const daemon = await Daemon.start(host, { kind, folder: join(folder, String(i)) })
        await daemon.join(control.url, key, { Hostname: `station${i}` })
        return { daemon, host, address: await daemon.address(), bare: bareAddress(Math.max(0, i - 1), i === 0 ? 1 : 2) }
      }),
    )
    const lines = cables.map((cable, i) => ({ cable, near: stations[0]!, far: stations[i + 1]! }))
    return new TwoLines(internet, folder, control, lines, stations)
  }

  /** From now on there is only the cable between them. */
  async cutRelay(): Promise<void> {
    await Promise.all(this.#stations.map(({ host }) => host.rules(goodNetwork('no relay'))))
  }

  async close(): Promise<void> {
    await Promise.all(this.#stations.map(({ daemon }) => daemon.stop()))
    await Promise.all(this.lines.map(({ cable }) => cable.unplug()))
    await this.control.stop()
    await this.#internet.close()
    discard(this.#folder)
  }
}

function bareAddress(line: number, end: number): string {
  return `10.99.${line}.${end}`
}
