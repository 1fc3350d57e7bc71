/** `npm run bench -- NAME [--json]`: figures of ours beside the stock ones in the same run; `--help` lists them. Runs inside the sandbox. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { discard } from '../lab/demo-network.ts'
import { Sheet } from '../lab/measure-line.ts'
import { benchAead } from './aead.ts'
import { benchDns } from './dns.ts'
import { benchFilter } from './filter.ts'
import { benchGrowth } from './growth.ts'
import { benchRoutes } from './routes.ts'
import { benchTaildrop } from './taildrop.ts'
import { benchTunnel, tunnelParts } from './tunnel.ts'

interface Context {
  readonly sheet: Sheet
  readonly folder: string
  readonly rounds: number
  readonly only: readonly string[]
}

interface Bench {
  readonly about: string
  /** What `--only` may name. */
  readonly parts?: readonly string[]
  run(context: Context): Promise<void>
}

const benches: Record<string, Bench> = {
  tunnel: {
    about:
      'throughput, CPU, round trips, losses and memory through the whole product, beside tailscaled and wireguard-go',
    parts: tunnelParts,
    run: benchTunnel,
  },
  filter: { about: 'packets a second through the packet filter with 1 000 rules, on one core', run: benchFilter },
  growth: { about: 'one pair of peers among 1 to 10 000: throughput, memory, cost of a change', run: benchGrowth },
  dns: { about: 'answers for names of the network at 5 000 questions a second', run: benchDns },
  routes: { about: '10 000 routes into the host, and one more or less', run: benchRoutes },
  taildrop: { about: 'files between two machines: MB/s, CPU and memory, many small ones', run: benchTaildrop },
  aead: { about: 'sealing and opening one packet, by each library there is', run: benchAead },
}

const words = process.argv.slice(2)
const [name] = words.filter((word) => !word.startsWith('-'))
const asksForHelp = words.includes('--help') || words.includes('-h')
if (name === undefined || asksForHelp) {
  console.log('usage: npm run bench -- NAME [--json] [--rounds=N] [--only=PART,…]\n')
  for (const [bench, { about, parts }] of Object.entries(benches)) {
    console.log(`  ${bench.padEnd(12)} ${about}${parts === undefined ? '' : ` (parts: ${parts.join(', ')})`}`)
  }
  console.log('\n  --json      one JSON object per line: case, ours, stock, unit, ratio, must, ok')
  console.log('  --rounds=N  interleaved rounds, median of each is printed (3)')
  console.log('  --only=…    only these parts\n')
  console.log('examples: npm run bench -- tunnel --rounds=5\n          npm run bench -- tunnel --only=load --rounds=1')
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
const only =
  words
    .find((word) => word.startsWith('--only='))
    ?.slice('--only='.length)
    .split(',') ?? []
const unknown = only.filter((part) => !bench.parts?.includes(part))
if (unknown.length > 0) {
  console.error(`${name} has no part ${unknown.join(', ')}; it has ${bench.parts?.join(', ') ?? 'none'}`)
  process.exit(2)
}
const sheet = new Sheet({ json: words.includes('--json') })
const folder = mkdtempSync(join(tmpdir(), 'pt-'))
try {
  await bench.run({ sheet, folder, rounds, only })
} finally {
  discard(folder)
}
process.exitCode = sheet.ok ? 0 : 1
