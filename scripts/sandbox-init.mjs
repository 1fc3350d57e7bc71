// First process inside the sandbox: prepares it, runs one command, passes signals on, and takes everything along when it ends.
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { whenStarterIsGone } from './lifeline.mjs'

const mount = (target) => execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', target])
try {
  mkdirSync('/run/netns', { recursive: true })
} catch {
  mount('/run') // an ordinary user may not write to the host's /run: cover it
  mkdirSync('/run/netns')
}
mount('/run/netns')
// `npm start -- --here` hands the real network in as descriptor 3; it becomes a host like the others, named "outside".
if (process.env.PINTAIL_OUTSIDE === '1') {
  writeFileSync('/run/netns/outside', '')
  execFileSync('mount', ['--bind', '/proc/self/fd/3', '/run/netns/outside'], {
    stdio: ['ignore', 'inherit', 'inherit', 3],
  })
}
const scratch = mkdtempSync(join(tmpdir(), 'pintail-lab-'))
mount(scratch) // what programs of the laboratory write: only visible in here, gone with us
execFileSync('ip', ['link', 'set', 'lo', 'up'])

let child
const PATIENCE_MS = 8_000
whenStarterIsGone(() => {
  child?.kill('SIGTERM')
  setTimeout(() => process.exit(143), PATIENCE_MS)
})
const [command, ...args] = process.argv.slice(2)
child = spawn(command, args, {
  stdio: 'inherit',
  env: { ...process.env, PINTAIL_SANDBOX: '1', PINTAIL_LAB_SCRATCH: scratch },
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.once('error', (error) => {
  console.error(error.message)
  process.exit(127)
})
child.once('close', (code, signal) => {
  try {
    execFileSync('umount', ['--lazy', scratch])
    rmdirSync(scratch)
  } catch (error) {
    console.error(`the empty folder ${scratch} stays behind: ${error.message}`)
  }
  process.exit(code ?? (signal === 'SIGINT' ? 130 : 143))
})
