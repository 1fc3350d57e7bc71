import { describe, expect, test } from 'vitest'
import type { IpPort } from '../../../src-contract/ids.ts'
import { nodeCrypto as crypto } from '../../crypto/node-crypto.ts'
import { sealDisco } from '../../wire/disco.ts'
import { isBetterPath } from './better-path.ts'
import { type Nat, REGION, TwoPeers } from './two-peers.lab.ts'

const both = (net: TwoPeers) => [net.a, net.b] as const
const report = (net: TwoPeers, side: 'a' | 'b') => net[side].paths.report(1, net.now)

describe('[PATH-1] from relay to direct', () => {
  test('the first packet goes over the relay at once, later ones direct', () => {
    const net = new TwoPeers()
    net.send(net.a)
    expect(net.a.destination).toEqual({ relay: true })
    net.run(100)
    expect(net.a.destination).toEqual({ udp: net.b.address, relay: false })
    expect(report(net, 'a')).toMatchObject({ kind: 'direct', endpoint: net.b.address, latencyMs: 20 })
  })

  const within: [Nat, Nat, number][] = [
    ['open', 'open', 100],
    ['port-filtering', 'open', 300],
    ['open', 'port-filtering', 300],
    ['port-filtering', 'port-filtering', 500],
    ['address-dependent-mapping', 'open', 500],
    ['open', 'address-dependent-mapping', 1_000],
  ]
  test.each(within)('%s to %s is direct within %i ms of the first packet', (a, b, ms) => {
    const net = new TwoPeers({ a, b })
    net.run(ms, { from: both(net), everyMs: 50 })
    expect([net.kind(net.a), net.kind(net.b)]).toEqual(['direct', 'direct'])
  })

  test('also when the network map knows no address yet: call-me-maybe brings them', () => {
    const net = new TwoPeers({ known: false, a: 'port-filtering', b: 'port-filtering' })
    net.run(1_000, { from: both(net), everyMs: 50 })
    expect([net.kind(net.a), net.kind(net.b)]).toEqual(['direct', 'direct'])
  })

  test('two strict NATs stay on the relay and do not spin', () => {
    const net = new TwoPeers({ a: 'address-dependent-mapping', b: 'address-dependent-mapping' })
    net.run(60_000, { from: both(net), everyMs: 100 })
    expect([net.kind(net.a), net.kind(net.b)]).toEqual(['relay', 'relay'])
    expect(net.a.sent.datagrams + net.a.sent.relayed).toBeLessThan(60 * 8)
  })
})

describe('[PATH-2] losing the direct path', () => {
  test('packets are on the relay within three seconds of a cut, and direct again after it', () => {
    const net = new TwoPeers({ a: 'port-filtering', b: 'port-filtering' })
    net.run(10_000, { from: both(net), everyMs: 100 })
    expect(net.kind(net.a)).toBe('direct')
    net.cut = true
    net.run(3_000, { from: both(net), everyMs: 100 })
    expect(net.a.destination.relay).toBe(true)
    expect(net.b.destination.relay).toBe(true)
    expect(net.kind(net.a)).toBe('relay')
    net.run(10_000, { from: both(net), everyMs: 100 })
    expect(net.a.destination).toEqual({ relay: true })
    net.cut = false
    net.run(8_000, { from: both(net), everyMs: 100 })
    expect([net.kind(net.a), net.kind(net.b)]).toEqual(['direct', 'direct'])
    expect(report(net, 'a').history.map(({ to, reason }) => `${to}: ${reason}`)).toEqual([
      'idle: idle',
      'relay: first-packet',
      'direct: pong',
      'relay: ping-timeout',
      'direct: pong',
    ])
  })

  test('one lost pong changes nothing', () => {
    const net = new TwoPeers()
    net.run(10_000, { from: both(net), everyMs: 100 })
    net.cut = true
    net.run(600, { from: both(net), everyMs: 100 })
    net.cut = false
    net.run(5_000, { from: both(net), everyMs: 100 })
    expect(report(net, 'a').history.filter(({ to }) => to === 'relay')).toHaveLength(1) // only the start
  })

  test('an unreachable address is dropped at once', () => {
    const net = new TwoPeers()
    net.run(500, { from: both(net), everyMs: 100 })
    net.perform(net.a, net.a.paths.handleSendFailed(net.b.address, 'EHOSTUNREACH', net.now))
    expect(net.a.destination).toEqual({ relay: true })
    expect(net.a.paths.handleSendFailed(net.b.address, 'EPERM', net.now)).toEqual([])
  })

  test('a changed network voids every path and looks again at once', () => {
    const net = new TwoPeers()
    net.run(500, { from: both(net), everyMs: 100 })
    net.perform(net.a, net.a.paths.handleNetworkChange(net.now))
    expect(net.a.destination).toEqual({ relay: true })
    net.run(200, { from: both(net), everyMs: 100 })
    expect(net.kind(net.a)).toBe('direct')
    expect(report(net, 'a').history.map(({ reason }) => reason)).toContain('network-change')
  })

  test('a restarted peer (new disco key, same address) is proven again', () => {
    const net = new TwoPeers()
    net.run(500, { from: both(net), everyMs: 100 })
    const facts = {
      nodeKey: net.b.nodePublic,
      discoKey: new Uint8Array(32).fill(9),
      endpoints: [net.b.address],
      derpRegion: REGION,
    }
    net.perform(net.a, net.a.paths.setPeer(1, facts, net.now))
    expect(net.a.destination).toEqual({ udp: net.b.address, relay: true })
  })
})

