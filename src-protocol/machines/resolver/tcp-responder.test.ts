import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, toHex } from '../../wire/bytes.ts'
import {
  encodeTcpPacket,
  type Flow,
  type ParsedPacket,
  parsePacket,
  tcpFlag,
  transportChecksum,
} from '../../wire/packet.ts'
import { type TcpEffect, TcpResponder } from './tcp-responder.ts'

const { syn, ack, fin, rst, psh } = tcpFlag
const flow: Flow = {
  src: Uint8Array.of(100, 64, 0, 1),
  dst: Uint8Array.of(100, 100, 100, 100),
  srcPort: 40_000,
  dstPort: 53,
}

function parsed(bytes: Uint8Array): ParsedPacket {
  const packet = parsePacket(bytes)
  if (!packet.ok) throw new Error(packet.reason)
  return packet.value
}
const framed = (text: string): Uint8Array => {
  const bytes = new TextEncoder().encode(text)
  return concat(Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes)
}

/** The host's side by hand, so that each test says exactly which segment comes. */
class Client {
  readonly responder = new TcpResponder({ random32: () => 0xffff_fff0, port: 53 }) // numbers run over soon
  now = 0
  seq = 0xffff_fffe
  ack = 0

  send(flags: number, payload: Uint8Array = new Uint8Array(0), more: { seq?: number; ack?: number; flow?: Flow } = {}) {
    const tcp = { flags, seq: more.seq ?? this.seq, ack: more.ack ?? this.ack, payload }
    return read(this.responder.handlePacket(parsed(encodeTcpPacket(more.flow ?? flow, tcp)), this.now))
  }

  open(): this {
    const [answer] = this.send(syn)
    expect(answer).toMatchObject({ flags: syn | ack, ack: 0xffff_ffff })
    this.seq = 0xffff_ffff
    this.ack = (answer!.seq + 1) >>> 0
    expect(this.send(ack)).toEqual([])
    return this
  }
}

function read(effects: TcpEffect[]) {
  return effects.map((effect) => {
    if (effect.kind === 'request')
      return {
        request: new TextDecoder().decode(effect.bytes),
        connection: effect.connection,
        flags: -1,
        seq: -1,
        ack: -1,
        payload: '',
      }
    const packet = parsed(effect.bytes)
    const segment = packet.transport
    const view = new DataView(segment.buffer, segment.byteOffset, segment.length)
    const copy = segment.slice()
    copy.fill(0, 16, 18)
    expect(transportChecksum(packet.src, packet.dst, 6, copy)).toBe(view.getUint16(16))
    expect([packet.srcPort, packet.dstPort]).toEqual([53, 40_000])
    return { flags: packet.tcpFlags, seq: view.getUint32(4), ack: view.getUint32(8), payload: toHex(packet.payload) }
  })
}
const texts = (list: ReturnType<typeof read>) => list.flatMap((item) => ('request' in item ? [item.request] : []))

