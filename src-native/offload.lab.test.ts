/**
 * TUN offloads between two real kernels: bulk TCP, forwarded or local, must arrive byte for byte, also with packets of a flow
 * interleaved, with FIN and acknowledgements between, and with checksums that were broken on the way.
 */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { requireAddon } from './addon.ts'
import { SlotBatch } from './slots.ts'

const addon = process.env.PINTAIL_SANDBOX === '1' ? requireAddon('the offload test') : undefined
const run = promisify(execFile)
const SLOT_BYTES = 2048
const SLOTS = 128
const ip = (...words: string[]) => execFileSync('ip', words)

/** Two interfaces in two namespaces, joined by us packet by packet: what comes out of one goes into the other. */
class Joint {
  readonly #fds: number[] = []
  readonly #readers: ReturnType<NonNullable<typeof addon>['startReader']>[] = []
  longest = 0
  packets = 0
  change: ((packet: Uint8Array, n: number) => 'pass' | 'drop') | undefined

  constructor(names: readonly [string, string]) {
    for (const [side, name] of names.entries()) {
      const { fd, name: device, offload } = addon!.openTun(`joint${side}`, 1280, 'tun')
      expect(offload).toBeGreaterThan(0)
      ip('link', 'set', device, 'netns', name)
      ip('-n', name, 'addr', 'add', `192.0.2.${side + 1}/24`, 'dev', device)
      ip('-n', name, 'addr', 'add', `2001:db8::${side + 1}/64`, 'dev', device, 'nodad')
      ip('-n', name, 'link', 'set', device, 'up')
      this.#fds.push(fd)
    }
    for (const side of [0, 1]) {
      const batches: SlotBatch[] = []
      const reader = addon!.startReader(this.#fds[side]!, 'tun-offload', SLOT_BYTES, SLOTS, (index, count) => {
        if (count > 0) this.#pass(side, batches[index]!, count)
      })
      batches.push(...reader.buffers.map((buffer) => new SlotBatch(SLOT_BYTES, buffer)))
      this.#readers.push(reader)
    }
  }

  #pass(side: number, batch: SlotBatch, count: number): void {
    const out = new SlotBatch(SLOT_BYTES, SLOTS)
    for (let slot = 0; slot < count; slot++) {
      const packet = batch.payload(slot)
      this.longest = Math.max(this.longest, packet.length)
      this.packets++
      if (this.change?.(packet, this.packets) === 'drop') continue
      out.add(packet.length)?.set(packet)
    }
    if (out.count > 0) addon!.writeTun(this.#fds[1 - side]!, out.buffer, SLOT_BYTES, out.count, 1)
  }

  /** Random bytes, some behind the first bytes of a TCP packet of the right length. */
  noise(count: number): void {
    const head = Uint8Array.from([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6])
    for (let done = 0; done < count; done += SLOTS) {
      const batch = new SlotBatch(SLOT_BYTES, SLOTS)
      for (let slot = 0; slot < SLOTS; slot++) {
        const packet = randomBytes(1 + (((done + slot) * 31) % 1280))
        if (slot % 2 === 0 && packet.length > 60) {
          packet.set(head)
          packet.writeUInt16BE(packet.length, 2)
          packet[33] = 0x10
        }
        batch.add(packet.length)?.set(packet)
      }
      addon!.writeTun(this.#fds[0]!, batch.buffer, SLOT_BYTES, batch.count, 1)
    }
  }

  close(): void {
    for (const reader of this.#readers) addon!.stopReader(reader.handle)
    for (const fd of this.#fds) addon!.closeFd(fd)
  }
}

/** Sends bytes to the other side, whose hash comes back over the same connection. */
async function transfer(
  from: string,
  to: string,
  address: string,
  bytes: number,
): Promise<{ sent: string; heard: string }> {
  const receive = `const h = require('node:crypto').createHash('sha256'); require('node:net').createServer({ allowHalfOpen: true }, (s) => s.on('data', (d) => h.update(d)).on('end', () => s.end(h.digest('hex')))).listen(5001, '${address}', () => console.log('up'))`
  const receiver = spawn('ip', ['netns', 'exec', to, process.execPath, '-e', receive], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((resolve) => receiver.stdout.once('data', resolve))
  const send = `const s = require('node:net').connect(5001, '${address}'); s.on('data', (d) => process.stdout.write(d)); process.stdin.pipe(s)`
  const sender = spawn('ip', ['netns', 'exec', from, process.execPath, '-e', send], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let heard = ''
  sender.stdout.on('data', (chunk: Buffer) => {
    heard += chunk.toString()
  })
  const data = randomBytes(bytes)
  sender.stdin.end(data)
  await new Promise((resolve) => sender.once('close', resolve))
  receiver.kill('SIGKILL')
  return { sent: createHash('sha256').update(data).digest('hex'), heard }
}

describe.skipIf(addon === undefined)('TUN offloads', () => {
  const names = [`offload-a-${process.pid}`, `offload-b-${process.pid}`] as const
  let joint: Joint
  beforeAll(() => {
    for (const name of names) {
      ip('netns', 'add', name)
      ip('-n', name, 'link', 'set', 'lo', 'up')
    }
    joint = new Joint(names)
  })
  afterAll(() => {
    joint?.close()
    for (const name of names) ip('netns', 'del', name)
  })

  test.each([
    ['IPv4', '192.0.2.2'],
    ['IPv6', '2001:db8::2'],
  ])('20 MB over TCP inside %s arrive whole, in packets that fit the tunnel', async (_, address) => {
    const { sent, heard } = await transfer(names[0], names[1], address, 20_000_000)
    expect(heard).toBe(sent)
    expect(joint.longest).toBeLessThanOrEqual(1280)
  })

  test('with losses on the way', async () => {
    joint.change = (_, n) => (n % 97 === 0 ? 'drop' : 'pass')
    const { sent, heard } = await transfer(names[0], names[1], '192.0.2.2', 3_000_000)
    joint.change = undefined
    expect(heard).toBe(sent)
  })

  test('a packet that was damaged on the way is not laundered: TCP notices and sends it again', async () => {
    let damaged = 0
    joint.change = (packet, n) => {
      if (n % 53 === 0 && packet.length > 1000) {
        packet[packet.length - 1]! ^= 0xff
        damaged++
      }
      return 'pass'
    }
    const { sent, heard } = await transfer(names[0], names[1], '192.0.2.2', 3_000_000)
    joint.change = undefined
    expect(damaged).toBeGreaterThan(10)
    expect(heard).toBe(sent)
  })

  test('noise written as packets harms nobody', async () => {
    joint.noise(20_000)
    const { sent, heard } = await transfer(names[0], names[1], '192.0.2.2', 1_000_000)
    expect(heard).toBe(sent)
  })

  test('UDP and ICMP of all sizes pass, fragments too', async () => {
    for (const size of [0, 1, 56, 1200, 1252, 4000]) {
      const { stdout: said } = await run('ip', [
        'netns',
        'exec',
        names[0],
        'ping',
        '-c',
        '2',
        '-i',
        '0.05',
        '-s',
        String(size),
        '192.0.2.2',
      ])
      expect(said).toContain('2 received')
    }
  })
})
