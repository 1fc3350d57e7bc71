/** The daemon as it starts where the addon does not exist or cannot be loaded. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { LocalClient } from '../src-client/local-client.ts'

const program = fileURLToPath(new URL('../bin/pintaild.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'pt-'))
let daemon: ChildProcess | undefined
afterEach(async () => {
  if (daemon !== undefined && daemon.exitCode === null) {
    daemon.kill()
    await new Promise((resolve) => daemon?.once('exit', resolve))
  }
  rmSync(folder, { recursive: true, force: true })
})

test('it starts without an interface, by the data path in JavaScript, and says so in health and `debug datapath`', async () => {
  const socketPath = join(folder, 's')
  const flags = ['--tun=pintail-none', `--statedir=${folder}`, `--socket=${socketPath}`, '--port=0']
  let said = ''
  daemon = spawn(process.execPath, [program, ...flags], { env: { ...process.env, PINTAIL_ADDON: 'none' } })
  daemon.stderr?.on('data', (chunk) => {
    said += chunk
  })
  const client = new LocalClient({ socketPath })
  await expect
    .poll(() => client.status().then(() => 'answers', String), { timeout: 20_000, interval: 100 })
    .toBe('answers')
  const { Health, TUN } = await client.status()
  expect(TUN, said).toBe(false)
  expect(Health?.join('\n')).toMatch(/native addon cannot be loaded .*no interface/)
  expect(Health?.join('\n')).toMatch(/go through JavaScript/)
  const report = await client.pintailDatapath()
  expect([report?.backend, report?.whyNotNative]).toEqual(['twin', expect.stringMatching(/\S/)])
  client.close()
}, 40_000)
