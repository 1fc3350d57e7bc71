// `npm run check`: types and layers (project references), tests' types, lint and format, purity. Seconds; run it before each commit.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { node24, root, runHere } from './process.mjs'
import { makeReady } from './ready.mjs'

// `--lint`: without the types, for a caller that has run the compiler already.
const lintOnly = process.argv.includes('--lint')
if (!lintOnly) await makeReady([])
const tool = (name, ...args) => runHere(node24, [join(root, 'node_modules', '.bin', name), ...args])

/** Pure folders have no clock and no dice; the compiler cannot say that, so this does. */
function impureLines() {
  const pure = ['src-contract', 'src-protocol/wire', 'src-protocol/machines']
  return pure.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.lab.ts'))
      .flatMap((name) => {
        const lines = readFileSync(join(root, folder, name), 'utf8').split('\n')
        return lines.flatMap((line, at) =>
          /\b(Date\.now|new Date\(\)|Math\.random|performance\.now)\b/.test(line) && !/^\s*(\*|\/\/)/.test(line)
            ? [`${folder}/${name}:${at + 1}: ${line.trim()}`]
            : [],
        )
      }),
  )
}

const impure = impureLines()
for (const line of impure) console.error(`a pure folder asks the clock or the dice: ${line}`)
const results = [
  ...(lintOnly ? [] : [await tool('tsc', '-b'), await tool('tsc', '-p', 'tsconfig.test.json')]),
  await tool('biome', 'check', '--error-on-warnings', '.'),
  impure.length === 0 ? 0 : 1,
]
process.exitCode = Math.max(...results)
