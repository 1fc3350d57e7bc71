/** What strangers and misbehaving peers send. */
import { describe, expect, test } from 'vitest'
import type { IpPort } from '../../../src-contract/ids.ts'
import { nodeCrypto as crypto, nodeCrypto } from '../../crypto/node-crypto.ts'
import { macFields } from '../../wire/wireguard.ts'
import { CookieJar } from './cookies.ts'
import { WireGuardDevice } from './device.ts'
import { createIdentity, createInitiation, mac1Key } from './handshake.ts'
import { createTimestamp } from './timestamp.ts'
import { createPair, packet, TestNode } from './two-devices.lab.ts'

const STRANGER = { kind: 'udp', from: '203.0.113.9:1' as IpPort } as const

describe('replays', () => {
  test('[WG-1.6] an initiation counts once, and never after a later one', () => {
    const { network, a, b } = createPair()
    a.send(1, packet(1))
    network.run(100)
    const first = network.sent[0]!.bytes
    network.run(121_000)
    a.send(1, packet(2))
    network.run(100)
    const before = b.doorSlots(1)
    for (const wait of [0, 1_000, 1_000_000]) {
      network.run(wait)
      b.receive(first, STRANGER)
    }
    expect(b.device.drops).toEqual({ 'initiation-replay': 3 })
    network.run(0)
    expect(before.current).toBeDefined()
    expect(b.device.session(1).state).toBe('none')
  })
  test('[WG-1.6] forgotten only when the peer is removed', () => {
    const { network, a, b } = createPair()
    a.send(1, packet(1))
    network.run(100)
    const first = network.sent[0]!.bytes
    b.perform(b.device.removePeer(1, network.now))
    b.know(1, a)
    b.receive(first, STRANGER)
    expect(b.doorSlots(1).next).toBeDefined()
  })
  test('[WG-1.7] two within 20 ms', () => {
    const identity = createIdentity(crypto, crypto.newPrivateKey())
    const device = new WireGuardDevice({
      crypto,
      privateKey: crypto.newPrivateKey(),
      wallClockMs: () => 0,
      random01: () => 0,
    })
    device.addPeer(1, identity.publicKey)
    const remote = {
      publicKey: device.publicKey,
      staticShared: crypto.x25519(identity.privateKey, device.publicKey)!,
      presharedKey: new Uint8Array(32),
    }
    const answers = [0, 20, 20.5, 40, 41].map((now, i) => {
      const timestamp = createTimestamp(1_000 * (i + 1), undefined)
      const fresh = { localIndex: i, ephemeralPrivate: crypto.newPrivateKey(), timestamp }
      const created = createInitiation(crypto, identity, remote, fresh)
      if (!created.ok) throw new Error(created.reason)
      new CookieJar().sign(crypto, mac1Key(crypto, device.publicKey), created.value.message, now)
      return device.handleDatagram(created.value.message, STRANGER, now).some((effect) => effect.kind === 'send')
    })
    expect(answers).toEqual([true, false, true, false, true])
    expect(device.drops).toEqual({ 'initiation-flood': 2 })
  })
  test('[WG-1.8] a response counts once; then its index is a keypair', () => {
    const { network, a } = createPair()
    a.send(1, packet(1))
    network.run(100)
    const response = network.sent.find((sent) => sent.what === 'response')!.bytes
    const before = a.doorSlots(1)
    a.receive(response, STRANGER)
    expect([a.doorSlots(1), a.device.drops]).toEqual([before, { 'unknown-index': 1 }])
  })
  test('[WG-1.8] the response to an initiation that was repeated since', () => {
    const { network, a } = createPair()
    network.loses = ({ what }) => what === 'response'
    a.send(1, packet(1))
    network.run(6_000)
    const [early, late] = network.sent.filter((sent) => sent.what === 'response')
    a.receive(early!.bytes, STRANGER)
    expect(a.device.session(1).state).toBe('handshake')
    a.receive(late!.bytes, STRANGER)
    expect(a.device.session(1).state).toBe('established')
  })
  test('[WG-1.9] forged responses do not end a handshake', () => {
    const { network, a, b } = createPair()
    network.loses = ({ what }) => what === 'response'
    a.send(1, packet(1))
    network.run(50)
    const response = network.sent.find((sent) => sent.what === 'response')!.bytes
    for (let i = 0; i < 60; i++) {
      const forged = response.slice()
      forged[12 + (i % 48)]! ^= 0x40
      macFields(forged).mac1.set(crypto.macBlake2s(mac1Key(crypto, a.device.publicKey), forged.subarray(0, 60), 16))
      a.receive(forged, STRANGER)
    }
    expect(a.device.drops).toEqual({ 'response-tag': 60 })
    a.receive(response, STRANGER)
    network.loses = () => false
    network.run(50)
    expect(b.received.length).toBe(1)
  })
  test('own messages reflected: nothing', () => {
    const { network, a } = createPair()
    a.send(1, packet(1))
    network.run(100)
    for (const { bytes } of [...network.sent]) a.receive(bytes, STRANGER)
    network.run(1_000)
    expect(a.received).toEqual([])
    expect(a.device.session(1).state).toBe('established')
  })
})

describe('clocks', () => {
  test('[WG-1.10] set back by a year between two handshakes: the second works', () => {
    const { network, a, b } = createPair()
    a.send(1, packet(1))
    network.run(121_000)
    network.wallOffsetMs -= 31_536_000_000
    for (let i = 2; i < 6; i++) {
      a.send(1, packet(i))
      network.run(200_000)
      expect(b.received.findLast((got) => got.packet.length > 0)?.packet).toEqual(packet(i))
    }
    expect(b.device.drops).toEqual({})
  })
})

