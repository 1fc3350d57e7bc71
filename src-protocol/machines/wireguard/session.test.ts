/** Two devices talk: how sessions come about, rotate, cross and end. Timers are in `renewal.test.ts`. */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../crypto/node-crypto.ts'
import type { Crypto } from '../../wire/crypto.ts'
import { createPair, type Network, packet, TestNode } from './two-devices.lab.ts'

const LOST = () => true
const NOT_LOST = () => false

function kinds(node: TestNode): string[] {
  return node.effects.map(({ effect }) => (effect.kind === 'session' ? `session ${effect.state}` : effect.kind))
}

describe('a handshake', () => {
  test('[WG-4.4] first packet: initiation, response, packet; effects in order', () => {
    const { network, a, b } = createPair()
    a.send(1, packet(1))
    network.run(100)
    expect(network.names()).toEqual(['initiation a→b', 'response b→a', 'data a→b'])
    expect(b.received).toEqual([{ peer: 1, packet: packet(1) }])
    expect(kinds(a)).toEqual([
      'send',
      'session handshake',
      'heardFrom',
      'addKeypair',
      'session established',
      'established',
      'sendPacket',
    ])
    // [WG-4.5] the keypair is there before the response goes out
    expect(kinds(b)).toEqual([
      'heardFrom',
      'addKeypair',
      'session handshake',
      'send',
      'session established',
      'established',
    ])
    expect([a.device.session(1), b.device.session(1)]).toEqual([
      { state: 'established', lastHandshakeMs: 1_700_000_001_020 },
      { state: 'established', lastHandshakeMs: 1_700_000_001_030 },
    ])
  })
  test('[WG-4.4] nothing waits: a keepalive confirms', () => {
    const { network, a, b } = createPair()
    a.perform(a.device.requestSession(1, network.now))
    network.run(100)
    expect(network.names()).toEqual(['initiation a→b', 'response b→a', 'keepalive a→b'])
    expect(b.device.session(1).state).toBe('established')
    a.perform(a.device.requestSession(1, network.now))
    expect(network.names().length).toBe(3)
  })
  test('[WG-4.4] several wait: all go, in order', () => {
    const { network, a, b } = createPair()
    for (let i = 0; i < 5; i++) a.send(1, packet(i))
    network.run(100)
    expect(b.received.map((got) => got.packet)).toEqual([0, 1, 2, 3, 4].map(packet))
    expect(network.names().filter((name) => name.startsWith('initiation')).length).toBe(1)
  })
  test('[WG-4.2] the responder does not send before it is confirmed, then sends what waited', () => {
    const { network, a, b } = createPair()
    network.loses = ({ what }) => what === 'data' || what === 'keepalive'
    a.send(1, packet(1))
    network.run(50)
    b.send(1, packet(2))
    network.run(50)
    expect(network.names()).toEqual(['initiation a→b', 'response b→a', 'data a→b'])
    expect(b.doorSlots(1)).toEqual({ next: expect.any(Number) })
    expect(b.device.session(1).state).toBe('handshake')
    network.loses = NOT_LOST
    a.send(1, packet(3))
    network.run(50)
    expect(network.names().slice(3)).toEqual(['data a→b', 'data b→a'])
    expect(a.received.at(-1)?.packet).toEqual(packet(2))
  })
  test('[WG-6.5] established is reported before the first packet of the session, on both ends', () => {
    const { network, a, b } = createPair()
    network.loses = ({ what }) => what === 'data'
    a.send(1, packet(1))
    network.run(20)
    b.send(1, packet(2)) // waits for confirmation
    network.loses = NOT_LOST
    network.run(10)
    a.send(1, packet(3))
    network.run(50)
    for (const node of [a, b]) {
      const order = kinds(node)
      expect(order.indexOf('established')).toBeLessThan(order.indexOf('sendPacket'))
      expect(order.indexOf('established')).toBeGreaterThan(-1)
    }
  })
  test('[WG-6.1] where it came from is reported', () => {
    const { network, a, b } = createPair()
    a.send(1, packet(1))
    network.run(100)
    const heard = (node: TestNode) =>
      node.effects.map(({ effect }) => effect).filter((effect) => effect.kind === 'heardFrom')
    expect(heard(b)).toEqual([{ kind: 'heardFrom', peer: 1, source: { kind: 'udp', from: '192.0.2.97:41641' } }])
    expect(heard(a)).toEqual([{ kind: 'heardFrom', peer: 1, source: { kind: 'udp', from: '192.0.2.98:41641' } }])
  })
  test('[WG-6.2] any path will do: initiation over a relay, response by address', () => {
    const { network, a, b } = createPair()
    const [effect] = a.device.requestSession(1, network.now)
    if (effect?.kind !== 'send') throw new Error('no initiation')
    b.perform(b.device.handleDatagram(effect.bytes, { kind: 'relay', peer: 1 }, network.now))
    network.run(100)
    expect(a.device.session(1).state).toBe('established')
    expect(b.device.session(1).state).toBe('established')
  })
  test('[WG-1.12] different pre-shared keys: no session; the same: one', () => {
    const psk = nodeCrypto.randomBytes(32)
    const { network, a, b } = createPair()
    a.know(1, b, psk)
    a.send(1, packet(1))
    network.run(100)
    expect(a.device.session(1).state).toBe('handshake')
    expect(a.device.drops).toEqual({ 'response-tag': 1 })
    b.know(1, a, psk)
    network.run(6_000)
    expect(a.device.session(1).state).toBe('established')
    expect(b.received.length).toBe(1)
  })
})

