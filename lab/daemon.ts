/**
 * A mesh daemon on a laboratory host, ours or a stock one, driven through its LocalAPI. Both kinds have the same shape,
 * so that every scenario can mix them.
 */
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LocalClient } from '../src-client/local-client.ts'
import { watchMask } from '../src-contract/localapi/notify.ts'
import type { PingResult } from '../src-contract/localapi/ping.ts'
import { defaultPrefs, type Prefs } from '../src-contract/localapi/prefs.ts'
import type { Status } from '../src-contract/localapi/status.ts'
import { eventually } from './eventually.ts'
import { endProcess, type Host } from './host.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))

/** Where the stock programs are: the folder the user names, else where `npm run peers` puts them. */
export const peersFolder = process.env.PINTAIL_PEERS ?? join(repository, '.cache', 'peers')

/** Path of a stock program, or undefined when it is not installed: the caller skips by name. */
export function stockProgram(
  name: 'tailscale' | 'tailscaled' | 'derper' | 'wireguard' | 'fast/tailscaled' | 'fast/wireguard',
): string | undefined {
  const path = join(peersFolder, name)
  return existsSync(path) ? path : undefined
}

export interface DaemonOptions {
  readonly kind: 'ours' | 'stock'
  /** State and socket; made when absent. Must have a short path (sockets are limited to 107 characters). */
  readonly folder?: string
  readonly tun?: string
  readonly udpPort?: number
  readonly environment?: Record<string, string>
  readonly extraArguments?: readonly string[]
  /** Without any capability, and without /dev/net/tun: what a program in a plain container may do. */
  readonly isUnprivileged?: boolean
  /** WireGuard's own times pass 30 times faster: `fast-wireguard.ts`. */
  readonly isFast?: boolean
}

export class Daemon {
  readonly host: Host
  readonly options: DaemonOptions
  readonly folder: string
  readonly socketPath: string
  readonly client: LocalClient
  #process: ChildProcess | undefined
  #log = ''

  private constructor(host: Host, options: DaemonOptions) {
    this.host = host
    this.options = options
    this.folder = options.folder ?? join(host.folder, options.kind)
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    this.socketPath = join(this.folder, 'daemon.sock')
    this.client = new LocalClient({ socketPath: this.socketPath })
  }

  static async start(host: Host, options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(host, options)
    await daemon.start()
    return daemon
  }

  /** The last 200 KiB that the process printed. */
  get log(): string {
    return this.#log
  }

  get pid(): number {
    if (this.#process?.pid === undefined) throw new Error('the daemon does not run')
    return this.#process.pid
  }

  async start(): Promise<void> {
    const {
      kind,
      tun = kind === 'ours' ? 'pintail0' : 'tailscale0',
      udpPort = 41641,
      extraArguments = [],
      isFast = false,
    } = this.options
    const state = join(this.folder, 'state')
    const common = [
      `--statedir=${state}`,
      `--socket=${this.socketPath}`,
      `--tun=${tun}`,
      `--port=${udpPort}`,
      ...extraArguments,
    ]
    const environment = { ...process.env, ...this.options.environment }
    if (kind === 'ours') {
      const script = join(repository, 'bin', 'pintaild.mjs')
      const clock = isFast ? ['--import', join(repository, 'lab', 'fast-wireguard.ts')] : []
      this.#process = this.#spawn(process.execPath, [...clock, script, ...common], environment)
    } else {
      const program = stockProgram(isFast ? 'fast/tailscaled' : 'tailscaled')
      if (program === undefined) throw new Error(`no tailscaled in ${peersFolder}; npm run peers installs it`)
      const quiet = { TS_DEBUG_FIREWALL_MODE: 'nftables', TS_NO_LOGS_NO_SUPPORT: 'true' }
      this.#process = this.host.start(program, common, { env: { ...quiet, ...environment } })
    }
    const child = this.#process
    const hear = (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-200_000)
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    let ended: number | undefined
    child.once('close', (code) => {
      ended = code ?? -1
    })
    await eventually(
      `${kind} daemon on ${this.host.name} answers`,
      async () => {
        if (ended !== undefined) throw new Error(`it ended with ${ended}: ${this.#log.slice(-2000)}`)
        return this.client.status({ peers: false })
      },
      { withinMs: 15_000 },
    )
  }

  #spawn(program: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    if (this.options.isUnprivileged !== true) return this.host.start(program, args, { env })
    const none = 'setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all'
    const cover = `mount -t tmpfs tmpfs /dev/net && exec ${none} "$0" "$@"`
    return this.host.start('sh', ['-c', cover, program, ...args], { env })
  }

