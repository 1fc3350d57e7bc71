import { describe, expect, test } from 'vitest'
import type { IpPort } from '../../../src-contract/ids.ts'
import { nodeCrypto as crypto } from '../../crypto/node-crypto.ts'
import { decodeCookieReply, macFields } from '../../wire/wireguard.ts'
import { CookieChecker, CookieJar } from './cookies.ts'
import { WireGuardDevice } from './device.ts'
import type { Source } from './effects.ts'
import { cookieKey, createIdentity, createInitiation, mac1Key } from './handshake.ts'
import { LoadMeter, RateLimiter } from './load.ts'
import { createTimestamp } from './timestamp.ts'
import { createPair, packet } from './two-devices.lab.ts'

const from = (address: string, port = 1): Source => ({ kind: 'udp', from: `${address}:${port}` as IpPort })

/** A device, and someone who makes it handshakes. */
function target() {
  const device = new WireGuardDevice({
    crypto,
    privateKey: crypto.newPrivateKey(),
    wallClockMs: () => 0,
    random01: () => 0,
  })
  const sender = createIdentity(crypto, crypto.newPrivateKey())
  const jar = new CookieJar()
  const staticShared = crypto.x25519(sender.privateKey, device.publicKey)!
  let count = 0
  const initiation = (now: number) => {
    const created = createInitiation(
      crypto,
      sender,
      { publicKey: device.publicKey, staticShared, presharedKey: new Uint8Array(32) },
      {
        localIndex: ++count,
        ephemeralPrivate: crypto.newPrivateKey(),
        timestamp: createTimestamp(count * 1000, undefined),
      },
    )
    if (!created.ok) throw new Error(created.reason)
    jar.sign(crypto, mac1Key(crypto, device.publicKey), created.value.message, now)
    return created.value.message
  }
  /** With a good MAC1 and nothing else: enough to count as load. */
  const chaff = crypto.randomBytes(148)
  chaff.set([1, 0, 0, 0])
  new CookieJar().sign(crypto, mac1Key(crypto, device.publicKey), chaff, 0)
  macFields(chaff).mac2.fill(0)
  const flood = (now: number) => {
    for (let i = 0; i < 128; i++) device.handleDatagram(chaff, from('203.0.113.1'), now)
  }
  return { device, sender, jar, initiation, chaff, flood }
}

describe('load', () => {
  test('[WG-2.1] 128 at once, for a second', () => {
    const meter = new LoadMeter(500)
    for (let i = 0; i < 127; i++) meter.arrived(10)
    expect(meter.isLoaded(10)).toBe(false)
    meter.arrived(10)
    expect([10, 1_009, 1_010].map((now) => meter.isLoaded(now))).toEqual([true, true, false])
  })
  test('[WG-2.1] a steady stream at the accepted rate is none; twice that is, until it ends', () => {
    const meter = new LoadMeter(500)
    for (let now = 0; now < 60_000; now += 2) meter.arrived(now)
    expect(meter.isLoaded(60_000)).toBe(false)
    for (let now = 60_000; now < 120_000; now++) meter.arrived(now)
    expect(meter.isLoaded(120_000)).toBe(true)
    expect(meter.isLoaded(121_000)).toBe(false)
  })
})

describe('[WG-2.4] allowance', () => {
  test('5 at once, then 20 a second, per address', () => {
    const limiter = new RateLimiter()
    const taken = (address: string, now: number, tries: number) =>
      Array.from({ length: tries }, () => limiter.allows(address, now)).filter(Boolean).length
    expect(taken('a', 0, 10)).toBe(5)
    expect(taken('b', 0, 10)).toBe(5)
    expect(taken('a', 50, 10)).toBe(1)
    expect(taken('a', 99, 10)).toBe(0)
    expect(taken('a', 100, 10)).toBe(1)
    let second = 0
    for (let now = 101; now <= 1_100; now++) second += taken('a', now, 1)
    expect(second).toBe(20)
    expect(taken('a', 60_000, 10)).toBe(5)
  })
  test('remembers a bounded number of addresses, and those for a second', () => {
    const limiter = new RateLimiter()
    for (let i = 0; i < 10_000; i++) limiter.allows(`${i}`, 0)
    expect(limiter.size).toBe(4096)
    expect(limiter.allows('another', 999)).toBe(false)
    expect(limiter.allows('another', 1_000)).toBe(true)
    expect(limiter.size).toBe(1)
  })
})

