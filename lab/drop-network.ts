/** Machines of one person that send files to each other, ours and stock ones, each by its own command line. */
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import type { RunResult } from './host.ts'
import { Internet } from './internet.ts'

const pintail = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))
/** Ours or stock, by the first letters: `ours`, `ours2`, `stock`. */
export type Name = 'ours' | 'ours2' | 'stock' | 'stock2'

export class DropNetwork {
  readonly folder: string
  readonly #internet: Internet
  readonly #control: ControlServer
  readonly #daemons = new Map<Name, Daemon>()

  private constructor(folder: string, internet: Internet, control: ControlServer) {
    this.folder = folder
    this.#internet = internet
    this.#control = control
  }

  static async open(folder: string, names: readonly Name[]): Promise<DropNetwork> {
    const internet = await Internet.create()
    const machine = await internet.publicHost('control', ['203.0.113.10'])
    const network = new DropNetwork(folder, internet, await ControlServer.start(machine, { folder: join(folder, 'c') }))
    const key = await network.#control.createKey()
    for (const name of names) {
      const kind = name.startsWith('ours') ? 'ours' : 'stock'
      const daemon = await Daemon.start((await internet.publicHost(name)).host, { kind, folder: join(folder, name) })
      network.#daemons.set(name, daemon)
      await daemon.join(network.#control.url, key, { Hostname: name })
    }
    return network
  }

  daemon(name: Name): Daemon {
    const daemon = this.#daemons.get(name)
    if (daemon === undefined) throw new Error(`there is no ${name}`)
    return daemon
  }

  /** One run of the machine's own command line: `file …`. */
  file(name: Name, words: readonly string[], options: { input?: string; timeoutMs?: number } = {}): Promise<RunResult> {
    const [program, ...first] = this.#cli(name)
    return this.daemon(name).host.run(program!, [...first, ...words], { timeoutMs: 60_000, ...options })
  }

  /** The same, begun with the output of a shell command as its input. */
  startFile(name: Name, words: readonly string[], shell: string): ChildProcess {
    const { host } = this.daemon(name)
    const line = ['-c', `${shell} | exec "$@"`, 'sh', ...this.#cli(name), ...words]
    return host.start('sh', line, { stdio: 'ignore', detached: true })
  }

  #cli(name: Name): string[] {
    const { socketPath, options } = this.daemon(name)
    const program = options.kind === 'ours' ? [process.execPath, pintail] : [stockProgram('tailscale') ?? 'tailscale']
    return [...program, `--socket=${socketPath}`, 'file']
  }

  /** An empty folder for what is fetched. */
  inbox(): string {
    const path = join(this.folder, `in-${readdirSync(this.folder).length}`)
    mkdirSync(path)
    return path
  }

  /** How much of a file that is being received is there; 0 before. */
  partBytes(name: Name): number {
    const state = join(this.daemon(name).folder, 'state', 'files')
    if (!existsSync(state)) return 0
    const parts = readdirSync(state, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.partial'))
    return parts.reduce((sum, path) => sum + (statSync(join(state, path), { throwIfNoEntry: false })?.size ?? 0), 0)
  }

  /** Of the larger of these daemons. */
  residentMiB(...names: readonly Name[]): number {
    const sizes = names.map((name) => {
      const status = readFileSync(`/proc/${this.daemon(name).pid}/status`, 'utf8')
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024
    })
    return Math.max(...sizes)
  }

  /** No datagram reaches or leaves it: the others hear it through the relay only. */
  async withoutUdp(name: Name, work: () => Promise<void>): Promise<void> {
    const { host } = this.daemon(name)
    await host.rules(
      'table inet cut { chain out { type filter hook output priority filter; meta l4proto 17 oifname "eth0" drop; }; chain in { type filter hook input priority filter; meta l4proto 17 iifname "eth0" drop; }; }',
    )
    try {
      await work()
    } finally {
      await host.rules('')
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#daemons.values()].map((daemon) => daemon.stop()))
    await this.#control.stop()
    await this.#internet.close()
  }
}

/** With whatever feeds it. */
export async function stopSending(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('close', resolve))
  if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  await ended
}

export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
