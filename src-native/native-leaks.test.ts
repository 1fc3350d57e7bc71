/**
 * Native memory, threads and descriptors after paths have come, worked and gone. In a process of its own, whose memory is
 * that of the addon but for little. (That no single structure leaks, the fuzz targets' LeakSanitizer sees to.)
 */
import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { loadAddon } from './addon.ts'

const found = loadAddon()
// A sanitizer keeps what was freed for a while, to notice its use.
const isSanitized = process.env.PINTAIL_SANITIZED_NODE !== undefined
const MIB = 1 << 20
/** A lane's buffers alone are more than a mebibyte, the tables of each path half of one. */
const MOST_BYTES_A_PATH = 128 << 10

const WORK = `
import { readdirSync } from 'node:fs'
import { requireAddon } from ${JSON.stringify(new URL('addon.ts', import.meta.url).href)}
import { openNative } from ${JSON.stringify(new URL('native.ts', import.meta.url).href)}
const addon = requireAddon('this test')
const key = new Uint8Array(32).fill(1)
const rules = Array.from({ length: 200 }, (_, i) => ({
  sources: ['100.64.' + i + '.0/24'], protocols: [6, 17],
  destinations: [{ prefix: '0.0.0.0/0', firstPort: i, lastPort: i }],
}))
const localNets = ['100.127.0.1/32', 'fd7a:115c:a1e0:b1a:0:7::/96']
async function live() {
  const path = await openNative(addon, { tunName: undefined, mtuBytes: 1280, udpPort: 0, fwmark: 0, aead: '', onEvents: () => {} })
  path.setFilter({ rules, localNets, shieldsUp: false, peerApi: [] })
  for (let peer = 0; peer < 200; peer++) {
    path.setPeer({ peer, allowedIps: ['100.64.' + peer + '.1/32', '10.' + peer + '.0.0/16'], jailed: false })
    for (const slot of ['current', 'next']) {
      const index = peer * 2 + (slot === 'next' ? 1 : 0)
      path.addKeypair({ peer, localIndex: index, remoteIndex: index, sendKey: key, receiveKey: key, slot })
    }
    path.setDestination(peer, { udp: '127.0.0.1:' + path.udpPorts.v4, relay: true })
    path.sendPacket(peer, new Uint8Array(1000))
  }
  path.sendDatagram('127.0.0.1:' + path.udpPorts.v4, new Uint8Array(148))
  await new Promise((resolve) => setImmediate(resolve))
  await path.rebind(0)
  for (let peer = 0; peer < 100; peer++) path.removePeer(peer)
  await path.close()
}
async function lives(count) {
  for (let i = 0; i < count; i++) {
    await live()
    if (i % 10 === 9) {
      gc()
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  // What the collector has to finalise takes it a moment.
  const entries = (name) => readdirSync('/proc/self/' + name).length
  let [fds, tasks] = [entries('fd'), entries('task')]
  for (let quiet = 0; quiet < 10; quiet++) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, 10))
    if (entries('fd') < fds || entries('task') < tasks) quiet = 0
    ;[fds, tasks] = [Math.min(fds, entries('fd')), Math.min(tasks, entries('task'))]
  }
  return [process.memoryUsage().rss, fds, tasks]
}
console.log(JSON.stringify([await lives(40), await lives(80)]))
`

test.skipIf(!found.ok || isSanitized)(
  'a path leaves no memory, thread or descriptor behind',
  { timeout: 60_000 },
  () => {
    const words = ['--expose-gc', '--input-type=module-typescript', '-e', WORK]
    const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' })
    expect(stderr).toBe('')
    const [before, after] = JSON.parse(stdout) as number[][]
    for (const counted of [1, 2]) expect(after![counted]!).toBeLessThanOrEqual(before![counted]!)
    expect((after![0]! - before![0]!) / MIB).toBeLessThan((80 * MOST_BYTES_A_PATH) / MIB)
  },
)
