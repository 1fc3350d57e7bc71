/**
 * What other implementations rely on, sentence by sentence: the part that the machine decides. The data path's part is in
 * `src-native`, the proof beside stock programs in `lab`.                                       [docs/rules/wireguard.md WG-9]
 */
import { expect, test } from 'vitest'
import type { IpPort } from '../../../src-contract/ids.ts'
import { nodeCrypto } from '../../crypto/node-crypto.ts'
import { addressOf, createPair, packet } from './two-devices.lab.ts'

test('[WG-9.1] a response is followed at once by a keepalive, although nobody has anything to say', () => {
  const { network, a, b } = createPair()
  a.perform(a.device.requestSession(1, network.now))
  network.run(4_000)
  expect(network.names()).toEqual(['initiation a→b', 'response b→a', 'keepalive a→b'])
  expect(network.sent[2]!.at).toBe(network.sent[1]!.at + network.latencyMs)
  expect(b.device.session(1).state).toBe('established')
})

test('[WG-9.2] a responder whose confirmation is lost holds its packets back for as long as it takes', () => {
  const { network, a, b } = createPair()
  network.loses = ({ what }) => what === 'keepalive'
  a.perform(a.device.requestSession(1, network.now))
  for (let second = 0; second < 4; second++) {
    network.run(1_000)
    b.send(1, packet(second))
  }
  expect(b.doorSlots(1).current).toBe(undefined)
  expect(network.sent.filter(({ what }) => what === 'data')).toEqual([])
  network.loses = () => false
  a.send(1, packet(9))
  network.run(100)
  expect(b.received.map(({ packet }) => packet)).toEqual([packet(9)])
  expect(a.received.map(({ packet }) => packet)).toEqual([0, 1, 2, 3].map(packet))
})

test('[WG-9.3] a sent response delays the own initiation by five seconds', () => {
  const { network, a, b } = createPair({ b: { random01: () => 0 } })
  network.loses = ({ what }) => what === 'response'
  a.send(1, packet(1))
  network.run(20)
  const answeredAt = network.sent.find(({ what }) => what === 'response')!.at
  a.device.removePeer(1, network.now) // it does not try again
  for (let step = 0; step < 60; step++) {
    b.send(1, packet(2))
    network.run(100)
  }
  const own = network.sent.find(({ what, from }) => what === 'initiation' && from === 'b')
  expect(own?.at).toBe(answeredAt + 5_000)
})

test('[WG-9.4] through an hour of traffic both ways only who began renews, every two minutes', () => {
  const { network, a, b } = createPair()
  a.send(1, packet(1))
  for (let second = 0; second < 3_600; second++) {
    network.run(1_000)
    a.send(1, packet(1))
    b.send(1, packet(2))
  }
  const initiations = network.sent.filter(({ what }) => what === 'initiation')
  expect(new Set(initiations.map(({ from }) => from))).toEqual(new Set(['a']))
  expect(initiations.length).toBe(30)
  const gaps = initiations.slice(1).map(({ at }, i) => at - initiations[i]!.at)
  expect(Math.min(...gaps)).toBeGreaterThan(120_000)
  expect(Math.max(...gaps)).toBeLessThan(122_000)
  network.run(1_000)
  const data = [a, b].map((node) => node.received.filter(({ packet }) => packet.length > 0).length)
  expect(data).toEqual([3_600, 3_601])
})

test('[WG-9.6] a clock that steps back by a year sends timestamps that rise all the same', () => {
  const { network, a, b } = createPair()
  for (let hour = 0; hour < 5; hour++) {
    a.send(1, packet(hour))
    network.run(600_000)
    network.wallOffsetMs -= 365 * 86_400_000
  }
  expect(b.received.filter(({ packet }) => packet.length > 0).map(({ packet }) => packet[1])).toEqual([0, 1, 2, 3, 4])
  expect(b.device.drops).toEqual({})
})

test('[WG-9.7] one byte, nothing at all and types nobody knows are dropped without a trace but the count', () => {
  const { network, a, b } = createPair()
  const from = { kind: 'udp', from: addressOf('a') } as const
  const strange = [new Uint8Array(1), new Uint8Array(0), Uint8Array.of(5, 0, 0, 0), new Uint8Array(148).fill(6)]
  for (const bytes of [...strange, Uint8Array.of(1, 0, 0, 0, ...new Uint8Array(200))])
    expect(b.device.handleDatagram(bytes, from, network.now)).toEqual([])
  expect(b.device.drops).toEqual({ 'not-wireguard': 5 })
  expect([b.device.indexCount, b.device.nextWake()]).toEqual([0, undefined])
  a.send(1, packet(1))
  network.run(100)
  expect(b.received.map(({ packet }) => packet)).toEqual([packet(1)])
})

test('[WG-9.8] an initiation is answered whatever it came over and whatever the session before', () => {
  const keyOfA = nodeCrypto.newPrivateKey()
  const { network, a, b } = createPair({ a: { privateKey: keyOfA.slice() } })
  const sources = [
    { kind: 'relay', peer: 1 },
    { kind: 'udp', from: '198.51.100.7:9' as IpPort },
    { kind: 'udp', from: '[2001:db8::1]:65535' as IpPort },
  ] as const
  for (const source of sources) {
    network.loses = () => true // it comes another way
    a.perform(a.device.setPrivateKey(keyOfA.slice(), network.now)) // as if it had restarted
    a.perform(a.device.requestSession(1, network.now))
    const initiation = network.sent.at(-1)!
    network.loses = () => false
    b.perform(b.device.handleDatagram(initiation.bytes, source, network.now))
    network.run(1_000)
    expect(b.effects.filter(({ effect }) => effect.kind === 'heardFrom').at(-1)?.effect).toMatchObject({ source })
    expect([a.device.session(1).state, b.device.session(1).state]).toEqual(['established', 'established'])
  }
})