describe('[DNS-11] DNS over TCP without a stack', () => {
  test('a request in one piece, its answer, and the end', () => {
    const c = new Client().open()
    const got = c.send(psh | ack, framed('question'))
    expect(texts(got)).toEqual(['question'])
    expect(got[0]).toMatchObject({ flags: ack, ack: (c.seq + 10) >>> 0 })
    c.seq = (c.seq + 10) >>> 0
    const [answer] = read(c.responder.answer(1, new TextEncoder().encode('answer'), 0))
    expect(answer).toMatchObject({ flags: psh | ack, seq: c.ack, payload: toHex(framed('answer')) })
    c.ack = (c.ack + 8) >>> 0
    const end = c.send(fin | ack)
    expect(end.map(({ flags }) => flags)).toEqual([ack, ack | fin])
    c.seq = (c.seq + 1) >>> 0
    c.ack = (c.ack + 1) >>> 0
    expect(c.send(ack)).toEqual([])
    expect(c.responder.connectionCount).toBe(0)
  })

  test('two requests in pieces that overlap, come twice and out of order', () => {
    const c = new Client().open()
    const stream = concat(framed('one'), framed('two'))
    const piece = (from: number, to: number) => c.send(ack, stream.slice(from, to), { seq: (c.seq + from) >>> 0 })
    expect(texts(piece(0, 1))).toEqual([])
    expect(piece(4, 10)[0]).toMatchObject({ ack: (c.seq + 1) >>> 0 }) // a hole: it hears what is missing
    expect(texts(piece(0, 4))).toEqual([])
    expect(texts(piece(0, 4))).toEqual([])
    expect(texts(piece(2, 10))).toEqual(['one', 'two'])
  })

  test('an answer longer than a segment, within the window, sent again when nobody acknowledges', () => {
    const c = new Client().open()
    c.send(ack, framed('q'))
    c.seq = (c.seq + 3) >>> 0
    const long = new Uint8Array(3_000).fill(7)
    const sent = read(c.responder.answer(1, long, 0))
    expect(sent.map(({ payload }) => payload.length / 2)).toEqual([536, 536, 536, 536, 536, 322])
    expect(c.responder.nextWake()).toBe(200)
    c.send(ack, undefined, { ack: (c.ack + 536) >>> 0 })
    c.now = 200
    const again = read(c.responder.wake(200))
    expect(again.map(({ seq }) => (seq - c.ack) >>> 0)).toEqual([536, 1072, 1608, 2144, 2680])
    c.send(ack, undefined, { ack: (c.ack + 3_002) >>> 0 })
    expect(c.responder.nextWake()).toBe(10_200)
  })

  test('nobody there any more: given up, and idle ones are closed', () => {
    const c = new Client().open()
    c.send(ack, framed('q'))
    c.responder.answer(1, new Uint8Array(10), 0)
    let last: ReturnType<typeof read> = []
    for (let wake = c.responder.nextWake(); wake !== undefined; wake = c.responder.nextWake())
      last = read(c.responder.wake(wake))
    expect(last.map(({ flags }) => flags)).toEqual([rst | ack])
    const idle = new Client().open()
    expect(read(idle.responder.wake(10_000)).map(({ flags }) => flags)).toEqual([rst | ack])
    expect(idle.responder.connectionCount).toBe(0)
  })

  test('other ports and unknown connections are refused; a reset is believed only in order', () => {
    const c = new Client()
    const other = encodeTcpPacket({ ...flow, dstPort: 80 }, { flags: syn, seq: 5 })
    const [refused] = c.responder.handlePacket(parsed(other), 0)
    expect(parsed((refused as { bytes: Uint8Array }).bytes).tcpFlags).toBe(rst | ack)
    expect(c.send(ack, undefined, { ack: 77 })[0]).toMatchObject({ flags: rst, seq: 77 })
    expect(c.send(rst)).toEqual([])
    c.open()
    c.send(rst, undefined, { seq: (c.seq + 1) >>> 0 })
    expect(c.responder.connectionCount).toBe(1)
    c.send(rst)
    expect(c.responder.connectionCount).toBe(0)
  })

  test('no more connections than a bound', () => {
    const c = new Client()
    for (let port = 1; port <= 400; port++) {
      c.responder.handlePacket(parsed(encodeTcpPacket({ ...flow, srcPort: port }, { flags: syn, seq: port })), 0)
    }
    expect(c.responder.connectionCount).toBe(256)
  })

  test('random segments never throw and never make it forget its bounds', () => {
    const c = new Client().open()
    const word = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 1, 0xffff_ffff, 0xffff_fff1))
    fc.assert(
      fc.property(
        word,
        word,
        fc.nat(63),
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(3),
        (seq, acked, flags, payload, step) => {
          c.send(flags, payload, { seq: step === 0 ? c.seq : seq, ack: step === 1 ? c.ack : acked })
          c.now += step * 40
          c.responder.wake(c.now)
        },
      ),
      { numRuns: 3_000 },
    )
    expect(c.responder.connectionCount).toBeLessThanOrEqual(1)
  })
})
