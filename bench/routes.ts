/**
 * Routes of a large network: how long from nothing to 10 000 of them, and how long one more or one less takes then. There
 * is nothing to compare with: a stock daemon is given its routes by a server only.
 */
import { execFileSync } from 'node:child_process'
import type { Sheet } from '../lab/measure-line.ts'
import { openLinuxRouter } from '../src-daemon/io/router/linux.ts'
import { plainRouterConfig, type RouterConfig } from '../src-daemon/io/router/port.ts'

const ROUTES = 10_000
const MUST_ALL_MS = 2_000
const MUST_DELTA_MS = 20
const DELTAS = 21

export async function benchRoutes({ sheet, rounds }: { sheet: Sheet; rounds: number }): Promise<void> {
  const device = 'pintail-bench'
  execFileSync('ip', ['tuntap', 'add', 'dev', device, 'mode', 'tun'])
  const all: number[] = []
  const deltas: number[] = []
  const removals: number[] = []
  try {
    for (let round = 0; round < rounds; round++) {
      const router = await openLinuxRouter(device)
      const apply = async (desired: RouterConfig | undefined): Promise<number> => {
        const started = performance.now()
        const result = await router.apply(desired)
        if (result.kind !== 'applied') throw new Error(JSON.stringify(result))
        return performance.now() - started
      }
      const config: RouterConfig = {
        ...plainRouterConfig,
        addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
        routes: manyRoutes(ROUTES),
        netfilterMode: 'on',
      }
      all.push(await apply(config))
      for (let i = 0; i < DELTAS; i++) {
        const isMore = i % 2 === 0
        deltas.push(await apply(isMore ? { ...config, routes: [...config.routes, '192.0.2.0/24'] } : config))
      }
      removals.push(await apply(undefined))
      await router.close()
    }
  } finally {
    execFileSync('ip', ['tuntap', 'del', 'dev', device, 'mode', 'tun'])
  }
  const row = (about: string, values: readonly number[], limit: number): void => {
    const ours = median(values)
    sheet.add({ case: `routes: ${about}`, ours, stock: null, unit: 'ms', must: `≤ ${limit} ms`, ok: ours <= limit })
  }
  row('10 000 from nothing, with rules and packet filter', all, MUST_ALL_MS)
  row('one more or less', deltas, MUST_DELTA_MS)
  row('all gone', removals, MUST_ALL_MS)
}

/** Half of them of each family. */
function manyRoutes(count: number): string[] {
  return Array.from({ length: count / 2 }, (_, i) => {
    const at = i + 2
    return [`100.${64 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}/32`, `fd7a:115c:a1e0::${at.toString(16)}/128`]
  }).flat()
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
