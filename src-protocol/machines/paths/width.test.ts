/** Paths that lose full packets, and paths that only lose: what becomes of them, with a clock that jumps. */
import { describe, expect, test } from 'vitest'
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import { AddressWidth } from './address-width.ts'
import { FULL_DATAGRAM_BYTES, NARROW_RETRIES, NARROW_RETRY_MS } from './constants.ts'
import { REGION, type Side, TwoPeers } from './two-peers.lab.ts'

const both = (net: TwoPeers) => [net.a, net.b] as const
const report = (net: TwoPeers, side: Side) => side.paths.report(1, net.now)
const steps = (net: TwoPeers, side: Side) => report(net, side).history.map(({ to, reason }) => `${to}: ${reason}`)
const traffic = (net: TwoPeers) => ({ from: both(net), everyMs: 50 })
const ways = (net: TwoPeers) => both(net).map(({ destination }) => destination)
const largest = (net: TwoPeers, ms: Ms) => {
  for (const side of both(net)) side.largest = 0
  net.run(ms, traffic(net))
  return net.a.largest
}

/** Runs until `is` holds; answers how long that took. */
function until(net: TwoPeers, is: () => boolean, atMostMs: Ms): Ms {
  const start = net.now
  while (!is() && net.now - start < atMostMs) net.run(50, traffic(net))
  return net.now - start
}

/** mulberry32 */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('[PATH-9] what is asked', () => {
  test('a full packet of the tunnel is 1340 bytes over IPv4 and 1360 over IPv6', () => {
    expect([FULL_DATAGRAM_BYTES + 28, FULL_DATAGRAM_BYTES + 48]).toEqual([1340, 1360])
  })

  test('a small pong makes the path direct; a padded ping follows in the same moment and with each used heartbeat', () => {
    const net = new TwoPeers()
    net.send(net.a)
    net.run(25)
    expect(net.a.destination).toEqual({ udp: net.b.address, relay: false })
    expect(net.a.largest).toBe(FULL_DATAGRAM_BYTES)
    net.run(500)
    expect(largest(net, 4_000)).toBe(FULL_DATAGRAM_BYTES)
  })

  test('nobody sends: heartbeats are small', () => {
    const net = new TwoPeers()
    net.send(net.a)
    net.run(4_000)
    net.a.largest = 0
    net.run(12_000)
    expect(net.a.largest).toBe(124)
  })
})

describe('[PATH-10] a black hole', () => {
  test('from the beginning: both sides leave it within four seconds, and say why', () => {
    const net = new TwoPeers()
    net.hole = { maxBytes: 1272 }
    expect(until(net, () => ways(net).every(({ udp }) => udp === undefined), 10_000)).toBeLessThanOrEqual(4_000)
    net.run(60_000, traffic(net))
    expect([net.kind(net.a), net.kind(net.b)]).toEqual(['relay', 'relay'])
    expect(report(net, net.a).candidates).toMatchObject([{ endpoint: net.b.address, tooSmallForBytes: 1340 }])
    expect(steps(net, net.a)).toContain('relay: mtu-too-small')
  })

  test('from one moment to the next on a proven path: full packets take the relay within seven seconds', () => {
    const net = new TwoPeers()
    net.run(20_000, traffic(net))
    for (let i = 0; i < 10; i++) {
      net.hole = { maxBytes: 1311 }
      net.run(i * 300, traffic(net))
      const took = until(net, () => ways(net).every(({ relay }) => relay), 20_000)
      expect(took + i * 300).toBeLessThanOrEqual(7_000)
      net.hole = undefined
      net.run(1_000_000, traffic(net))
      expect([net.kind(net.a), net.kind(net.b)]).toEqual(['direct', 'direct'])
    }
  })

  test('a path that carries exactly a full packet is left alone', () => {
    const net = new TwoPeers()
    net.hole = { maxBytes: FULL_DATAGRAM_BYTES }
    net.run(120_000, traffic(net))
    expect(steps(net, net.a)).toEqual(['idle: idle', 'relay: first-packet', 'direct: pong'])
  })

  test('a dead path is not called narrow', () => {
    const net = new TwoPeers()
    net.run(5_000, traffic(net))
    net.cut = true
    net.run(30_000, traffic(net))
    expect(steps(net, net.a).join()).not.toContain('mtu')
    expect(report(net, net.a).candidates[0]).not.toHaveProperty('tooSmallForBytes')
  })

  test('nor one that loses every fifth datagram each way, in an hour of traffic', () => {
    for (const seed of [1, 2, 3]) {
      const net = new TwoPeers()
      net.loss = { share: 0.2, random01: dice(seed) }
      net.run(1_200_000, { from: both(net), everyMs: 200 })
      const narrow = report(net, net.a).history.filter(({ reason }) => reason === 'mtu-too-small')
      expect({ seed, narrow: narrow.length }).toEqual({ seed, narrow: 0 })
    }
  })

  test('a slow path is not called narrow: the pong may take a second', () => {
    const net = new TwoPeers({ udpDelayMs: 500 })
    net.run(60_000, traffic(net))
    expect(steps(net, net.a).join()).not.toContain('mtu')
  })
})

test('[PATH-11] while in doubt, packets go both ways', () => {
  const net = new TwoPeers()
  net.hole = { maxBytes: 1272 }
  net.run(900, traffic(net))
  expect(ways(net)).toEqual([
    { udp: net.b.address, relay: true },
    { udp: net.a.address, relay: true },
  ])
})

