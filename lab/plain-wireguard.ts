/** A plain WireGuard device on a laboratory host, ours or wireguard-go, configured with the stock `wg`. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stockProgram } from './daemon.ts'
import { eventually } from './eventually.ts'
import { endProcess, type Host, must, type RunResult } from './host.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))
/** The command that `wg-quick` and shell scripts start. */
export const pintailWireGuard = join(repository, 'bin', 'pintail-wireguard.mjs')
export const UAPI_FOLDER = '/var/run/wireguard'

/** Sockets of the laboratory stay in the sandbox. Call before anything else. */
export async function coverUapiFolder(): Promise<void> {
  mkdirSync(UAPI_FOLDER, { recursive: true, mode: 0o700 })
  await must('mount', ['-t', 'tmpfs', '-o', 'mode=700', 'tmpfs', UAPI_FOLDER])
}

export interface PeerFigures {
  readonly presharedKey: string
  readonly endpoint: string
  readonly allowedIps: string
  /** Unix seconds; 0 = never. */
  readonly handshake: number
  readonly rxBytes: number
  readonly txBytes: number
  readonly keepalive: string
}

export interface DeviceFigures {
  readonly privateKey: string
  readonly publicKey: string
  readonly port: number
  readonly fwmark: string
  readonly peers: ReadonlyMap<string, PeerFigures>
}

export class PlainWireGuard {
  readonly host: Host
  readonly name: string
  readonly socketPath: string
  #child: ChildProcess
  #log = ''
  #keyFiles = 0

  private constructor(host: Host, name: string, child: ChildProcess) {
    this.host = host
    this.name = name
    this.socketPath = join(UAPI_FOLDER, `${name}.sock`)
    this.#child = child
    const hear = (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-50_000)
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
  }

  /** Interface names must differ between hosts: all hosts share the folder of the sockets. */
  static async start(
    host: Host,
    name: string,
    kind: 'ours' | 'stock',
    { isFast = false, stepsBack = false }: { isFast?: boolean; stepsBack?: boolean } = {},
  ): Promise<PlainWireGuard> {
    const stock = kind === 'stock' ? stockProgram(isFast ? 'fast/wireguard' : 'wireguard') : undefined
    if (kind === 'stock' && stock === undefined) throw new Error('no wireguard-go; npm run peers installs it')
    const env = { ...process.env, LOG_LEVEL: 'verbose' }
    const clocks = [...(isFast ? ['fast-wireguard.ts'] : []), ...(stepsBack ? ['clock-steps-back.ts'] : [])]
    const clock = clocks.flatMap((name) => ['--import', join(repository, 'lab', name)])
    const ours = [...clock, join(repository, 'src-daemon', 'wireguard-main.ts'), '-f', name]
    const child =
      stock !== undefined
        ? host.start(stock, ['--foreground', name], { env })
        : host.start(process.execPath, ours, { env })
    const device = new PlainWireGuard(host, name, child)
    await eventually(
      `${kind} WireGuard ${name} answers`,
      async () => {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${device.log}`)
        return existsSync(device.socketPath) && (await host.run('wg', ['show', name])).code === 0 ? true : undefined
      },
      { withinMs: 10_000 },
    )
    return device
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the device does not run')
    return this.#child.pid
  }

  get log(): string {
    return this.#log
  }

  /** Status it ended with; undefined while it runs. */
  get status(): number | undefined {
    return this.#child.exitCode ?? undefined
  }

  wg(...words: string[]): Promise<RunResult> {
    return this.host.run('wg', words)
  }

  /** `wg set NAME …`; fails when it says so. */
  async set(...words: string[]): Promise<void> {
    await this.host.must('wg', ['set', this.name, ...words])
  }

  /** A file with a key for `wg set`. */
  keyFile(key: string): string {
    const path = join(this.host.folder, `${this.name}-key-${++this.#keyFiles}`)
    writeFileSync(path, `${key}\n`, { mode: 0o600 })
    return path
  }

  async address(...prefixes: string[]): Promise<void> {
    for (const prefix of prefixes) await this.host.must('ip', ['addr', 'add', prefix, 'dev', this.name])
    await this.host.must('ip', ['link', 'set', this.name, 'up'])
  }

  /** What `wg show NAME dump` tells. */
  async figures(): Promise<DeviceFigures> {
    return parseDump(await this.host.must('wg', ['show', this.name, 'dump']))
  }

  /** Packets that came back. */
  async ping(address: string, count = 1, waitSeconds = 2): Promise<number> {
    const words = ['-n', '-c', String(count), '-i', '0.05', '-W', String(waitSeconds), address]
    const { stdout } = await this.host.run('ping', words)
    return [...stdout.matchAll(/time=[\d.]+/g)].length
  }

  stop(): Promise<void> {
    return endProcess(this.#child)
  }
}

/** The machine-readable form: a line for the interface, then one for each peer, separated by tabs. */
export function parseDump(dump: string): DeviceFigures {
  const [first = '', ...rest] = dump.trimEnd().split('\n')
  const [privateKey = '', publicKey = '', port = '', fwmark = ''] = first.split('\t')
  const peers = new Map<string, PeerFigures>()
  for (const line of rest) {
    const [key = '', presharedKey = '', endpoint = '', allowedIps = '', handshake, rx, tx, keepalive = ''] =
      line.split('\t')
    peers.set(key, {
      presharedKey,
      endpoint,
      allowedIps,
      handshake: Number(handshake),
      rxBytes: Number(rx),
      txBytes: Number(tx),
      keepalive,
    })
  }
  return { privateKey, publicKey, port: Number(port), fwmark, peers }
}

/** A key pair as `wg` makes it, and a pre-shared key with `wg genpsk`. */
export async function createKeys(): Promise<{ privateKey: string; publicKey: string }> {
  const privateKey = (await must('wg', ['genkey'])).trim()
  return { privateKey, publicKey: (await must('wg', ['pubkey'], { input: privateKey })).trim() }
}

export async function createPresharedKey(): Promise<string> {
  return (await must('wg', ['genpsk'])).trim()
}
