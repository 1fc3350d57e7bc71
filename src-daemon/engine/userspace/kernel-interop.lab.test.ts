/**
 * The netstack against the kernel's own TCP and UDP, through a real interface in the laboratory's namespace: bulk both
 * ways, half-close, readers that stop, refusals, resets, and a lossy line.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../../../lab/eventually.ts'
import { must } from '../../../lab/host.ts'
import { requireAddon } from '../../../src-native/addon.ts'
import { addonMissing } from '../../../src-native/os-calls.ts'
import { slotBytesFor } from '../../../src-native/slots.ts'
import { Tun } from '../../../src-native/tun.ts'
import { ipBytes } from '../../../src-protocol/wire/ip.ts'
import { NetstackHost } from './netstack-host.ts'
import type { OverlayStream } from './overlay-stream.ts'

const KERNEL = { v4: '198.18.77.1', v6: 'fd77::1' }
const OURS = { v4: '198.18.77.2', v6: 'fd77::2' }
const MTU = 1280
const BULK_BYTES = 23_000_000
/** More than all buffers in between can hold. */
const LIMITLESS = 256_000_000
const chunk = Buffer.alloc(65_536, 7)

let host: NetstackHost
let tun: Tun
/** How many packets of a thousand are lost, in both directions. By chance: what comes in time with the window is another thing. */
let lostPerMille = 0
let dice = 20_261_121
function isLost(): boolean {
  dice = (dice * 48_271) % 2_147_483_647
  return dice % 1_000 < lostPerMille
}

/** The kernel calls us. */
async function called(address: string = OURS.v4): Promise<{ kernel: Socket; ours: OverlayStream }> {
  const accepted = new Promise<OverlayStream>((resolve) => {
    host.onCall = (call) => resolve(call.accept())
  })
  const kernel = connect({ host: address, port: 80, allowHalfOpen: true })
  kernel.on('error', () => {})
  const ours = await accepted
  ours.on('error', () => {})
  await once(kernel, 'connect')
  return { kernel, ours }
}

/** Writes for as long as there is room. */
function fill(stream: Socket | OverlayStream, ends: AbortSignal): { sum(): number } {
  let sum = 0
  const more = (): void => {
    while (!ends.aborted && sum < LIMITLESS) {
      sum += chunk.length
      if (!stream.write(chunk)) return
    }
  }
  stream.on('drain', more)
  more()
  return { sum: () => sum }
}

/** How it ends. */
function codeOf(stream: Socket | OverlayStream): Promise<string | undefined> {
  return new Promise((resolve) => {
    stream.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    stream.once('close', () => resolve(undefined))
  })
}

async function* bytes(count: number): AsyncGenerator<Buffer> {
  for (let left = count; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(left, chunk.length))
}

async function count(stream: AsyncIterable<Buffer>): Promise<number> {
  let sum = 0
  for await (const part of stream) sum += part.length
  return sum
}

const problem = addonMissing()

