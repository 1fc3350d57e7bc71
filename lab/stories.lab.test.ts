/** The user stories, each as the scenario that `npm run lab -- NAME` runs, in every mix of our nodes and stock ones. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { Sheet } from './measure-line.ts'
import { exitBlock } from './scenarios/exit-block.ts'
import { exitBypass } from './scenarios/exit-bypass.ts'
import { sameNumbers } from './scenarios/same-numbers.ts'
import { subnetHa } from './scenarios/subnet-ha.ts'

const hasStock = stockProgram('tailscaled') !== undefined
const folder = mkdtempSync(join(tmpdir(), 'pt-'))
afterAll(() => discard(folder))
let count = 0
const scratch = () => join(folder, String(++count))

const mixes = [
  ['ours', 'ours'],
  ['ours', 'stock'],
  ['stock', 'ours'],
] as const

describe('U17 exit node and company VPN', () => {
  for (const [client, exit] of mixes) {
    const isRun = hasStock || (client === 'ours' && exit === 'ours')
    test.skipIf(!isRun)(`${client} client, ${exit} exit node`, async () => {
      const sheet = new Sheet({ json: false })
      await exitBypass(sheet, { folder: scratch(), client, exits: [exit] })
      expect(sheet.ok).toBe(true)
    })
  }
})

describe('the exit node is gone: nothing leaks', () => {
  test('ours', async () => {
    const sheet = new Sheet({ json: false })
    await exitBlock(sheet, {
      folder: scratch(),
      client: 'ours',
      exits: ['ours', hasStock ? 'stock' : 'ours'],
      watchSeconds: 10,
    })
    expect(sheet.ok).toBe(true)
  })
})

describe('U15 a subnet behind two routers', () => {
  for (const [client, first, second] of [
    ['ours', 'ours', 'stock'],
    ['stock', 'ours', 'ours'],
  ] as const) {
    test.skipIf(!hasStock)(`${client} client, ${first} and ${second} routers`, async () => {
      const sheet = new Sheet({ json: false })
      await subnetHa(sheet, { folder: scratch(), client, routers: [first, second] })
      expect(sheet.ok).toBe(true)
    })
  }
})

test.skipIf(!hasStock)('4via6: two sites with the same network at once, behind ours and a stock router', async () => {
  const sheet = new Sheet({ json: false })
  await sameNumbers(sheet, { folder: scratch(), client: 'ours', routers: ['ours'], branch: 'stock' })
  expect(sheet.ok).toBe(true)
})
