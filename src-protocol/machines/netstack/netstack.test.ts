import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeIcmpEcho, encodeTcpPacket, encodeUdpPacket, parsePacket, tcpFlag } from '../../wire/packet.ts'
import { A, A6, B, B6, Pair, type PipeOptions, randomFrom, type Side } from './netstack-pair.contract-suite.ts'
import { decodeSegment } from './tcp-segment.ts'

function pattern(length: number, seed: number): Uint8Array {
  const random = randomFrom(seed)
  return Uint8Array.from({ length }, () => random() * 256)
}

function connected(options: PipeOptions, isV6 = false) {
  const pair = new Pair(options)
  const opened = pair.a.stack.connect(isV6 ? { src: A6, dst: B6, dstPort: 80 } : { src: A, dst: B, dstPort: 80 }, 0)
  if (!opened.ok) throw new Error(opened.reason)
  pair.run(60_000, () => pair.b.asked.length > 0 && pair.b.kindsOf(pair.b.asked[0]!).includes('open'))
  return { pair, client: opened.value, server: pair.b.asked[0]! }
}

/** Writes what fits, goes on at `room`, ends. */
function feed(side: Side, connection: number, bytes: Uint8Array, chunkBytes: number): void {
  let at = 0
  const go = (): void => {
    while (at < bytes.length) {
      const chunk = bytes.subarray(at, at + chunkBytes)
      at += chunk.length
      if (!side.stack.write(connection, chunk)) return
    }
    if (at >= bytes.length) side.stack.end(connection)
  }
  const before = side.onEvent
  side.onEvent = (id, event) => {
    before(id, event)
    if (id === connection && event.kind === 'room') go()
  }
  go()
}

const isClosed = (side: Side, id: number) => side.kindsOf(id).some((kind) => kind.startsWith('closed'))