describe.skipIf(problem !== undefined)(`with the kernel${problem === undefined ? '' : ` (${problem})`}`, () => {
  beforeAll(async () => {
    host = new NetstackHost({
      mtuBytes: MTU,
      random32: () => Math.floor(Math.random() * 2 ** 32),
      now: () => performance.now(),
    })
    tun = new Tun(requireAddon('a test'), 'nst0', MTU, slotBytesFor(65_536), {
      onPacket: (batch, slot) => {
        if (!isLost()) host.write(batch.payload(slot))
      },
      onBatchEnd: () => {
        host.flush()
        tun.flush()
      },
      onState: () => {},
    })
    host.attach({
      onPacket: (batch, slot) => {
        if (!isLost()) tun.write(batch.payload(slot))
      },
      onBatchEnd: () => tun.flush(),
      onState: () => {},
    })
    host.setAddresses([ipBytes(OURS.v4), ipBytes(OURS.v6)])
    await must('ip', ['addr', 'add', `${KERNEL.v4}/24`, 'dev', 'nst0'])
    await must('ip', ['-6', 'addr', 'add', `${KERNEL.v6}/64`, 'dev', 'nst0', 'nodad'])
  })
  afterAll(() => {
    host?.close()
    tun?.close()
  })

  test.each(['v4', 'v6'] as const)(
    '[NST-1] 25 MB both ways at once, %s',
    async (family) => {
      const { kernel, ours } = await called(OURS[family])
      const started = performance.now()
      const [fromKernel, fromOurs] = await Promise.all([
        count(ours),
        count(kernel),
        pipeline(bytes(BULK_BYTES), kernel),
        pipeline(bytes(BULK_BYTES), ours),
      ])
      const seconds = (performance.now() - started) / 1000
      expect([fromKernel, fromOurs]).toEqual([BULK_BYTES, BULK_BYTES])
      process.stdout.write(
        `${JSON.stringify({ case: 'netstack-kernel', family, bothWaysMBs: Math.round((2 * BULK_BYTES) / 1e6 / seconds) })}\n`,
      )
    },
    40_000,
  )

  test('[NST-1] 3 MB each way over a line that loses two packets of a hundred', async () => {
    const { kernel, ours } = await called()
    lostPerMille = 20
    try {
      const [fromKernel, fromOurs] = await Promise.all([
        count(ours),
        count(kernel),
        pipeline(bytes(3_000_000), kernel),
        pipeline(bytes(3_000_000), ours),
      ])
      expect([fromKernel, fromOurs]).toEqual([3_000_000, 3_000_000])
    } finally {
      lostPerMille = 0
    }
  }, 40_000)

  test('[NST-3] we call the kernel; it ends first, then we do', async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.end('its word')
      let heard = ''
      socket.setEncoding('utf8').on('data', (text) => {
        heard += text
      })
      socket.on('end', () => server.emit('heard', heard))
    }).listen(8079, KERNEL.v4)
    await once(server, 'listening')
    const ours = host.connect({ src: ipBytes(OURS.v4), dst: ipBytes(KERNEL.v4), dstPort: 8079 })!
    await once(ours, 'connect')
    const heard = once(server, 'heard')
    expect((await ours.toArray()).join('')).toBe('its word')
    ours.end('and ours, later')
    expect(await heard).toEqual(['and ours, later'])
    server.close()
  })

  test('[NST-4] readers that stop hold the writers back on both sides, and go on', async () => {
    const { kernel, ours } = await called()
    kernel.pause()
    const ends = new AbortController()
    const written = [ours, kernel].map((stream) => fill(stream, ends.signal))
    const sums = () => written.map(({ sum }) => sum())
    let before: number[] = []
    await eventually(
      'both stand still',
      () => {
        const same = String(before) === String(sums()) && Math.min(...before) > 0
        before = sums()
        return same ? true : undefined
      },
      { withinMs: 20_000, everyMs: 400 },
    )
    expect(Math.max(...before)).toBeLessThan(LIMITLESS)
    ends.abort()
    for (const stream of [ours, kernel]) stream.end()
    expect(await Promise.all([count(kernel), count(ours)])).toEqual(sums())
  })

  test('[NST-6] [NST-9] refusals and resets in both directions', async () => {
    host.onCall = (call) => call.refuse()
    expect(await codeOf(connect(81, OURS.v4))).toBe('ECONNREFUSED')
    const nobody = host.connect({ src: ipBytes(OURS.v6), dst: ipBytes(KERNEL.v6), dstPort: 9 })!
    expect(await codeOf(nobody)).toBe('ECONNREFUSED')
    const one = await called()
    one.kernel.resetAndDestroy()
    expect(await codeOf(one.ours)).toBe('ECONNRESET')
    const two = await called()
    two.ours.destroy()
    expect(await codeOf(two.kernel)).toBe('ECONNRESET')
  })

  test('[NST-8] ping and datagrams of both families', async () => {
    for (const address of [OURS.v4, OURS.v6]) {
      expect(await must('ping', ['-n', '-c', '3', '-i', '0.05', '-s', '1200', address])).toContain(' 0% packet loss')
    }
    host.onDatagram = (flow, payload) => void host.sendDatagram(flow, payload)
    const socket = createSocket('udp6')
    socket.send(chunk.subarray(0, 1_232), 5353, OURS.v6)
    const [echoed] = (await once(socket, 'message')) as [Buffer]
    expect(echoed.length).toBe(1_232)
    socket.close()
  })
})
