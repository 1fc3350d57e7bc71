/** U14, U15: what is said and refused on the way to an exit node of one's own, by command line. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Away } from './away.ts'
import { discard } from './demo-network.ts'

const folder = mkdtempSync(join(tmpdir(), 'pt-'))
afterAll(() => discard(folder))

describe('offering an exit node, by command line', () => {
  const cli = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))
  let away: Away
  beforeAll(async () => {
    away = await Away.open({ folder, client: 'ours', exits: [] })
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

  test('[U14] what is missing is said with the exact commands, and they are enough; requested becomes approved', async () => {
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

  test('[U15] set changes one thing; up refuses to lose the others and prints the whole command', async () => {
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
