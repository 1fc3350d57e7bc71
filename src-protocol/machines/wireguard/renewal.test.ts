/** Two devices over minutes: the timers of a session. */
import { describe, expect, test } from 'vitest'
import type { Activity } from '../activity.ts'
import { PeerTimers } from './timers.ts'
import { createPair, packet, type TestNode } from './two-devices.lab.ts'

function establish(jitter = 0.5) {
  const pair = createPair({ a: { random01: () => jitter }, b: { random01: () => jitter } })
  pair.a.send(1, packet(1))
  pair.network.run(100)
  return { ...pair, start: pair.network.now }
}

function activity(node: TestNode, what: Partial<Activity>): Activity {
  return {
    kind: 'activity',
    peer: 1,
    localIndex: node.doorSlots(1).current!,
    sentData: false,
    sentAny: false,
    receivedData: false,
    receivedAny: false,
    sendCounter: 5,
    from: undefined,
    ...what,
  }
}

describe('retransmission', () => {
  test('[WG-3.1] 5 s, plus up to 333 ms', () => {
    for (const [jitter, expected] of [
      [0, 5_000],
      [1, 5_333],
    ] as const) {
      const { network, a } = createPair({ a: { random01: () => jitter } })
      network.loses = () => true
      a.send(1, packet(1))
      network.run(expected - 1)
      expect(network.sent.length).toBe(1)
      network.run(1)
      expect(network.sent.length).toBe(2)
    }
  })
  test('[WG-3.2] traffic keeps it trying', () => {
    const { network, a } = createPair()
    network.loses = () => true
    for (let second = 0; second < 300; second++) {
      a.send(1, packet(1))
      network.run(1_000)
    }
    expect(network.sent.length).toBeGreaterThanOrEqual(57)
    expect(a.device.session(1).state).toBe('handshake')
  })
  test('[WG-3.3] many packets, one initiation in five seconds', () => {
    const { network, a } = createPair({ a: { random01: () => 0 } })
    network.loses = () => true
    for (let i = 0; i < 499; i++) {
      a.send(1, packet(1))
      network.run(10)
    }
    expect(network.sent.length).toBe(1)
  })
  test('[WG-3.3] [WG-3.4] a response counts too; what waits is tried when the time has come', () => {
    const { network, a, b } = createPair({ b: { random01: () => 0 } })
    network.loses = ({ from }) => from === 'b'
    a.send(1, packet(1))
    network.run(20)
    const responded = network.sent.find((sent) => sent.what === 'response')!.at
    network.loses = ({ from }) => from === 'a'
    b.send(1, packet(2))
    network.run(4_980)
    expect(network.names().filter((name) => name.endsWith('b→a'))).toEqual(['response b→a'])
    network.loses = () => false
    network.run(100)
    expect(network.sent.filter((sent) => sent.from === 'b')[1]).toMatchObject({
      what: 'initiation',
      at: responded + 5_000,
    })
    expect(a.received.at(-1)?.packet).toEqual(packet(2))
  })
})

describe('keepalives', () => {
  test('[WG-3.5] who only listens answers after 10 s', () => {
    const { network, start } = establish()
    network.run(9_900)
    expect(network.names(start)).toEqual([])
    network.run(100)
    expect(network.names(start)).toEqual(['keepalive b→a'])
  })
  test('[WG-3.5] who answers in time sends none', () => {
    const { network, b, start } = establish()
    network.run(9_000)
    b.send(1, packet(2))
    network.run(60_000)
    expect(network.names(start)).toEqual(['data b→a', 'keepalive a→b'])
  })
  test('[WG-3.5] a second one is due when more data came meanwhile, unless something was sent', () => {
    const timers = new PeerTimers()
    timers.dataReceived(0)
    timers.dataReceived(4_000)
    expect(timers.fire(9_999)).toBe(undefined)
    expect(timers.fire(10_000)).toBe('keepalive')
    expect(timers.fire(19_999)).toBe(undefined)
    expect(timers.fire(20_000)).toBe('keepalive')
    expect(timers.next()).toBe(Number.POSITIVE_INFINITY)
    timers.dataReceived(30_000)
    timers.dataReceived(31_000)
    timers.anySent(32_000)
    expect(timers.next()).toBe(Number.POSITIVE_INFINITY)
  })
  test('[WG-3.11] an idle session dies quietly', () => {
    const { network, a, b, start } = establish()
    network.run(1_000_000)
    expect(network.names(start)).toEqual(['keepalive b→a'])
    expect([a.device.nextWake(), b.device.nextWake()]).toEqual([undefined, undefined])
  })
  test('[WG-3.6] who sends and hears nothing starts a handshake after 15 s', () => {
    const { network, a, start } = establish(0)
    network.run(11_000) // past b's keepalive
    network.loses = () => true
    const sentAt = network.now
    a.send(1, packet(2))
    network.run(10_000)
    a.send(1, packet(3)) // does not postpone it
    network.run(4_999)
    expect(network.names(start).includes('initiation a→b')).toBe(false)
    network.run(1)
    expect(network.sent.at(-1)).toMatchObject({ what: 'initiation', from: 'a', at: sentAt + 15_000 })
  })
  test('[WG-3.6] a keepalive is an answer', () => {
    const { network, a } = establish(0)
    network.run(11_000)
    const since = network.now
    for (let i = 0; i < 5; i++) {
      a.send(1, packet(2))
      network.run(12_000)
    }
    expect(network.names(since).filter((name) => name.startsWith('initiation'))).toEqual([])
  })
  test('[WG-3.12] persistent keepalive keeps one session after the other alive', () => {
    const { network, a, b } = createPair()
    a.perform(a.device.setPersistentKeepalive(1, 25_000, network.now))
    network.run(600_000)
    expect(b.device.session(1).state).toBe('established')
    const keepalives = network.sent.filter((sent) => sent.what === 'keepalive')
    for (let i = 1; i < keepalives.length; i++)
      expect(keepalives[i]!.at - keepalives[i - 1]!.at).toBeLessThanOrEqual(25_030)
    a.perform(a.device.setPersistentKeepalive(1, 0, network.now))
    const since = network.now
    network.run(1_000_000)
    expect(network.names(since)).toEqual([])
  })
})

