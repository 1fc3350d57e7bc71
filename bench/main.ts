/** `npm run bench -- NAME [--json]`: figures of ours beside the stock ones in the same run; `--help` lists them. Runs inside the sandbox. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { discard } from '../lab/demo-network.ts'
import { Sheet } from '../lab/measure-line.ts'
import { benchAead } from './aead.ts'
import { benchTunnel } from './tunnel.ts'

interface Bench {
  readonly about: string
  run(context: { sheet: Sheet; folder: string; rounds: number }): Promise<void>
}

const benches: Record<string, Bench> = {
  aead: { about: 'sealing and opening one packet, by each library there is', run: benchAead },
  tunnel: {
    about: 'TCP and round trip through the whole product, direct path, interleaved with stock daemons',
    run: benchTunnel,
  },
}

const words = process.argv.slice(2)
const [name] = words.filter((word) => !word.startsWith('-'))
const asksForHelp = words.includes('--help') || words.includes('-h')
if (name === undefined || asksForHelp) {
  console.log('usage: npm run bench -- NAME [--json] [--rounds=N]\n')
  for (const [bench, { about }] of Object.entries(benches)) console.log(`  ${bench.padEnd(12)} ${about}`)
  console.log('\n  --json      one JSON object per line: case, ours, stock, unit, ratio, must, ok')
  console.log('  --rounds=N  interleaved rounds, median of each is printed (3)')
  process.exit(asksForHelp ? 0 : 2)
}
const bench = benches[name]
if (bench === undefined) {
  console.error(`no bench is called ${name}; npm run bench -- --help lists them`)
  process.exit(2)
}
const rounds = Number(words.find((word) => word.startsWith('--rounds='))?.slice('--rounds='.length) ?? 3)
if (!Number.isInteger(rounds) || rounds < 1 || rounds > 50) {
  console.error('--rounds takes a whole number from 1 to 50')
  process.exit(2)
}
const sheet = new Sheet({ json: words.includes('--json') })
const folder = mkdtempSync(join(tmpdir(), 'pt-'))
try {
  await bench.run({ sheet, folder, rounds })
} finally {
  discard(folder)
}
process.exitCode = sheet.ok ? 0 : 1