describe('keys', () => {
  test('[WG-1.5] a peer whose key is of low order has no session, and costs nothing to try', () => {
    const { network, a } = createPair()
    for (const [i, fill] of [0, 1].entries()) {
      const key = new Uint8Array(32)
      key[0] = fill
      a.device.addPeer(10 + i, key)
      expect(a.device.handleNoSession(10 + i, packet(1), network.now)).toEqual([])
      expect(a.device.session(10 + i)).toEqual({ state: 'none' })
    }
    expect(a.device.drops).toEqual({ 'low-order': 4 })
    expect([a.device.indexCount, a.device.nextWake()]).toEqual([0, undefined])
  })
  test('[WG-1.5] a stranger with a perfect handshake gets nothing', () => {
    const { network, a } = createPair()
    const c = new TestNode(network, 'c')
    c.know(1, a)
    c.send(1, packet(1))
    network.run(30_000)
    expect(network.names().filter((name) => name.startsWith('response') || name.startsWith('cookie'))).toEqual([])
    expect(a.device.drops).toEqual({ 'unknown-peer': 6 })
    expect([a.device.indexCount, a.device.nextWake()]).toEqual([0, undefined])
  })
  test('our own key is no peer; a key of the wrong length is a mistake of the caller', () => {
    const { network, a } = createPair()
    a.device.addPeer(5, a.device.publicKey)
    expect(a.device.handleNoSession(5, packet(1), network.now)).toEqual([])
    expect(() => a.device.addPeer(6, new Uint8Array(31))).toThrow(RangeError)
  })
  test('events for peers and keypairs that are not there', () => {
    const { a } = createPair()
    const activity = {
      kind: 'activity',
      peer: 9,
      localIndex: 1,
      sentData: true,
      sentAny: true,
      receivedData: true,
      receivedAny: true,
      sendCounter: 2 ** 62,
      from: undefined,
    } as const
    expect(a.device.handleActivity(activity, 0)).toEqual([])
    expect(a.device.handleActivity({ ...activity, peer: 1 }, 0)).toEqual([])
    expect(a.device.handleConfirmed(9, 1, 0)).toEqual([])
    expect(a.device.handleConfirmed(1, 1, 0)).toEqual([])
    expect(a.device.handleNoSession(9, packet(1), 0)).toEqual([])
    expect(a.device.nextWake()).toBe(undefined)
  })
})

describe('[WG-6.3] noise', () => {
  test('200 000 datagrams of every size and near-valid header: no answer, no state', () => {
    const seed = Date.now() % 2 ** 31
    let state = seed
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      return Math.floor((state / 2 ** 31) * below)
    }
    const { network, a, b } = createPair()
    a.send(1, packet(1))
    network.run(100)
    const valid = network.sent.map((sent) => sent.bytes)
    const pool = crypto.randomBytes(70_000)
    const indices = b.device.indexCount
    let answers = 0
    for (let i = 0; i < 200_000; i++) {
      const kind = random(20)
      const size = kind < 4 ? [148, 92, 64, 32][kind]! : random(kind === 19 ? 65_536 : 1_500)
      let datagram = pool.subarray(random(pool.length - size)).subarray(0, size)
      if (kind < 8 && size >= 4) {
        datagram = datagram.slice()
        datagram.set([(kind % 4) + 1, 0, 0, 0])
      } else if (kind === 8) {
        datagram = valid[random(valid.length)]!.slice()
        datagram[random(datagram.length)]! ^= 1 + random(255)
      }
      try {
        answers += b.device.handleDatagram(datagram, STRANGER, network.now + i / 100).length
      } catch (error) {
        throw new Error(`seed ${seed}, datagram ${i}`, { cause: error })
      }
    }
    // a change in the MACs' own bytes may leave a valid replay; nothing else gets as far as an effect
    expect(answers).toBe(0)
    expect(b.device.indexCount).toBe(indices)
    expect(b.device.session(1).state).toBe('established')
    expect(Object.keys(b.device.drops).length).toBeLessThan(12)
  })
})

describe('[WG-6.4] many peers', () => {
  test('ten thousand asleep: adding is cheap, an event costs the same as with two, a wake is bounded', () => {
    const device = new WireGuardDevice({
      crypto: nodeCrypto,
      privateKey: crypto.newPrivateKey(),
      wallClockMs: () => 1_700_000_000_000,
      random01: () => 0,
    })
    const started = performance.now()
    for (let peer = 0; peer < 10_000; peer++) device.addPeer(peer, crypto.randomBytes(32))
    expect(performance.now() - started).toBeLessThan(2_000)
    expect(device.nextWake()).toBe(undefined)
    for (let peer = 0; peer < 1_000; peer++) device.handleNoSession(peer, packet(1), peer)
    expect(device.nextWake()).toBe(5_000)
    const woken = performance.now()
    for (let i = 0; i < 100_000; i++) device.wake(4_000)
    for (let i = 0; i < 100_000; i++) device.nextWake()
    expect(performance.now() - woken).toBeLessThan(2_000)
    const first = device.wake(6_000)
    expect(first.length).toBe(128)
    let effects = first.length
    for (let rounds = 0; (device.nextWake() ?? 6_001) <= 6_000; rounds++) {
      effects += device.wake(6_000).length
      expect(rounds).toBeLessThan(10)
    }
    expect(effects).toBe(1_000)
    const ended = device.close()
    expect([device.indexCount, device.nextWake(), ended.length]).toEqual([0, undefined, 1_000])
  })
})