describe('renewal', () => {
  test('[WG-3.7] the initiator renews with the first packet after 120 s, not before', () => {
    const { network, a, b, start } = establish()
    network.run(119_800)
    a.send(1, packet(2))
    network.run(50)
    expect(network.names(start).includes('initiation a→b')).toBe(false)
    network.run(1_000)
    a.send(1, packet(3))
    network.run(50)
    expect(network.names(start).slice(-4)).toEqual(['data a→b', 'initiation a→b', 'response b→a', 'keepalive a→b'])
    expect(b.received.at(-2)?.packet).toEqual(packet(3)) // under the old pair, without waiting
  })
  test('[WG-3.7] the responder does not, up to the end', () => {
    const { network, b, start } = establish()
    network.loses = ({ from }) => from === 'a'
    for (let second = 0; second < 179; second += 10) {
      b.send(1, packet(2))
      b.perform(b.device.handleActivity(activity(b, { receivedAny: true }), network.now))
      network.run(10_000)
    }
    expect(network.names(start).filter((name) => name === 'initiation b→a')).toEqual([])
  })
  test('[WG-3.7] either end renews by count', () => {
    const { network, a, b } = establish()
    for (const node of [a, b]) {
      network.run(6_000)
      const since = network.now
      node.perform(node.device.handleActivity(activity(node, { sentAny: true, sendCounter: 2 ** 60 }), network.now))
      network.run(50)
      expect(network.names(since)).toEqual([])
      const worn = activity(node, { sentAny: true, sendCounter: 2 ** 60 * 1.001 })
      node.perform(node.device.handleActivity(worn, network.now))
      network.run(50)
      expect(network.names(since)[0]).toMatch(/^initiation/)
      network.run(15_000)
    }
  })
  test('[WG-3.8] the initiator renews by receiving after 165 s, once', () => {
    const { network, a, b, start } = establish()
    network.run(12_000)
    network.loses = ({ what }) => what === 'initiation'
    network.run(152_800)
    b.send(1, packet(2))
    network.run(50)
    expect(network.names(start).includes('initiation a→b')).toBe(false)
    network.run(1_000)
    b.send(1, packet(3))
    network.run(4_000)
    b.send(1, packet(4))
    network.run(50)
    expect(network.names(start).filter((name) => name === 'initiation a→b').length).toBe(1)
    expect(a.device.session(1).state).toBe('established')
  })
  test('[WG-3.8] the responder does not', () => {
    const { network, a, b, start } = establish()
    network.run(166_000)
    b.perform(b.device.handleActivity(activity(b, { receivedAny: true, receivedData: true }), network.now))
    network.run(50)
    expect(network.names(start).filter((name) => name.startsWith('initiation'))).toEqual([])
    expect(a.device.session(1).state).toBe('established')
  })
  test('[WG-3.9] keypairs are dropped at 180 s, on both ends', () => {
    const { network, a, b } = establish()
    network.run(179_800)
    expect([a.keys.size, b.keys.size]).toEqual([1, 1])
    network.run(300)
    expect([a.keys.size, b.keys.size, a.device.indexCount]).toEqual([0, 0, 0])
    expect([a.device.session(1).state, b.device.session(1).state]).toEqual(['expired', 'expired'])
    expect(a.device.session(1).lastHandshakeMs).toBe(1_700_000_001_020)
  })
  test('[WG-3.9] also when the wake comes late: a packet finds no session', () => {
    const { network, a } = establish()
    const late = network.now + 200_000
    const effects = a.device.handleNoSession(1, packet(1), late).map((effect) => effect.kind)
    expect(effects).toEqual(['dropKeypair', 'session', 'send', 'session'])
  })
  test('[WG-3.10] 540 s later everything is wiped; the timestamp of its last initiation is not', () => {
    const { network, a, b } = establish()
    const [first] = network.sent
    network.run(541_000)
    expect([a.device.session(1).state, b.device.session(1).state]).toEqual(['none', 'none'])
    expect([a.device.nextWake(), b.device.nextWake()]).toEqual([undefined, undefined])
    b.receive(first!.bytes, { kind: 'udp', from: '192.0.2.97:41641' as never })
    expect(b.device.drops['initiation-replay']).toBe(1)
    a.send(1, packet(2))
    network.run(100)
    expect(b.received.at(-1)?.packet).toEqual(packet(2))
  })
  test('two hours of traffic both ways: one handshake every two minutes, nothing lost, nothing left', () => {
    const { network, a, b } = establish()
    for (let second = 0; second < 7_200; second++) {
      a.send(1, packet(2))
      b.send(1, packet(3))
      network.run(1_000)
    }
    const count = (what: string) => network.sent.filter((sent) => sent.what === what).length
    expect(count('initiation')).toBe(60)
    expect(count('response')).toBe(60)
    expect([a.received.filter((got) => got.packet.length > 0).length, b.received.length]).toEqual([7_200, 7_201 + 59])
    expect(Math.max(a.keys.size, b.keys.size, a.device.indexCount)).toBeLessThanOrEqual(2)
  })
  test('a spurious wake is harmless', () => {
    const { network, a } = establish()
    for (let i = 0; i < 100; i++) expect(a.device.wake(network.now)).toEqual([])
  })
})