describe('cookies', () => {
  test('[WG-2.2] [WG-2.5] two devices: the loaded one answers by a cookie, the next attempt gets through', () => {
    const { network, a, b } = createPair()
    const chaff = crypto.randomBytes(148)
    chaff.set([1, 0, 0, 0])
    new CookieJar().sign(crypto, mac1Key(crypto, b.device.publicKey), chaff, 0)
    const load = () => {
      for (let i = 0; i < 128; i++) {
        b.device.handleDatagram(chaff, { kind: 'udp', from: '192.0.2.99:1' as IpPort }, network.now)
      }
    }
    load()
    a.send(1, packet(1))
    network.run(5_100)
    expect(network.names()).toEqual(['initiation a→b', 'cookie b→a'])
    load()
    network.run(100)
    expect(network.names().slice(2)).toEqual(['initiation a→b', 'response b→a', 'data a→b'])
    expect(b.received.length).toBe(1)
    expect(macFields(network.sent[2]!.bytes).mac2.some((byte) => byte !== 0)).toBe(true)
    // the cookie was for the responder's protection: after 120 s it is not sent any more
    network.run(121_000)
    a.send(1, packet(2))
    network.run(50)
    const last = network.sent.findLast((sent) => sent.what === 'initiation')!
    expect(macFields(last.bytes).mac2.every((byte) => byte === 0)).toBe(true)
  })
  test('[WG-2.2] [WG-2.5] a loaded initiator asks for a cookie in the response too', () => {
    const { network, a, b } = createPair()
    a.send(1, packet(1))
    network.run(5)
    const chaff = crypto.randomBytes(148)
    chaff.set([1, 0, 0, 0])
    new CookieJar().sign(crypto, mac1Key(crypto, a.device.publicKey), chaff, 0)
    for (const at of [5, 5_000]) {
      network.run(at)
      for (let i = 0; i < 128; i++) {
        a.device.handleDatagram(chaff, { kind: 'udp', from: '192.0.2.99:1' as IpPort }, network.now)
      }
    }
    network.run(1_000)
    expect(network.names()).toEqual([
      'initiation a→b',
      'response b→a',
      'cookie a→b',
      'initiation a→b',
      'response b→a',
      'data a→b',
    ])
    expect(b.received.length).toBe(1)
  })
  test('[WG-2.2] the answer is smaller than its cause and nothing is worked on', () => {
    const { device, sender, initiation, flood } = target()
    device.addPeer(1, sender.publicKey)
    flood(0)
    const effects = device.handleDatagram(initiation(0), from('198.51.100.1'), 0)
    expect(effects).toEqual([{ kind: 'reply', to: from('198.51.100.1'), bytes: expect.any(Uint8Array) }])
    if (effects[0]?.kind === 'reply') expect(effects[0].bytes.length).toBe(64)
    expect(device.indexCount).toBe(0)
  })
  test('[WG-1.3] without MAC1 there is no cookie either, and no load', () => {
    const { device, chaff } = target()
    macFields(chaff).mac1[3]! ^= 1
    for (let i = 0; i < 1_000; i++) expect(device.handleDatagram(chaff, from('198.51.100.1'), 0)).toEqual([])
    expect(device.drops).toEqual({ mac1: 1_000 })
  })
  test('[WG-2.3] a cookie is bound to address and port, and ends with its secret', () => {
    const { device, sender, jar, initiation, flood } = target()
    device.addPeer(1, sender.publicKey)
    const attempt = (source: Source, now: number) => {
      const [effect] = device.handleDatagram(initiation(now), source, now)
      return effect
    }
    const home = from('198.51.100.1')
    flood(1_000)
    const asked = attempt(home, 1_000)
    if (asked?.kind !== 'reply') throw new Error('no cookie')
    const reply = decodeCookieReply(asked.bytes)
    if (!reply.ok) throw new Error(reply.reason)
    expect(jar.take(crypto, cookieKey(crypto, device.publicKey), reply.value, 1_000).ok).toBe(true)
    expect(attempt(from('198.51.100.2'), 1_100)?.kind).toBe('reply')
    expect(attempt(from('198.51.100.1', 2), 1_100)?.kind).toBe('reply')
    expect(attempt({ kind: 'relay', peer: 1 }, 1_100)?.kind).toBe('reply')
    expect(attempt(home, 1_100)?.kind).toBe('heardFrom')
    flood(60_000)
    expect(attempt(home, 60_001)?.kind).toBe('heardFrom')
    flood(120_990)
    expect(attempt(home, 120_995)?.kind).toBe('heardFrom')
    flood(121_000)
    expect(attempt(home, 121_001)?.kind).toBe('reply')
  })
  test('[WG-2.4] with a cookie: 5 at once from one address; IPv6 by /64', () => {
    const { device, jar, initiation, flood } = target()
    const withCookie = (source: Source, now: number) => {
      const [effect] = device.handleDatagram(initiation(now), source, now)
      if (effect?.kind !== 'reply') return // it had one for this address
      const reply = decodeCookieReply(effect.bytes)
      if (!reply.ok) throw new Error(reply.reason)
      jar.take(crypto, cookieKey(crypto, device.publicKey), reply.value, now)
      device.handleDatagram(initiation(now), source, now)
    }
    flood(0)
    for (let i = 0; i < 8; i++) withCookie(from('198.51.100.1'), 0)
    expect(device.drops['unknown-peer']).toBe(5)
    expect(device.drops['rate-limit']).toBe(3)
    for (let i = 0; i < 8; i++) withCookie(from(`[2001:db8:1:2::${i}]`), 0)
    expect(device.drops['unknown-peer']).toBe(10)
    for (let i = 0; i < 8; i++) withCookie({ kind: 'relay', peer: i }, 0)
    expect(device.drops['unknown-peer']).toBe(18)
    expect(device.drops['rate-limit']).toBe(6)
  })
  test('[WG-2.6] a reply counts for the last message, once, and only sealed by its receiver', () => {
    const own = createIdentity(crypto, crypto.newPrivateKey())
    const checker = new CookieChecker(crypto, own)
    const address = Uint8Array.of(1)
    const jar = new CookieJar()
    const key = cookieKey(crypto, own.publicKey)
    const message = (index: number) => {
      const bytes = crypto.randomBytes(148)
      bytes.set([1, 0, 0, 0, index, 0, 0, 0])
      bytes.fill(0, 132)
      jar.sign(crypto, own.mac1Key, bytes, 0)
      return bytes
    }
    const take = (bytes: Uint8Array) => {
      const reply = decodeCookieReply(bytes)
      return reply.ok ? jar.take(crypto, key, reply.value, 0) : reply
    }
    const first = message(1)
    const second = message(2)
    const stale = checker.createReply(first, address, 0)
    const fresh = checker.createReply(second, address, 0)
    expect(take(stale)).toEqual({ ok: false, reason: 'cookie-unasked' })
    for (let at = 8; at < 64; at++) {
      const forged = fresh.slice()
      forged[at]! ^= 1
      expect(take(forged)).toEqual({ ok: false, reason: 'cookie-tag' })
    }
    expect(take(fresh).ok).toBe(true)
    expect(take(fresh)).toEqual({ ok: false, reason: 'cookie-unasked' })
    const third = message(3)
    expect(checker.isMac2Valid(third, address, 0)).toBe(true)
    expect(checker.isMac2Valid(third, Uint8Array.of(2), 0)).toBe(false)
    expect(checker.isMac2Valid(third, address, 120_000)).toBe(false)
  })
})
