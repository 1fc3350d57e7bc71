import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { execute } from '../../../lab/host.ts'

const program = fileURLToPath(new URL('random-routes.lab.ts', import.meta.url))

interface Result {
  readonly seen: { readonly route?: number; readonly refused?: number }
  readonly sizes: { readonly rules: number; readonly routes: number }
  readonly differences: readonly unknown[]
}

/** Each in a namespace of its own. */
async function compare(seed: number): Promise<Result> {
  const words = ['--net', process.execPath, program, String(seed), '13', '6']
  const { code, stdout, stderr } = await execute('unshare', words, { timeoutMs: 150_000 })
  if (code !== 0) throw new Error(stderr || stdout)
  return JSON.parse(stdout) as Result
}

test('[EXP-2] what we say is what the kernel says: 52 hosts with rules and routes by chance, 6 addresses on each', async () => {
  const first = Date.now() % 1_000_000
  const seeds = [0, 1, 2, 3].map((i) => first + i)
  const results = await Promise.all(seeds.map(compare))
  for (const [i, { differences }] of results.entries()) expect(differences, `seed ${seeds[i]}`).toEqual([])
  const sum = (of: (result: Result) => number | undefined): number =>
    results.reduce((all, one) => all + (of(one) ?? 0), 0)
  // the dice were real ones
  expect(sum(({ sizes }) => sizes.rules)).toBeGreaterThan(200)
  expect(sum(({ seen }) => seen.route)).toBeGreaterThan(100)
  expect(sum(({ seen }) => seen.refused)).toBeGreaterThan(50)
}, 180_000)
