/**
 * A scenario of `npm run lab -- NAME` as a test: all its checks hold. The `stories-*.lab.test.ts` run them with shorter waits
 * and fewer mixes; the minute without a leak of `exit-block` and the hundred kills of `killed` are the named runs'.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { Sheet } from './measure-line.ts'

export const hasStock = stockProgram('tailscaled') !== undefined
/** A stock node where there is one. */
export const other = hasStock ? 'stock' : 'ours'

export async function expectAll(run: (sheet: Sheet, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  const sheet = new Sheet({ json: false })
  try {
    await run(sheet, folder)
  } finally {
    discard(folder)
  }
  expect(sheet.sum.count).toBeGreaterThan(0)
  expect(sheet.sum.failed).toBe(0)
}
