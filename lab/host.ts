/**
 * One machine of the laboratory: a network namespace, with a private view of /etc for its daemons.
 *
 * Namespaces live in the sandbox's own /run/netns (scripts/sandbox.mjs), so nothing here reaches the real machine and
 * nothing outlives the sandbox. Closing a host still ends its processes, so that one test does not slow the next.
 */
import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface RunResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end; answers whatever it printed, also when it failed. */
export function execute(
  command: string,
  args: readonly string[],
  options: { input?: string; timeoutMs?: number } = {},
): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { timeout: options.timeoutMs ?? 30_000, maxBuffer: 64 << 20, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number' && error.killed !== true) return reject(error)
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 124, stdout, stderr })
      },
    )
    if (options.input !== undefined) child.stdin?.end(options.input)
  })
}

/** As {@link execute}, but a failure is an error that says what the command said. */
export async function must(
  command: string,
  args: readonly string[],
  options: { input?: string; timeoutMs?: number } = {},
): Promise<string> {
  const result = await execute(command, args, options)
  if (result.code !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${result.code}: ${result.stderr || result.stdout}`)
  return result.stdout
}

/** Several `ip` calls in one shell; the words are ours, never a user's. */
export async function ip(...lines: string[]): Promise<void> {
  await must('sh', ['-e'], {
    input: lines
      .map(
        (line) => `ip ${line}
`,
      )
      .join(''),
  })
}

export class Host {
  readonly #children = new Set<ChildProcess>()
  #etcCount = 0

  readonly name: string
  /** Scratch folder on tmpfs, gone with the sandbox. */
  readonly folder: string

  private constructor(name: string, folder: string) {
    this.name = name
    this.folder = folder
  }

  static async create(name: string, labFolder: string): Promise<Host> {
    await ip(`netns add ${name}`, `-n ${name} link set lo up`)
    const folder = join(labFolder, name)
    mkdirSync(folder, { recursive: true })
    return new Host(name, folder)
  }

  /** The real machine's network, which `npm start -- --here` hands in; nothing of it is ours to delete. */
  static outside(labFolder: string): Host {
    const folder = join(labFolder, 'outside')
    mkdirSync(folder, { recursive: true })
    return new Host('outside', folder)
  }

  /** Runs a command inside this machine. */
  run(
    command: string,
    args: readonly string[] = [],
    options: { input?: string; timeoutMs?: number } = {},
  ): Promise<RunResult> {
    return execute('ip', ['netns', 'exec', this.name, command, ...args], options)
  }

  must(
    command: string,
    args: readonly string[] = [],
    options: { input?: string; timeoutMs?: number } = {},
  ): Promise<string> {
    return must('ip', ['netns', 'exec', this.name, command, ...args], options)
  }

  /**
   * Starts a long-running program. Each gets an overlay of /etc of its own: namespaces share /etc otherwise, and a daemon
   * that manages DNS would rewrite the real machine's resolv.conf.
   */
  start(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const etc = join(this.folder, `etc-${++this.#etcCount}`)
    mkdirSync(join(etc, 'upper'), { recursive: true })
    mkdirSync(join(etc, 'work'))
    writeFileSync(join(etc, 'upper', 'resolv.conf'), '') // no resolver in here, and one that a user's namespace may write
    const cover = `mount -t overlay overlay -o "lowerdir=/etc,upperdir=$0/upper,workdir=$0/work" /etc && exec "$@"`
    const child = spawn('ip', ['netns', 'exec', this.name, 'sh', '-c', cover, etc, command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options,
    })
    this.#children.add(child)
    child.once('close', () => this.#children.delete(child))
    return child
  }

  /** Replaces this machine's packet filter rules. */
  async rules(nft: string): Promise<void> {
    await this.must('nft', ['-f', '-'], { input: `flush ruleset\n${nft}` })
    // An existing flow keeps its old verdict and mapping in connection tracking; a changed router starts afresh. For UDP only:
    // a TCP connection (to the relay) would break with it, which a firewall's change of mind does not do.
    await this.run('conntrack', ['-D', '-p', 'udp'])
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => endProcess(child)))
    if (this.name !== 'outside') await execute('ip', ['netns', 'del', this.name])
  }
}

/** Asks a process to end, and insists after a while. Answers when it is gone. */
export async function endProcess(
  child: ChildProcess,
  signal: NodeJS.Signals = 'SIGTERM',
  patienceMs = 3_000,
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise<void>((resolve) => {
    const insist = setTimeout(() => child.kill('SIGKILL'), patienceMs)
    child.once('close', () => {
      clearTimeout(insist)
      resolve()
    })
    child.kill(signal)
  })
}

/** The folder all machines of a laboratory keep their scratch files in. */
export function parentOf(host: Host): string {
  return dirname(host.folder)
}
