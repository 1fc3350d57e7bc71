// `npm start`: makes the checkout ready, brings the embedded network up and opens the app on it. Plain Node 20.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { lifelineEnvironment, whenOrphaned, withLifeline } from './lifeline.mjs'
import { hasCommand, node24, ourEnvironment, root, runHere } from './process.mjs'
import { makeReady } from './ready.mjs'
import { sandboxed, sandboxProblem } from './sandbox.mjs'
import { note, step } from './say.mjs'

const help = `usage: npm start [-- OPTION …]

Starts a small network on this computer (coordination server, relay, four demo machines behind different routers, this
computer's own daemon) and opens the app on it. Nothing on the host changes: everything lives in namespaces.

  --headless         no window; prints a live table of the machines
  --check            brings the network up, proves its promises, tears it down; one JSON line per check
  --keep             the network's state (identities, keys) survives until the next start
  --screenshot FILE  opens the app on a virtual display and saves a picture of its window
  --here             this computer's daemon runs on the host itself (as root), not in a namespace
  --help             this text

examples:
  npm start
  npm start -- --headless
  npm start -- --screenshot pintail.png`

let options
try {
  options = parseArgs({
    options: {
      headless: { type: 'boolean' },
      check: { type: 'boolean' },
      keep: { type: 'boolean' },
      here: { type: 'boolean' },
      screenshot: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  }).values
} catch (error) {
  console.error(`${error.message}\n\n${help}`)
  process.exit(2)
}
if (options.help) {
  console.log(help)
  process.exit(0)
}

let end = (status) => process.exit(status)
whenOrphaned(() => end(143))

const hasDisplay = process.platform !== 'linux' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY)
const wantsApp = !options.check && !options.headless && (hasDisplay || options.screenshot !== undefined)
if (!wantsApp && !options.check && !options.headless)
  note('no display here (DISPLAY and WAYLAND_DISPLAY are empty): running as --headless')

const groups = ['lab', ...(wantsApp ? ['electron'] : []), ...(options.screenshot !== undefined ? ['display'] : [])]
const missing = await makeReady(groups)
if (missing.length > 0) note(`going on without: ${missing.join(' ')}`)
const problem = sandboxProblem()
if (problem !== undefined) {
  note(`the embedded network cannot start: ${problem}`)
  process.exit(1)
}
if (options.here && process.getuid?.() !== 0) {
  note("--here changes this computer's network and needs root:  sudo npm start -- --here")
  process.exit(1)
}

// Short paths: a socket's may have 107 characters at most.
const kept = join(root, '.pintail-net')
if (options.keep) mkdirSync(kept, { recursive: true, mode: 0o700 })
const folder = options.keep && kept.length < 80 ? kept : mkdtempSync(join(tmpdir(), 'pt-'))

if (options.check) {
  const [program, ...args] = sandboxed([node24, join(root, 'lab', 'demo-main.ts'), `--folder=${folder}`, '--check'])
  const status = await runHere(program, args, { env: ourEnvironment() })
  rmSync(folder, { recursive: true, force: true })
  process.exit(status)
}

/** The network's process; its lines arrive through `heard`. */
function startNetwork(heard) {
  const flags = [`--folder=${folder}`, ...(options.keep ? ['--keep'] : []), ...(options.here ? ['--here'] : [])]
  const [program, ...args] = sandboxed([node24, join(root, 'lab', 'demo-main.ts'), ...flags])
  const child = spawn(program, args, {
    cwd: root,
    stdio: withLifeline(['ignore', 'pipe', 'inherit'], options.here ? openSync('/proc/self/ns/net', 'r') : 'ignore'),
    env: ourEnvironment({ ...lifelineEnvironment, ...(options.here ? { PINTAIL_OUTSIDE: '1' } : {}) }),
    detached: true,
  })
  createInterface({ input: child.stdout }).on('line', (line) => heard(JSON.parse(line)))
  return child
}

let network
let app
let ending = false
end = async (status) => {
  if (ending) return
  ending = true
  app?.kill('SIGTERM')
  if (network !== undefined && network.exitCode === null && network.signalCode === null) {
    const gone = new Promise((resolve) => network.once('close', resolve))
    const insist = setTimeout(() => network.kill('SIGKILL'), 10_000)
    process.kill(-network.pid, 'SIGTERM')
    await gone
    clearTimeout(insist)
  }
  if (!options.keep) rmSync(folder, { recursive: true, force: true })
  process.exit(status)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(signal === 'SIGINT' ? 130 : 143))

let rows = []
const ready = await step('bring up the embedded network', (progress) => {
  return new Promise((resolve, reject) => {
    network = startNetwork((line) => {
      if (line.kind === 'progress') progress(line.text)
      if (line.kind === 'ready') resolve(line)
      if (line.kind === 'table') {
        rows = line.rows
        if (!wantsApp) printTable()
      }
    })
    network.once('close', (code) => {
      reject(new Error(`the network ended with ${code}`))
      if (!ending) end(1)
    })
  })
}).catch(async (error) => {
  note(error.message)
  await end(1)
})

function printTable() {
  if (process.stdout.isTTY) process.stdout.write('\x1b[2J\x1b[H')
  const lines = [['MACHINE', 'ADDRESS', 'PATH'], ...rows.map((row) => [row.name, row.address, row.path])]
  console.log(lines.map(([name, address, path]) => `${name.padEnd(12)}${address.padEnd(18)}${path}`).join('\n'))
  console.log()
}

note(`this computer is ${ready.address}; its daemon listens on ${ready.socket}`)
note(`try:  npx pintail --socket=${ready.socket} status`)
if (!wantsApp) {
  note('Ctrl-C ends the network')
} else {
  const { electronPath } = await import('./electron.mjs')
  const { buildApp } = await import('./build-app.mjs')
  const electron = await electronPath()
  await step('build the app', () => buildApp())
  const flags = [root, `--socket=${ready.socket}`]
  if (process.getuid?.() === 0) flags.push('--no-sandbox') // Chromium refuses to run as root otherwise
  if (options.screenshot !== undefined) flags.push(`--screenshot=${options.screenshot}`)
  const command =
    options.screenshot === undefined || hasDisplay ? [electron, ...flags] : ['xvfb-run', '-a', electron, ...flags]
  if (process.platform === 'linux' && !process.env.DBUS_SESSION_BUS_ADDRESS && hasCommand('dbus-run-session'))
    command.unshift('dbus-run-session', '--')
  app = spawn(command[0], command.slice(1), { cwd: root, stdio: ['ignore', 'inherit', 'pipe'], env: ourEnvironment() })
  // Chromium talks much on stderr where there is no system bus or GPU; a failed start is the only thing worth showing.
  let said = ''
  app.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-4000)
  })
  note('the app is open; closing its window leaves it in the tray, Ctrl-C here ends everything')
  app.once('close', (code) => {
    if (code !== 0 && !ending) note(`the app ended with ${code}\n${said}`)
    if (options.screenshot !== undefined && code === 0) note(`saved ${options.screenshot}`)
    end(code ?? 0)
  })
}