describe('[PATH-16] a peer that moves', () => {
  const elsewhere = '203.0.113.1:50123' as IpPort

  test.each([10, 50, 400])('is followed within half a second and a packet, with one every %i ms', (everyMs) => {
    const net = new TwoPeers({ a: 'port-filtering' })
    net.run(10_000, { from: both(net), everyMs })
    Object.assign(net.a, { address: elsewhere }) // its NAT forgets the mapping and makes another
    net.run(500 + everyMs, { from: both(net), everyMs })
    expect(net.b.destination).toEqual({ udp: elsewhere, relay: false })
    expect(net.a.destination).toEqual({ udp: net.b.address, relay: false })
    net.run(20_000, { from: both(net), everyMs })
    expect(net.b.destination).toEqual({ udp: elsewhere, relay: false })
  })

  test('is left where it is while it still answers there, and hardly asked', () => {
    const net = new TwoPeers()
    net.second = { of: net.a, address: elsewhere }
    net.run(10_000, { from: both(net), everyMs: 50 })
    const before = net.b.sent.datagrams
    for (let step = 0; step < 200; step++) {
      net.perform(net.b, net.b.paths.handleReceived(1, elsewhere, undefined, net.now))
      net.run(50, { from: [net.b], everyMs: 100 })
      expect(net.b.destination).toEqual({ udp: net.a.address, relay: false })
    }
    expect(net.b.sent.datagrams - before).toBeLessThan(10 * 4)
  })

  test('is not followed to an address that does not answer', () => {
    const net = new TwoPeers()
    net.run(10_000, { from: both(net), everyMs: 50 })
    net.cut = true
    for (let step = 0; step < 20; step++) {
      net.perform(net.b, net.b.paths.handleReceived(1, elsewhere, undefined, net.now))
      net.run(50, { from: [net.b], everyMs: 50 })
      expect(net.b.destination.udp).toBe(net.a.address)
    }
  })
})

describe('[PATH-3] quiet', () => {
  test('45 s after the last packet nothing is sent any more', () => {
    const net = new TwoPeers()
    net.run(2_000, { from: both(net), everyMs: 100 })
    net.run(50_000)
    const sent = net.a.sent.datagrams
    net.run(600_000)
    expect(net.a.sent.datagrams).toBe(sent)
    expect(net.kind(net.a)).toBe('idle')
    expect(net.a.paths.nextWake()).toBeUndefined()
  })

  test('an idle peer still answers pings', () => {
    const net = new TwoPeers()
    const { effects } = net.a.paths.ping(1, {}, net.now)
    net.perform(net.a, effects)
    net.run(500)
    expect(net.a.results).toHaveLength(1)
    expect(net.a.results[0]).toMatchObject({ endpoint: net.b.address, latencyMs: 20 })
  })

  test('heartbeats are three seconds apart', () => {
    const net = new TwoPeers()
    net.run(5_000, { from: both(net), everyMs: 100 })
    const before = net.a.sent.datagrams
    net.run(30_000, { from: both(net), everyMs: 100 })
    const pingsAndPongs = net.a.sent.datagrams - before
    expect(pingsAndPongs).toBeGreaterThanOrEqual(18)
    expect(pingsAndPongs).toBeLessThanOrEqual(24)
  })
})

