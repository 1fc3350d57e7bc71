/** `npm run lab -- NAME [--json]`: one scenario of the laboratory; `--help` lists them. Runs inside the sandbox. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { Sheet } from './measure-line.ts'
import { demoCheck } from './scenarios/demo-check.ts'
import { exitBlock } from './scenarios/exit-block.ts'
import { exitBypass } from './scenarios/exit-bypass.ts'
import { subnetHa } from './scenarios/subnet-ha.ts'

const hasStock = stockProgram('tailscaled') !== undefined

/** Every mix of our nodes and stock ones, where there are stock ones. */
const mixes: readonly (readonly [client: 'ours' | 'stock', exit: 'ours' | 'stock'])[] = hasStock
  ? [
      ['ours', 'ours'],
      ['ours', 'stock'],
      ['stock', 'ours'],
    ]
  : [['ours', 'ours']]

interface Scenario {
  readonly about: string
  run(context: { sheet: Sheet; folder: string; progress: (text: string) => void; quick: boolean }): Promise<void>
}

const scenarios: Record<string, Scenario> = {
  demo: {
    about: 'the embedded network: joined, direct or relayed as its routers say, survives cuts, kills and a lost server',
    run: ({ sheet, folder, progress, quick }) =>
      demoCheck({ sheet, folder, progress, ...(quick ? { controlOutageMs: 10_000 } : {}) }),
  },
  'exit-bypass': {
    about: 'U17: an exit node and a company VPN side by side, ours and stock mixed',
    run: async ({ sheet, folder, progress }) => {
      for (const [client, exit] of mixes) {
        progress(`${client} client, ${exit} exit node`)
        await exitBypass(sheet, { folder: join(folder, `${client}-${exit}`), client, exits: [exit] })
      }
    },
  },
  'exit-block': {
    about: 'the exit node dies: nothing leaves uncovered for a minute; another takes over when asked',
    run: async ({ sheet, folder, quick }) => {
      const exits = ['ours', hasStock ? 'stock' : 'ours'] as const
      await exitBlock(sheet, { folder, client: 'ours', exits, watchSeconds: quick ? 10 : 60 })
    },
  },
  'subnet-ha': {
    about:
      'U15: a subnet behind two routers, one dies; switched off alone; at home the route goes; a café with the same numbers',
    run: async ({ sheet, folder }) => {
      const routers = ['ours', hasStock ? 'stock' : 'ours'] as const
      await subnetHa(sheet, { folder, client: 'ours', routers })
    },
  },
}

const words = process.argv.slice(2)
const [name] = words.filter((word) => !word.startsWith('-'))
if (name === undefined || words.includes('--help') || words.includes('-h')) {
  console.log('usage: npm run lab -- NAME [--json] [--quick]\n')
  for (const [scenario, { about }] of Object.entries(scenarios)) console.log(`  ${scenario.padEnd(12)} ${about}`)
  console.log('\n  --json   one JSON object per line: case, ours, stock, unit, ratio, must, ok')
  console.log('  --quick  shorter waits where a scenario has them; not the promise itself')
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
try {
  await scenario.run({ sheet, folder, progress, quick: words.includes('--quick') })
} finally {
  discard(folder)
}
process.exitCode = sheet.ok ? 0 : 1