describe('[WG-1.11] simultaneous open', () => {
  test('both start: a session after one round trip, both ways', () => {
    const { network, a, b } = createPair()
    a.send(1, packet(1))
    b.send(1, packet(2))
    network.run(100)
    expect([a.received.at(-1)?.packet, b.received.at(-1)?.packet]).toEqual([packet(2), packet(1)])
    expect([a.device.session(1).state, b.device.session(1).state]).toEqual(['established', 'established'])
    a.send(1, packet(3))
    b.send(1, packet(4))
    network.run(100)
    expect([a.received.at(-1)?.packet, b.received.at(-1)?.packet]).toEqual([packet(4), packet(3)])
    const initiations = network.names().filter((name) => name.startsWith('initiation'))
    expect(initiations.length).toBe(2)
  })
  test('any one message lost, at any offset of the two starts: both packets arrive, nothing stays behind', () => {
    for (let lost = 0; lost < 6; lost++) {
      for (const offset of [0, 3, 9, 10, 11, 15, 20, 25, 35]) {
        const { network, a, b } = createPair({ a: { random01: () => 0.1 }, b: { random01: () => 0.9 } })
        let count = 0
        network.loses = ({ what }) => (what === 'initiation' || what === 'response') && count++ === lost
        a.send(1, packet(1))
        network.run(offset)
        b.send(1, packet(2))
        network.run(12_000)
        const seen = `lost ${lost}, offset ${offset}`
        expect([seen, a.received.some((got) => got.packet[1] === 2)]).toEqual([seen, true])
        expect([seen, b.received.some((got) => got.packet[1] === 1)]).toEqual([seen, true])
        network.run(600_000)
        expect([a.device.indexCount, b.device.indexCount, a.keys.size, b.keys.size]).toEqual([0, 0, 0, 0])
      }
    }
  })
})

