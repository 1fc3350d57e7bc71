// First process inside the sandbox: prepares it, runs one command, passes signals on, and takes everything along when it ends.
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'

const mount = (target) => execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', target])
try {
  mkdirSync('/run/netns', { recursive: true })
} catch {
  mount('/run') // an ordinary user may not write to the host's /run: cover it
  mkdirSync('/run/netns')
}
mount('/run/netns')
execFileSync('ip', ['link', 'set', 'lo', 'up'])

const [command, ...args] = process.argv.slice(2)
const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, PINTAIL_SANDBOX: '1' } })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.once('error', (error) => {
  console.error(error.message)
  process.exit(127)
})
child.once('close', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)))
