// `npm run e2e [-- FILTER…]`: brings Electron, builds the app, runs the end-to-end tests on a display and a bus of
// their own. Prints `N passed, N failed, N skipped` last. Plain Node 20, no dependencies.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildApp } from './build-app.mjs'
import { electronPath } from './electron.mjs'
import { hasCommand, node24, ourEnvironment, root, runHere } from './process.mjs'
import { makeReady } from './ready.mjs'
import { sandboxed, sandboxProblem } from './sandbox.mjs'
import { note } from './say.mjs'

const report = join(root, 'test-results', 'e2e.json')

/** Answers `{ passed, failed, skipped, missing }`; missing names what kept the tests from running. */
export async function runE2e(filters = []) {
  const missing = await makeReady(process.platform === 'linux' ? ['display', 'electron', 'lab'] : [])
  if (missing.length > 0) return { passed: 0, failed: 0, skipped: 0, missing }
  const electron = await electronPath()
  await buildApp()
  rmSync(report, { force: true })
  const playwright = [node24, join(root, 'node_modules', '@playwright', 'test', 'cli.js'), 'test', ...filters]
  // Inside the laboratory's sandbox the tests with real daemons run too; elsewhere they skip by name.
  const noLab = sandboxProblem()
  if (noLab !== undefined) note(`tests on real daemons will be skipped: ${noLab}`)
  const command = withDisplayAndBus(playwright)
  const [program, ...args] = noLab === undefined ? sandboxed(command) : command
  const env = ourEnvironment({ PINTAIL_ELECTRON: electron, PINTAIL_SOCKET: '' })
  const status = await runHere(program, args, { env })
  return { ...countResults(status), missing: [] }
}

function withDisplayAndBus(command) {
  if (process.platform !== 'linux') return command
  const screen = ['xvfb-run', '-a', '-s', '-screen 0 1600x1000x24']
  return hasCommand('dbus-run-session') ? ['dbus-run-session', '--', ...screen, ...command] : [...screen, ...command]
}

function countResults(status) {
  try {
    const { expected, unexpected, flaky, skipped } = JSON.parse(readFileSync(report, 'utf8')).stats
    return { passed: expected, failed: unexpected + flaky, skipped }
  } catch (error) {
    note(`the test runner left no report: ${error.message}`)
    return { passed: 0, failed: Math.max(1, status), skipped: 0 }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed, skipped, missing } = await runE2e(process.argv.slice(2))
  if (missing.length > 0) note(`e2e did not run: ${missing.join(' ')} missing`)
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exitCode = failed === 0 && missing.length === 0 ? 0 : 1
}