describe('[PATH-12] what is used instead', () => {
  test('a relay that does not answer: both ways, so that small packets pass', () => {
    const net = new TwoPeers()
    net.hole = { maxBytes: 1272 }
    net.isRelayDead = true
    net.run(20_000, traffic(net))
    expect(net.a.destination).toEqual({ udp: net.b.address, relay: true })
    net.isRelayDead = false
    net.run(4_000, traffic(net))
    expect(net.a.destination).toEqual({ relay: true })
    net.isRelayDead = true
    net.run(10_000, traffic(net))
    expect(net.a.destination).toEqual({ udp: net.b.address, relay: true })
  })

  test('no relay: the narrow path stays, and is named', () => {
    const net = new TwoPeers()
    const peer = { nodeKey: net.b.nodePublic, discoKey: net.b.paths.discoPublic, endpoints: [net.b.address] }
    net.perform(net.a, net.a.paths.setPeer(1, { ...peer, derpRegion: 0 }, net.now))
    net.hole = { maxBytes: 1272 }
    net.run(20_000, { from: [net.a], everyMs: 50 })
    expect(net.a.destination).toEqual({ udp: net.b.address, relay: false })
    expect(report(net, net.a)).toMatchObject({ kind: 'direct', candidates: [{ tooSmallForBytes: 1340 }] })
  })

  test('another address that answers and is wide', () => {
    const net = new TwoPeers()
    const wide = '[2001:db8::2]:41641' as IpPort
    net.second = { of: net.b, address: wide }
    const peer = { nodeKey: net.b.nodePublic, discoKey: net.b.paths.discoPublic, derpRegion: REGION }
    net.hole = { maxBytes: 1272, to: net.b.address }
    net.run(10_000, traffic(net))
    expect(net.a.destination).toEqual({ relay: true })
    net.perform(net.a, net.a.paths.setPeer(1, { ...peer, endpoints: [net.b.address, wide] }, net.now))
    net.run(6_000, traffic(net))
    expect(net.a.destination).toEqual({ udp: wide, relay: false })
    net.run(60_000, traffic(net))
    expect(net.a.destination).toEqual({ udp: wide, relay: false })
  })

  test('the system refuses a full packet: at once', () => {
    const net = new TwoPeers()
    net.run(5_000, traffic(net))
    net.perform(net.a, net.a.paths.handleSendFailed(net.b.address, 'EMSGSIZE', net.now))
    expect(net.a.destination).toEqual({ udp: net.b.address, relay: true })
    net.run(100, traffic(net))
    expect(net.a.destination).toEqual({ relay: true })
  })
})

describe('[PATH-13] the way back', () => {
  test('after 30 s, then 60 s: a wide path again is used again', () => {
    for (const brokenMs of [10_000, 50_000]) {
      const net = new TwoPeers()
      net.hole = { maxBytes: 1272 }
      net.run(brokenMs, traffic(net))
      net.hole = undefined
      const took = until(net, () => [net.kind(net.a), net.kind(net.b)].join() === 'direct,direct', 100_000)
      expect(took).toBeGreaterThan(15_000)
      expect(took).toBeLessThanOrEqual(brokenMs < 30_000 ? 35_000 : 70_000)
    }
  })

  test('retries become rarer up to 16 minutes, and a padded answer ends the memory', () => {
    const width = new AddressWidth()
    const gaps: Ms[] = []
    let now = 0
    width.handleTooLarge(now)
    for (let i = 0; i < 8; i++) {
      const start = now
      while (!width.wantsRetry(now)) now += 1_000
      gaps.push((now - start) / NARROW_RETRY_MS)
      for (let ping = 0; ping < NARROW_RETRIES; ping++) width.handleRetry(now)
    }
    expect(gaps).toEqual([1, 2, 4, 8, 16, 32, 32, 32])
    width.handleFullPong()
    expect([width.isNarrow, width.isProven, width.wantsTrial]).toEqual([false, true, true])
  })

  test('a changed network voids it', () => {
    const net = new TwoPeers()
    net.hole = { maxBytes: 1272 }
    net.run(10_000, traffic(net))
    net.hole = undefined
    for (const side of both(net)) net.perform(side, side.paths.handleNetworkChange(net.now))
    net.run(1_000, traffic(net))
    expect([net.kind(net.a), net.kind(net.b)]).toEqual(['direct', 'direct'])
  })
})

describe('[PATH-14] a peer that does not look at widths', () => {
  test('narrow one way only: the other side leaves the path too', () => {
    const net = new TwoPeers()
    net.hole = { maxBytes: 1272, of: net.a }
    expect(until(net, () => ways(net).every(({ relay }) => relay), 20_000)).toBeLessThanOrEqual(12_000)
    net.run(60_000, traffic(net))
    expect([net.kind(net.a), net.kind(net.b)]).toEqual(['relay', 'relay'])
    net.hole = undefined
    net.run(70_000, traffic(net))
    expect([net.kind(net.a), net.kind(net.b)]).toEqual(['direct', 'direct'])
  })

  test('its small pings are answered while no other way is proven', () => {
    const net = new TwoPeers()
    net.hole = { maxBytes: 1272, of: net.a }
    net.isRelayDead = true
    net.run(60_000, traffic(net))
    expect(net.b.destination.udp).toBe(net.a.address)
  })
})

test('[PATH-15] a path with 10 % loss stays the only one for twenty minutes, with rare exceptions', () => {
  const net = new TwoPeers()
  net.loss = { share: 0.1, random01: dice(7) }
  net.run(5_000, traffic(net))
  let samples = 0
  let direct = 0
  for (let i = 0; i < 2_400; i++) {
    net.run(500, traffic(net))
    samples++
    if (net.a.destination.udp !== undefined && !net.a.destination.relay) direct++
  }
  expect(direct / samples).toBeGreaterThan(0.995)
})