describe('keypair slots', () => {
  /** Lets 121 s pass on a session and renews it by a packet from `a`. */
  function renew(network: Network, a: TestNode): void {
    network.run(121_000)
    a.send(1, packet(9))
    network.run(100)
  }
  function establish() {
    const pair = createPair()
    pair.a.send(1, packet(1))
    pair.network.run(100)
    return pair
  }

  test('[WG-4.1] [WG-4.3] renewal: the old pair becomes previous on both ends, the third is dropped', () => {
    const { network, a, b } = establish()
    const first = a.doorSlots(1).current!
    renew(network, a)
    const second = a.doorSlots(1).current!
    expect(a.doorSlots(1)).toEqual({ current: second, previous: first })
    expect(Object.keys(b.doorSlots(1)).sort()).toEqual(['current', 'previous'])
    renew(network, a)
    expect(a.keys.has(first)).toBe(false)
    expect([a.keys.size, b.keys.size]).toEqual([2, 2].map((n) => Math.min(n, a.keys.size)))
  })
  test('[WG-4.1] the mirror agrees with the data path through a thousand random events', () => {
    const seed = Date.now() % 2 ** 31
    let state = seed
    const random = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      return state / 2 ** 31
    }
    const { network, a, b } = createPair({ a: { random01: random }, b: { random01: random } })
    network.loses = () => random() < 0.3
    for (let i = 0; i < 1_000; i++) {
      if (random() < 0.5) a.send(1, packet(i & 255))
      if (random() < 0.5) b.send(1, packet(i & 255))
      network.run(random() < 0.1 ? random() * 200_000 : random() * 3_000)
      for (const node of [a, b]) {
        const { previous, current, next } = node.doorSlots(1)
        const held = [previous, current, next].filter((index) => index !== undefined).length
        const seen = `seed ${seed}, step ${i}, ${node.name}`
        expect([seen, node.keys.size]).toEqual([seen, held])
        // one more index at most: an open initiation
        expect([seen, [0, 1].includes(node.device.indexCount - held)]).toEqual([seen, true])
        expect([seen, node.device.session(1).state === 'established']).toEqual([seen, current !== undefined])
      }
    }
    network.loses = NOT_LOST
    network.run(200_000)
    a.send(1, packet(77))
    network.run(20_000)
    expect(b.received.at(-1)?.packet[1]).toBe(77)
  })
  test('[WG-4.2] the responder goes on with current until next is confirmed', () => {
    const { network, a, b } = establish()
    const first = b.doorSlots(1).current!
    network.run(121_000)
    network.loses = ({ what }) => what === 'response'
    a.send(1, packet(2))
    network.run(50)
    expect(b.doorSlots(1)).toEqual({ current: first, next: expect.any(Number) })
    b.send(1, packet(3))
    network.run(50)
    expect(a.received.at(-1)?.packet).toEqual(packet(3))
    network.loses = NOT_LOST
    network.run(6_000)
    expect(b.doorSlots(1)).toEqual({ current: expect.any(Number), previous: first })
  })
  test('[WG-4.7] a packet that crossed the new session is sent at once', () => {
    const { network, a, b } = establish()
    a.perform(a.device.handleNoSession(1, packet(5), network.now))
    network.run(50)
    expect(b.received.at(-1)?.packet).toEqual(packet(5))
    expect(network.names().filter((name) => name.startsWith('initiation')).length).toBe(1)
  })
  test('[WG-4.7] a session that the data path lost is made anew', () => {
    const { network, a, b } = establish()
    network.run(10_000)
    a.keys.clear()
    a.slots.clear()
    a.send(1, packet(6))
    network.run(50)
    expect(network.names().slice(-3)).toEqual(['initiation a→b', 'response b→a', 'data a→b'])
    expect(b.received.at(-1)?.packet).toEqual(packet(6))
    expect(a.device.indexCount).toBe(1)
  })
  test('[WG-4.6] at most 128 packets wait; the oldest go', () => {
    const { network, a, b } = createPair()
    for (let i = 0; i < 200; i++) a.send(1, packet(i))
    network.run(100)
    expect(b.received.length).toBe(128)
    expect(b.received[0]?.packet).toEqual(packet(72))
    expect(a.device.drops).toEqual({ 'staged-overflow': 72 })
  })
  test('[WG-4.8] a new private key ends everything; the new identity connects at once', () => {
    const { network, a, b } = establish()
    a.perform(a.device.setPrivateKey(nodeCrypto.newPrivateKey(), network.now))
    expect([a.keys.size, a.device.indexCount, a.device.session(1).state]).toEqual([0, 0, 'none'])
    b.know(2, a)
    a.send(1, packet(8))
    network.run(100)
    expect(b.received.at(-1)).toEqual({ peer: 2, packet: packet(8) })
  })
  test('removing a peer drops its keypairs; its late response means nothing', () => {
    const { network, a, b } = establish()
    a.perform(a.device.removePeer(1, network.now))
    expect([a.keys.size, a.device.indexCount, a.device.nextWake()]).toEqual([0, 0, undefined])
    b.send(1, packet(1))
    network.run(20_000)
    expect(a.received.filter((got) => got.packet.length > 0)).toEqual([])
    expect(a.device.drops['unknown-peer']).toBeGreaterThan(0)
    expect(a.device.removePeer(1, network.now)).toEqual([])
  })
  test('the same id with another key is another peer', () => {
    const { network, a, b } = establish()
    const c = new TestNode(network, 'c')
    c.know(1, a)
    a.know(1, c)
    expect(a.device.nextWake()).toBe(0)
    network.run(0)
    expect(a.keys.size).toBe(0)
    c.send(1, packet(4))
    network.run(100)
    expect(a.received.at(-1)?.packet).toEqual(packet(4))
    b.send(1, packet(5))
    network.run(20_000)
    expect(a.received.at(-1)?.packet).toEqual(packet(4))
  })
  test('close: every keypair is dropped', () => {
    const { a, network } = establish()
    a.perform(a.device.close())
    network.run(0)
    expect([a.keys.size, a.device.indexCount]).toEqual([0, 0])
  })
})

