import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cable } from './cable.ts'
import { type Host, ip } from './host.ts'
import { Internet } from './internet.ts'

let internet: Internet
let a: Host
let b: Host
let cable: Cable
beforeAll(async () => {
  internet = await Internet.create()
  a = (await internet.publicHost('a')).host
  b = (await internet.publicHost('b')).host
  cable = await Cable.plug({ host: a, device: 'line0' }, { host: b, device: 'line0' })
  await ip(`-n ${a.name} addr add 192.0.2.1/24 dev line0`, `-n ${b.name} addr add 192.0.2.2/24 dev line0`)
})
afterAll(async () => {
  await cable?.unplug()
  await internet?.close()
})

async function ping(count: number): Promise<{ times: number[]; duplicates: number }> {
  const { stdout } = await a.run('ping', ['-n', '-c', String(count), '-i', '0.01', '-W', '1', '192.0.2.2'])
  const times = [...stdout.matchAll(/time=([\d.]+) ms(?! \(DUP)/g)].map((m) => Number(m[1]))
  return { times, duplicates: stdout.match(/DUP!/g)?.length ?? 0 }
}

test('a cable is fast until told otherwise, then delays, loses and repeats', async () => {
  const clean = await ping(20)
  expect(clean.times).toHaveLength(20)
  expect(Math.min(...clean.times)).toBeLessThan(15)
  await cable.set({ delayMs: 40 })
  const slow = await ping(20)
  expect(slow.times).toHaveLength(20)
  expect(Math.min(...slow.times)).toBeGreaterThanOrEqual(79)
  await cable.set({ delayMs: 0, lossPercent: 30 })
  const lossy = await ping(200)
  expect(lossy.times.length).toBeGreaterThan(50)
  expect(lossy.times.length).toBeLessThan(150) // both directions lose: about 49 % come back
  await cable.set({ lossPercent: 0, duplicatePercent: 50 })
  expect((await ping(50)).duplicates).toBeGreaterThan(10)
})