  /** Asks it to end, as a service manager does. */
  async stop(): Promise<void> {
    if (this.#process !== undefined) await endProcess(this.#process)
    this.client.close()
  }

  /** Ends it without a chance to tidy up. */
  async kill(): Promise<void> {
    if (this.#process !== undefined) await endProcess(this.#process, 'SIGKILL')
    this.client.close()
  }

  /** Joins a network with a key and waits until it runs. The steps are those of `up`. */
  async join(controlUrl: string, authKey: string, prefs: Partial<Prefs> & { Hostname: string }): Promise<void> {
    const watch = await this.client.watch({ mask: watchMask.noPrivateKeys, signal: AbortSignal.timeout(30_000) })
    try {
      const wanted = { ...defaultPrefs(), CorpDNS: false, ...prefs, ControlURL: controlUrl, WantRunning: true }
      await this.client.start({ AuthKey: authKey, UpdatePrefs: wanted })
      const { HaveNodeKey } = await this.client.status({ peers: false })
      if (HaveNodeKey !== true) await this.client.loginInteractive()
      for await (const notify of watch) {
        if (notify.ErrMessage !== null && notify.ErrMessage !== undefined) throw new Error(notify.ErrMessage)
        if (notify.State === 6) return
      }
      throw new Error('the daemon ended the watch before it was running')
    } catch (error) {
      throw new Error(
        `${this.host.name} did not join: ${error instanceof Error ? error.message : String(error)}\n${this.#log.slice(-3000)}`,
        {
          cause: error,
        },
      )
    } finally {
      watch.close()
    }
  }

  status(): Promise<Status> {
    return this.client.status()
  }

  /** Own address in the network, IPv4. */
  async address(): Promise<string> {
    const { TailscaleIPs } = await this.client.status({ peers: false })
    const address = TailscaleIPs?.find((ip) => ip.includes('.'))
    if (address === undefined) throw new Error(`${this.host.name} has no address yet`)
    return address
  }

  ping(address: string, timeoutMs = 5_000): Promise<PingResult> {
    return this.client.ping(address, 'disco', { signal: AbortSignal.timeout(timeoutMs), timeoutMs })
  }

  /** Pings until the answer comes over a direct path; answers how long that took. */
  async untilDirect(address: string, withinMs: number): Promise<{ endpoint: string; tookMs: number }> {
    const started = performance.now()
    return eventually(
      `${this.host.name} reaches ${address} directly`,
      async () => {
        const pong = await this.ping(address, 2_000)
        return pong.Endpoint === '' ? undefined : { endpoint: pong.Endpoint, tookMs: performance.now() - started }
      },
      { withinMs, everyMs: 100 },
    )
  }

  /** ICMP from the host's own stack through the tunnel; answers the round trips in ms, in order, of those that came back. */
  async icmp(
    address: string,
    options: { count?: number; intervalSeconds?: number; waitSeconds?: number } = {},
  ): Promise<number[]> {
    const { count = 1, intervalSeconds = 0.2, waitSeconds = 2 } = options
    const { stdout } = await this.host.run(
      'ping',
      ['-n', '-c', String(count), '-i', String(intervalSeconds), '-W', String(waitSeconds), address],
      { timeoutMs: (count * intervalSeconds + waitSeconds + 5) * 1000 },
    )
    return [...stdout.matchAll(/time=([\d.]+)/g)].map((match) => Number(match[1]))
  }
}