describe('[PATH-4] a person’s ping', () => {
  test('over the relay when UDP is blocked', () => {
    const net = new TwoPeers({ a: 'blocked' })
    const { id, effects } = net.a.paths.ping(1, {}, net.now)
    net.perform(net.a, effects)
    net.run(200)
    expect(net.a.results).toEqual([{ kind: 'pingResult', id, latencyMs: 60, derpRegion: REGION }])
  })
  test('a sized ping is that large on the wire and does not use the relay', () => {
    const net = new TwoPeers()
    const { effects } = net.a.paths.ping(1, { size: 1_000 }, net.now)
    const pings = effects.filter((e) => e.kind === 'sendDatagram').map((e) => e.bytes.length)
    expect(pings).toContain(1_000)
    expect(effects.some((e) => e.kind === 'sendRelay' && e.bytes.length === 124)).toBe(false)
  })
})

describe('[PATH-5] who is believed', () => {
  const forged = (net: TwoPeers, message: Parameters<typeof sealDisco>[3], own = crypto.newPrivateKey()) => {
    const shared = crypto.boxSharedKey(own, net.a.paths.discoPublic)!
    return sealDisco(crypto, shared, crypto.x25519PublicKey(own), message)
  }
  test('a stranger’s message is dropped without an answer', () => {
    const net = new TwoPeers()
    const bytes = forged(net, { kind: 'ping', txId: new Uint8Array(12) })
    expect(net.a.paths.handleDatagram(bytes, '198.51.100.1:1' as IpPort, net.now)).toEqual([])
    expect(net.a.paths.drops).toEqual({ 'unknown-sender': 1 })
  })
  test('a ping never makes its source the path; call-me-maybe over UDP is ignored', () => {
    const net = new TwoPeers({ known: false })
    const elsewhere = '198.51.100.9:9' as IpPort
    const { effects } = net.b.paths.ping(1, {}, net.now)
    expect(effects.length).toBeGreaterThan(0)
    const ping = net.b.paths.ping(1, {}, net.now).effects.find((e) => e.kind === 'sendRelay')!
    const answer = net.a.paths.handleDatagram(ping.bytes, elsewhere, net.now)
    expect(answer.map((e) => e.kind)).toEqual(['sendDatagram'])
    expect(net.a.destination).toEqual({ relay: true })
  })
  test('a copy of a ping is not answered twice', () => {
    const net = new TwoPeers()
    const ping = net.b.paths.ping(1, {}, net.now).effects.find((e) => e.kind === 'sendDatagram')!
    expect(net.a.paths.handleDatagram(ping.bytes, net.b.address, net.now)).toHaveLength(1)
    expect(net.a.paths.handleDatagram(ping.bytes, net.b.address, net.now)).toEqual([])
  })
  test('a relay that names another node than the sealed key is not believed', () => {
    const net = new TwoPeers()
    const ping = net.b.paths.ping(1, {}, net.now).effects.find((e) => e.kind === 'sendDatagram')!
    const liar = { relayRegion: REGION, nodeKey: new Uint8Array(32).fill(3) }
    expect(net.a.paths.handleDatagram(ping.bytes, liar, net.now)).toEqual([])
  })
  test('a peer that floods us with call-me-maybe aims few pings at others', () => {
    const net = new TwoPeers()
    const discoPrivate = crypto.newPrivateKey()
    const nodeKey = crypto.randomBytes(32)
    const facts = { nodeKey, discoKey: crypto.x25519PublicKey(discoPrivate), endpoints: [], derpRegion: REGION }
    net.a.paths.setPeer(2, facts, net.now)
    const endpoints = Array.from({ length: 300 }, (_, n) => `198.51.100.${n % 250}:${1000 + n}` as IpPort)
    const call = forged(net, { kind: 'callMeMaybe', endpoints }, discoPrivate)
    let pings = 0
    for (let n = 0; n < 1_000; n++) {
      const effects = net.a.paths.handleDatagram(call, { relayRegion: REGION, nodeKey }, net.now + n)
      pings += effects.filter((e) => e.kind === 'sendDatagram').length
    }
    expect(pings).toBeGreaterThan(0)
    expect(pings).toBeLessThanOrEqual(5 * 64)
  })
  test('addresses without a port are not called', () => {
    const net = new TwoPeers()
    const discoPrivate = crypto.newPrivateKey()
    const nodeKey = crypto.randomBytes(32)
    const facts = { nodeKey, discoKey: crypto.x25519PublicKey(discoPrivate), endpoints: [], derpRegion: REGION }
    net.a.paths.setPeer(2, facts, net.now)
    const call = forged(net, { kind: 'callMeMaybe', endpoints: ['198.51.100.1:0' as IpPort] }, discoPrivate)
    const effects = net.a.paths.handleDatagram(call, { relayRegion: REGION, nodeKey }, net.now)
    expect(effects.filter((e) => e.kind === 'sendDatagram')).toEqual([])
  })
  test('noise is counted, never thrown; candidates stay bounded', () => {
    const net = new TwoPeers()
    const ping = net.b.paths.ping(1, {}, net.now).effects.find((e) => e.kind === 'sendDatagram')!
    for (let n = 0; n < 2_000; n++) {
      const bytes = ping.bytes.slice()
      bytes[6 + ((n * 31) % (bytes.length - 6))]! ^= 1 + (n % 255)
      net.a.paths.handleDatagram(bytes, net.b.address, net.now)
    }
    for (let n = 0; n < 1_000; n++) {
      const fresh = net.b.paths.ping(1, {}, net.now + n).effects.find((e) => e.kind === 'sendDatagram')!
      net.a.paths.handleDatagram(fresh.bytes, `198.51.100.${n % 250}:${1000 + n}` as IpPort, net.now + n)
    }
    expect(report(net, 'a').candidates.length).toBeLessThanOrEqual(101)
  })
})

