/**
 * A laboratory machine on which pintaild runs as the packaged unit runs it: a user of its own, three capabilities, no way
 * to more – and the root helper beside it.
 */
import { type ChildProcess, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from './eventually.ts'
import type { Host } from './host.ts'
import type { MachineView } from './machine-view.ts'

/** No account has it. */
export const DAEMON_UID = 64_242
const CAPABILITIES = '-all,+net_admin,+net_raw,+net_bind_service'
const repository = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/** Why it cannot be tried here; undefined when it can. */
export function noUnprivileged(): string | undefined {
  const [, , count] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)
  if (Number(count) <= DAEMON_UID) return 'other users exist only for real root'
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  try {
    const script = '[ -w "$0" ] && mknod "$1" c 10 200 && : 3<> "$1"'
    const { status } = spawnSync('sh', ['-ec', script, '/dev/net/tun', join(folder, 'tun')])
    return status === 0 ? undefined : 'no device can be made that other users may open'
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export interface Unprivileged {
  /** For `Daemon.start`: what it starts has the rights of the unit. */
  readonly host: Host
  /** A folder that the daemon may write to. */
  folder(name: string): string
  readonly helperSocket: string
  startHelper(environment?: Record<string, string>): Promise<ChildProcess & { said(): string }>
  /** Arguments that run a program of the checkout, as `uid`, with the unit's rights. */
  command(uid: number, ...words: string[]): string[]
}

/** `base`: an empty folder that others may enter. */
export async function unprivileged(machine: MachineView, base: string): Promise<Unprivileged> {
  chmodSync(base, 0o755)
  // The checkout may be in a folder that only its owner enters.
  const checkout = join(base, 'checkout')
  mkdirSync(checkout)
  const bound = await machine.run('mount', ['--bind', repository, checkout])
  if (bound.code !== 0) throw new Error(bound.stderr)
  // As udev makes it; without udev it is often root's alone.
  const device = join(base, 'tun')
  const made = await machine.run('sh', ['-ec', 'mknod -m 666 "$0" c 10 200 && mount --bind "$0" /dev/net/tun', device])
  if (made.code !== 0) throw new Error(made.stderr)
  const inCheckout = (word: string): string =>
    word.startsWith(repository) ? checkout + word.slice(repository.length) : word
  const command = (uid: number, ...words: string[]): string[] => [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${uid}`,
    '--clear-groups',
    `--bounding-set=${CAPABILITIES}`,
    `--inh-caps=${CAPABILITIES}`,
    `--ambient-caps=${CAPABILITIES}`,
    '--no-new-privs',
    ...words.map(inCheckout),
  ]
  const host: Host = Object.create(machine.host, {
    start: {
      value: (program: string, args: readonly string[], options = {}) => {
        const [first, ...rest] = command(DAEMON_UID, program, ...args)
        return machine.host.start(first!, rest, options)
      },
    },
  })
  const helperSocket = join(base, 'root.sock')
  return {
    host,
    helperSocket,
    command,
    folder(name) {
      const path = join(base, name)
      mkdirSync(path, { mode: 0o700 })
      chownSync(path, DAEMON_UID, DAEMON_UID)
      return path
    },
    async startHelper(environment = {}) {
      const main = join(checkout, 'src-daemon', 'root-helper-main.ts')
      const words = [main, `--user=${DAEMON_UID}`, `--socket=${helperSocket}`]
      const child = machine.start(process.execPath, words, environment)
      let said = ''
      child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
      await eventually(
        'the root helper listens',
        () => {
          if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${said}`)
          return said.includes('"ready"') ? true : undefined
        },
        { withinMs: 30_000 },
      )
      return Object.assign(child, { said: () => said })
    },
  }
}
