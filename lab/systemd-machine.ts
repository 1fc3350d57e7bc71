/**
 * A laboratory machine that boots: a real systemd as its first process, on a copy-on-write view of this machine's files,
 * in namespaces and a control group of its own. Nothing of this machine's own services is started, and everything it
 * writes is in memory.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import { endProcess, execute, type Host, type RunResult } from './host.ts'

const SYSTEMD = '/lib/systemd/systemd'
const SERVICE_LOG = '/run/services.log'
const GROUP = 'pintail-lab-'

export interface SystemdMachine {
  /** Where its files are, from here. */
  readonly root: string
  run(command: string, args?: readonly string[], options?: { uid?: number; user?: string }): Promise<RunResult>
  /** What differs from the files below it, apart from what systemd and its programs keep for themselves. */
  changes(): Record<string, string>
  /** What systemd and its services said. */
  log(): string
  close(): Promise<void>
}

/** Where control groups can be made; undefined where they cannot. */
function groupFolder(): string | undefined {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  const place = mounts.map((line) => line.split(' ')).find(([, , kind]) => kind === 'cgroup2')?.[1]
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1]
  return place === undefined || own === undefined ? undefined : join(place, own)
}

/** Why no machine can boot here; undefined when one can. */
export function noSystemd(): string | undefined {
  if (!existsSync(SYSTEMD) || !existsSync('/usr/bin/systemctl')) return 'systemd is not installed'
  const [, , count] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)
  if (Number(count) < 65_535) return 'other users exist only for real root'
  const folder = groupFolder()
  if (folder === undefined) return 'there are no control groups of version 2'
  const probe = join(folder, `pintail-lab-probe-${process.pid}`)
  try {
    mkdirSync(probe)
    rmdirSync(probe)
    return undefined
  } catch (error) {
    return `no control group can be made (${error instanceof Error ? error.message : String(error)})`
  }
}

/** `prepare` is run as shell, in the machine's root, before it boots. */
export async function bootSystemd(host: Host, folder: string, prepare: string): Promise<SystemdMachine> {
  const groups = groupFolder() ?? ''
  removeOldGroups(groups)
  const group = mkdtempSync(join(groups, GROUP)) // our process ids are those of a sandbox: others have the same
  mkdirSync(folder)
  const script = join(folder, 'boot.sh')
  writeFileSync(script, bootScript(folder, prepare))
  const spaces = ['--pid', '--mount', '--cgroup', '--uts', '--ipc', '--fork', '--kill-child=SIGKILL']
  const inGroup = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
  const words = ['ip', 'netns', 'exec', host.name, 'unshare', ...spaces, 'sh', '-e', script]
  const outer = spawn('sh', ['-c', inGroup, group, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [outer.stdout, outer.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const enter = ['--mount', '--uts', '--ipc', '--net', '--pid', '--root', '--wd']
  let pid = 0
  const run: SystemdMachine['run'] = (command, args = [], { uid = 0, user = 'root' } = {}) => {
    const as = uid === 0 ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']
    const env = [
      'env',
      '-i',
      `USER=${user}`,
      'HOME=/root',
      'LC_ALL=C',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin',
    ]
    return execute('nsenter', ['--target', String(pid), ...enter, ...env, ...as, command, ...args], {
      timeoutMs: 60_000,
    })
  }
  const upper = (): string => `/proc/${outer.pid}/root${folder}/memory/upper`
  try {
    await eventually(
      'the machine has booted',
      async () => {
        if (outer.exitCode !== null) throw new Error(`it ended with ${outer.exitCode}`)
        pid = Number(readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, 'utf8').trim().split(' ')[0])
        const { stdout } = await run('systemctl', ['is-system-running'])
        return /running|degraded/.test(stdout) ? true : undefined
      },
      { withinMs: 60_000, everyMs: 200 },
    )
  } catch (error) {
    await end()
    throw new Error(`${error instanceof Error ? error.message : String(error)}: ${said.slice(-2_000)}`)
  }

  async function end(): Promise<void> {
    await endProcess(outer, 'SIGKILL')
    await eventually('its control group is empty', () => (removeGroups(group) ? true : undefined), { withinMs: 10_000 })
  }
  return {
    root: `/proc/${pid}/root`,
    run,
    changes: () => changesOf(upper(), '/'),
    log: () => said + readFileSync(`/proc/${pid}/root${SERVICE_LOG}`, 'utf8'),
    close: end,
  }
}

/** Of sandboxes that were killed: control groups are the one thing that does not go with them. */
function removeOldGroups(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (name.startsWith(GROUP) && Date.now() - statSync(path).ctimeMs > 120_000) removeGroups(path)
  }
}

function removeGroups(folder: string): boolean {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeGroups(join(folder, entry.name))
    }
    rmdirSync(folder)
    return true
  } catch {
    return false // a process of it is still ending
  }
}

/** Own /run, /tmp, /dev, and no unit but those of a bare system. */
function bootScript(folder: string, prepare: string): string {
  return `
mount --make-rprivate /
mkdir ${folder}/memory
mount -t tmpfs -o mode=755 tmpfs ${folder}/memory
cd ${folder}/memory
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
mount --rbind ${folder} root/mnt
cd root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 console:1:3; do
  numbers=\${device#*:}
  mknod -m 666 dev/\${device%%:*} c \${numbers%:*} \${numbers#*:}
done
mkdir dev/net dev/shm dev/pts dev/mqueue dev/hugepages
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mknod -m 666 dev/net/tun c 10 200
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
rm -rf etc/systemd/system/*.wants lib/systemd/system/*.target.wants
: > etc/fstab
: > etc/machine-id
mkdir etc/systemd/system/service.d
printf '[Service]\\nStandardError=append:${SERVICE_LOG}\\n' > etc/systemd/system/service.d/lab.conf
printf '[Unit]\\nRequires=basic.target\\nAfter=basic.target\\n' > etc/systemd/system/lab.target
${prepare}
ip link set lo up
export container=lab
unset NOTIFY_SOCKET
exec chroot . ${SYSTEMD} --system --unit=lab.target --log-target=console --show-status=0
`
}

/** Kept by systemd and by the programs that make users. */
const OF_THE_SYSTEM =
  /^\/(etc\/(machine-id|\.pwd\.lock|(passwd|group|shadow|gshadow|subuid|subgid)-)$|var\/(log|lib\/systemd|lib\/private|cache\/private|tmp)(\/|$))/

/** Path → what it is now; what is as below does not count. */
function changesOf(upper: string, lower: string, at = '/'): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(join(upper, at))) {
    const path = join(at, name)
    if (OF_THE_SYSTEM.test(path)) continue
    const now = kindOf(join(upper, path))
    if (now !== kindOf(join(lower, path))) found[path] = now
    if (now.startsWith('folder')) Object.assign(found, changesOf(upper, lower, path))
  }
  return found
}

function kindOf(path: string): string {
  if (!existsSync(path) && !isLink(path)) return 'nothing'
  const info = lstatSync(path)
  const who = `${(info.mode & 0o7777).toString(8)} ${info.uid}:${info.gid}`
  if (info.isDirectory()) return `folder ${who}`
  if (info.isSymbolicLink()) return `link ${readlinkSync(path)}`
  if (info.isFile()) return `file ${who} ${createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16)}`
  return `other ${who} ${info.rdev}` // 0: removed
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink()
  } catch {
    return false
  }
}
