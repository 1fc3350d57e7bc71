// `npm test`: sets itself up, runs everything that can run here, and ends with the true sum. What cannot run is named and
// counted as skipped. Plain Node 20.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fuzzCompiler } from './fuzz.mjs'
import { lifelineEnvironment, whenOrphaned, withLifeline } from './lifeline.mjs'
import { hasCommand, node24, ourEnvironment, root } from './process.mjs'
import { makeReady, optionalPackages } from './ready.mjs'
import { sandboxed, sandboxProblem } from './sandbox.mjs'
import { openSanitizer, suiteWords } from './sanitize.mjs'
import { note } from './say.mjs'

const only = process.argv.slice(2).filter((word) => !word.startsWith('-'))
const isCi = !['', 'false', undefined].includes(process.env.CI)
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

/** Runs vitest with these words; `wrap` makes a command line of the program's own words. */
async function vitest(name, words, wrap = (program) => [node24, ...program]) {
  const file = join(reports, `${name}.json`)
  const [program, ...args] = wrap([
    join(root, 'node_modules', '.bin', 'vitest'),
    ...words,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ])
  const { code } = await show(program, args)
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0 }
  const report = JSON.parse(readFileSync(file, 'utf8'))
  remember(name, report)
  const counts = {
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  }
  // A suite that breaks before its first test (an import error, a leaked handle) has no failed test but a failed run.
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  return counts
}

/** Which tests failed, and which only passed at the second try: told again below the sum, where a long run is read first. */
const told = []
function remember(suite, { testResults }) {
  for (const { name, status, message, assertionResults } of testResults) {
    const file = relative(root, name)
    for (const test of assertionResults) {
      if (test.status === 'failed') told.push(`FAILED  ${suite}: ${file} > ${test.fullName}`)
      else if (test.status === 'passed' && test.failureMessages.length > 0)
        told.push(`passed at the second try  ${suite}: ${file} > ${test.fullName}`)
    }
    if (status === 'failed' && assertionResults.every((test) => test.status !== 'failed'))
      told.push(`FAILED  ${suite}: ${file}: ${message}`)
  }
}

const suiteOf = (config) => ['run', '--config', config]
/** As on a system that the addon does not exist for yet: everything above the door must not need it. */
const withoutAddon = (program) => ['env', 'PINTAIL_ADDON=none', node24, ...program]
const inLab = (program) => sandboxed([node24, ...program])

/** A script that ends with its own sum. */
async function summed(script, ...args) {
  const { code, output } = await show(node24, [join(root, 'scripts', script), ...args])
  const sums = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1)
  if (sums === undefined) return { passed: 0, failed: 1, skipped: 0 }
  const counts = { passed: Number(sums[1]), failed: Number(sums[2]), skipped: Number(sums[3] ?? 0) }
  told.push(...[...output.matchAll(/^FAILED .*$/gm)].map(([line]) => line.slice(0, 4_000)))
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  return counts
}

/** The addon's tests again, with one that watches itself. Whatever it reports is a failed test. */
async function sanitized(kind) {
  const sanitizer = await openSanitizer(kind)
  if (sanitizer.problem !== undefined) return skip(`the addon with -fsanitize=${kind}: ${sanitizer.problem}`)
  const all = [
    await vitest(`${kind}-unit`, suiteWords('unit'), (program) => sanitizer.node(...program)),
    noLab === undefined
      ? await vitest(`${kind}-lab`, suiteWords('lab'), (program) => sandboxed(sanitizer.node(...program)))
      : skip(`the laboratory: ${noLab}`),
  ]
  const found = sanitizer.takeReports()
  for (const report of found) {
    process.stdout.write(`${report}\n`)
    told.push(`FAILED  ${kind}: ${/^SUMMARY: .*$/m.exec(report)?.[0] ?? report.slice(0, 200)}`)
  }
  sanitizer.close()
  if (found.length > 0) all.push({ passed: 0, failed: found.length, skipped: 0 })
  return all.reduce((sum, one) => ({
    passed: sum.passed + one.passed,
    failed: sum.failed + one.failed,
    skipped: sum.skipped + one.skipped,
  }))
}

async function fuzz() {
  if (fuzzCompiler() === undefined) await optionalPackages(['clang', 'libclang-rt-dev'])
  return summed('fuzz.mjs', `--seconds=${isCi ? 60 : 5}`)
}

whenOrphaned(() => process.exit(143))
const missing = await makeReady(['lab', 'bench', 'display', 'electron'])
if (!hasCommand('systemd-analyze')) await optionalPackages(['systemd']) // judges the units
const noLab = sandboxProblem()

const suites = {
  types: () => single([...tool('tsc'), '-b']),
  'types of tests': () => single([...tool('tsc'), '-p', 'tsconfig.test.json']),
  'lint and purity': () => single([node24, join(root, 'scripts', 'check.mjs'), '--lint']),
  unit: () => vitest('unit', suiteOf('vitest.config.ts')),
  'unit without the addon': () =>
    vitest('bare', [...suiteOf('vitest.config.ts'), 'src-daemon', 'src-native'], withoutAddon),
  lab: () =>
    noLab === undefined ? vitest('lab', suiteOf('vitest.lab.config.ts'), inLab) : skip(`the laboratory: ${noLab}`),
  address: () => sanitized('address'),
  thread: () => sanitized('thread'),
  fuzz,
  e2e: () =>
    missing.length === 0 ? summed('e2e.mjs') : skip(`the app: system packages are missing (${missing.join(' ')})`),
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
  `\n${[...lines, ...told].map((line) => `  ${line}\n`).join('')}\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`,
)
process.exitCode = total.failed === 0 ? 0 : 1
