// Child processes for scripts: run to the end, or fail with what they printed. Plain Node 20, no dependencies.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lifelineEnvironment, whenOrphaned, withLifeline } from './lifeline.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Our own Node (24), installed as a development dependency; whatever the shell's Node is. */
export const node24 = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')

/** Environment in which `node` and every installed tool is ours. */
export function ourEnvironment(extra = {}) {
  const path = [dirname(node24), join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
  return { ...process.env, PATH: path, ...extra }
}

export function hasCommand(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, name)))
}

/** Runs a command; output is collected, and shown only when it fails. Answers stdout. */
export function run(command, args, { onLine, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options })
    let stdout = ''
    let tail = ''
    const hear = (chunk) => {
      tail = (tail + chunk).slice(-4000)
      const line = String(chunk).trim().split('\n').at(-1)
      if (onLine && line) onLine(line)
    }
    child.stdout.on('data', (chunk) => {
      stdout += chunk
      hear(chunk)
    })
    child.stderr.on('data', hear)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve(stdout)
      else reject(new Error(`${command} ${args.join(' ')} ended with ${signal ?? code}\n${tail}`))
    })
  })
}

/** `unshare` keeps signals to itself, so they go to its child as well; whoever has not ended in ten seconds is killed. */
function endTree(child, signal) {
  const pids = [child.pid]
  try {
    pids.push(
      ...readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
        .trim()
        .split(' ')
        .filter(Boolean)
        .map(Number),
    )
  } catch {
    // no /proc on this system: the child alone must do
  }
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
  setTimeout(() => child.kill('SIGKILL'), 10_000).unref()
}

/** Runs a command on this terminal, passes signals on, answers its exit status. */
export function runHere(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: withLifeline(['inherit', 'inherit', 'inherit']),
      ...options,
      env: { ...(options.env ?? process.env), ...lifelineEnvironment },
    })
    whenOrphaned(() => endTree(child, 'SIGTERM'))
    const pass = (signal) => endTree(child, signal)
    process.on('SIGINT', pass)
    process.on('SIGTERM', pass)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      process.off('SIGINT', pass)
      process.off('SIGTERM', pass)
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143))
    })
  })
}
