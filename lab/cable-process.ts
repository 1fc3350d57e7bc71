/**
 * The moving part of a cable (`cable.ts`): two TAP devices, frames from one to the other through an impaired queue.
 * `node lab/cable-process.ts NAMESPACE-A DEVICE-A NAMESPACE-B DEVICE-B MTU SEED`; stdin: one Impairment as JSON a line.
 *
 * A TAP may be moved into another namespace after it was opened; the descriptor stays with us. TAPs have no offloads, so
 * every frame arrives whole and check-summed.
 */
import { execFileSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { requireAddon } from '../src-native/addon.ts'
import { SlotBatch } from '../src-native/slots.ts'
import { ImpairedQueue, type Impairment, perfectLine } from './impairment.ts'

const [namespaceA, deviceA, namespaceB, deviceB, mtu, seed] = process.argv.slice(2)
if (namespaceA === undefined || deviceA === undefined || namespaceB === undefined || deviceB === undefined)
  throw new Error('usage: cable-process.ts NAMESPACE-A DEVICE-A NAMESPACE-B DEVICE-B MTU SEED')
const addon = requireAddon('the laboratory cable')
const SLOT_BYTES = 2048
const SLOTS = 128

/** mulberry32: small, seeded, good enough for dice. */
function dice(start: number): () => number {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

function end(namespace: string, device: string, side: number) {
  const { fd, name } = addon.openTun(`cable${side}`, Number(mtu), 'tap')
  execFileSync('ip', ['link', 'set', name, 'netns', namespace, 'name', device])
  execFileSync('ip', ['-n', namespace, 'link', 'set', device, 'mtu', String(mtu), 'up'])
  return fd
}
const fds = [end(namespaceA, deviceA, 0), end(namespaceB, deviceB, 1)] as const
const queues = [0, 1].map((side) => new ImpairedQueue(perfectLine, dice(Number(seed) + side)))

let timer: NodeJS.Timeout | undefined
function deliver(): void {
  const now = performance.now()
  for (const [side, queue] of queues.entries()) {
    const batch = new SlotBatch(SLOT_BYTES, SLOTS)
    for (const frame of queue.due(now)) {
      batch.add(frame.length)?.set(frame)
      if (batch.isFull()) send(side, batch)
    }
    send(side, batch)
  }
  const next = Math.min(...queues.map((queue) => queue.nextDueMs() ?? Number.POSITIVE_INFINITY))
  clearTimeout(timer)
  if (next !== Number.POSITIVE_INFINITY) timer = setTimeout(deliver, Math.max(0, next - performance.now()))
}

function send(side: number, batch: SlotBatch): void {
  if (batch.count > 0) addon.writeTun(fds[1 - side]!, batch.buffer, SLOT_BYTES, batch.count, 0)
  batch.count = 0
}

for (const [side, fd] of fds.entries()) {
  const batches: SlotBatch[] = []
  const { buffers } = addon.startReader(fd, 'tun', SLOT_BYTES, SLOTS, (index, count) => {
    if (count < 0) process.exit(1)
    const now = performance.now()
    for (let slot = 0; slot < count; slot++) queues[side]!.put(batches[index]!.payload(slot).slice(), now)
    deliver()
  })
  batches.push(...buffers.map((buffer) => new SlotBatch(SLOT_BYTES, buffer)))
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const change = JSON.parse(line) as Partial<Impairment>
    for (const queue of queues) queue.impairment = { ...queue.impairment, ...change }
    console.log('set')
  })
  .on('close', () => process.exit(0))
console.log('up')
