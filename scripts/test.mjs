// `npm test`: sets itself up, runs everything that can run here, and ends with the true sum. What cannot run is named and
// counted as skipped. Plain Node 20.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lifelineEnvironment, whenOrphaned, withLifeline } from './lifeline.mjs'
import { node24, ourEnvironment, root } from './process.mjs'
import { makeReady } from './ready.mjs'
import { sandboxed, sandboxProblem } from './sandbox.mjs'
import { note } from './say.mjs'

const only = process.argv.slice(2).filter((word) => !word.startsWith('-'))
const reports = mkdtempSync(join(tmpdir(), 'pintail-test-'))

/** Shows a suite's output as it comes and answers it with the exit status. */
function show(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: withLifeline(['ignore', 'pipe', 'pipe']),
      env: ourEnvironment({ ...lifelineEnvironment, CI: process.env.CI ?? 'true' }),
    })
    let output = ''
    const hear = (chunk) => {
      output += chunk
      process.stdout.write(chunk)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? 1, output }))
  })
}

const tool = (name) => [node24, join(root, 'node_modules', '.bin', name)]

/** A command that is one test by itself. */
async function single([command, ...args]) {
  const { code } = await show(command, args)
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
}

async function vitest(config, wrap = (command) => command) {
  const file = join(reports, `${config}.json`)
  const [program, ...args] = wrap([
    ...tool('vitest'),
    'run',
    '--config',
    config,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ])
  const { code } = await show(program, args)
  const report = JSON.parse(readFileSync(file, 'utf8'))
  const counts = {
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  }
  // A suite that breaks before its first test (an import error, a leaked handle) has no failed test but a failed run.
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  return counts
}

async function e2e() {
  const { code, output } = await show(node24, [join(root, 'scripts', 'e2e.mjs')])
  const sums = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1)
  if (sums === undefined) return { passed: 0, failed: 1, skipped: 0 }
  const counts = { passed: Number(sums[1]), failed: Number(sums[2]), skipped: Number(sums[3] ?? 0) }
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  return counts
}

whenOrphaned(() => process.exit(143))
const missing = await makeReady(['lab', 'bench', 'display', 'electron'])
const noLab = sandboxProblem()

const suites = {
  types: () => single([...tool('tsc'), '-b']),
  'types of tests': () => single([...tool('tsc'), '-p', 'tsconfig.test.json']),
  'lint and purity': () => single([node24, join(root, 'scripts', 'check.mjs'), '--lint']),
  unit: () => vitest('vitest.config.ts'),
  lab: () => (noLab === undefined ? vitest('vitest.lab.config.ts', sandboxed) : skip(`the laboratory: ${noLab}`)),
  e2e: () => (missing.length === 0 ? e2e() : skip(`the app: system packages are missing (${missing.join(' ')})`)),
}

function skip(why) {
  note(`skipped: ${why}`)
  return { passed: 0, failed: 0, skipped: 1 }
}

const total = { passed: 0, failed: 0, skipped: 0 }
const lines = []
for (const [name, run] of Object.entries(suites)) {
  if (only.length > 0 && !only.includes(name)) continue
  process.stdout.write(`\n── ${name}\n`)
  const started = Date.now()
  const counts = await run()
  for (const key of Object.keys(total)) total[key] += counts[key]
  lines.push(
    `${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped (${Math.round((Date.now() - started) / 1000)} s)`,
  )
}
rmSync(reports, { recursive: true, force: true })
process.stdout.write(
  `\n${lines.map((line) => `  ${line}\n`).join('')}\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`,
)
process.exitCode = total.failed === 0 ? 0 : 1
