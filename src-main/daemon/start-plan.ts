/**
 * How the daemon is started on this machine: through its systemd unit where there is one, otherwise by a command that
 * the person types. Only fixed commands, chosen by what is installed; nothing comes from the page.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export interface DaemonStart {
  /** What to type in a terminal. */
  readonly command: string
  /** What we may run after the password was asked for; absolute program first. undefined: only the person can. */
  readonly run: readonly string[] | undefined
}

export interface MachineFacts {
  readonly platform: NodeJS.Platform
  readonly socketPath: string
  readonly isRoot: boolean
  /** The source checkout or installed folder that holds `bin/`. */
  readonly appFolder: string
  readonly exists: (path: string) => boolean
}

const SYSTEMCTL = '/usr/bin/systemctl'
const unitFolders = ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system']

export function daemonStart({ platform, socketPath, isRoot, appFolder, exists }: MachineFacts): DaemonStart {
  const sudo = isRoot ? '' : 'sudo '
  const isStock = /tailscaled?[./]/.test(socketPath)
  const service = isStock ? 'tailscaled' : 'pintaild'
  if (platform === 'linux' && exists(SYSTEMCTL) && exists('/run/systemd/system')) {
    const hasUnit = unitFolders.some((folder) => exists(`${folder}/${service}.service`))
    if (hasUnit) return { command: `${sudo}systemctl start ${service}`, run: [SYSTEMCTL, 'start', service] }
  }
  if (isStock) return { command: `${sudo}tailscaled`, run: undefined }
  const program = join(appFolder, 'bin', 'pintaild.mjs')
  const daemon = exists(program) ? quoted(program) : 'pintaild'
  return { command: `${sudo}${daemon} --socket ${quoted(socketPath)}`, run: undefined }
}

function quoted(word: string): string {
  return /^[\w./:@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

export function thisMachine(socketPath: string, appFolder: string): MachineFacts {
  return {
    platform: process.platform,
    socketPath,
    isRoot: process.getuid?.() === 0,
    appFolder,
    exists: existsSync,
  }
}