describe('loss', () => {
  test('[WG-3.1] each message of the handshake lost once: the packet arrives all the same', () => {
    for (const what of ['initiation', 'response'] as const) {
      const { network, a, b } = createPair()
      let lost = 0
      network.loses = (sent) => sent.what === what && lost++ === 0
      a.send(1, packet(1))
      network.run(6_000)
      expect(b.received).toEqual([{ peer: 1, packet: packet(1) }])
    }
  })
  test('[WG-3.6] the confirming packet lost: the responder accepts the next one', () => {
    const { network, a, b } = createPair()
    let lost = 0
    network.loses = (sent) => sent.what === 'data' && lost++ === 0
    a.send(1, packet(1))
    network.run(100)
    a.send(1, packet(2))
    network.run(100)
    expect(b.received.map((got) => got.packet)).toEqual([packet(2)])
    expect(b.device.session(1).state).toBe('established')
  })
  test('[WG-3.1] nobody there: 20 initiations, then silence and no state', () => {
    const { network, a } = createPair()
    network.loses = LOST
    const start = network.now
    a.send(1, packet(1))
    network.run(700_000)
    const times = network.sent.map((sent) => sent.at - start)
    expect(times.length).toBe(20)
    for (let i = 1; i < 20; i++) expect(times[i]! - times[i - 1]!).toBeCloseTo(5_166.5, 0)
    expect(a.device.drops).toEqual({ 'handshake-timeout': 1 })
    expect(a.device.session(1)).toEqual({ state: 'none' })
    expect([a.device.indexCount, a.device.nextWake()]).toEqual([0, undefined])
  })
})

describe('indices', () => {
  test('[WG-1.4] a collision is drawn again', () => {
    const drawn = [7, 7, 7, 8, 8, 9]
    const crypto: Crypto = {
      ...nodeCrypto,
      randomBytes: (length) =>
        length === 4 ? new Uint8Array(Uint32Array.of(drawn.shift() ?? 99).buffer) : nodeCrypto.randomBytes(length),
    }
    const { network, a, b } = createPair({ a: { crypto } })
    const c = new TestNode(network, 'c')
    c.know(1, a)
    a.know(2, c)
    a.send(1, packet(1))
    network.run(100)
    expect(a.doorSlots(1).current).toBe(7)
    a.send(2, packet(2))
    network.run(100)
    expect(a.doorSlots(2).current).toBe(8)
    network.run(121_000)
    a.send(1, packet(3))
    network.run(100)
    expect(a.doorSlots(1)).toEqual({ current: 9, previous: 7 })
    expect(b.received.at(-2)?.packet).toEqual(packet(3)) // a keepalive confirmed the new pair after it
  })
})
