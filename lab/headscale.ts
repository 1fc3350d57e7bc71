/**
 * Headscale on a laboratory host, for interoperability tests. The program's path is in PINTAIL_HEADSCALE; without it the
 * tests that need it are skipped by name.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { eventually } from './eventually.ts'
import { endProcess } from './host.ts'
import type { PublicHost } from './internet.ts'

export const headscaleProgram = process.env.PINTAIL_HEADSCALE

export class Headscale {
  readonly machine: PublicHost
  readonly url: string
  readonly #config: string
  #process: ChildProcess | undefined
  #log = ''

  private constructor(machine: PublicHost, folder: string, policy: object | undefined) {
    mkdirSync(folder, { recursive: true })
    this.machine = machine
    this.url = `http://${machine.address}:8080`
    this.#config = join(folder, 'headscale.yaml')
    const config = {
      server_url: this.url,
      listen_addr: '0.0.0.0:8080',
      metrics_listen_addr: '127.0.0.1:9090',
      noise: { private_key_path: join(folder, 'noise.key') },
      prefixes: { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', allocation: 'sequential' },
      derp: {
        server: {
          enabled: true,
          region_id: 999,
          region_code: 'hs',
          region_name: 'Headscale',
          verify_clients: false,
          stun_listen_addr: '0.0.0.0:3478',
          private_key_path: join(folder, 'derp.key'),
          automatically_add_embedded_derp_region: false,
          ipv4: machine.address,
        },
        urls: [],
        paths: [join(folder, 'derp.yaml')],
        auto_update_enabled: false,
      },
      disable_check_updates: true,
      database: { type: 'sqlite', sqlite: { path: join(folder, 'db.sqlite') } },
      dns: { magic_dns: true, base_domain: 'hs.internal', override_local_dns: false, nameservers: { global: [] } },
      unix_socket: join(folder, 'hs.sock'),
      policy: { mode: 'file', ...(policy === undefined ? {} : { path: join(folder, 'policy.json') }) },
    }
    if (policy !== undefined) writeFileSync(join(folder, 'policy.json'), JSON.stringify(policy))
    writeFileSync(this.#config, stringify(config))
  }

  /** Starts it with this relay map (Headscale's own relay would need a certificate that clients trust). */
  static async start(
    machine: PublicHost,
    folder: string,
    derpRegions: ReadonlyMap<number, object>,
    policy?: object,
  ): Promise<Headscale> {
    const server = new Headscale(machine, folder, policy)
    writeFileSync(join(folder, 'derp.yaml'), stringify({ regions: derpRegions }))
    if (headscaleProgram === undefined) throw new Error('PINTAIL_HEADSCALE names no Headscale')
    server.#process = machine.host.start(headscaleProgram, ['-c', server.#config, 'serve'])
    const hear = (chunk: Buffer) => {
      server.#log = (server.#log + chunk.toString()).slice(-100_000)
    }
    server.#process.stdout?.on('data', hear)
    server.#process.stderr?.on('data', hear)
    let ended: number | undefined
    server.#process.once('close', (code) => {
      ended = code ?? -1
    })
    await eventually(
      'Headscale answers',
      async () => {
        if (ended !== undefined) throw new Error(`it ended with ${ended}: ${server.#log.slice(-1500)}`)
        await server.admin('users', 'list')
        return true
      },
      { withinMs: 30_000, everyMs: 200 },
    )
    return server
  }

  get log(): string {
    return this.#log
  }

  /** One of its own commands. */
  admin(...words: string[]): Promise<string> {
    return this.machine.host.must(headscaleProgram!, ['-c', this.#config, ...words])
  }

  async createKey(): Promise<string> {
    await this.admin('users', 'create', 'demo')
    const made = JSON.parse(await this.admin('preauthkeys', 'create', '-u', '1', '--reusable', '-o', 'json')) as {
      key: string
    }
    return made.key
  }

  async nodeId(name: string): Promise<string> {
    const nodes = JSON.parse(await this.admin('nodes', 'list', '-o', 'json')) as {
      id: string | number
      given_name?: string
      givenName?: string
      name: string
    }[]
    const found = nodes.find((node) => (node.givenName ?? node.given_name ?? node.name) === name)
    if (found === undefined) throw new Error(`Headscale has no node ${name}`)
    return String(found.id)
  }

  async stop(): Promise<void> {
    if (this.#process !== undefined) await endProcess(this.#process)
  }
}
