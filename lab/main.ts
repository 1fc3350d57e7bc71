/** `npm run lab -- NAME [--json]`: one scenario of the laboratory; `--help` lists them. Runs inside the sandbox. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { discard } from './demo-network.ts'
import { Sheet } from './measure-line.ts'
import { scenarios } from './scenarios/list.ts'

const words = process.argv.slice(2)
const [name] = words.filter((word) => !word.startsWith('-'))
if (name === undefined || words.includes('--help') || words.includes('-h')) {
  console.log('usage: npm run lab -- NAME [--json] [--quick]\n')
  for (const [scenario, { about }] of Object.entries(scenarios)) console.log(`  ${scenario.padEnd(14)} ${about}`)
  console.log('\n  --json   one JSON object per line: case, ours, stock, unit, ratio, must, ok')
  console.log('  --quick  shorter waits where a scenario has them; not the promise itself')
  console.log('\nEach line is one check. Status 1: at least one was missed.')
  process.exit(name === undefined && !words.includes('--help') && !words.includes('-h') ? 2 : 0)
}
const scenario = scenarios[name]
if (scenario === undefined) {
  console.error(`no scenario is called ${name}; npm run lab -- --help lists them`)
  process.exit(2)
}
const sheet = new Sheet({ json: words.includes('--json') })
const folder = mkdtempSync(join(tmpdir(), 'pt-'))
const progress = (text: string) => console.error(`  … ${text}`)
const started = performance.now()
try {
  await scenario.run({ sheet, folder, progress, quick: words.includes('--quick') })
} catch (error) {
  // what a scenario cannot go on without
  const ours = error instanceof Error ? error.message : String(error)
  sheet.add({ case: 'the scenario runs to its end', ours, stock: null, unit: '', must: 'no error', ok: false })
} finally {
  discard(folder)
}
const { count, failed } = sheet.sum
const seconds = Math.round((performance.now() - started) / 1000)
console.error(`${name}: ${failed === 0 ? `all ${count} ok` : `${failed} of ${count} missed`}, ${seconds} s`)
// what a scenario could not close ends with the sandbox
process.exit(failed === 0 && count > 0 ? 0 : 1)
