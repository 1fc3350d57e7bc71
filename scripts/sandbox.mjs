// The sandbox that every laboratory runs in: private network, mount and process namespaces (and a private user namespace
// when we are not root). Whatever a laboratory makes lives inside, so it is gone with its first process: Ctrl-C, a crash
// or a kill at any moment leaves no process, namespace or interface behind. Plain Node 20, no dependencies.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './process.mjs'

const isRoot = process.getuid?.() === 0

/** The command line that runs `command` inside the sandbox; the same command when we are inside already. */
export function sandboxed(command) {
  if (process.env.PINTAIL_SANDBOX === '1') return command
  const user = isRoot ? [] : ['--user', '--map-root-user']
  const spaces = [
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child=SIGKILL',
    '--mount-proc',
    '--propagation',
    'private',
  ]
  return ['unshare', ...user, ...spaces, process.execPath, join(root, 'scripts', 'sandbox-init.mjs'), ...command]
}

/** Undefined when the sandbox works here, else the reason in words. */
export function sandboxProblem() {
  if (process.platform !== 'linux') return 'the embedded network needs Linux'
  if (!existsSync('/dev/net/tun')) return '/dev/net/tun is missing (modprobe tun)'
  const [program, ...args] = sandboxed(['test', '-w', '/dev/net/tun'])
  const result = spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 })
  if (result.status === 0) return undefined
  if (result.error?.code === 'ENOENT') return 'unshare (package util-linux) is missing'
  if (/not permitted|denied/i.test(result.stderr)) return 'user namespaces are not allowed here; run it as root'
  return result.stderr.trim() || '/dev/net/tun cannot be opened by this user; run it as root'
}