describe('two stacks', () => {
  test('[NST-1] deliver both streams byte for byte over any pipe', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer({ min: 1, max: 2 ** 31 }),
          loss: fc.double({ min: 0, max: 0.15, noNaN: true }),
          duplication: fc.double({ min: 0, max: 0.2, noNaN: true }),
          damage: fc.double({ min: 0, max: 0.05, noNaN: true }),
          jitterMs: fc.integer({ min: 0, max: 40 }),
          upBytes: fc.integer({ min: 0, max: 120_000 }),
          downBytes: fc.integer({ min: 0, max: 120_000 }),
          chunkBytes: fc.integer({ min: 100, max: 70_000 }),
          isV6: fc.boolean(),
        }),
        ({ upBytes, downBytes, chunkBytes, isV6, ...pipe }) => {
          const { pair, client, server } = connected(pipe, isV6)
          const up = pattern(upBytes, pipe.seed)
          const down = pattern(downBytes, pipe.seed + 1)
          feed(pair.a, client, up, chunkBytes)
          feed(pair.b, server, down, chunkBytes)
          pair.run(3_600_000, () => isClosed(pair.a, client) && isClosed(pair.b, server))
          expect(pair.b.bytesOf(server).equals(up)).toBe(true)
          expect(pair.a.bytesOf(client).equals(down)).toBe(true)
          expect([pair.a.kindsOf(client).at(-1), pair.b.kindsOf(server).at(-1)]).toEqual(['closed done', 'closed done'])
        },
      ),
      { numRuns: 60 },
    )
  }, 60_000)

  test('[NST-2] afterwards nothing is left, once TIME-WAIT is over', () => {
    const { pair, client, server } = connected({ seed: 4, loss: 0.05 })
    feed(pair.a, client, pattern(50_000, 1), 9_000)
    feed(pair.b, server, pattern(50_000, 2), 9_000)
    pair.run(pair.now + 200_000)
    expect([pair.a.stack.connectionCount, pair.b.stack.connectionCount]).toEqual([0, 0])
    expect([pair.a.stack.nextWake(), pair.b.stack.nextWake()]).toEqual([undefined, undefined])
  })

  test('[NST-3] one side is done, the other goes on for as long as it likes', () => {
    const { pair, client, server } = connected({ seed: 5 })
    feed(pair.a, client, pattern(10, 1), 10)
    pair.run(pair.now + 60_000)
    expect(pair.b.kindsOf(server)).toEqual(['open', 'end'])
    feed(pair.b, server, pattern(100_000, 2), 20_000)
    pair.run(pair.now + 60_000)
    expect(pair.a.bytesOf(client).length).toBe(100_000)
    expect(pair.a.kindsOf(client)).toEqual(['open', 'end', 'closed done'])
    expect(pair.b.kindsOf(server).filter((kind) => kind !== 'room')).toEqual(['open', 'end', 'closed done'])
  })

  test('[NST-4] a reader that takes nothing holds the writer back, for hours, and nothing is lost', () => {
    const { pair, client, server } = connected({ seed: 6 })
    pair.b.isStuck = true
    const bytes = pattern(3_000_000, 3)
    feed(pair.a, client, bytes, 64_000)
    pair.run(pair.now + 60_000)
    const held = pair.b.bytesOf(server).length
    expect(held).toBeLessThan(300_000)
    const before = pair.sent
    pair.run(pair.now + 3_600_000)
    expect(pair.b.bytesOf(server).length).toBe(held)
    expect(pair.sent - before).toBeLessThan(200) // probes, one a minute
    expect(isClosed(pair.a, client)).toBe(false)
    pair.b.isStuck = false
    pair.b.stack.consumed(server, held)
    pair.run(pair.now + 120_000)
    expect(pair.b.bytesOf(server).equals(bytes)).toBe(true)
  })

  test('[NST-5] bulk fills the pipe: one loss in ten thousand costs little', () => {
    const { pair, client, server } = connected({ seed: 8, loss: 0.0001, delayMs: 10 })
    const bytes = pattern(20_000_000, 3)
    const started = pair.now
    feed(pair.a, client, bytes, 64_000)
    pair.run(600_000, () => pair.b.kindsOf(server).includes('end'))
    expect(pair.b.bytesOf(server).length).toBe(bytes.length)
    expect(pair.now - started).toBeLessThan(5_000) // 20 ms of round trip, 4 MiB of window: at best 0.1 s
    expect(pair.bytesSent).toBeLessThan(bytes.length * 1.15)
  }, 30_000)

  test('[NST-6] who is not wanted is refused; who is nowhere is given up', () => {
    const pair = new Pair({ seed: 1 })
    pair.b.acceptsAll = false
    pair.b.onEvent = () => {}
    const refused = pair.a.stack.connect({ src: A, dst: B, dstPort: 22 }, 0)
    pair.run(1_000, () => pair.b.asked.length > 0)
    pair.b.stack.abort(pair.b.asked[0]!)
    pair.run(1_000)
    expect(refused.ok && pair.a.kindsOf(refused.value)).toEqual(['closed refused'])
    const nowhere = new Pair({ seed: 1, loss: 1 })
    const lost = nowhere.a.stack.connect({ src: A, dst: B, dstPort: 22 }, 0)
    nowhere.run(200_000)
    expect(lost.ok && nowhere.a.kindsOf(lost.value)).toEqual(['closed timeout'])
    expect(nowhere.sent).toBe(6)
  })

  test('[NST-7] a stream whose other end is gone ends', () => {
    const { pair, client } = connected({ seed: 2 })
    pair.a.stack.write(client, pattern(1_000, 1))
    const effects = pair.a.stack.flush(pair.now)
    expect(effects).toHaveLength(1)
    for (let next = pair.a.stack.nextWake(); next !== undefined && next < 3_600_000; next = pair.a.stack.nextWake()) {
      pair.a.stack.wake(next)
      for (const effect of pair.a.stack.flush(next)) if (effect.kind !== 'packet') pair.a.take(effect, next)
    }
    expect(pair.a.kindsOf(client)).toEqual(['open', 'closed timeout'])
    expect(pair.a.stack.connectionCount).toBe(0)
  })

  test('[NST-8] datagrams and echoes', () => {
    const pair = new Pair({ seed: 3 })
    pair.b.stack.setAddresses([B, B6])
    const flow = { src: A6, dst: B6, srcPort: 1000, dstPort: 53 }
    expect(pair.a.stack.sendDatagram(flow, pattern(1232, 1))).toBe(true)
    expect(pair.a.stack.sendDatagram(flow, pattern(1233, 1))).toBe(false)
    pair.run(100)
    expect(pair.b.datagrams).toEqual([pattern(1232, 1)])
    const ping = { dst: B, src: A, kind: 'request', id: 7, seq: 9, payload: pattern(56, 2) } as const
    pair.b.stack.handlePacket(encodeIcmpEcho(ping), 0)
    expect(pair.b.stack.flush(0)).toEqual([
      { kind: 'packet', bytes: encodeIcmpEcho({ ...ping, src: B, dst: A, kind: 'reply' }) },
    ])
    pair.b.stack.handlePacket(encodeIcmpEcho({ ...ping, dst: Uint8Array.of(10, 0, 0, 1) }), 0)
    expect(pair.b.stack.flush(0)).toEqual([])
  })
})