test('[PATH-6] old own endpoints go out at once and are measured anew', () => {
  const net = new TwoPeers()
  net.now += 60_000
  net.send(net.a)
  expect(net.a.restuns).toBe(1)
  expect(net.a.sent.relayed).toBe(1)
})

test('[PATH-7] ten thousand sleeping peers cost nothing per event', () => {
  const net = new TwoPeers()
  for (let peer = 2; peer <= 10_000; peer++) {
    const key = crypto.randomBytes(32)
    net.a.paths.setPeer(
      peer,
      { nodeKey: key, discoKey: crypto.randomBytes(32), endpoints: ['192.0.2.1:1' as IpPort], derpRegion: 1 },
      net.now,
    )
  }
  expect(net.a.paths.nextWake()).toBeUndefined()
  const started = performance.now()
  for (let n = 0; n < 10_000; n++) net.a.paths.handleExternalSend(1, net.now)
  expect(performance.now() - started).toBeLessThan(2_000)
})

describe('[PATH-8] which path is better', () => {
  const at = (endpoint: string, latencyMs: number) => ({ endpoint: endpoint as IpPort, latencyMs })
  test.each([
    ['a much faster one', at('203.0.113.1:1', 10), at('203.0.113.2:1', 30), true],
    ['not one that is hardly faster', at('203.0.113.1:1', 99.5), at('203.0.113.2:1', 100), false],
    ['a private address at equal speed', at('10.0.0.1:1', 10), at('203.0.113.2:1', 10), true],
    ['IPv6 at equal speed', at('[2001:db8::1]:1', 10), at('203.0.113.2:1', 10), true],
    ['not the same address again', at('203.0.113.1:1', 1), at('203.0.113.1:1', 30), false],
  ])('%s', (_, a, b, better) => expect(isBetterPath(a, b)).toBe(better))
  test('direct beats a peer relay whatever the latency', () => {
    expect(isBetterPath(at('203.0.113.1:1', 100), { ...at('203.0.113.2:1', 1), vni: 5 })).toBe(true)
    expect(isBetterPath({ ...at('203.0.113.2:1', 1), vni: 5 }, at('203.0.113.1:1', 100))).toBe(false)
  })
})
