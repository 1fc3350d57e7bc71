// Runs tests with an addon that watches itself: AddressSanitizer with UndefinedBehaviorSanitizer, or ThreadSanitizer.
//
//   node scripts/sanitize.mjs address|thread [unit|lab]
//
// Only the addon is instrumented. Node itself is not, so the sanitizer's runtime is loaded in front of it (LD_PRELOAD), and
// what happens between Node's own threads is left alone. Programs other than Node do without it: some do not start with it. Each report is printed and fails the run, also one from a daemon that
// a laboratory test has started. Memory that is never freed is not looked for: with V8's heap in the same process the answer
// would be noise. The fuzz targets look for it, and `native-leaks.test.ts`. `npm test` runs all of it (test.mjs). Plain Node 20.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { node24, ourEnvironment, root, run, runHere } from './process.mjs'
import { sandboxed, sandboxProblem } from './sandbox.mjs'
import { note } from './say.mjs'

const REPORT_STATUS = 99

const libraries = { address: 'libasan.so', thread: 'libtsan.so' }

/**
 * What is run: whatever the addon is tested by. In the laboratory each test costs seconds, and each kind runs it: those are
 * left out in which the addon does nothing that another does not do here, too – faults of the path (its machine is
 * TypeScript), names, routes, stories, userspace networking (no addon's threads), renewals of an hour (as under load), and
 * plain devices (`native-changes.test.ts` and `plain-path.test.ts` run that role, with and without threads).
 */
const suites = {
  unit: { config: 'vitest.config.ts', files: ['src-native/'] },
  lab: {
    config: 'vitest.lab.config.ts',
    files: [
      'src-native/',
      'lab/interop',
      'lab/rekey-under-load',
      'lab/replay',
      'lab/roaming',
      'lab/uapi',
      'lab/faults-datapath',
    ],
  },
}

/**
 * Builds the addon for one sanitizer. Answers how to run with it, or `problem`: the reason, in words, why that cannot be
 * done here.
 */
export async function openSanitizer(kind) {
  if (process.platform !== 'linux') return { problem: 'the addon is for Linux' }
  const compiler = process.env.CXX ?? 'g++'
  const found = spawnSync(compiler, [`-print-file-name=${libraries[kind]}`], { encoding: 'utf8' })
  const library = found.stdout?.trim() ?? ''
  if (found.status !== 0 || !isAbsolute(library)) return { problem: `${compiler} has no ${libraries[kind]}` }
  // ThreadSanitizer needs its addresses free, which some kernels' randomisation does not leave it.
  const starts = (before) =>
    spawnSync('env', [...before, 'true'], { env: { ...process.env, LD_PRELOAD: library } }).status === 0
  const before = [[], ['setarch', '-R']].find(starts)
  if (before === undefined) return { problem: `${libraries[kind]} cannot run on this kernel` }
  await run(node24, [join(root, 'scripts', 'native.mjs'), `--sanitize=${kind}`])

  const folder = mkdtempSync(join(tmpdir(), `pintail-${kind}-`))
  const reports = join(folder, 'reports')
  const node = join(folder, 'node')
  mkdirSync(reports)
  const words = ['env', `LD_PRELOAD=${library}`, ...before, node24]
  writeFileSync(node, `#!/bin/sh\nexec ${words.map((word) => `'${word}'`).join(' ')} "$@"\n`, { mode: 0o755 })
  const common = `exitcode=${REPORT_STATUS}:log_path=${join(reports, 'report')}`
  const variables = {
    PINTAIL_SANITIZED_NODE: node,
    NODE_OPTIONS: `--require=${join(root, 'scripts', 'sanitize-node.cjs')}`,
    PATH: [folder, ourEnvironment().PATH].join(delimiter),
    PINTAIL_ADDON: join(root, 'build', `native-${kind}`, 'pintail.node'),
    ASAN_OPTIONS: `${common}:detect_leaks=0:detect_stack_use_after_return=1`,
    UBSAN_OPTIONS: `${common}:print_stacktrace=1:halt_on_error=1`,
    TSAN_OPTIONS: `${common}:ignore_noninstrumented_modules=1:second_deadlock_stack=1:report_signal_unsafe=0:atexit_sleep_ms=100`,
  }
  return {
    /** The command line of Node with these words. */
    node: (...words) => ['env', ...Object.entries(variables).map((pair) => pair.join('=')), node, ...words],
    /** All that was reported since the last call. */
    takeReports() {
      return readdirSync(reports).map((name) => {
        const text = readFileSync(join(reports, name), 'utf8')
        rmSync(join(reports, name))
        return text
      })
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Words for vitest: which tests a suite has. */
export function suiteWords(suite) {
  return ['run', '--config', suites[suite].config, ...suites[suite].files]
}

async function main([kind, ...chosen]) {
  const unknown = chosen.some((suite) => suites[suite] === undefined)
  if (libraries[kind] === undefined || unknown) {
    console.error('usage: node scripts/sanitize.mjs address|thread [unit|lab]')
    return 2
  }
  const sanitizer = await openSanitizer(kind)
  if (sanitizer.problem !== undefined) {
    note(`skipped: ${sanitizer.problem}`)
    return 0
  }
  let status = 0
  for (const suite of chosen.length > 0 ? chosen : Object.keys(suites)) {
    const problem = suite === 'lab' ? sandboxProblem() : undefined
    if (problem !== undefined) {
      note(`skipped: the laboratory: ${problem}`)
      continue
    }
    const command = sanitizer.node(join(root, 'node_modules', '.bin', 'vitest'), ...suiteWords(suite))
    const [program, ...args] = suite === 'lab' ? sandboxed(command) : command
    status = Math.max(status, await runHere(program, args, { env: ourEnvironment() }))
    for (const report of sanitizer.takeReports()) {
      console.error(report)
      status = Math.max(status, 1)
    }
  }
  sanitizer.close()
  return status
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2))
