/** The user stories, each as the scenario that `npm run lab -- NAME` runs, in every mix of our nodes and stock ones. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Away } from './away.ts'
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

describe('U14, U15 offering an exit node, by command line', () => {
  const cli = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))
  let away: Away
  beforeAll(async () => {
    away = await Away.open({ folder: scratch(), client: 'ours', exits: [] })
  })
  afterAll(() => away?.close())
  const pintail = async (...words: string[]): Promise<{ code: number; text: string }> => {
    const { code, stdout, stderr } = await away.laptop.run(process.execPath, [
      cli,
      `--socket=${away.client.socketPath}`,
      ...words,
    ])
    return { code, text: stdout + stderr }
  }

  test('U14 what is missing is said with the exact commands, and they are enough; requested becomes approved', async () => {
    const first = await pintail('set', '--advertise-exit-node')
    expect(first.code, first.text).toBe(0)
    expect(first.text).toContain('Warning: IP forwarding is off')
    expect(first.text).toContain("echo 'net.ipv4.ip_forward = 1' | tee -a")
    expect((await away.client.status()).Health?.join()).toContain('IP forwarding is off')
    const commands = first.text.split('\n').filter((line) => /^(echo|sysctl) /.test(line))
    for (const command of commands) await away.laptop.run('sh', ['-c', command])
    expect((await pintail('set', '--advertise-exit-node')).text).not.toContain('forwarding is off')

    const state = async () =>
      (await away.control.admin('routes', 'list')).match(/waits for approval|in effect/g)?.join()
    await expect.poll(state, { timeout: 10_000 }).toBe('waits for approval,waits for approval')
    await away.control.admin('routes', 'approve', 'laptop', '--exit-node')
    await expect.poll(state, { timeout: 10_000 }).toBe('in effect,in effect')
    await expect
      .poll(async () => (await away.client.status()).Self.AllowedIPs?.includes('0.0.0.0/0'), { timeout: 10_000 })
      .toBe(true)
  })

  test('U15 set changes one thing; up refuses to lose the others and prints the whole command', async () => {
    expect((await pintail('set', '--advertise-routes=10.170.0.0/20', '--accept-dns=false')).code).toBe(0)
    expect(await away.client.client.prefs()).toMatchObject({
      CorpDNS: false,
      AdvertiseRoutes: ['0.0.0.0/0', '::/0', '10.170.0.0/20'],
    })
    const refused = await pintail('up', '--accept-routes')
    expect(refused.code).toBe(1)
    expect(refused.text).toContain('requires mentioning all')
    expect(refused.text).toMatch(/pintail up --accept-routes .*--advertise-routes=10\.170\.0\.0\/20/)
    expect(refused.text).toContain('--advertise-exit-node')
    expect(refused.text).toContain('--accept-dns=false')
  })
})