describe('hostile', () => {
  const flow = { src: A, dst: B, srcPort: 4_000, dstPort: 80 }
  const segmentOf = (bytes: Uint8Array) => {
    const packet = parsePacket(bytes)
    if (!packet.ok) throw new Error(packet.reason)
    const segment = decodeSegment(packet.value)
    if (!segment.ok) throw new Error(segment.reason)
    return segment.value
  }
  /** A connection that a hand-made peer opened: our next number and theirs. */
  function byHand() {
    const pair = new Pair({ seed: 9 })
    const { stack } = pair.b
    const put = (tcp: { flags: number; seq: number; ack?: number; payload?: Uint8Array }, now = 0) => {
      stack.handlePacket(encodeTcpPacket(flow, tcp), now)
      const out = []
      for (let effects = stack.flush(now); effects.length > 0; effects = stack.flush(now)) {
        for (const effect of effects) {
          if (effect.kind === 'packet') out.push(segmentOf(effect.bytes))
          else pair.b.take(effect, now)
        }
      }
      return out
    }
    const [answer] = put({ flags: tcpFlag.syn, seq: 0xffff_fff0 })
    if (answer === undefined) throw new Error('no answer')
    const seq = 0xffff_fff1
    const ack = (answer.seq + 1) >>> 0
    put({ flags: tcpFlag.ack, seq, ack })
    const id = pair.b.asked[0]!
    expect(pair.b.kindsOf(id)).toEqual(['open'])
    return { put, seq, ack, side: pair.b, id }
  }

  test('[NST-9] a reset counts only with the exact number; one within the window is asked about', () => {
    const { put, seq, ack, side, id } = byHand()
    expect(put({ flags: tcpFlag.rst, seq: (seq + 100) >>> 0 })).toMatchObject([{ flags: tcpFlag.ack, ack: seq }])
    expect(put({ flags: tcpFlag.rst, seq: (seq - 1) >>> 0 })).toEqual([])
    expect(put({ flags: tcpFlag.rst, seq: (seq + 10_000_000) >>> 0 })).toEqual([])
    expect(put({ flags: tcpFlag.syn, seq: 77 })).toMatchObject([{ flags: tcpFlag.ack, ack: seq, seq: ack }])
    expect(side.kindsOf(id)).toEqual(['open'])
    expect(put({ flags: tcpFlag.rst, seq })).toEqual([])
    expect(side.kindsOf(id)).toEqual(['open', 'closed reset'])
  })

  test('[NST-9] acknowledgements of what was never sent, or long ago, carry nothing in', () => {
    const { put, seq, ack, side, id } = byHand()
    const payload = Uint8Array.of(1, 2, 3)
    expect(put({ flags: tcpFlag.ack, seq, ack: (ack + 1) >>> 0, payload })).toHaveLength(1)
    expect(put({ flags: tcpFlag.ack, seq, ack: (ack - 10_000_000) >>> 0, payload })).toHaveLength(1)
    expect(side.bytesOf(id).length).toBe(0)
    let answers = 0
    for (let i = 0; i < 1_000; i++) answers += put({ flags: tcpFlag.ack, seq, ack: (ack + 1) >>> 0 }).length
    expect(answers).toBeLessThan(10) // no storm of answers to forgeries
  })

  test('[NST-10] overlapping, repeated and early segments: each byte once, the first one counts', () => {
    const { put, seq, ack, side, id } = byHand()
    const at = (offset: number, ...payload: number[]) =>
      put({ flags: tcpFlag.ack, seq: (seq + offset) >>> 0, ack, payload: Uint8Array.from(payload) })
    at(4, 5, 6, 7)
    at(3, 4, 99, 99)
    at(6, 99, 8)
    expect(side.bytesOf(id).length).toBe(0)
    at(0, 1, 2)
    at(0, 1, 2, 3, 99, 99)
    expect([...side.bytesOf(id)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    at(2, 99, 99)
    at(200_000, 99)
    expect(side.bytesOf(id).length).toBe(8)
  })

  test('[NST-10] crumbs do not use up memory', () => {
    const { put, seq, ack, side, id } = byHand()
    for (let i = 1; i < 30_000; i++) {
      put({ flags: tcpFlag.ack, seq: (seq + 2 * i) >>> 0, ack, payload: Uint8Array.of(i) })
    }
    put({ flags: tcpFlag.ack, seq, ack, payload: Uint8Array.of(0, 0) })
    expect(side.bytesOf(id).length).toBe(3)
  })

  test('[NST-11] a flood of SYNs gets no further than its share, and others still connect', () => {
    const pair = new Pair({ seed: 9 })
    pair.b.acceptsAll = false
    for (let i = 0; i < 20_000; i++) {
      pair.b.stack.handlePacket(
        encodeTcpPacket({ ...flow, srcPort: 1 + (i % 60_000) }, { flags: tcpFlag.syn, seq: i * 7 }),
        0,
      )
      pair.b.stack.flush(0)
    }
    expect(pair.b.stack.connectionCount).toBe(128)
    pair.b.acceptsAll = true
    const other = pair.a.stack.connect({ src: A6, dst: B6, dstPort: 80 }, 0)
    pair.run(1_000)
    expect(other.ok && pair.a.kindsOf(other.value)).toEqual(['open'])
    pair.run(60_000)
    expect(pair.b.stack.connectionCount).toBe(1) // nobody answered them
  })

  test('[NST-12] noise, cut and changed segments never throw and leave nothing behind', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (seed) => {
        const random = randomFrom(seed)
        const pair = new Pair({ seed })
        const { stack } = pair.b
        for (let i = 0; i < 200; i++) {
          const tcp = {
            flags: Math.floor(random() * 64),
            seq: Math.floor(random() * 400_000),
            ack: Math.floor(random() * 2 ** 32),
            payload: pattern(Math.floor(random() * 50), seed + i),
          }
          const whole =
            random() < 0.8
              ? encodeTcpPacket({ ...flow, srcPort: 1 + Math.floor(random() * 5) }, tcp)
              : encodeUdpPacket({ ...flow, srcPort: 1 }, tcp.payload)
          const bytes = random() < 0.2 ? whole.subarray(0, Math.floor(random() * (whole.length + 1))) : whole
          stack.handlePacket(bytes, i)
          for (const effect of stack.flush(i)) if (effect.kind !== 'packet') pair.b.take(effect, i)
        }
        expect(stack.connectionCount).toBeLessThanOrEqual(5)
      }),
      { numRuns: 200 },
    )
  })

  test('[NST-12] a segment cut at each length, or with each byte changed, is dropped', () => {
    const { put, seq, ack, side, id } = byHand()
    const whole = encodeTcpPacket(flow, { flags: tcpFlag.ack, seq, ack, payload: Uint8Array.of(1, 2, 3, 4) })
    for (let length = 0; length < whole.length; length++) side.stack.handlePacket(whole.subarray(0, length), 0)
    for (let i = 12; i < whole.length; i++) {
      const changed = whole.slice()
      changed[i]! ^= 0x40
      side.stack.handlePacket(changed, 0)
    }
    for (const effect of side.stack.flush(0)) if (effect.kind !== 'packet') side.take(effect, 0)
    expect(side.bytesOf(id).length).toBe(0)
    put({ flags: tcpFlag.ack, seq, ack, payload: Uint8Array.of(1, 2, 3, 4) })
    expect([...side.bytesOf(id)]).toEqual([1, 2, 3, 4])
  })
})
