/**
 * A laboratory machine whose programs share one private /etc, as on a real machine: what the daemon writes into
 * resolv.conf is what the resolver of every other program reads, and it outlives the daemon.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import { execute, type Host, must, type RunResult } from './host.ts'

export interface MachineView {
  /** The host, with programs started inside the shared view. */
  readonly host: Host
  run(command: string, args?: readonly string[], options?: { input?: string; timeoutMs?: number }): Promise<RunResult>
  /** Starts a program that belongs to the machine, not to a test; ends with the sandbox, or by the host's close. */
  start(command: string, args?: readonly string[], environment?: Record<string, string>): ChildProcess
  /** Lays Debian packages over this machine's files; nobody else sees them. Their scripts do not run. */
  install(packages: readonly string[]): Promise<void>
  /** Byte for byte. */
  readEtc(name: string): Promise<string>
  /** As a shell would: through a redirection, or by renaming. */
  writeEtc(name: string, latin1: string): Promise<void>
}

export async function machineView(host: Host): Promise<MachineView> {
  const holder = host.start('sleep', ['infinity'])
  const pid = holder.pid
  if (pid === undefined) throw new Error('no process holds the view')
  // `ip netns exec` and the shell become the program once the mounts are made
  await eventually(
    'the view is mounted',
    async () => {
      const { stdout } = await execute('cat', [`/proc/${pid}/comm`])
      return stdout.trim() === 'sleep' && existsSync(`/proc/${pid}/root/etc/resolv.conf`) ? true : undefined
    },
    { withinMs: 5_000 },
  )
  const enter = ['--target', String(pid), '--mount', '--net']
  const shared: Host = Object.create(host, {
    start: {
      value: (command: string, args: readonly string[], options = {}) =>
        spawn('nsenter', [...enter, command, ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options }),
    },
  })
  const run: MachineView['run'] = (command, args = [], options = {}) =>
    execute('nsenter', [...enter, command, ...args], options)
  const inside = (script: string, ...args: string[]): Promise<string> =>
    must('nsenter', [...enter, 'sh', '-ec', script, ...args])
  return {
    host: shared,
    run,
    start: (command, args = [], environment = {}) => {
      const env = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
      return host.start('nsenter', [...enter, 'env', ...env, command, ...args])
    },
    install: async (packages) => {
      const folder = join(host.folder, 'packages')
      for (const path of packages) await must('dpkg-deb', ['-x', path, folder])
      // packages of before the folders were joined have both; the machine has /lib as a link
      const script = `mount -t tmpfs tmpfs /run
        for from in lib sbin bin; do [ ! -d "$0/$from" ] || { mkdir -p "$0/usr/$from" && cp -a "$0/$from/." "$0/usr/$from/"; }; done
        [ ! -d "$0/usr" ] || mount -t overlay overlay -o "lowerdir=$0/usr:/usr" /usr
        [ ! -d "$0/etc" ] || cp -a "$0/etc/." /etc/`
      await inside(script, folder)
    },
    readEtc: async (name) =>
      Buffer.from((await must('nsenter', [...enter, 'base64', `/etc/${name}`])).replace(/\s/g, ''), 'base64').toString(
        'latin1',
      ),
    writeEtc: async (name, latin1) => {
      const input = Buffer.from(latin1, 'latin1').toString('base64')
      await must('nsenter', [...enter, 'sh', '-c', 'base64 -d > "/etc/$0.part" && mv "/etc/$0.part" "/etc/$0"', name], {
        input,
      })
    },
  }
}
