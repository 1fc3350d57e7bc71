/** Our coordination server, with its relay and STUN server, on a laboratory host; administered by its own command line. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { eventually } from './eventually.ts'
import { endProcess } from './host.ts'
import type { PublicHost } from './internet.ts'

const program = fileURLToPath(new URL('../src-server/main.ts', import.meta.url))

export interface ControlServerOptions {
  /** State; made when absent. */
  readonly folder?: string
  /** Merged over the laboratory's configuration, one level deep. */
  readonly config?: Record<string, unknown>
  /** A file with more for every map, as `map-additions.ts` describes. */
  readonly mapAdditions?: string
}

export class ControlServer {
  readonly machine: PublicHost
  readonly url: string
  readonly folder: string
  readonly #configPath: string
  readonly #mapAdditions: string | undefined
  #process: ChildProcess | undefined
  #log = ''

  private constructor(machine: PublicHost, options: ControlServerOptions) {
    this.machine = machine
    this.url = `http://${machine.address}:8080`
    this.folder = options.folder ?? join(machine.host.folder, 'control')
    this.#mapAdditions = options.mapAdditions
    this.#configPath = join(this.folder, 'control.yaml')
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    const config = {
      server_url: this.url,
      listen_addr: '0.0.0.0:8080',
      state_dir: this.folder,
      unix_socket: join(this.folder, 'control.sock'),
      dns: { base_domain: 'demo.internal' },
      derp: { server: { region_code: 'lab', region_name: 'Laboratory', ipv4: machine.address } },
      log: { format: 'json' },
      ...options.config,
    }
    writeFileSync(this.#configPath, stringify(config), { mode: 0o600 })
  }

  static async start(machine: PublicHost, options: ControlServerOptions = {}): Promise<ControlServer> {
    const server = new ControlServer(machine, options)
    await server.start()
    return server
  }

  get log(): string {
    return this.#log
  }

  async start(): Promise<void> {
    const added = this.#mapAdditions === undefined ? [] : ['--import', join(import.meta.dirname, 'map-additions.ts')]
    const env = { ...process.env, LAB_MAP_ADDITIONS: this.#mapAdditions }
    const words = [...added, program, 'serve', '--config', this.#configPath]
    this.#process = this.machine.host.start(process.execPath, words, { env })
    const hear = (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-200_000)
    }
    this.#process.stdout?.on('data', hear)
    this.#process.stderr?.on('data', hear)
    let ended: number | undefined
    this.#process.once('close', (code) => {
      ended = code ?? -1
    })
    await eventually(
      'the coordination server answers',
      async () => {
        if (ended !== undefined) throw new Error(`it ended with ${ended}: ${this.#log.slice(-2000)}`)
        await this.admin('health', '--json')
        return true
      },
      { withinMs: 15_000, everyMs: 100 },
    )
  }

  async stop(): Promise<void> {
    if (this.#process !== undefined) await endProcess(this.#process)
  }

  async kill(): Promise<void> {
    if (this.#process !== undefined) await endProcess(this.#process, 'SIGKILL')
  }

  /** One administration command; answers what it printed. */
  admin(...words: string[]): Promise<string> {
    return this.machine.host.must(process.execPath, [program, '--config', this.#configPath, ...words])
  }

  /** A reusable key for a user, who is made when unknown. */
  async createKey(user = 'demo', ...options: string[]): Promise<string> {
    const users = JSON.parse(await this.admin('users', 'list', '--json')) as { name: string }[]
    if (!users.some(({ name }) => name === user)) await this.admin('users', 'create', user)
    const made = JSON.parse(
      await this.admin(
        'preauthkeys',
        'create',
        '--user',
        user,
        '--reusable',
        '--expiration',
        '24h',
        ...options,
        '--json',
      ),
    ) as { key: string }
    return made.key
  }
}
